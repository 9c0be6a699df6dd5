"""One painting, from a host's pixels to a host's pixels, with everything worth telling on the way."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from impasto._client import Client
from impasto._events import JobEvent, JobState, Notice, Preview, Progress, Reconnecting, StateChanged
from impasto._exceptions import ImpastoError, JobCancelledError, JobStateError, ParameterError, QueueFullError
from impasto._helper._notes import keep_note
from impasto._helper._pixels import bare_png, srgb_pixels
from impasto._helper._requests import PaintRequest, Sliders
from impasto._images import decode
from impasto._job import Job
from impasto._requests import JobOptions, PreviewOptions, Style
from impasto._server_info import Recipe, ServerInfo

Tell: TypeAlias = Callable[..., None]
"""`tell(event, parts, **fields)`: sends a frame about this painting to the host."""

PREVIEWS_PER_SECOND = 5.0
SMALLEST_PX = 32


class Painting:
    """A running painting. `steer`, `keep` and `cancel` come from other threads while `run` runs."""

    def __init__(self, client: Client, request: PaintRequest, tell: Tell) -> None:
        self._client = client
        self._request = request
        self._tell = tell
        self._lock = threading.Lock()
        self._updating = threading.Lock()
        self._sliders = request.sliders
        self._job: Job | None = None
        self._recipe: Recipe | None = None
        self._stopped = ""
        """`keep` or `cancel` once the host has asked for it."""

    def run(self) -> None:
        """Paints to the end. The last thing told is `done` or `cancelled`; raises ImpastoError instead."""
        request = self._request
        self._tell("stage", stage="connecting")
        info = self._client.server_info()
        self._recipe = recipe = choose_recipe(info, request.recipe)
        size_px = working_size_px(request, recipe, info)
        self._tell("stage", stage="uploading")
        content = self._client.upload(request.content.png(size_px))
        if self._stopped:
            self._tell("cancelled")
            return
        options = request.options(recipe.name, size_px)
        if (sliders := self._sliders) != Sliders():
            weights = sliders.weights(recipe.defaults)
            options |= {"style_weight": weights["style_weight"], "tv_weight": weights["tv_weight"]}
        job = self._submit(content, options, sliders)
        size = {"width": request.content.width, "height": request.content.height}
        keep_note(job.name, {**size, "note": request.note})
        self._tell("job", name=job.name, title=style_title(info, request.style), recipe=recipe.name, size_px=size_px)
        self._follow(job)
        self._finish(job)

    def _submit(self, content: Any, options: JobOptions, sent: Sliders) -> Job:
        try:
            job = self._client.submit(content, self._request.style, **options)
        except QueueFullError as error:
            error.message = f"The server has enough to do: {error.message}"
            raise
        with self._lock:
            self._job = job
            stopped, sliders = self._stopped, self._sliders
        if stopped:
            job.cancel()
        elif sliders != sent:
            self._update(job)
        return job

    def _follow(self, job: Job) -> None:
        previews = None
        if self._request.preview_px:
            previews = PreviewOptions(
                max_size_px=max(16, self._request.preview_px), max_per_second=PREVIEWS_PER_SECOND, quality=90
            )
        with job.watch(previews=previews) as events:
            for event in events:
                if self._stopped == "cancel":
                    return
                self._report(event)

    def _report(self, event: JobEvent) -> None:
        match event:
            case StateChanged(state=JobState.QUEUED):
                self._tell("stage", stage="waiting", place=event.queue_position)
            case StateChanged(state=JobState.RUNNING):
                self._tell("stage", stage="starting", device=event.device, attempt=event.attempt)
            case Progress():
                self._tell(
                    "progress",
                    scale=event.scale,
                    scales=event.scales,
                    step=event.step,
                    steps=event.steps,
                    seconds_left=round(event.seconds_left, 1),
                )
            case Preview():
                width, height, pixels = srgb_pixels(event.data)
                self._tell("preview", {"pixels": pixels}, width=width, height=height, step=event.step)
            case Notice():
                self._tell("notice", sentence=event.message)
            case Reconnecting():
                self._tell("stage", stage="reconnecting", retry=event.retry)
            case _:
                pass

    def _finish(self, job: Job) -> None:
        if self._stopped == "cancel":
            self._tell("cancelled")
            return
        self._tell("stage", stage="fetching")
        partial = False
        try:
            data = job.result_bytes()
        except JobCancelledError as error:
            if error.partial is None:
                raise JobStateError("Nothing had been painted yet, so there is no picture to keep.") from None
            data, partial = job.partial_bytes(), True
        width, height, depth = self._request.content.width, self._request.content.height, self._request.depth
        parts = {"file": bare_png(data)} if depth == 16 else {"pixels": self._request.content.repainted(decode(data))}
        self._tell("done", parts, width=width, height=height, depth=depth, partial=partial, job=job.name)

    def steer(self, sliders: Sliders) -> None:
        """Moves the sliders, from the next step on. After the end it changes nothing."""
        with self._lock:
            self._sliders, job = sliders, self._job
        if job is not None:
            self._update(job)

    def _update(self, job: Job) -> None:
        assert self._recipe
        # One at a time, each with the newest values: a slider that moves sends many, and the last has to win.
        with self._updating:
            sliders = self._sliders
            weights = sliders.weights(self._recipe.defaults)
            try:
                job.update(style_weight=weights["style_weight"], tv_weight=weights["tv_weight"])
            except JobStateError:
                return
        self._tell("steered", strength=sliders.strength, smoothness=sliders.smoothness)

    def stop(self, how: str) -> None:
        """`keep`: ends the job and takes its picture as the result. `cancel`: ends it and forgets."""
        with self._lock:
            self._stopped, job = self._stopped or how, self._job
        if job is not None:
            job.cancel()

    def explain(self, error: ImpastoError) -> Mapping[str, Any]:
        """What to tell the host of an error: a sentence, and the job if there is one."""
        job = self._job.name if self._job else ""
        return {"sentence": str(error), "kind": type(error).__name__, "job": job}


def choose_recipe(info: ServerInfo, name: str) -> Recipe:
    """The recipe of this name, or the server's default. Raises ParameterError."""
    if not name:
        return info.recipes[0]
    for recipe in info.recipes:
        if recipe.name == name:
            return recipe
    known = ", ".join(recipe.name for recipe in info.recipes)
    raise ParameterError(f"The server has no recipe {name!r}; it has {known}.", field="spec.recipe")


def style_title(info: ServerInfo, style: Style) -> str:
    """What the gallery calls a style; empty for a picture of the painter's own."""
    return next((entry.title for entry in info.gallery if entry.name == style), "")


def working_size_px(request: PaintRequest, recipe: Recipe, info: ServerInfo) -> int:
    """Long side that is painted: what was asked for or the recipe's own, never more than the layer has."""
    content = request.content
    own = recipe.defaults.get("size_px") or "0"
    wanted = request.size_px or int(float(own)) or 512
    return max(SMALLEST_PX, min(wanted, max(content.width, content.height), info.limits.max_size_px))
