"""How much sooner than the textbook's code we are where it ends: wall time to the same value of the same objective.

Method. The textbook's run (`bench.textbook`) and ours take turns, a few steps of its against a slice of ours, in
one process, with the same weights, pictures and size. The machine's moods then hit both. The textbook's steps all
cost the same, so its time is its measured seconds a step times its number of steps; it would be half an hour a pair
otherwise. Its values come from our recipe `classic`, which makes the same steps: equal to 1e-9 in float64
(tests/nst/test_classic_by_the_book.py); how far the two have drifted apart in float32, where Adam lets rounding
grow, is a row of its own.

The value to reach is the textbook's objective, in float32, of the picture after the textbook's last step. The same
objective judges our pictures every few steps, outside the timed part; a run has arrived at the first verdict that
is not above. Our time holds everything from the call on, targets too, in a warm process as a server's worker is
one; the textbook's holds its steps alone, without the first, which warms up.

The first run finds out where we arrive; then it is repeated to there without verdicts, against the textbook's steps of
the same minutes. A pair's ratio is the median of its repeats; what is held to the goal is the median over the
pairs. Noise: single repeats differ by some 10 % on a quiet machine and by much more on one that others use.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence

import torch

from bench.clock import Stopwatch
from bench.ours import Run
from bench.pictures import Pair
from bench.pictures import pairs as first_pairs
from bench.race import Judged, Point
from bench.report import Chart, Found, Line, Row, at_least
from bench.textbook import Textbook
from impasto_server import nst
from impasto_server.recipes import RECIPES, Recipe, customise

GOALS = {"cpu": 10.0, "cuda": 20.0}
LEAST = 5.0
VERDICTS = 60
"""Verdicts in a run: where it has arrived is known to a sixtieth of it."""


def measure(
    *,
    device: torch.device,
    recipe: str = "fast-classic",
    pairs: int = 3,
    choose: Callable[[int], Sequence[Pair]] = first_pairs,
    repeats: int = 3,
    height_px: int = 300,
    width_px: int = 450,
    steps: int = 500,
    own_steps: int | None = None,
    slice_steps: int = 25,
    textbook_slice_steps: int = 2,
) -> Iterator[Found]:
    """Pair by pair. `steps` are the textbook's, `own_steps` the recipe's where its own number isn't wanted."""
    if recipe not in RECIPES:
        print(f"  NOTICE: there is no recipe {recipe} here; measuring classic alone", flush=True)
        recipe = "classic"
    vgg = nst.load_vgg("original", device)
    size = {"height_px": height_px, "width_px": width_px}
    classic = customise("classic", {**size, "steps": steps})
    own = customise(recipe, size if own_steps is None else {**size, "steps": own_steps})
    against: dict[str, list[float]] = {"classic": [], recipe: []}
    for number, pair in enumerate(choose(pairs)):
        race = _Race(pair, vgg, classic, own, slice_steps, textbook_slice_steps)
        yield from race.first(drawn=number == 0)
        against["classic"].append(race.classic_ratio)
        if recipe != "classic":
            yield from race.again(repeats)
            against[recipe] += [race.ratio] if race.ratio else []
    ours = f"{height_px} × {width_px} px, {steps} steps"
    yield Row("classic against the textbook, median of pairs", statistics.median(against["classic"]), "×", note=ours)
    if recipe != "classic":
        missing = len(against["classic"]) - len(against[recipe])
        ratio = statistics.median(against[recipe] + [0.0] * missing)
        note = f"{ours}; at least {LEAST:g} ×" + (f"; {missing} pairs never arrived" if missing else "")
        yield at_least(f"{recipe} against the textbook, median of pairs", ratio, GOALS.get(device.type, 10), "×", note)


