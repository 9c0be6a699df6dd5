"""The tests' own server: it ends with whoever started it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import wait_until


@pytest.mark.skipif(not shutil.which("setpriv"), reason="only util-linux ties a program's life to ours")
def test_a_server_ends_when_the_test_run_is_killed(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from tests.server_process import ServerProcess; "
    code += "print(ServerProcess(Path(sys.argv[1])).process.pid, flush=True); time.sleep(100)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as run:
        assert run.stdout
        server = Path("/proc") / run.stdout.readline().decode().strip()
        assert b"impasto_server" in (server / "cmdline").read_bytes()
        run.kill()
    wait_until(lambda: not server.exists() or (server / "stat").read_text().split()[2] == "Z", 30)
