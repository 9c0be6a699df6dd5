"""A photo goes in, a painting streams out: the main road through the contract."""

from __future__ import annotations

import io
import time

import pytest
from PIL import Image

from impasto.v1 import image_pb2, stylizer_pb2
from tests import wire
from tests.server_process import ServerProcess


@pytest.fixture(scope="module")
def content(server: ServerProcess, photo_png: bytes) -> str:
    return wire.upload(server.stub, photo_png)


def test_a_photo_becomes_a_painting_of_the_size_asked_for(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content, size_px=80)
    events = list(wire.watch(server.stub, job.name))
    result = wire.get_job(server.stub, job.name).result
    picture = Image.open(io.BytesIO(wire.download(server.stub, result.image.name)))
    assert wire.states(events) == ["QUEUED", "RUNNING", "SUCCEEDED"]
    assert (picture.size, picture.mode) == ((80, 53), "RGB")
    assert (result.image.width_px, result.image.height_px, result.partial) == (80, 53, False)


def test_events_are_numbered_from_one_without_gaps_and_the_result_comes_before_the_end(
    server: ServerProcess, content: str
) -> None:
    events = list(wire.watch(server.stub, wire.create_job(server.stub, content).name))
    assert wire.sequences(events) == list(range(1, wire.sequences(events)[-1] + 1))
    assert [event.WhichOneof("kind") for event in events][-2:] == ["result", "state"]


def test_progress_is_complete_and_grows(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content, size_px=256, steps=8, recipe="painterly")
    found = [event.progress for event in wire.watch(server.stub, job.name) if event.HasField("progress")]
    steps = [progress.step for progress in found]
    assert steps == sorted(set(steps))
    assert (found[-1].step, found[-1].steps, found[-1].scale) == (8, 8, found[-1].scales)
    assert {progress.scale for progress in found} == set(range(1, found[-1].scales + 1))
    for progress in found:
        losses = progress.losses
        assert losses.total == pytest.approx(losses.content + losses.style + losses.tv, rel=1e-5)
        assert progress.steps_per_second > 0
    assert found[-1].seconds_left == 0


def test_previews_come_in_order_at_the_size_and_in_the_format_asked_for(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content, size_px=128, steps=20)
    wish = image_pb2.PreviewOptions(max_size_px=48, format=image_pb2.IMAGE_FORMAT_WEBP, max_per_second=60)
    events = list(wire.watch(server.stub, job.name, previews=wish))
    previews = [event.preview for event in events if event.HasField("preview")]
    steps = [preview.step for preview in previews]
    assert steps[0] == 1
    assert steps == sorted(set(steps))
    for preview in previews:
        picture = Image.open(io.BytesIO(preview.data))
        assert (picture.format, max(picture.size)) == ("WEBP", 48)
        assert picture.size == (preview.width_px, preview.height_px)
    assert all(event.sequence == 0 for event in events if event.HasField("preview"))


def test_a_watcher_that_wants_few_previews_gets_few_and_the_newest(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content, size_px=128, steps=60)
    eager = image_pb2.PreviewOptions(max_per_second=60)
    stub = server.stub
    often = stub.WatchJob(stylizer_pb2.WatchJobRequest(name=job.name, previews=eager))
    rarely = image_pb2.PreviewOptions(max_per_second=0.5)
    seldom = [event.preview for event in wire.watch(stub, job.name, previews=rarely) if event.HasField("preview")]
    many = [response.event.preview for response in often if response.event.HasField("preview")]
    assert len(seldom) < len(many)


def test_a_watcher_that_comes_back_gets_only_what_it_has_not_seen(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content)
    list(wire.watch(server.stub, job.name))
    everything = list(wire.watch(server.stub, job.name))
    rest = list(wire.watch(server.stub, job.name, after_sequence=3))
    assert rest == everything[3:]


def test_two_clients_paint_at_once_and_each_gets_its_own_picture(server: ServerProcess, photo: Image.Image) -> None:
    names = {}
    for width in (72, 88):
        buffer = io.BytesIO()
        photo.resize((width, 64)).save(buffer, "PNG")
        names[width] = wire.create_job(server.stub, wire.upload(server.stub, buffer.getvalue()), size_px=width).name
    for width, name in names.items():
        list(wire.watch(server.stub, name))
        assert wire.get_job(server.stub, name).result.image.width_px == width


