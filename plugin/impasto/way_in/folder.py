"""Our folder on the painter's disk: what is in it and how whole, who may write to it, and how it goes away again."""

import contextlib
import enum
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from texts import Refusal, _
from way_in.transport import COMMAND_FILE

MARKER = "installed.json"
"""Written last: what has none is half an installation."""
UNIT = "systemd/user/impasto-helper.service"
LOCK_S = 20.0
"""How long a program of an attempt that was killed may take to end."""
SYSTEMCTL_S = 20.0


class Found(enum.Enum):
    """What an earlier attempt left."""

    NOTHING = enum.auto()
    HALF = enum.auto()
    """It was broken off."""
    OLDER = enum.auto()
    """Whole, and of another version of the plug-in."""
    WHOLE = enum.auto()


def data_folder(system=sys.platform, environment=os.environ):
    """Where our environment goes. Nothing is made."""
    home = Path.home()
    if system == "win32":
        return Path(environment.get("LOCALAPPDATA") or home / "AppData/Local") / "impasto" / "gimp"
    if system == "darwin":
        return home / "Library/Application Support/impasto/gimp"
    # In Flatpak's sandbox this is below ~/.var/app, which has the same path outside of it.
    return Path(environment.get("XDG_DATA_HOME") or home / ".local/share") / "impasto" / "gimp"


def python_of(folder):
    """The Python of our environment."""
    return folder / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def found(folder, digest):
    """How whole the folder is, for supplies of this digest."""
    noted = read_marker(folder)
    if noted and python_of(folder).exists():
        return Found.WHOLE if noted.get("digest") == digest else Found.OLDER
    return Found.HALF if (folder / "venv").exists() else Found.NOTHING


def read_marker(folder):
    """What the marker says: `digest` of the supplies, and whether it `paints` here; empty without one."""
    try:
        return dict(json.loads((folder / MARKER).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def write_whole(path, facts):
    """Writes a file of JSON, whole or not at all. Raises OSError."""
    half = path.with_name(f".{path.name}.half")
    half.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    os.replace(half, path)


def helper_facts_for(plug_in, folder):
    """What `helper.json` says of a helper in our environment (transport.py)."""
    facts = {"command": [str(python_of(folder)), "-P", "-m", "impasto", "helper"]}
    if sys.platform not in ("win32", "darwin"):
        # GIMP's own folder is what is shared with every sandbox; the plug-in is in it.
        path = plug_in.parents[2] / "impasto" / "helper.sock"
        listen = [str(folder / "venv/bin/impasto"), "gimp", "listen"]
        if path != host_config() / "GIMP/impasto/helper.sock":
            listen += ["--socket", str(path)]
        facts |= {"socket": str(path), "start": shlex.join(listen)}
    return facts


def host_config():
    """Where configurations are outside of any sandbox."""
    named = os.environ.get("HOST_XDG_CONFIG_HOME") or ""
    if not named and not os.environ.get("FLATPAK_ID"):
        named = os.environ.get("XDG_CONFIG_HOME") or ""
    return Path(named or Path.home() / ".config")


def free_bytes(folder):
    """Room on the disk that the folder is on, or would be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def size_of(folder):
    """Bytes of all files below, as far as they stay for so long."""
    total = 0
    for place, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


@contextlib.contextmanager
def locked(folder, pause=time.sleep):
    """Holds the folder for one installation or removal; gives the descriptor that holds it. Raises Refusal, OSError.

    A child that has the descriptor holds the folder as well, for as long as it runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+b") as file:
        deadline = time.monotonic() + LOCK_S
        while not take(file):
            if time.monotonic() > deadline:
                raise Refusal(_("Impasto is being set up in another window. Wait for it, then try again."))
            pause(0.2)
        yield file.fileno()


if os.name == "nt":
    import msvcrt

    def take(file):
        """True if the lock is ours now."""
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def take(file):
        """True if the lock is ours now."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def remove(plug_in, folder):
    """Takes away all that was set up; the plug-in itself stays. Raises Refusal."""
    try:
        if not folder.exists():
            return
        with locked(folder):
            command_file = plug_in / COMMAND_FILE
            if command_file.exists() and json.dumps(str(folder))[1:-1] in command_file.read_text(encoding="utf-8"):
                command_file.unlink()
            remove_unit(folder)
            # The marker first: what is left of a removal that was broken off is half an installation.
            (folder / MARKER).unlink(missing_ok=True)
            for place in folder.iterdir():
                if place.is_dir():
                    shutil.rmtree(place)
                elif place.name != "lock":
                    place.unlink()
        shutil.rmtree(folder)
    except OSError as error:
        raise Refusal(
            _("{path} can't be removed: {reason}.").format(
                path=error.filename or folder, reason=error.strerror or error
            )
        ) from None


def remove_unit(folder):
    """The unit that `impasto gimp listen` wrote, if it starts the helper of this folder."""
    unit = host_config() / UNIT
    if not unit.exists() or str(folder) not in unit.read_text(encoding="utf-8"):
        return
    if shutil.which("systemctl"):
        command = ["systemctl", "--user", "disable", "--now", unit.name]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SYSTEMCTL_S, check=False)
    # In a sandbox nobody can be told.
    for place in (unit.parent / "default.target.wants" / unit.name, unit):
        place.unlink(missing_ok=True)
