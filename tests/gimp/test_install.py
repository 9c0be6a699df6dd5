"""`impasto gimp` with the real GIMP: put in, examined, taken out."""

from __future__ import annotations

from tests.gimp.root import GimpRoot
from tests.server_process import ServerProcess


def test_installed_examined_and_removed(gimp: GimpRoot, painter: ServerProcess) -> None:
    def impasto(*arguments: str) -> tuple[int, str]:
        done = gimp.run("/usr/bin/python3", "-P", "-m", "impasto", *arguments, IMPASTO_SERVER=painter.address)
        return done.returncode, done.stdout + done.stderr

    impasto("gimp", "uninstall")
    code, text = impasto("gimp", "doctor")
    assert code == 1
    assert "Run `impasto gimp install`." in text
    code, text = impasto("gimp", "install")
    assert code == 0, text
    assert f"GIMP {gimp.version}: the plug-in is in /h/.config/GIMP/{gimp.version}/plug-ins/impasto" in text
    code, text = impasto("gimp", "doctor")
    assert code == 0, text
    assert text.splitlines()[-1] == "Everything works."
    ran = gimp.batch("real_chain", {"server": painter.address, "only": ["rgb_8"]})
    assert ran.answers["rgb_8"]["status"] == "success"
    code, text = impasto("gimp", "uninstall")
    assert code == 0, text
    assert not (gimp.profile / "plug-ins/impasto").exists()