def test_the_same_seed_gives_the_same_bytes(server: ServerProcess, content: str) -> None:
    pictures = set()
    for _ in range(2):
        name = wire.create_job(server.stub, content, recipe="classic", initial_image="INITIAL_IMAGE_NOISE", seed=7).name
        list(wire.watch(server.stub, name))
        pictures.add(wire.get_job(server.stub, name).result.image.name)
    assert len(pictures) == 1


def test_styles_are_mixed_by_their_weights(server: ServerProcess, content: str) -> None:
    def painted(*styles: tuple[str, float]) -> str:
        request = stylizer_pb2.CreateJobRequest()
        request.spec.content = content
        request.spec.recipe = "draft"
        request.spec.parameters.size_px = 64
        request.spec.parameters.steps = 4
        for name, weight in styles:
            request.spec.styles.add(gallery_style=name, weight=weight)
        job = server.stub.CreateJob(request).job
        list(wire.watch(server.stub, job.name))
        return wire.get_job(server.stub, job.name).result.image.name

    pure = painted(("night-swirl", 1))
    assert painted(("night-swirl", 5)) == pure
    assert painted(("night-swirl", 1), ("mist-ink", 1)) != pure


def test_a_result_can_be_the_content_of_the_next_job(server: ServerProcess, content: str) -> None:
    first = wire.create_job(server.stub, content)
    list(wire.watch(server.stub, first.name))
    again = wire.create_job(server.stub, wire.get_job(server.stub, first.name).result.image.name, style="mist-ink")
    assert wire.states(list(wire.watch(server.stub, again.name)))[-1] == "SUCCEEDED"


def test_steering_changes_the_losses_from_the_next_step_on(server: ServerProcess, content: str) -> None:
    job = wire.create_job(server.stub, content, size_px=128, steps=400)
    steered_at = 0
    for event in wire.watch(server.stub, job.name):
        if event.HasField("progress") and not steered_at:
            request = stylizer_pb2.UpdateJobRequest(name=job.name)
            request.weights.tv_weight = 0.0
            request.update_mask.paths.append("tv_weight")
            server.stub.UpdateJob(request)
            assert event.progress.losses.tv > 0
            steered_at = event.progress.step
        elif event.HasField("progress") and event.progress.losses.tv == 0:
            break
    else:
        pytest.fail("the weight never changed")
    wire.cancel(server.stub, job.name)


def test_an_image_the_server_knows_is_answered_before_it_is_sent(server: ServerProcess, photo_png: bytes) -> None:
    wire.upload(server.stub, photo_png)
    announced = next(wire.upload_messages(photo_png))

    def only_the_announcement() -> object:
        yield announced
        time.sleep(20)  # an answer that waited for the bytes would come after the deadline below

    answer = server.stub.UploadImage(only_the_announcement(), timeout=5)
    assert answer.already_known


def test_a_broken_download_goes_on_where_it_stood(server: ServerProcess, content: str, photo_png: bytes) -> None:
    assert wire.download(server.stub, content, offset_bytes=1000) == photo_png[1000:]
    assert wire.download(server.stub, content, offset_bytes=len(photo_png)) == b""


def test_server_info_tells_a_host_everything_its_dialog_needs(server: ServerProcess) -> None:
    info = server.stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest()).server
    assert info.recipes[0].name == "painterly"
    assert {recipe.name for recipe in info.recipes} >= {"painterly", "classic", "draft"}
    assert len(info.gallery) == 8
    classic = next(recipe for recipe in info.recipes if recipe.name == "classic")
    assert (classic.defaults["height_px"], classic.defaults["style_weight"]) == ("300", "10000.0")
    size = next(parameter for parameter in info.parameters if parameter.name == "size_px")
    assert (size.minimum, size.maximum, size.unit) == (32, info.limits.max_size_px, "px")
    assert "relu4_1" in info.layers


def test_every_style_of_the_gallery_can_be_downloaded(server: ServerProcess) -> None:
    info = server.stub.GetServerInfo(stylizer_pb2.GetServerInfoRequest()).server
    for style in info.gallery:
        picture = Image.open(io.BytesIO(wire.download(server.stub, style.image.name)))
        assert picture.size == (style.image.width_px, style.image.height_px)
