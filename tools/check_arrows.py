"""Holds the arrows between the rooms: fails on an import that the design doesn't draw (`make check`)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Room by room: which rooms it may import beside itself. Arrows point one way; those with none are the leaves.
ARROWS: Mapping[str, frozenset[str]] = {
    "impasto": frozenset({"impasto.v1"}),
    "impasto.v1": frozenset(),
    "impasto_server": frozenset({"impasto_server.service", "impasto_server.jobs", "impasto_server.engine", "impasto"}),
    "impasto_server.service": frozenset(
        {"impasto_server.jobs", "impasto_server.engine", "impasto_server.recipes", "impasto_server.codec",
         "impasto_server.suggest", "impasto_server.gallery", "impasto_server.durable", "impasto.v1", "impasto"}
    ),
    "impasto_server.jobs": frozenset(
        {"impasto_server.engine", "impasto_server.recipes", "impasto_server.codec", "impasto_server.suggest",
         "impasto_server.durable"}
    ),
    "impasto_server.engine": frozenset(
        {"impasto_server.nst", "impasto_server.recipes", "impasto_server.codec", "impasto_server.suggest",
         "impasto_server.raster", "impasto_server.durable"}
    ),
    "impasto_server.nst": frozenset({"impasto_server.recipes", "impasto_server.suggest"}),
    "impasto_server.recipes": frozenset({"impasto_server.suggest"}),
    "impasto_server.suggest": frozenset(),
    "impasto_server.codec": frozenset(),
    "impasto_server.raster": frozenset(),
    "impasto_server.durable": frozenset(),
    "impasto_server.gallery": frozenset(),
}  # fmt: skip

# Exceptions, each with its reason.
ALLOWED = {
    # The command line hands these over to the server, if that is installed; imported when they are called.
    ("client/impasto/_cli/_serve.py", "impasto_server.__main__"),
    ("client/impasto/_cli/_serve.py", "impasto_server.guest_commands"),
}

GRPC = frozenset({"grpc", "grpc_status", "grpc_health", "grpc_reflection"})
TORCH = frozenset({"torch", "torchvision"})
# What a room must not import from outside. `engine` has torch in its worker only, which is a process of its own.
FORBIDDEN: Mapping[str, frozenset[str]] = {
    "impasto": TORCH | {"numpy"},
    "impasto.v1": TORCH,
    "impasto_server": TORCH,
    "impasto_server.service": TORCH,
    "impasto_server.jobs": TORCH | GRPC,
    "impasto_server.engine": GRPC,
    "impasto_server.nst": GRPC,
    "impasto_server.recipes": TORCH | GRPC,
    "impasto_server.suggest": TORCH | GRPC,
    "impasto_server.codec": TORCH | GRPC | {"numpy"},
    "impasto_server.raster": TORCH | GRPC,  # for the workers: the front door does without numpy
    "impasto_server.durable": TORCH | GRPC | {"numpy"},
    "impasto_server.gallery": TORCH | GRPC,
}
TORCH_MODULES = {
    "impasto_server.engine.local.signs_of_life",
    "impasto_server.engine.local.worker",
    "impasto_server.engine.painter",
    "impasto_server.engine.checkpoints",
    "impasto_server.engine.result_files",
}


def room_of(module: str) -> str | None:
    """The innermost room that a module belongs to; None if it is none of ours."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in ARROWS), None)


def imports(source: str, module: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything a module imports, at its top or inside functions."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"


def violations(root: Path = ROOT) -> list[str]:
    """One line for each import across an arrow that isn't drawn."""
    found = []
    for folder in (root / "client", root / "server"):
        for path in sorted(folder.rglob("*.py")):
            dotted = path.relative_to(folder).with_suffix("").as_posix().replace("/", ".")
            module = dotted.removesuffix(".__init__")
            room = room_of(module)
            assert room, module
            for line, target in imports(path.read_text(), module, is_package=dotted != module):
                where = path.relative_to(root).as_posix()
                outside = target.split(".")[0]
                if outside in FORBIDDEN[room] and not (outside in TORCH and module in TORCH_MODULES):
                    found.append(f"{where}:{line}: {room} must not import {outside}")
                other = room_of(target)
                drawn = other is None or other == room or other in ARROWS[room]
                if not drawn and not any(where == place and target.startswith(name) for place, name in ALLOWED):
                    found.append(f"{where}:{line}: no arrow from {room} to {other}")
    return found


def main() -> int:
    found = violations()
    print("\n".join(found) or "import arrows: as designed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
