"""What programs outside of GIMP's package are told: nothing of where that has its Python and its libraries.

An AppImage or a snap puts folders of its own into variables such as LD_LIBRARY_PATH, PYTHONHOME and GI_TYPELIB_PATH.
A program of the system, our helper among them, that is told so loads libraries of another system, and dies.
https://docs.appimage.org/packaging-guide/environment-variables.html
"""

import os

PACKAGES = ("APPDIR", "SNAP")
"""Variables with the folder that the package is mounted at."""


def outside(environment):
    """These variables without Python's own, and without whatever lies in GIMP's package; the painter's stay."""
    folders = [environment[name].rstrip("/") for name in PACKAGES if environment.get(name, "").strip("/")]
    told = {}
    for name, value in environment.items():
        if name.startswith("PYTHON"):
            continue
        parts = value.split(os.pathsep)
        kept = [part for part in parts if not any(is_inside(part, folder) for folder in folders)]
        if len(kept) == len(parts) or any(kept):
            told[name] = os.pathsep.join(kept)
    return told


def is_inside(path, folder):
    """True for a folder and everything in it."""
    return path == folder or path.startswith(folder + "/")
