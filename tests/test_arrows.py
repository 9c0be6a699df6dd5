"""The arrows between the rooms hold, and the check that holds them can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.check_arrows import violations


def test_the_rooms_import_only_along_the_arrows() -> None:
    assert violations() == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("server/impasto_server/nst/x.py", "import grpc", "impasto_server.nst must not import grpc"),
        ("server/impasto_server/jobs/x.py", "def f():\n    import torch", "impasto_server.jobs must not import torch"),
        ("client/impasto/x.py", "from torch import nn", "impasto must not import torch"),
        ("client/impasto/x.py", "import impasto_server.jobs", "no arrow from impasto to impasto_server.jobs"),
        ("server/impasto_server/engine/x.py", "from .. import jobs", "no arrow from impasto_server.engine to"),
        ("server/impasto_server/service/x.py", "from impasto_server.nst import vgg", "no arrow from"),
    ],
)
def test_an_import_across_an_arrow_is_found(tmp_path: Path, file: str, source: str, complaint: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    (found,) = violations(tmp_path)
    assert complaint in found
