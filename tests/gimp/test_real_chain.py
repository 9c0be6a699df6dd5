"""GIMP, helper, gRPC server, worker and back: once for each kind of image, and the mistakes that only it can make."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto import Client, Job
from tests.gimp.conftest import REAL_HELPER
from tests.gimp.root import GimpRoot, Ran, measured
from tests.server_process import ServerProcess

KINDS = [
    "rgb_8", "rgba_8", "rgb_8_linear", "gray_8", "gray_alpha_16", "rgba_16", "rgb_32", "rgba_half", "rgb_float",
    "wide_gamut_8", "wide_gamut_float",
]  # fmt: skip
DEEP = ["gray_alpha_16", "rgba_16", "rgb_32", "rgba_half", "rgb_float", "wide_gamut_float"]


@pytest.fixture(scope="module")
def ran(gimp: GimpRoot, painter: ServerProcess, photo_path: Path) -> Ran:
    gimp.use_helper(*REAL_HELPER)
    (gimp.exchange / "style.png").write_bytes(photo_path.read_bytes())
    return gimp.batch("real_chain", {"server": painter.address}, timeout_s=240)


@pytest.mark.parametrize("kind", KINDS)
def test_this_kind_is_painted_without_a_shift(ran: Ran, kind: str) -> None:
    answer: Any = ran.answers[kind]
    assert answer.get("status") == "success", answer
    assert [layer["name"] for layer in answer["layers"]] == ["Night over the wheat", "photo"]
    assert answer["source_untouched"]
    assert answer["same_format"]
    assert answer["alpha"][0] == 0
    # One step moves a pixel by 0.056 (14 of 255), and the whole by less.
    before, after = answer["means"]
    assert all(abs(a - b) < 12 for a, b in zip(before, after, strict=True)), answer["means"]


@pytest.mark.parametrize("kind", DEEP)
def test_this_kind_has_more_tones_than_8_bits_hold(ran: Ran, kind: str) -> None:
    assert ran.answers[kind]["tones"] > 256


def test_every_number_of_a_16_bit_result_gets_into_the_layer(ran: Ran, painter: ServerProcess) -> None:
    answer = ran.answers["gradient_of_16_bits"]
    assert answer["status"] == "success", answer
    assert min(answer["tones"]) > 256
    with Client(painter.address) as client:
        data = by_seed(client, 4716).result_bytes()
    assert answer["sha256"] == hashlib.sha256(numbers_of_png(data).tobytes()).hexdigest()


def by_seed(client: Client, seed: int) -> Job:
    (found,) = [job for job in client.jobs() if job.message.spec.parameters.seed == seed]
    return found


def numbers_of_png(data: bytes) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """RGB of a PNG with 16 bits a channel, read as its specification says (chapters 9 and 11.2.2): PIL reads 8."""
    width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
    assert (bits, kind) == (16, 2)
    packed, start = b"", 8
    while start < len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        if data[start + 4 : start + 8] == b"IDAT":
            packed += data[start + 8 : start + 8 + size]
        start += 12 + size
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * 6)
    rows, above = [], np.zeros((width + 1, 6), int)
    for line in raw.astype(int):
        row = np.zeros((width + 1, 6), int)
        for x, bytes_ in enumerate(line[1:].reshape(width, 6), start=1):
            left, up, corner = row[x - 1], above[x], above[x - 1]
            estimate = left + up - corner
            far = [abs(estimate - near) for near in (left, up, corner)]
            paeth = np.where((far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], up, corner))
            row[x] = (bytes_ + (0, left, up, (left + up) // 2, paeth)[line[0]]) % 256
        rows.append(row[1:])
        above = row
    return np.array(rows, np.uint8).view(">u2").astype(np.uint16)


def test_a_cut_out_returns_to_its_old_place_and_size(ran: Ran) -> None:
    answer = ran.answers["recover_what_was_cut_out"]
    assert answer["status"] == "success", answer
    assert [layer["name"] for layer in answer["layers"]] == ["style", "photo"]
    assert answer["layers"][0]["offsets"] == [20, 10]
    assert answer["layers"][0]["size"] == [60, 50]
    # Colours beneath a see-through corner are lost to the eye, and a little to the numbers around it.
    assert answer["difference"][1] < 1


@pytest.mark.parametrize(("case", "seed"), [("large", 4718), ("large_and_deep", 4719)])
def test_twelve_megapixels_go_out_and_come_back(ran: Ran, painter: ServerProcess, case: str, seed: int) -> None:
    """Beside what a small layer takes: the plug-in's and the helper's start."""
    with Client(painter.address) as client:

        def out_and_back(name: str, seed: int) -> tuple[float, float]:
            answer, job = ran.answers[name], by_seed(client, seed)
            assert answer["status"] == "success", answer
            assert job.end_time
            return job.create_time.timestamp() - answer["started"], answer["ended"] - job.end_time.timestamp()

        (small_out, small_back), (out, back) = out_and_back("small", 4717), out_and_back(case, seed)
    measured(f"{case}, 4000 × 3000: out of GIMP", out - small_out, 2)
    measured(f"{case}, 4000 × 3000: back into GIMP", back - small_back, 2)
    assert ran.answers[case]["layers"][0]["size"] == [4000, 3000]


def test_a_finished_job_is_recovered_above_the_layer(ran: Ran) -> None:
    answer = ran.answers["recover"]
    assert answer["status"] == "success", answer
    assert answer["layers"][0] == {
        "name": "Night over the wheat", "offsets": [5, 6], "size": [48, 32], "type": 1, "children": []
    }  # fmt: skip


def test_a_finished_job_is_recovered_into_an_empty_image(ran: Ran) -> None:
    answer = ran.answers["recover_into_an_empty_image"]
    assert answer["status"] == "success", answer
    assert len(answer["layers"]) == 1


def test_a_misspelt_style_gets_a_suggestion(ran: Ran) -> None:
    answer = ran.answers["no_such_style"]
    assert answer["status"] == "execution-error"
    assert "night-swirl" in answer["error"]


def test_a_server_that_is_not_there_gets_a_sentence(ran: Ran) -> None:
    answer = ran.answers["nobody_there"]
    assert answer["status"] == "execution-error"
    assert "127.0.0.1:9" in answer["error"]
    assert len(answer["layers"]) == 1
