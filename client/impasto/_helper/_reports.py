"""What happens to a job, told to a host as it happens."""

from impasto._events import JobEvent, JobState, Notice, Preview, Progress, Reconnecting, StateChanged
from impasto._helper._answers import Answers
from impasto._helper._control import Control
from impasto._helper._pixels import srgb_pixels
from impasto._job import Job
from impasto._requests import PreviewOptions

PREVIEWS_PER_SECOND = 5.0


class Reports:
    """One job's. `preview_px` is the long side of previews, 0 wants none; `profile` says what their numbers mean."""

    def __init__(self, answers: Answers, control: Control, preview_px: int, profile: bytes) -> None:
        self._answers = answers
        self._control = control
        self._preview_px = preview_px
        self._profile = profile
        self._began: StateChanged | None = None
        self.seconds: float | None = None
        """How long it was painted, by the server's clock; None unless one attempt was seen from begin to end."""

    def follow(self, job: Job) -> None:
        """Tells all that happens to the job until it ends. Raises AbandonedError once the host has cancelled."""
        previews = None
        if self._preview_px:
            size_px = max(16, self._preview_px)
            previews = PreviewOptions(max_size_px=size_px, max_per_second=PREVIEWS_PER_SECOND, quality=90)
        with job.watch(previews=previews) as events:
            self._control.ends_with_it(events.close)
            for event in events:
                self._control.check()
                self.tell(event)
        self._control.check()

    def tell(self, event: JobEvent) -> None:
        """One thing that happened."""
        tell = self._answers.tell
        match event:
            case StateChanged(state=JobState.QUEUED):
                tell("stage", stage="waiting", place=event.queue_position)
            case StateChanged(state=JobState.RUNNING):
                self._began = event
                tell("stage", stage="starting", device=event.device, attempt=event.attempt)
            case StateChanged(state=JobState.SUCCEEDED):
                if self._began and self._began.attempt == 1:
                    self.seconds = (event.time - self._began.time).total_seconds()
            case Progress():
                tell(
                    "progress",
                    scale=event.scale,
                    scales=event.scales,
                    step=event.step,
                    steps=event.steps,
                    seconds_left=round(event.seconds_left, 1),
                )
            case Preview():
                width, height, pixels = srgb_pixels(event.data, self._profile)
                tell("preview", {"pixels": pixels}, width=width, height=height, step=event.step)
            case Notice():
                tell("notice", sentence=event.message)
            case Reconnecting():
                tell("stage", stage="reconnecting", retry=event.retry)
            case _:
                pass
