"""Programs that are run to their end, line by line into a log, and that can be cancelled at any time."""

import contextlib
import functools
import os
import queue
import shlex
import signal
import subprocess
import threading

from texts import Cancelled

LOOK_S = 0.1
LINES_KEPT = 40
TRY_S = 5.0


class Failed(Exception):
    """A program ended with an error; `lines` are the last that it said."""

    def __init__(self, lines):
        super().__init__(lines[-1] if lines else "")
        self.lines = lines


class Runner:
    """Runs one program after the other. `log` hears every line; `cancel` may come from any thread."""

    def __init__(self, log):
        self._log = log
        self.keep_open = ()
        """Descriptors that the programs hold as well: a lock lasts until the last of them has ended."""
        self._cancelled = threading.Event()

    def cancel(self):
        """Ends what runs, and whatever would come."""
        self._cancelled.set()

    def pause(self, seconds):
        """Waits. Raises Cancelled."""
        if self._cancelled.wait(seconds):
            raise Cancelled

    def run(self, command, environment, *, text="", meanwhile=lambda: None, log=None):
        """Runs a program, calls `meanwhile` now and then, and gives what it said. Raises Failed, Cancelled, OSError.

        `log` hears its lines in place of the runner's.
        """
        log = log or self._log
        self.pause(0)
        log("$ " + shlex.join(command))
        process = start(command, environment, self.keep_open)
        lines, said = [], queue.SimpleQueue()
        threads = [
            threading.Thread(target=read, args=(process.stdout, said.put), daemon=True),
            threading.Thread(target=write, args=(process.stdin, text), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            while process.poll() is None or threads[0].is_alive():
                take(said, lines, log)
                meanwhile()
                self.pause(LOOK_S)
        except BaseException:
            end(process)
            raise
        finally:
            take(said, lines, log)
            # The reader owns stdout, the writer stdin: each closes its own.
            process.wait()
        if process.returncode:
            raise Failed(lines[-LINES_KEPT:])
        return lines


def take(said, lines, log):
    """All that was said since."""
    with contextlib.suppress(queue.Empty):
        while True:
            line = said.get_nowait()
            lines.append(line)
            log(line)


def start(command, environment, keep_open):
    """A process whose whole family can be ended, and that ends with us where the system can see to it."""
    if os.name == "nt":
        own = {"creationflags": subprocess.CREATE_NO_WINDOW}
    else:
        own = {"start_new_session": True, "pass_fds": tuple(keep_open)}
    return subprocess.Popen(
        [*ends_with_us(), *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        **own,
    )


@functools.cache
def ends_with_us():
    """What goes before a command so that it is killed when our thread ends, whatever ended that; empty if none does.

    GIMP may kill the plug-in. What that had started would go on, and hold the lock of the next attempt.
    """
    command = ["setpriv", "--pdeathsig", "KILL", "--"]
    try:
        knows_it = subprocess.run([*command, "true"], capture_output=True, check=False, timeout=TRY_S).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(command) if knows_it else ()


def end(process):
    """Ends a process and, where the system knows families, its children."""
    with contextlib.suppress(OSError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def read(stdout, heard):
    """Hands on line by line until there are no more."""
    with stdout, contextlib.suppress(OSError, ValueError):
        for line in stdout:
            heard(line.rstrip())


def write(stdin, text):
    """Says all there is to say; who doesn't listen needn't."""
    with contextlib.suppress(OSError, ValueError), stdin:
        stdin.write(text)
