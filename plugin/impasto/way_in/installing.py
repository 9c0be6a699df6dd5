"""*Set up this computer*: from nothing to a helper that answers, in steps that can be cancelled and resumed.

uv comes from its wheel, by the pip that is in the archive; uv brings a Python if none fits, makes an environment of
our own and fills it with what is locked. A marker is written last: whatever has none is mended. No widget here: an
`Installation` tells its listeners how it goes, and runs in any thread.
"""

import contextlib
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass

from texts import Refusal, _
from way_in.folder import (
    MARKER,
    Found,
    found,
    free_bytes,
    helper_facts_for,
    locked,
    python_of,
    read_marker,
    size_of,
    write_whole,
)
from way_in.index import pip_environment, uv_environment, uv_options
from way_in.outside import outside
from way_in.plan import CUDA, brings_python, gigabytes
from way_in.running import Failed, Runner
from way_in.supplies import UV_PROGRAM, take_out_uv, wheel_platform
from way_in.transport import COMMAND_FILE, SANDBOX_MARK

PYTHONS = ">=3.11,<3.15"
"""For which everything that is locked has wheels."""
PAUSES_S = (3.0, 10.0, 30.0)
"""Before a broken download is taken up again; pip and uv have tried several times by themselves each time."""
LOOK_AT_DISK_S = 2.0
HELLO = '{"id":1,"ask":"hello"}\n'
INVITATION = r"impasto://[^\s@]+@\S+:\d{1,5}\S*"
DOWNLOADING = r"\s*Downloading (?P<name>\S+) \([\d.]+[KMG]iB\)"
"""As uv says it; pip's sizes are in other units."""
DOWNLOADED = r"\s*Downloaded (?P<name>\S+)"
HOPELESS = ("No space left", "Permission denied")
UNREACHABLE = ("fetch", "download", "connect", "timed out", "Could not find a version", "invalid package format", "SSL")
"""Among what pip and uv say of a download that broke off."""


@dataclass(frozen=True)
class Progress:
    """How it goes."""

    sentence: str
    fraction: float
    """0 to 1 of the whole."""


class LargerOnly(Refusal):
    """What was wanted can't be had from here, something larger can: `plan`, if the painter wants that."""

    def __init__(self, plan, free):
        super().__init__(
            _(
                "The small download can't be reached from here. The large one needs {needed}; {free} are free. "
                "Try again to take that."
            ).format(needed=gigabytes(plan.needs_bytes), free=gigabytes(free))
        )
        self.plan = plan


