"""A machine with a second device, for servers in tests: `cpu:0` is the processor by another name."""

from __future__ import annotations

import os
from pathlib import Path

_SITE = """
import importlib.machinery
import sys
from dataclasses import replace


class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "impasto_server.nst.devices":
            return None
        spec = super().find_spec(name, path, target)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            here = module.list_devices
            module.list_devices = lambda: (*here(), replace(here()[-1], name="cpu:0"))

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder)
"""


def environment_with_a_second_device(folder: Path) -> dict[str, str]:
    """What a server's environment needs on top, so that its workers find `cpu` and `cpu:0`."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SITE, encoding="utf-8")
    path = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), path)))}
