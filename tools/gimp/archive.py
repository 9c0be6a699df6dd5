"""Writes what painters unpack into GIMP's plug-ins folder: the plug-in with all that it needs to set itself up.

`python -m tools.gimp.archive` writes build/impasto-gimp-VERSION.zip: the folder `impasto/`, and in its `wheels` our own
wheel, pip's and what is locked. The same sources give the same archive.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tools.gimp.provision import REPOSITORY

PLUG_IN = REPOSITORY / "plugin/impasto"
CONSTRAINTS = REPOSITORY / "constraints.txt"
LEFT_OUT = ("__pycache__", ".po", ".pot", "helper.json")
DATE = (1980, 1, 1, 0, 0, 0)
FILE, PROGRAM = 0o100644, 0o100755


def archive(folder: Path = REPOSITORY / "build") -> Path:
    """Builds the wheel, fetches pip's and packs it all; gives the archive. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as scratch:
        wheels = Path(scratch)
        wheel = build_wheel(wheels)
        fetch_pip(wheels)
        version = wheel.name.split("-")[1]
        folder.mkdir(exist_ok=True)
        target = folder / f"impasto-gimp-{version}.zip"
        half = target.with_suffix(".half")
        with zipfile.ZipFile(half, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in plug_in_files():
                mode = PROGRAM if path.name == "impasto.py" else FILE
                add(packed, f"impasto/{path.relative_to(PLUG_IN).as_posix()}", path, mode)
            for path in [*sorted(wheels.glob("*.whl")), CONSTRAINTS]:
                add(packed, f"impasto/wheels/{path.name}", path, FILE)
        half.rename(target)
    return target


def plug_in_files() -> list[Path]:
    """The plug-in's files, without what only its builders need."""
    files = [path for path in sorted(PLUG_IN.rglob("*")) if path.is_file()]
    return [path for path in files if not any(str(path).endswith(end) or end in path.parts for end in LEFT_OUT)]


def build_wheel(folder: Path) -> Path:
    """Our own wheel."""
    run("-m", "uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), str(REPOSITORY))
    (wheel,) = folder.glob("impasto-*.whl")
    return wheel


def fetch_pip(folder: Path) -> None:
    """pip's own wheel, from the index that this machine is configured for."""
    download = ("-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    run(*download, "--only-binary=:all:", "--constraint", str(CONSTRAINTS), "--dest", str(folder), "pip")


def add(packed: zipfile.ZipFile, name: str, path: Path, mode: int) -> None:
    """One file, with its mode and without its date."""
    info = zipfile.ZipInfo(name, DATE)
    info.external_attr = mode << 16
    info.create_system = 3  # Unix: the mode counts
    info.compress_type = zipfile.ZIP_STORED if name.endswith(".whl") else zipfile.ZIP_DEFLATED
    packed.writestr(info, path.read_bytes())


def run(*words: str) -> None:
    """Runs a module of this environment."""
    subprocess.run([sys.executable, *words], check=True)


if __name__ == "__main__":
    print(archive())
