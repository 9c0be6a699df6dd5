"""What is wrong with a request is said by code, by reason, by field and in a sentence; nothing of it stays."""

from __future__ import annotations

import hashlib

import grpc
import pytest

from impasto.v1 import image_pb2, job_pb2, stylizer_pb2
from tests import wire
from tests.server_process import ServerProcess


@pytest.fixture(scope="module")
def content(server: ServerProcess, photo_png: bytes) -> str:
    return wire.upload(server.stub, photo_png)


@pytest.mark.parametrize(
    ("departure", "reason", "field", "text"),
    [
        ({"recipe": "paintrly"}, "RECIPE_UNKNOWN", "spec.recipe", "Did you mean 'painterly'?"),
        ({"style": "night-swrl"}, "STYLE_UNKNOWN", "spec.styles[0].gallery_style", "Did you mean 'night-swirl'?"),
        ({"style_layers": ["relu4-1"]}, "LAYER_UNKNOWN", "spec.parameters.style_layers", "relu4_1"),
        ({"weights": "orignal"}, "WEIGHTS_UNKNOWN", "spec.parameters.weights", "original"),
        ({"weights": "file:/etc/passwd"}, "WEIGHTS_UNKNOWN", "spec.parameters.weights", "--allow-weight-files"),
        ({"device": "cpus"}, "DEVICE_UNKNOWN", "spec.device", "Did you mean 'cpu'?"),
        ({"size_px": 31}, "PARAMETER_INVALID", "spec.parameters.size_px", "from 32"),
        ({"size_px": 16400}, "PARAMETER_INVALID", "spec.parameters.size_px", "at most 16384 px"),
        ({"steps": 0}, "PARAMETER_INVALID", "spec.parameters.steps", "from 1 to"),
        ({"style_weight": float("nan")}, "PARAMETER_INVALID", "spec.parameters.style_weight", "nan"),
        ({"tv_weight": -1.0}, "PARAMETER_INVALID", "spec.parameters.tv_weight", "-1"),
        ({"height_px": 64, "size_px": None}, "PARAMETER_INVALID", "spec.parameters.height_px", "width_px"),
        ({"initial_image": 9}, "PARAMETER_INVALID", "spec.parameters.initial_image", "content"),
        ({"tile_px": 500}, "PARAMETER_INVALID", "spec.parameters.tile_px", "from 64 to 16384 px, a multiple of 16"),
        ({"result": job_pb2.ResultOptions(format="IMAGE_FORMAT_JPEG")}, "PARAMETER_INVALID", "spec.result.format",
         "Results are PNG or TIFF."),
        ({"result": job_pb2.ResultOptions(format=99)}, "PARAMETER_INVALID", "spec.result.format", "PNG or TIFF"),
        ({"result": job_pb2.ResultOptions(bits_per_channel=12)}, "PARAMETER_INVALID", "spec.result.bits_per_channel",
         "bits_per_channel is 12; expected 8 or 16."),
    ],
)  # fmt: skip
def test_a_job_that_cannot_be_painted(
    server: ServerProcess, content: str, departure: dict[str, object], reason: str, field: str, text: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        wire.create_job(server.stub, content, **departure)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert wire.reason(caught.value) == reason
    assert wire.fields(caught.value) == [field]
    assert text in caught.value.details()


def test_required_fields_are_those_that_the_contract_marks(server: ServerProcess, content: str) -> None:
    for request, field in (
        (stylizer_pb2.CreateJobRequest(), "spec"),
        (stylizer_pb2.CreateJobRequest(spec=job_pb2.JobSpec(content=content)), "spec.styles"),
        (stylizer_pb2.CreateJobRequest(spec=job_pb2.JobSpec(styles=[job_pb2.Style()])), "spec.content"),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            server.stub.CreateJob(request)
        assert wire.reason(caught.value) == "FIELD_REQUIRED"
        assert wire.fields(caught.value) == [field]


def test_an_image_that_was_never_uploaded(server: ServerProcess) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        wire.create_job(server.stub, "images/" + "0" * 64)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert wire.reason(caught.value) == "IMAGE_NOT_FOUND"
    assert "upload it first" in caught.value.details()


@pytest.mark.parametrize("name", ["jobs/1", "images/x", "", "jobs/" + "g" * 36])
def test_a_name_that_is_no_job_name(server: ServerProcess, name: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        wire.get_job(server.stub, name)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert wire.fields(caught.value) == ["name"]


def test_bytes_that_are_not_the_announced_ones_leave_nothing_behind(server: ServerProcess, photo_png: bytes) -> None:
    before = sorted(server.state_dir.rglob("*"))
    honest = list(wire.upload_messages(photo_png[:-1] + b"x"))
    honest[0].announcement.sha256 = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.UploadImage(iter(honest))
    assert wire.reason(caught.value) == "CHECKSUM_MISMATCH"
    assert sorted(server.state_dir.rglob("*")) == before


def test_an_upload_that_stops_halfway_leaves_nothing_behind(server: ServerProcess, photo_png: bytes) -> None:
    before = sorted(server.state_dir.rglob("*"))
    messages = list(wire.upload_messages(photo_png + b"another file", chunk_bytes=1000))
    with pytest.raises(grpc.RpcError, match=r"Only \d+ of \d+ announced bytes came"):
        server.stub.UploadImage(iter(messages[:-2]))
    assert sorted(server.state_dir.rglob("*")) == before


def test_more_bytes_than_announced_are_refused_as_they_come(server: ServerProcess, photo_png: bytes) -> None:
    messages = list(wire.upload_messages(photo_png + b"more"))
    messages[0].announcement.size_bytes = 10
    with pytest.raises(grpc.RpcError, match="More bytes came than the 10"):
        server.stub.UploadImage(iter(messages))


def test_an_upload_without_an_announcement(server: ServerProcess) -> None:
    with pytest.raises(grpc.RpcError, match="begins with an announcement"):
        server.stub.UploadImage(iter([stylizer_pb2.UploadImageRequest(chunk=b"x")]))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_size_px": 8}, "previews.max_size_px"),
        ({"max_per_second": 100}, "previews.max_per_second"),
        ({"quality": 101}, "previews.quality"),
        ({"format": image_pb2.IMAGE_FORMAT_TIFF}, "previews.format"),
    ],
)
def test_previews_that_cannot_be_made(
    server: ServerProcess, content: str, options: dict[str, object], field: str
) -> None:
    job = wire.create_job(server.stub, content)
    with pytest.raises(grpc.RpcError) as caught:
        list(wire.watch(server.stub, job.name, previews=image_pb2.PreviewOptions(**options)))
    assert wire.fields(caught.value) == [field]


def test_steering_what_cannot_be_steered(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content)
    list(wire.watch(server.stub, job.name))
    request = stylizer_pb2.UpdateJobRequest(name=job.name)
    request.weights.style_weight = 2.0
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.UpdateJob(request)
    assert wire.reason(caught.value) == "JOB_ENDED"
    request.update_mask.paths.append("steps")
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.UpdateJob(request)
    assert wire.fields(caught.value) == ["update_mask"]