class Installation:
    """One attempt. `told` hears each Progress, `logged` each line, both in the thread that calls `run`.

    With an `invitation` the server that it is from is used from then on.
    """

    def __init__(self, plug_in, folder, supplies, plan, *, told, logged, invitation="", sandbox_mark=SANDBOX_MARK):
        self._plug_in = plug_in
        self._folder = folder
        self._supplies = supplies
        self._plan = plan
        self._told = told
        self._logged = logged
        self._invitation = invitation.strip()
        self._managed = ["--managed-python"] if brings_python(sandbox_mark) else []
        self._runner = Runner(self._log)
        self._environment, self._options = {}, []
        self._arriving = []
        self._looked = 0.0

    def cancel(self):
        """Ends it at once; what was downloaded is kept. From any thread."""
        self._runner.cancel()

    def run(self):
        """Installs what isn't there, tries it, and writes `helper.json`. Raises Refusal, Cancelled."""
        try:
            with locked(self._folder, self._runner.pause) as lock:
                self._runner.keep_open = () if os.name == "nt" else (lock,)
                self._install()
        except Failed as error:
            raise Refusal(failure_sentence(error.lines)) from None
        except OSError as error:
            raise Refusal(
                _("Impasto can't be set up in {folder}: {reason}.").format(
                    folder=error.filename or self._folder, reason=error.strerror or error
                )
            ) from None

    def _install(self):
        (self._folder / "setup.log").unlink(missing_ok=True)
        before, noted = found(self._folder, self._supplies.digest), read_marker(self._folder)
        paints = bool(self._plan.extra or noted.get("paints"))
        self._log(f"Found: {before.name.lower()}. Wanted: {self._plan.name}.")
        is_whole = before is Found.WHOLE and self._answers()
        if not is_whole or paints != noted.get("paints"):
            self._check_room()
            (self._folder / MARKER).unlink(missing_ok=True)
            uv = self._get_uv()
            if not is_whole and before is not Found.OLDER:
                self._make_environment(uv)
            self._fill(uv)
            self._try_helper()
        write_whole(self._plug_in / COMMAND_FILE, helper_facts_for(self._plug_in, self._folder))
        write_whole(self._folder / MARKER, {"paints": paints, "digest": self._supplies.digest})
        # It was for resuming. On most disks the environment's files are links to it, and take no room twice.
        shutil.rmtree(self._folder / "cache", ignore_errors=True)
        if self._invitation:
            self._connect()
        self._tell(_("Impasto is ready."), 1.0)

    def _check_room(self):
        free = free_bytes(self._folder)
        if free + size_of(self._folder) < self._plan.needs_bytes:
            raise Refusal(
                _("Your disk has too little room: {needed} are needed, {free} are free.").format(
                    needed=gigabytes(self._plan.needs_bytes), free=gigabytes(free)
                )
            )

    def _get_uv(self):
        """The program that installs the rest."""
        self._tell(_("Getting the installer"), 0.01)
        pip = [sys.executable or "python3", str(self._supplies.pip / "pip")]
        environment = pip_environment(os.environ)
        # Not logged: an index may have a password.
        config = "\n".join(self._runner.run([*pip, "config", "list"], environment, log=lambda _line: None))
        self._options = uv_options(config)
        self._environment = {
            "UV_HTTP_RETRIES": "5",
            **uv_environment(os.environ, config),
            "UV_CACHE_DIR": str(self._folder / "cache"),
            "UV_PYTHON_INSTALL_DIR": str(self._folder / "python"),
        }
        program = self._folder / "uv" / UV_PROGRAM
        if not program.exists():
            wheels = self._folder / "download"
            shutil.rmtree(wheels, ignore_errors=True)
            command = [*pip, "download", "--no-deps", "--only-binary=:all:", *wheel_platform(), "--progress-bar=off"]
            command += ["--disable-pip-version-check", "--dest", str(wheels)]
            self._run([*command, "--constraint", str(self._supplies.constraints), "uv"], environment)
            (wheel,) = wheels.glob("uv-*.whl")
            take_out_uv(wheel, program.parent)
            shutil.rmtree(wheels)
        return str(program)

    def _make_environment(self, uv):
        """An environment of our own; one that was broken off is made anew, from what was downloaded."""
        self._tell(_("Looking for Python"), 0.06)
        venv = self._folder / "venv"
        shutil.rmtree(venv, ignore_errors=True)
        self._run([uv, "venv", *self._managed, "--python", PYTHONS, str(venv)], self._environment)

    def _fill(self, uv):
        """What is locked, and our own wheel."""
        extra = f"[{self._plan.extra}]" if self._plan.extra else ""
        command = [uv, "pip", "install", *self._options, "--python", str(python_of(self._folder))]
        command += ["--reinstall-package=impasto", "--constraint", str(self._supplies.constraints)]
        command += [f"impasto{extra} @ {self._supplies.wheel.absolute().as_uri()}"]
        if self._plan.torch_backend:
            special = [*command, "--torch-backend", self._plan.torch_backend]
            try:
                self._run(special, self._environment, meanwhile=self._look_at_disk)
            except Failed:
                self._do_without_that_build(command)
        else:
            self._run(command, self._environment, meanwhile=self._look_at_disk)

    def _do_without_that_build(self, command):
        """Builds of torch for one kind of device are kept elsewhere, and not every network gets there."""
        if self._plan.needs_bytes < CUDA.needs_bytes:
            # If nothing answers at all, that is what is wrong.
            self._runner.run([*command, "--dry-run"], self._environment)
            raise LargerOnly(CUDA, free_bytes(self._folder))
        self._log("That build of torch can't be had from here. The index's own is taken.")
        self._run(command, self._environment, meanwhile=self._look_at_disk)

    def _run(self, command, environment, *, meanwhile=lambda: None):
        """Runs a program that downloads, several times if need be."""
        for pause_s in (*PAUSES_S, None):
            try:
                self._runner.run(command, environment, meanwhile=meanwhile)
            except Failed as error:
                if pause_s is None or any(word in line for word in HOPELESS for line in error.lines):
                    raise
                self._log(f"It broke off. Again in {pause_s:.0f} s.")
                self._runner.pause(pause_s)
            else:
                return

    def _look_at_disk(self):
        """Without a terminal uv doesn't say how far it is; the disk does."""
        if time.monotonic() - self._looked > LOOK_AT_DISK_S:
            part = min(1.0, size_of(self._folder / "cache") / self._plan.needs_bytes)
            # What began first and isn't there yet is what takes long.
            names = self._arriving[:1]
            named = _("Downloading {name}").format(name=names[0]) if names else _("Downloading")
            self._tell(named, 0.1 + 0.8 * part)
            self._looked = time.monotonic()

    def _answers(self):
        try:
            self._try_helper()
        except (Failed, OSError):
            return False
        return True

    def _try_helper(self):
        """Nothing is ready before it has answered."""
        self._tell(_("Checking that it works"), 0.93)
        command = helper_facts_for(self._plug_in, self._folder)["command"]
        lines = self._runner.run(command, outside(os.environ), text=HELLO)
        if not any('"hello"' in line for line in lines):
            raise Failed(lines)

    def _connect(self):
        """Tries the invitation and keeps it: for GIMP, for scripts, for the command line."""
        self._tell(_("Looking for the server"), 0.96)
        command = [str(python_of(self._folder)), "-P", "-m", "impasto", "connect", "-"]
        try:
            # Not as an argument: everybody on this computer can see those, and the invitation lets them in.
            self._runner.run(command, outside(os.environ), text=self._invitation)
        except Failed as error:
            reason = str(error).removeprefix("impasto: ")
            raise Refusal(_("This server can't be used. {reason}").format(reason=reason)) from None

    def _tell(self, sentence, fraction):
        self._told(Progress(sentence, fraction))

    def _log(self, line):
        if downloading := re.match(DOWNLOADING, line):
            self._arriving.append(downloading["name"])
        elif (downloaded := re.match(DOWNLOADED, line)) and downloaded["name"] in self._arriving:
            self._arriving.remove(downloaded["name"])
        with contextlib.suppress(OSError), (self._folder / "setup.log").open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        self._logged(line)


def check_invitation(pasted):
    """Raises Refusal for what can't be one, before anything is downloaded for it."""
    if not re.fullmatch(INVITATION, pasted):
        raise Refusal(_("This isn't a whole invitation. It begins with impasto:// and has no spaces in it."))


def failure_sentence(lines):
    """What to say of a program that failed; the lines themselves are in the log."""
    text = "\n".join(lines)
    if "No space left" in text:
        return _("Your disk is full. Make room, then try again: what was downloaded is kept.")
    if any(word in text for word in UNREACHABLE):
        return _("The download broke off. Try again: what was downloaded is kept.")
    return _(
        "That didn't work. Details… shows what was tried. Try again, or remove what was installed and start afresh."
    )
