"""One GIMP root for all, and one run of GIMP for all cases of a script: GIMP's start costs more than most cases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gimp.root import GimpRoot, unavailable
from tests.server_process import ServerProcess
from tools.gimp.provision import REPOSITORY, CannotProvisionError

VERSION = os.environ.get("GIMP", "3.0")
REAL_HELPER = ("/usr/bin/python3", "-P", "-m", "impasto", "helper")
STAND_IN = ("/usr/bin/python3", "/t/stand_in.py")
SKIPPED: list[str] = []


@pytest.fixture(scope="session")
def gimp() -> GimpRoot:
    """A root with GIMP, the plug-in and the client."""
    reason = unavailable()
    if not reason:
        try:
            return GimpRoot(VERSION)
        except CannotProvisionError as error:
            reason = str(error)
    if os.environ.get("CI"):
        pytest.fail(f"there must be no run of CI without the real GIMP: {reason}")
    SKIPPED.append(reason)
    pytest.skip(f"NO TEST IN THE REAL GIMP: {reason}")


@pytest.fixture(autouse=True)
def nobody_complains(request: pytest.FixtureRequest) -> Iterator[None]:
    """Holds for every test: no warning and no critical on GIMP's stderr, or on ours."""
    yield
    if "gimp" in request.fixturenames:
        root: GimpRoot = request.getfixturevalue("gimp")
        found, root.complaints = root.complaints, []
        assert not found, "\n".join(found)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """GIMP starts in seconds, and a whole script of cases runs in one test's time."""
    for item in items:
        if "gimp" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(400))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says loudly what was not tested."""
    if SKIPPED:
        terminalreporter.section("GIMP WAS NOT TESTED", red=True, bold=True)
        terminalreporter.line(f"The plug-in was not run in the real GIMP {VERSION}: {SKIPPED[0]}")


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of the dialog go."""
    return REPOSITORY / "build/screenshots"


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for GIMP alone: its jobs are what `recover` sees."""
    with ServerProcess(tmp_path_factory.mktemp("painter")) as process:
        yield process
