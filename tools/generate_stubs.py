"""Writes the Python stubs of the contract from proto/ (`make proto`), or fails on drift (`--check`).

`--descriptors FILE` writes the contract as a descriptor set instead, which is what `buf lint` reads.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from google.api import field_behavior_pb2

ROOT = Path(__file__).resolve().parent.parent
STUBS = ROOT / "client" / "impasto" / "v1"
SOURCES = sorted((ROOT / "proto" / "impasto" / "v1").glob("*.proto"))
SERVICES = [path for path in SOURCES if path.stem == "stylizer"]


def protoc(*options: str, sources: list[Path] = SOURCES) -> None:
    """Runs protoc over the contract. googleapis' own files come with the package googleapis-common-protos."""
    googleapis = Path(field_behavior_pb2.__file__).parent.parent.parent
    plugins = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", f"-I{googleapis}"]
    command += [*options, *map(str, sources)]
    environment = {**os.environ, "PATH": plugins}
    # The mypy plug-ins report every file they write on stderr; what goes wrong comes through the exit status.
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


def write_stubs(folder: Path) -> None:
    """Messages, services and their type information, under `folder/impasto/v1`."""
    protoc(f"--python_out={folder}", f"--mypy_out={folder}")
    protoc(f"--grpc_python_out={folder}", f"--mypy_grpc_out={folder}", sources=SERVICES)


def drifted() -> list[str]:
    """Names of the committed stubs that are not what the contract says."""
    with tempfile.TemporaryDirectory() as scratch:
        write_stubs(Path(scratch))
        fresh = Path(scratch) / "impasto" / "v1"
        names = {path.name for path in fresh.iterdir()} | {path.name for path in STUBS.glob("*_pb2*")}
        _, mismatched, missing = filecmp.cmpfiles(fresh, STUBS, sorted(names), shallow=False)
        return mismatched + missing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--descriptors", type=Path)
    arguments = parser.parse_args()
    if arguments.descriptors:
        arguments.descriptors.parent.mkdir(parents=True, exist_ok=True)
        protoc(f"--descriptor_set_out={arguments.descriptors}", "--include_imports", "--include_source_info")
    elif arguments.check:
        if names := drifted():
            print(f"stubs differ from proto/, run `make proto`: {', '.join(names)}", file=sys.stderr)
            return 1
    else:
        write_stubs(STUBS.parent.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
