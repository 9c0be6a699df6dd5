"""The blocking client with a real server: pictures in, pictures out, and all that happens between."""

import io
import itertools
import uuid

import numpy as np
import pytest
from PIL import Image

import impasto
from impasto import JobState, Preview, PreviewOptions, Progress, Result, StateChanged

TINY = {"size_px": 48, "steps": 4}
LONG = {"size_px": 64, "steps": 9000}


@pytest.fixture(scope="module")
def client(server):
    """Connected to the server of all tests."""
    with impasto.Client(server.address) as client:
        yield client


def first_steps(job, count=2):
    """Watches until so many steps were seen."""
    seen = (event for event in job.watch(previews=None) if isinstance(event, Progress))
    return list(itertools.islice(seen, count))


def test_one_line_paints_a_picture(server, photo_path, photo):
    picture = impasto.stylize(photo_path, "night-swirl", server=server.address, **TINY)
    assert picture.size == (48, 32)
    assert picture.info["impasto.step"] == 4
    assert picture.info["impasto.partial"] is False


def test_every_form_of_a_picture_is_taken(client, photo, photo_png, photo_path):
    forms = [photo, photo_png, photo_path, str(photo_path), np.asarray(photo), client.upload(photo_png)]
    for content in forms:
        with_style = client.submit(content, photo.rotate(90), recipe="draft", size_px=32, steps=1)
        assert with_style.result().size[0] == 32


def test_a_mixture_of_a_gallery_style_and_an_own_one_is_kept_with_its_weights(client, photo):
    job = client.submit(photo, [("night-swirl", 3), (photo.rotate(180), 1)], **TINY)
    first, second = job.message.spec.styles
    assert (first.gallery_style, first.weight) == ("night-swirl", 3)
    assert second.image.startswith("images/")
    job.result()


def test_a_jobs_events_tell_its_whole_story(client, photo):
    job = client.submit(photo, "mist-ink", **TINY)
    events = list(job)
    states = [event.state for event in events if isinstance(event, StateChanged)]
    assert states == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]
    sequenced = [event.sequence for event in events if event.sequence]
    assert sequenced == list(range(1, len(sequenced) + 1))
    steps = [event for event in events if isinstance(event, Progress)]
    assert steps[-1].step == steps[-1].steps == 4
    assert steps[-1].losses.total == pytest.approx(
        sum((steps[-1].losses.content, steps[-1].losses.style, steps[-1].losses.tv))
    )
    (result,) = [event for event in events if isinstance(event, Result)]
    assert (result.partial, result.stored.width_px) == (False, 48)
    assert job.state is JobState.SUCCEEDED
    assert job.progress == steps[-1]
    assert job.end_time is None
    assert job.refresh().end_time > job.start_time >= job.create_time


def test_previews_come_as_they_were_asked_for(client, photo):
    job = client.submit(photo, "mist-ink", size_px=64, steps=40)
    wanted = PreviewOptions(max_size_px=32, format="png", max_per_second=30)
    previews = [event for event in job.watch(previews=wanted) if isinstance(event, Preview)]
    assert previews
    for preview in previews:
        assert preview.format == preview.image.format.lower() == "png"
        assert max(preview.image.size) <= 32
        assert preview.image.size == (preview.width_px, preview.height_px)


def test_a_job_that_ended_is_told_again_from_any_place(client, photo):
    job = client.submit(photo, "mist-ink", **TINY)
    job.result()
    everything = list(client.job(job.id).watch(previews=None))
    for place in range(len(everything) + 1):
        rest = list(client.job(job.name).watch(previews=None, after_sequence=place))
        assert [e.sequence for e in rest] == [e.sequence for e in everything[place:]]


def test_the_result_is_the_same_file_however_often_it_is_fetched(client, photo):
    job = client.submit(photo, "mist-ink", **TINY)
    assert job.result_bytes() == client.job(job.id).result_bytes() == client.download(job.result_event.stored)


