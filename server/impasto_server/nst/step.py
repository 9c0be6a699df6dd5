"""What a step shows of its run: where it stands, its losses, the picture so far."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto_server.recipes import Recipe

from . import pictures
from .checkpoint import Checkpoint, Standing, frozen
from .marks import Mark, beside, mark


class DivergedError(ArithmeticError):
    """The picture holds numbers that aren't finite: nothing comes of the run. The text tells a painter what to do."""

    def __init__(self, step: int) -> None:
        super().__init__(
            f"The picture was lost at step {step}: steps were so long, or weights so large, that its numbers are no "
            "longer finite. Try a smaller learning_rate, or smaller weights."
        )
        self.step = step


@dataclass(frozen=True, slots=True)
class Losses:
    """Weighted terms, as they enter their sum `total`."""

    content: float
    style: float
    tv: float
    total: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Step:
    """One optimiser step, asked of the device; the one before it is done. What it shows is the run as it stands: look
    before you ask for the next step.
    """

    scale: int
    """From 1, of `scales`."""
    scales: int
    step: int
    """From 1, of `steps`, over the whole run."""
    steps: int
    """About how many it will be: no more than the recipe's, and fewer where the run ends when it has settled."""
    height_px: int
    width_px: int
    tile_px: int | None
    """Longest side of the tiles it was painted in; None: in one piece."""
    ran_out_of_memory: bool
    """Whether that is less than before, because the device had no room for more."""
    _recipe: Recipe
    _standing: Standing

    def losses(self) -> Losses:
        """The weighted losses of the picture that this step started from. Waits for the step."""
        content, style, tv = self._standing.losses.numbers()
        return Losses(content, style, tv, content + style + tv)

    def image(self) -> Tensor:
        """The picture so far, uint8 (height_px, width_px, 3) RGB on the CPU. Waits for the step."""
        return pictures.shown(self._picture, down=self._recipe.rounds_down)

    def look(self, max_size_px: int) -> "Look":
        """The picture so far, or a smaller copy of it whose long side is still `max_size_px` or more; stays."""
        return Look(pictures.shrunk(self._picture, max_size_px))

    def rows(self, bits: int = 8) -> Iterator[Tensor]:
        """The picture so far as bands of rows (rows, width_px, 3), uint8 or for 16 bits uint16, on the CPU.

        Raises `DivergedError` if it isn't finite.
        """
        self._check()
        return pictures.rows_shown(self._picture, bits, down=self._recipe.rounds_down)

    def checkpoint(self, *, copy: bool = True) -> Checkpoint:
        """What `stylize(…, resume=…)` needs to go on exactly from here. Waits for the step.

        Without `copy` the tensors are the run's own where that is on the CPU: good until the next step. Raises
        `DivergedError` if the picture isn't finite.
        """
        return self._frozen(whole=True, copy=copy)

    def last_checkpoint(self) -> Checkpoint:
        """For a run that ends here: enough to begin another one with, not always to go on exactly. Good until the
        next step. Raises `DivergedError` if the picture isn't finite.
        """
        return self._frozen(whole=False, copy=False)

    def _frozen(self, *, whole: bool, copy: bool) -> Checkpoint:
        self._check()
        return frozen(self._standing, self._recipe, step=self.step, whole=whole, copy=copy)

    @property
    def _picture(self) -> Tensor:
        return self._standing.state.picture

    def _check(self) -> None:
        if not all(torch.isfinite(end) for end in self._picture.aminmax()):
            raise DivergedError(self.step)


class Look:
    """A picture taken from a run, still on its device."""

    def __init__(self, picture: Tensor) -> None:
        self._picture = picture
        self._taken: Mark = mark(picture.device)

    def image(self) -> Tensor:
        """uint8 (height, width, 3) RGB on the CPU. Waits for the device, but lets it go on: call it from any thread."""
        self._taken.synchronize()
        with beside(self._picture.device):
            return pictures.shown(self._picture)
