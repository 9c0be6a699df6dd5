"""Builds a root folder with GIMP 3 and the client's dependencies, packs it, and unpacks it again in seconds.

The packages come from the mirror that this machine's own apt is configured with. Everything lands under
`build/gimp/`: `3.0/` (or `3.2/`) is the root, `3.0.tar.zst` what it is made from after `rm -r build/gimp/3.0`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CACHE = REPOSITORY / "build" / "gimp"
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "zstd": "zstd",
    "Xvfb": "xvfb",
    "openbox": "openbox",
    "xdotool": "xdotool",
    "import": "imagemagick",
    "bwrap": "bubblewrap",
}
"""Programs that are needed, and the Debian packages they are in."""
NOT_UNPACKED = ("doc", "man", "locale", "help")
CLIENT_NEEDS = (
    "click",
    "googleapis-common-protos",
    "grpcio",
    "grpcio-status",
    "pillow",
    "platformdirs",
    "protobuf",
    "rich",
)


class CannotProvisionError(Exception):
    """There is no GIMP root and none can be made here; the text says what is missing."""


RELEASES = {"3.0": "trixie", "3.2": "forky"}
"""The Debian release that has a version of GIMP."""


def provision(version: str = "3.0") -> Path:
    """The root folder of this version of GIMP. Raises CannotProvisionError."""
    root = CACHE / version
    if sys.platform != "linux" or not shutil.which("apt-get"):
        raise CannotProvisionError("a GIMP root can only be built on Debian and its relatives.")
    if os.geteuid() != 0:
        raise CannotProvisionError("building a GIMP root takes root's rights (chroot): run it as root once.")
    install_tools()
    if (root / ".provisioned").exists():
        return root
    CACHE.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    archive = CACHE / f"{version}.tar.zst"
    if not archive.exists():
        build(root, RELEASES[version])
        install_client_needs(root)
        (root / ".provisioned").touch()
        pack(root, archive)
    else:
        root.mkdir()
        run("tar", "--extract", "--zstd", "--file", str(archive), "--directory", str(root))
    return root


def install_tools() -> None:
    """Installs what this script calls and the machine lacks."""
    missing = sorted(package for program, package in TOOLS.items() if not shutil.which(program))
    if missing:
        print(f"installing {', '.join(missing)}", file=sys.stderr)
        run("apt-get", "install", "--yes", "--no-install-recommends", *missing)


def build(root: Path, suite: str) -> None:
    """A root with GIMP and little else; 40 to 90 seconds."""
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in NOT_UNPACKED]
    run(
        "mmdebstrap",
        "--variant=minbase",
        "--include=ca-certificates,gimp,fonts-dejavu-core",
        '--aptopt=APT::Install-Recommends "false"',
        # A mirror may be frozen, and a testing release's index expires within days. Signatures are still checked.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        *excluded,
        "--dpkgopt=force-unsafe-io",
        suite,
        str(root),
        mirror(),
    )


def mirror() -> str:
    """The Debian mirror that this machine's apt uses."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(ORIGIN)", "Created-By: Packages"],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = dict.fromkeys(line.split("|")[0] for line in listing.splitlines() if line.endswith("|Debian"))
    addresses = [address for address in found if "security" not in address]
    if not addresses:
        raise CannotProvisionError("apt on this machine knows no Debian mirror: run `apt-get update` once.")
    return addresses[0].rstrip("/")


def install_client_needs(root: Path) -> None:
    """The client's dependencies for the root's own Python, so that the real helper runs in there."""
    python = next(iter(sorted((root / "usr/bin").glob("python3.[0-9]*")))).name.removeprefix("python")
    run(
        sys.executable,
        *("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"),
        *("--python-version", python, "--constraint", str(REPOSITORY / "constraints.txt")),
        *("--target", str(client_folder(root)), *CLIENT_NEEDS),
    )


def client_folder(root: Path) -> Path:
    """Where the root's Python looks for what Debian didn't install."""
    python = next(iter(sorted((root / "usr/bin").glob("python3.[0-9]*")))).name
    return root / "usr/local/lib" / python / "dist-packages"


def pack(root: Path, archive: Path) -> None:
    """Keeps the root as one file."""
    half = archive.with_suffix(".half")
    run("tar", "--create", "--zstd", "--one-file-system", "--file", str(half), "--directory", str(root), ".")
    half.rename(archive)


def run(*command: str) -> None:
    """Runs a step; its output is shown only if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise CannotProvisionError(f"`{' '.join(command[:3])} …` failed:\n{done.stdout[-2000:]}")
