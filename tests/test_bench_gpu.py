"""`python -m bench gpu` in small, on the CPU: everything runs, and whatever happens leaves something to read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.gpu.command import Child, main
from bench.gpu.ledger import Finding, Ledger
from bench.gpu.plan import PLAN, Planned
from bench.gpu.setting import SMOKE, Setting
from bench.report import Row
from impasto_server import nst

pytestmark = pytest.mark.timeout(400)  # the first test to ask for it waits for the whole rehearsal

COMMAND = [sys.executable, "-m", "bench", "gpu", "--smoke", "--device", "cpu"]

MISSING = "matplotlib skimage scipy hypothesis pytest cryptography trustme grpc_health grpc_reflection"

BARE_MACHINE = f"""
import importlib.machinery, sys

class Bare(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {MISSING.split()} else super().find_spec(name, path, target)

sys.meta_path = [Bare if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
"""


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run, on a machine that has none of what the other measurements and tests need."""
    bare, folder = tmp_path_factory.mktemp("bare"), tmp_path_factory.mktemp("gpu")
    (bare / "sitecustomize.py").write_text(BARE_MACHINE, encoding="utf-8")
    path = os.pathsep.join(filter(None, (str(bare), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    subprocess.run([*COMMAND, "--out", str(folder)], env=environment, check=True, stdout=subprocess.DEVNULL)
    return folder


def test_a_rehearsal_measures_every_part_with_little_but_torch(rehearsed: Path) -> None:
    content = read(rehearsed)
    assert content["state"] == "complete"
    assert [part["name"] for part in content["parts"]] == [part.name for part in PLAN]
    for part in content["parts"]:
        assert part["seconds"] is not None
        assert part["findings"], part
        for finding in part["findings"]:
            assert finding["state"] not in ("failed", "cut off"), (finding, (rehearsed / "gpu.log").read_text())
            assert (finding["value"] is None) != (finding["state"] == "measured"), finding
    (tests,) = next(part["findings"] for part in content["parts"] if part["name"] == "tests")
    assert tests["note"] == "not run: pytest isn't there"


def test_the_table_says_what_the_json_says(rehearsed: Path) -> None:
    table = (rehearsed / "gpu.md").read_text(encoding="utf-8")
    content = read(rehearsed)
    assert content["machine"]["torch"] in table
    for part in content["parts"]:
        assert f"## {part['name']}: {part['title']} ({part['seconds']:.0f} s)" in table
        for finding in part["findings"]:
            assert f"| {finding['what']} | " in table


def test_few_files_come_back_and_a_picture_to_look_at(rehearsed: Path) -> None:
    assert {path.name for path in rehearsed.iterdir()} == {"gpu.json", "gpu.md", "gpu.log", "painterly.png"}


def test_without_a_gpu_its_tests_are_skipped_by_name(tmp_path: Path) -> None:
    subprocess.run([*COMMAND, "--parts", "tests", "--out", str(tmp_path)], check=False, stdout=subprocess.DEVNULL)
    ((part),) = read(tmp_path)["parts"]
    assert len(part["findings"]) > 20
    for finding in part["findings"]:
        assert finding["state"] == "skipped"
        assert "CUDA device here" in finding["note"]


def test_a_run_that_is_killed_leaves_what_it_had_found_and_no_process(tmp_path: Path) -> None:
    process = subprocess.Popen([*COMMAND, "--out", str(tmp_path)], stdout=subprocess.DEVNULL)
    children: list[int] = []
    try:
        for _ in patiently():
            if (tmp_path / "gpu.json").exists() and sum(len(part["findings"]) for part in read(tmp_path)["parts"]) > 5:
                break
        children = [
            int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ]
    finally:
        process.kill()
        process.wait()
    content = read(tmp_path)
    assert content["state"] == "running"
    assert content["parts"][-1]["seconds"] is None
    assert "not over" in (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert children
    for child in children:
        for _ in patiently():
            if not is_running(child):
                break


def test_what_does_not_fit_is_left_out_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--smoke", "--device", "cpu", "--seconds", "1", "--out", str(tmp_path)]) == 1
    findings = [finding for part in read(tmp_path)["parts"] for finding in part["findings"]]
    assert [finding["what"] for finding in findings] == [part.name for part in PLAN]
    assert {finding["state"] for finding in findings} == {"left out"}
    assert "profile" in capsys.readouterr().out


def test_without_a_gpu_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--device", "cuda:99", "--parts", "machine", "--out", str(tmp_path)]) == 1
    assert "cuda:99 is not there; found:" in capsys.readouterr().err
    assert read(tmp_path)["state"] == "refused"


def test_a_part_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--parts", "sped"])
    assert "there is no part sped; expected some of machine, correctness" in capsys.readouterr().err


PEER = """
import json, os, sys, time
for line in sys.stdin:
    name = json.loads(line)["part"]
    print(json.dumps({"finding": {"what": f"{name} by {os.getpid()}"}}), flush=True)
    if name == "dies":
        os._exit(3)
    if name == "hangs":
        time.sleep(60)
    print(json.dumps({"ended": name}), flush=True)
"""


def test_a_part_that_dies_or_hangs_costs_only_itself(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        child = Child([sys.executable, "-c", PEER], log)
        try:
            found = {
                name: [message["finding"] for message in child.measure(part(name, fresh=name == "fresh"), 3.0)]
                for name in ("first", "second", "dies", "third", "hangs", "fourth", "fresh")
            }
        finally:
            child.end()
    assert found["dies"][1] == {
        "what": "dies",
        "state": "failed",
        "note": "its process ended with 3; gpu.log tells more",
    }
    assert found["hangs"][1] == {"what": "hangs", "state": "cut off", "note": "it was not over after 3 s"}
    processes = {name: findings[0]["what"].rpartition(" ")[2] for name, findings in found.items()}
    assert processes["first"] == processes["second"] == processes["dies"]
    assert len({processes[name] for name in ("first", "third", "fourth", "fresh")}) == 4


def test_a_case_that_fails_costs_only_itself_unless_the_device_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> Iterator[Row]:
        yield Row("first", 1.0, "")
        raise RuntimeError("no such kernel")

    on_time = Setting(torch.device("cpu"), SMOKE, tmp_path, time.monotonic() + 60)
    first, second = on_time.case("a case", failing())
    assert first == Row("first", 1.0, "")
    assert second == Finding(what="a case", state="failed", note="RuntimeError: no such kernel")
    monkeypatch.setattr(nst, "is_alive", lambda device: False)
    with pytest.raises(RuntimeError, match="no such kernel"):
        list(on_time.case("a case", failing()))
    late = replace(on_time, until=time.monotonic())
    assert list(late.case("a case", failing())) == [Finding(what="a case", state="left out", note="no time")]


def test_the_ledger_takes_what_is_no_number_for_a_failure(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin("part", "a title")
    ledger.add(Finding.of(Row("a | b", float("nan"), "s", note="why")))
    ledger.add(Finding.of(Row("sound", 2.0, "s")))
    assert "0 goals missed, 1 failed" in ledger.close("complete")
    first, second = read(tmp_path)["parts"][0]["findings"]
    assert (first["state"], first["value"], first["note"]) == ("failed", None, "nan why")
    assert (second["state"], second["value"]) == ("measured", 2.0)
    assert "| a \\| b | failed |" in (tmp_path / "gpu.md").read_text(encoding="utf-8")


def part(name: str, *, fresh: bool = False) -> Planned:
    return Planned(name=name, title=name, least_s=1, most_s=1, fresh=fresh)


def read(folder: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads((folder / "gpu.json").read_text(encoding="utf-8"))
    return content


def patiently() -> Iterator[None]:
    """Turns for a minute, then fails."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        yield
        time.sleep(0.05)
    pytest.fail("it did not happen within a minute")


def is_running(process_id: int) -> bool:
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] != "Z"
