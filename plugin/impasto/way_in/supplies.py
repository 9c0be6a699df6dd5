"""What comes with the plug-in so that it can be set up: the archive's folder `wheels`."""

import hashlib
import os
import platform
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from texts import Refusal, _

UV_PROGRAM = "uv.exe" if os.name == "nt" else "uv"


@dataclass(frozen=True)
class Supplies:
    """The files that an installation begins with."""

    wheel: Path
    """Our own: on no index."""
    pip: Path
    """Gets uv, whatever GIMP's Python has or lacks; a wheel of pip's runs as it is."""
    constraints: Path

    @property
    def digest(self):
        """Changes with whatever is installed from them."""
        return hashlib.sha256(self.wheel.read_bytes() + self.constraints.read_bytes()).hexdigest()


def supplies_of(plug_in):
    """The supplies in a plug-in's folder. Raises Refusal if it came in another way, and has none."""
    folder = plug_in / "wheels"
    ours, pip = (sorted(folder.glob(f"{name}-*.whl")) for name in ("impasto", "pip"))
    constraints = folder / "constraints.txt"
    if not ours or not pip or not constraints.is_file():
        raise Refusal(_("This copy of the plug-in can't set itself up. Unpack Impasto's archive for GIMP again."))
    return Supplies(ours[-1], pip[-1], constraints)


def take_out_uv(wheel, folder):
    """Puts the program that a wheel of uv consists of into a folder, whole or not at all; gives its path."""
    folder.mkdir(exist_ok=True)
    program, half = folder / UV_PROGRAM, folder / f"{UV_PROGRAM}.half"
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(f".data/scripts/{UV_PROGRAM}"))
        half.write_bytes(archive.read(name))
    half.chmod(0o755)
    os.replace(half, program)
    return program


def wheel_platform():
    """What pip has to ask for, in options: GIMP's Python on Windows would ask for wheels that nobody makes."""
    if sys.platform != "win32":
        return []
    return ["--platform", "win_arm64" if platform.machine().upper() == "ARM64" else "win_amd64"]
