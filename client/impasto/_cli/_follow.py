"""Follows a job to its end. The first Ctrl-C cancels it, the second leaves."""

from collections.abc import Callable

from impasto._cli._display import Display
from impasto._events import JobEvent
from impasto._job import Job
from impasto._requests import PreviewOptions


def follow(
    job: Job,
    display: Display,
    previews: PreviewOptions | None,
    on_event: Callable[[JobEvent], None],
    *,
    after_sequence: int = 0,
) -> bool:
    """Shows a job's events until it has ended. True if it was interrupted, and so cancelled."""
    events = job.watch(previews=previews, after_sequence=after_sequence)
    try:
        for event in events:
            display.show(event)
            on_event(event)
    except KeyboardInterrupt:
        events.close()
        job.cancel()
        display.say("Stopping after this step; the picture so far is kept. Ctrl-C again leaves at once.")
        # Whoever interrupts again while this goes on means it.
        for event in job.watch(previews=None, after_sequence=events.sequence):
            display.show(event)
            on_event(event)
        return True
    except BrokenPipeError:
        # Whoever asked is gone, and nobody else knows the job.
        job.cancel()
        raise
    return False