def test_a_result_has_a_thumbnail_that_moves_few_bytes(client, photo):
    job = client.submit(photo, "mist-ink", bits_per_channel=16, **TINY)
    job.result()
    thumbnail = job.result_event.thumbnail
    assert (thumbnail.format, thumbnail.width_px, thumbnail.height_px) == ("jpeg", 48, 32)
    data = client.download(thumbnail)
    assert len(data) == thumbnail.size_bytes < 20_000
    assert Image.open(io.BytesIO(data)).size == (48, 32)
    # Its picture goes with the job, and so does the thumbnail.
    assert client.job(job.id).result_event.thumbnail == thumbnail


def test_the_same_seed_gives_the_same_picture(client, photo):
    pictures = [client.submit(photo, "mist-ink", seed=7, **TINY).result_bytes() for _ in range(2)]
    assert pictures[0] == pictures[1]


def test_alpha_comes_back(client, photo):
    cut = photo.copy()
    cut.putalpha(Image.linear_gradient("L").resize(photo.size))
    assert client.stylize(cut, "mist-ink", **TINY).mode == "RGBA"


def test_cancelling_keeps_the_last_picture(client, photo):
    job = client.submit(photo, "mist-ink", **LONG)
    first_steps(job)
    job.cancel()
    with pytest.raises(impasto.JobCancelledError, match="its last picture is kept") as caught:
        job.result(timeout_s=60)
    assert caught.value.job == job.name
    assert caught.value.partial.partial
    assert client.download(caught.value.partial.thumbnail)
    assert job.partial().info["impasto.partial"] is True
    assert client.job(job.id).partial().size == (64, 43)
    job.cancel()  # again: no error, no change
    assert job.state is JobState.CANCELLED


def test_steering_changes_the_losses_of_a_running_job(client, photo):
    job = client.submit(photo, "mist-ink", **LONG)
    before = first_steps(job)[-1]
    assert before.losses.tv > 0
    job.update(tv_weight=0.0)
    seen = itertools.islice(job.watch(previews=None, after_sequence=before.sequence), 2000)
    assert any(isinstance(event, Progress) and event.losses.tv == 0 for event in seen)
    job.cancel()
    list(job.watch(previews=None))
    with pytest.raises(impasto.JobStateError, match="ended"):
        job.update(tv_weight=1.0)


def test_a_job_goes_on_from_where_another_ended_with_other_weights(client, photo):
    first = client.submit(photo, "mist-ink", style_layers=["relu1_1", "relu3_1"], seed=3, **TINY)
    with pytest.raises(impasto.JobStateError, match="wait for its end, or cancel it"):
        first.continue_with(steps=2)
    first.result()
    second = first.continue_with(steps=6, style_weight=0.0, style_layers=["relu2_1"])
    assert second.result().info["impasto.step"] == 6
    asked, before = second.message.spec, first.message.spec
    assert asked.continue_from == first.name
    assert (asked.content, asked.styles, asked.recipe) == (before.content, before.styles, before.recipe)
    assert (asked.parameters.steps, asked.parameters.style_weight) == (6, 0.0)
    assert list(asked.parameters.style_layers) == ["relu2_1"]
    assert (asked.parameters.seed, asked.parameters.size_px) == (3, 48)
    assert second.progress.losses.style == 0
    assert second.progress.scales == 1


def test_what_is_asked_of_a_continued_job_is_checked(client, photo):
    job = client.submit(photo, "mist-ink", recipe="draft", **TINY)
    job.result()
    with pytest.raises(TypeError, match=r"continue_with\(\) got an unexpected keyword argument 'step'"):
        job.continue_with(step=2)
    with pytest.raises(impasto.ParameterError, match="steps is 0"):
        job.continue_with(steps=0)
    exact = job.continue_with(height_px=40, width_px=56, steps=1)
    assert exact.result().size == (56, 40)
    assert exact.continue_with(size_px=48, steps=1).result().size == (48, 32)


def test_waiting_has_an_end_and_the_job_has_not(client, photo):
    job = client.submit(photo, "mist-ink", **LONG)
    with pytest.raises(TimeoutError, match=r"did not end in time\. It goes on") as caught:
        job.result(timeout_s=0.5)
    assert isinstance(caught.value, impasto.ResultTimeoutError)
    assert not job.refresh().state.ended
    job.cancel()