class _Race:
    """One pair of pictures: the textbook, `classic` and the recipe that is to beat them."""

    def __init__(
        self, pair: Pair, vgg: nst.Vgg, classic: Recipe, own: Recipe, slice_steps: int, textbook_slice_steps: int
    ) -> None:
        self.pair, self.vgg, self.classic, self.own = pair, vgg, classic, own
        self.slice_steps, self.textbook_slice_steps = slice_steps, textbook_slice_steps
        assert classic.height_px and classic.width_px
        self.book = Textbook(vgg, pair.content, pair.style, classic.height_px, classic.width_px)
        self.arrival: Point | None = None
        self.step_s: list[float] = []
        """The textbook's seconds a step, by repeat."""
        self.seconds: list[float] = []
        """Ours until arrival, by repeat."""
        self.classic_ratio = 0.0

    @property
    def ratio(self) -> float:
        """The textbook's time in units of ours, median of repeats; 0 if we never arrive."""
        return statistics.median(self.ratios) if self.arrival else 0.0

    @property
    def ratios(self) -> Sequence[float]:
        """By repeat."""
        pairs = zip(self.step_s, self.seconds, strict=True)
        return [self.classic.steps * step_s / seconds for step_s, seconds in pairs]

    def first(self, *, drawn: bool) -> Iterator[Found]:
        """All three in turn to their ends; finds the value to reach and where we reach it."""
        self.book.step()  # warm
        watch, book_steps = Stopwatch(self.vgg.device), 0
        judged = [self._judged(self.classic)]
        if self.own.name != self.classic.name:
            judged.append(self._judged(self.own))
        while not all(each.run.ended for each in judged):
            book_steps += self._turn_of_the_book(watch)
            for each in judged:
                each.advance(self.slice_steps)
        step_s = watch.seconds / book_steps
        target = judged[0].points[-1]
        self.classic_ratio = self.classic.steps * step_s / target.seconds
        yield Row(f"{self.pair.name}: textbook", step_s, "s/step", note=f"over {book_steps} steps")
        yield Row("  its objective at its end", target.value, "")
        yield self._drift(judged[0].points)
        yield Row("  classic", target.seconds / target.steps, "s/step", note=f"{self.classic_ratio:.2f} ×")
        if drawn:
            yield self._chart(judged, step_s, target.value)
        if len(judged) == 1:
            return
        self.arrival = judged[1].reached(target.value)
        yield from self._end(judged[1].points[-1], target)
        if self.arrival is None:
            best = judged[1].best()
            text = f"lowest {best.value:.4g} after {best.steps} steps, {best.value / target.value - 1:+.1%}"
            yield Row(f"  {self.own.name} never arrives: its lowest value", best.value, "", note=text)
            return
        yield Row(f"  {self.own.name} arrives after", self.arrival.steps, "steps")

    def again(self, repeats: int) -> Iterator[Found]:
        """Our run to where it arrives, a few times, against the textbook's steps at the same time."""
        if self.arrival is None:
            return
        for _ in range(repeats):
            run = Run(self.pair.content, self.pair.style, self.own, self.vgg)
            watch, book_steps = Stopwatch(self.vgg.device), 0
            while run.done < self.arrival.steps:
                book_steps += self._turn_of_the_book(watch)
                run.advance(min(self.slice_steps, self.arrival.steps - run.done))
            self.step_s.append(watch.seconds / book_steps)
            self.seconds.append(run.watch.seconds)
        yield Row(f"  {self.own.name} arrives after", statistics.median(self.seconds), "s")
        spread = ", ".join(f"{ratio:.2f}" for ratio in self.ratios)
        yield Row(f"  {self.own.name} against the textbook", self.ratio, "×", note=f"repeats {spread}")

    def _turn_of_the_book(self, watch: Stopwatch) -> int:
        for _ in range(self.textbook_slice_steps):
            watch.time(self.book.step)
        return self.textbook_slice_steps

    def _judged(self, recipe: Recipe) -> Judged:
        run = Run(self.pair.content, self.pair.style, recipe, self.vgg)
        return Judged(run, self.book.value, max(1, recipe.steps // VERDICTS))

    def _end(self, end: Point, target: Point) -> Iterator[Found]:
        """Where our recipe ends by itself, whether it has arrived or not."""
        away, seconds = end.value / target.value - 1, end.seconds / target.seconds
        text = f"at most {self.own.steps}; {away:+.2%}, in {seconds:.1%} of classic's time"
        yield Row(f"  {self.own.name} ends after", end.steps, "steps", note=text)

    def _drift(self, points: Sequence[Point]) -> Row:
        """How far the book's own run has come to stand from `classic`, at the next verdict after its last step."""
        point = next(point for point in points if point.steps >= self.book.steps)
        while self.book.steps < point.steps:
            self.book.step()
        away = self.book.value(self.book.picture) / point.value - 1
        return Row(f"  it differs from classic after {self.book.steps} steps by", 100 * away, "%", note="float32")

    def _chart(self, judged: Sequence[Judged], step_s: float, target: float) -> Chart:
        book = [(point.steps * step_s, point.value) for point in judged[0].points]
        lines = [Line("textbook", *_columns(book))]
        for each in judged:
            found = [(point.seconds, point.value) for point in each.points]
            lines.append(Line(each.run.recipe.name, *_columns(found)))
        return Chart(
            f"{self.pair.name}, {self.classic.height_px} × {self.classic.width_px} px",
            "seconds",
            "the textbook's objective",
            tuple(lines),
            {"the textbook's end": target},
            log_x=True,
            log_y=True,
        )


def _columns(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(x for x, _ in points), tuple(y for _, y in points)
