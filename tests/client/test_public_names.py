"""The library from outside: its names, its exception tree, its weight."""

import inspect
import re
import subprocess
import sys

import impasto
from impasto import _exceptions

NAMES = """
AsyncClient AsyncJob AsyncWatch AuthenticationError Client ConfigurationError Device Event GalleryStyle
ImageError ImageFileError
ImageFileNotFoundError ImageNotFoundError ImpastoError InvalidRequestError Job JobCancelledError JobError JobEvent
JobFailedError JobNotFoundError JobOptions JobState JobStateError Limits LocalServerError Losses NotFoundError Notice
Parameter ParameterError Preview PreviewOptions Progress QueueFullError Recipe Reconnect Reconnecting Result
ResultTimeoutError ServerError ServerInfo ServerTooOldError ServerUnavailableError StateChanged StoredImage
UnsupportedError Watch Weights WeightsUnavailableError __version__ stylize
"""


def test_the_public_names_are_these():
    assert sorted(impasto.__all__) == sorted(NAMES.split())
    assert [name for name in impasto.__all__ if not hasattr(impasto, name)] == []


def test_every_public_class_and_method_is_documented():
    undocumented = []
    for name in impasto.__all__:
        thing = getattr(impasto, name)
        if not inspect.isclass(thing):
            continue
        members = [thing, *(v for k, v in vars(thing).items() if inspect.isfunction(v) and k[0] != "_")]
        undocumented += [f"{name}: {member}" for member in members if not member.__doc__]
    assert undocumented == []


def test_the_tree_in_the_docstring_is_the_tree_in_the_code():
    parents: list[str] = []
    for line in (_exceptions.__doc__ or "").splitlines():
        match = re.match(r"(?P<branch>[│├└─ ]*)(?P<name>\w+Error)\b( \((?P<builtin>\w+)\))?", line)
        if not match:
            continue
        depth = len(match["branch"]) // 4
        kind = getattr(_exceptions, match["name"])
        del parents[depth:]
        if parents:
            assert kind.__bases__[0].__name__ == parents[-1], match["name"]
        if match["builtin"]:
            assert match["builtin"] in [base.__name__ for base in kind.__bases__]
        parents.append(match["name"])
    drawn = set(re.findall(r"\w+Error", _exceptions.__doc__ or ""))
    written = {name for name, kind in vars(_exceptions).items() if inspect.isclass(kind) and name.endswith("Error")}
    assert written <= drawn


def test_importing_the_library_loads_nothing_heavy(environment):
    code = "import sys, impasto; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout.split()
    assert set(modules).isdisjoint({"torch", "numpy", "rich", "click", "PIL", "platformdirs", "impasto_server"})
