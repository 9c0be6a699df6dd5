"""A result comes in the format and depth that were asked for, and may be a content or a style again."""

from __future__ import annotations

import io

import pytest
import tifffile
from PIL import Image

from impasto.v1 import image_pb2, job_pb2
from tests import wire
from tests.server_process import ServerProcess

FORMATS = {"PNG": image_pb2.IMAGE_FORMAT_PNG, "TIFF": image_pb2.IMAGE_FORMAT_TIFF}


def painted(server: ServerProcess, content: str, image_format: str, bits: int) -> job_pb2.Job:
    result = job_pb2.ResultOptions(format=FORMATS[image_format], bits_per_channel=bits)
    job = wire.create_job(server.stub, content, result=result)
    events = list(wire.watch(server.stub, job.name))
    assert wire.states(events)[-1] == "SUCCEEDED", events[-1]
    return wire.get_job(server.stub, job.name)


def bits_of(data: bytes, image_format: str) -> int:
    """Bits a channel, from the file's own header."""
    if image_format == "PNG":
        return data[24]
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return int(file.pages[0].bitspersample)


@pytest.mark.parametrize(("image_format", "bits"), [("PNG", 8), ("PNG", 16), ("TIFF", 8), ("TIFF", 16)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_result_is_written_as_it_was_asked_for_and_can_be_painted_again(
    server: ServerProcess, photo: Image.Image, image_format: str, bits: int, mode: str
) -> None:
    buffer = io.BytesIO()
    photo.convert(mode).save(buffer, "PNG")
    job = painted(server, wire.upload(server.stub, buffer.getvalue()), image_format, bits)
    image = job.result.image
    assert (image.format, image.width_px, image.height_px) == (FORMATS[image_format], 64, 43)
    assert image.has_alpha == (mode == "RGBA")
    assert (job.spec.result.format, job.spec.result.bits_per_channel) == (FORMATS[image_format], bits)
    data = wire.download(server.stub, image.name)
    assert bits_of(data, image_format) == bits
    assert wire.upload(server.stub, data) == image.name
    again = painted(server, image.name, "PNG", 8)
    assert again.result.image.has_alpha == (mode == "RGBA")


def test_nothing_said_is_a_png_of_8_bits(server: ServerProcess, photo_png: bytes) -> None:
    job = wire.create_job(server.stub, wire.upload(server.stub, photo_png))
    list(wire.watch(server.stub, job.name))
    job = wire.get_job(server.stub, job.name)
    assert (job.spec.result.format, job.spec.result.bits_per_channel) == (image_pb2.IMAGE_FORMAT_PNG, 8)
    assert bits_of(wire.download(server.stub, job.result.image.name), "PNG") == 8
