"""What docs/gimp.md tells painters to type, typed."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.gimp.conftest import REAL_HELPER
from tests.gimp.root import GimpRoot, complaints
from tests.server_process import ServerProcess
from tools.gimp.provision import REPOSITORY


def line_for_a_folder() -> str:
    """The shell's words in docs/gimp.md that begin with a folder of photos."""
    text = (REPOSITORY / "docs/gimp.md").read_text(encoding="utf-8")
    (found,) = [block for block in text.split("```")[1::2] if block.lstrip().startswith("IN=photos")]
    return found


def test_a_folder_is_painted_by_the_documented_line(gimp: GimpRoot, painter: ServerProcess, photo_path: Path) -> None:
    gimp.use_helper(*REAL_HELPER)
    photos, paintings = gimp.exchange / "photos", gimp.exchange / "paintings"
    photos.mkdir()
    paintings.mkdir()
    for name in ("beach", "garden"):
        Image.open(photo_path).convert("RGB").save(photos / f"{name}.jpg")
    (photos / "broken.jpg").write_bytes(b"no picture")
    ran = gimp.run("sh", "-c", f"cd /t\n{line_for_a_folder()}", timeout_s=240, IMPASTO_SERVER=painter.address)
    gimp.complaints += [line for line in complaints(ran.stdout + ran.stderr) if "Not a JPEG" not in line]
    assert sorted(path.name for path in paintings.iterdir()) == ["beach.png", "garden.png"], ran.stdout + ran.stderr
    for path in paintings.iterdir():
        with Image.open(path) as painting:
            assert painting.size == (96, 64)
    assert "broken.jpg is no picture" in ran.stdout
    assert ran.returncode == 0