def test_a_deleted_job_is_gone_and_a_running_one_cant_be_deleted(client, photo):
    job = client.submit(photo, "mist-ink", **LONG)
    with pytest.raises(impasto.JobStateError):
        job.delete()
    job.cancel()
    list(job.watch(previews=None))
    job.delete()
    with pytest.raises(impasto.JobNotFoundError):
        job.refresh()
    with pytest.raises(LookupError):
        client.job(str(uuid.uuid4()))


def test_jobs_are_listed_the_newest_first_over_all_pages(client, photo):
    stored = client.upload(photo)
    mine = [client.submit(stored, "mist-ink", size_px=32, steps=1).id for _ in range(4)]
    listed = [job.id for job in client.jobs()]
    assert [id_ for id_ in listed if id_ in mine] == mine[::-1]


def test_a_request_id_makes_one_job(client, photo):
    request_id = str(uuid.uuid4())
    first, second = (client.submit(photo, "mist-ink", request_id=request_id, **TINY) for _ in range(2))
    assert first.name == second.name
    with pytest.raises(impasto.InvalidRequestError) as caught:
        client.submit(photo, "mist-ink", request_id=request_id, size_px=48, steps=5)
    assert caught.value.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    ("options", "reason", "field"),
    [
        ({"steps": 0}, "PARAMETER_INVALID", "spec.parameters.steps"),
        ({"size_px": 5}, "PARAMETER_INVALID", "spec.parameters.size_px"),
        ({"content_weight": float("nan")}, "PARAMETER_INVALID", "spec.parameters.content_weight"),
        ({"recipe": "painterley"}, "RECIPE_UNKNOWN", "spec.recipe"),
        ({"style_layers": ["relu9_1"]}, "LAYER_UNKNOWN", "spec.parameters.style_layers"),
        ({"weights": "orignal"}, "WEIGHTS_UNKNOWN", "spec.parameters.weights"),
        ({"device": "cuda:77"}, "DEVICE_UNKNOWN", "spec.device"),
    ],
)
def test_a_refused_parameter_is_named_with_the_servers_own_words(client, photo, options, reason, field):
    with pytest.raises(impasto.ParameterError) as caught:
        client.submit(photo, "mist-ink", **options)
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert len(str(caught.value)) > 20


def test_a_mistyped_style_gets_the_nearest_one(client, photo):
    with pytest.raises(impasto.ParameterError, match="Did you mean 'mist-ink'"):
        client.submit(photo, "mist-imk")


def test_what_is_no_picture_is_refused_and_the_argument_named(client, photo):
    with pytest.raises(impasto.ImageError) as caught:
        client.submit(b"GIF? no.", "mist-ink")
    assert (caught.value.reason, caught.value.field) == ("IMAGE_UNREADABLE", "spec.content")
    with pytest.raises(impasto.ImageError) as caught:
        client.submit(photo, ["mist-ink", b"GIF? no."])
    assert caught.value.field == "spec.styles[1].image"


def test_a_picture_with_too_many_pixels_is_refused(client):
    with pytest.raises(impasto.ImageError) as caught:
        client.upload(Image.new("L", (4000, 2000)))
    assert caught.value.reason == "IMAGE_TOO_LARGE"


def test_known_content_is_not_sent_twice(client):
    noise = np.random.default_rng(5).integers(0, 255, (1000, 1300, 3), dtype=np.uint8)
    assert client.upload(noise) == client.upload(noise)
    assert client.upload(noise).size_bytes > 3_000_000


def test_an_image_nobody_has_is_not_found(client):
    with pytest.raises(impasto.ImageNotFoundError):
        client.download("images/" + "0" * 64)


def test_the_server_says_what_it_is(client):
    info = client.server_info()
    assert info.version == impasto.__version__
    assert "painterly" in [recipe.name for recipe in info.recipes]
    assert {p.name for p in info.parameters} <= set(impasto.JobOptions.__annotations__)
    assert [style.name for style in client.styles()] == [style.name for style in info.gallery]
    first = info.gallery[0]
    assert len(client.download(first.image)) == first.image.size_bytes


def test_a_closed_client_opens_again(server):
    client = impasto.Client(server.address)
    client.server_info()
    client.close()
    assert client.server_info().version
    client.close()
