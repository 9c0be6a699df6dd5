"""From a caller's words to the contract's messages."""

import pytest

import impasto
from impasto import _requests
from impasto._requests import JobOptions, create_job_request, sort_styles, update_request
from impasto.v1 import image_pb2, job_pb2

CONTENT = impasto.StoredImage(
    name="images/c", size_bytes=9, width_px=3000, height_px=4001, format="png", has_alpha=False
)


def spec(**options):
    return create_job_request(CONTENT, [], options).spec


def test_every_parameter_of_the_contract_is_a_keyword():
    fields = {field.name for field in job_pb2.Parameters.DESCRIPTOR.fields}
    others = {"recipe", "device", "request_id", "size", "result_format", "bits_per_channel"}
    assert fields | others == set(JobOptions.__annotations__)


def test_what_is_left_out_or_none_is_the_recipes_own():
    assert spec(steps=None, style_layers=None, recipe=None).parameters == job_pb2.Parameters()
    assert not spec().parameters.HasField("seed")
    assert spec(seed=0, tv_weight=0.0).parameters.HasField("seed")


def test_keywords_arrive_under_their_own_names():
    parameters = spec(
        steps=7, style_weight=0.5, style_layers=["relu1_1", "relu2_1"], initial_image="noise", weights="original"
    ).parameters
    assert (parameters.steps, parameters.style_weight, parameters.weights) == (7, 0.5, "original")
    assert list(parameters.style_layers) == ["relu1_1", "relu2_1"]
    assert parameters.initial_image == job_pb2.INITIAL_IMAGE_NOISE


@pytest.mark.parametrize(
    ("options", "field", "text"),
    [
        ({"steps": 1.5}, "spec.parameters.steps", "steps can't be 1.5"),
        ({"steps": 2**40}, "spec.parameters.steps", "steps can't be"),
        ({"weights": 3}, "spec.parameters.weights", "weights can't be 3"),
        ({"style_layers": "relu1_1"}, "spec.parameters.style_layers", "has to be a list of layers"),
        ({"initial_image": "white"}, "spec.parameters.initial_image", "can be content or noise, not 'white'"),
        ({"result_format": "JPEG"}, "spec.result.format", "can be PNG or TIFF, not 'JPEG'"),
        ({"bits_per_channel": 12}, "spec.result.bits_per_channel", "8 or 16 bits a channel, not 12"),
        ({"size": "huge"}, "size", "size can only be 'full', not 'huge'; size_px says it in pixels"),
        ({"size": "full", "size_px": 512}, "size", "size='full' and size_px exclude each other"),
        ({"size": "full", "width_px": 512}, "size", "size='full' and width_px exclude each other"),
    ],
)
def test_what_fits_no_field_is_refused_here(options, field, text):
    with pytest.raises(impasto.ParameterError, match=text) as caught:
        spec(**options)
    assert caught.value.field == field


def test_the_full_size_is_the_contents_long_side():
    assert spec(size="full").parameters == job_pb2.Parameters(size_px=4001)
    assert spec(size="full", size_px=None).parameters.size_px == 4001
    with pytest.raises(impasto.ParameterError, match="needs the size of images/c"):
        create_job_request(_requests.named_image("images/c"), [], {"size": "full"})


def test_how_the_result_is_written_is_said_only_if_it_was_asked_for():
    assert not spec(result_format=None).HasField("result")
    assert spec(bits_per_channel=16).result == job_pb2.ResultOptions(bits_per_channel=16)
    both = job_pb2.ResultOptions(format=image_pb2.IMAGE_FORMAT_TIFF, bits_per_channel=8)
    assert spec(result_format="TIFF", bits_per_channel=8).result == both


def test_a_continued_job_is_written_as_the_one_before_unless_it_is_said_otherwise():
    before = job_pb2.Job(name="jobs/x", spec=spec(result_format="TIFF", bits_per_channel=16))
    assert _requests.continue_request(before, {}).spec.result == before.spec.result
    changed = _requests.continue_request(before, {"result_format": "PNG"}).spec.result
    assert changed == job_pb2.ResultOptions(format=image_pb2.IMAGE_FORMAT_PNG, bits_per_channel=16)
    with pytest.raises(impasto.ParameterError, match="size can't be said"):
        _requests.continue_request(before, {"size": "full"})


def test_a_mistyped_keyword_is_a_type_error_with_the_nearest_one():
    with pytest.raises(TypeError, match=r"argument 'style_wieght'\. Did you mean 'style_weight'\?"):
        impasto.Client("127.0.0.1:9").submit(b"x", "night-swirl", style_wieght=1)


def test_each_request_has_an_id_of_its_own():
    first, second = (create_job_request(CONTENT, [], {}).request_id for _ in range(2))
    assert first != second
    assert create_job_request(CONTENT, [], {"request_id": "mine"}).request_id == "mine"


def sources(style):
    return [(entry.gallery_style or entry.source, entry.weight) for entry in sort_styles(style)]


def test_a_mixture_may_be_a_list_pairs_or_a_mapping(tmp_path):
    path = tmp_path / "own.png"
    path.touch()
    assert sources("night-swirl") == [("night-swirl", None)]
    assert sources(["night-swirl", path]) == [("night-swirl", None), (path, None)]
    assert sources([("night-swirl", 2), (path, 0.5)]) == [("night-swirl", 2), (path, 0.5)]
    assert sources({"night-swirl": 2, "mist-ink": 1}) == [("night-swirl", 2), ("mist-ink", 1)]


def test_a_file_goes_before_a_gallery_style_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sort_styles("night-swirl")[0].gallery_style == "night-swirl"
    (tmp_path / "night-swirl").touch()
    assert sort_styles("night-swirl")[0].gallery_style == ""


def test_what_is_neither_file_nor_name_is_said_so():
    with pytest.raises(impasto.ImageFileNotFoundError, match=r"no file styles/own\.jpg.*`impasto styles`"):
        sort_styles("styles/own.jpg")


@pytest.mark.parametrize("style", [[], {}])
def test_a_mixture_of_nothing_is_refused(style):
    with pytest.raises(impasto.ParameterError, match="At least one style"):
        sort_styles(style)


def test_a_weight_has_to_be_a_number():
    with pytest.raises(impasto.ParameterError, match="has to be a number, not 'much'"):
        sort_styles({"night-swirl": "much"})


def test_steering_names_only_what_changes():
    request = update_request("jobs/x", None, 0.0, 3.0)
    assert list(request.update_mask.paths) == ["style_weight", "tv_weight"]
    assert not request.weights.HasField("content_weight")
    with pytest.raises(impasto.ParameterError, match="Nothing to change"):
        update_request("jobs/x", None, None, None)


def test_jobs_are_found_by_name_or_id():
    assert _requests.job_name("abc") == "jobs/abc" == _requests.job_name("jobs/abc")


def test_weights_may_be_a_name_or_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _requests.expand_file_weights("original") == "original"
    assert _requests.expand_file_weights("vgg.pt") == f"file:{tmp_path}/vgg.pt"
    assert _requests.expand_file_weights("file:vgg.pt") == f"file:{tmp_path}/vgg.pt"
    assert _requests.expand_file_weights("/a/vgg") == "file:/a/vgg"


def test_states_are_said_by_name_or_member():
    numbers = [job_pb2.Job.STATE_RUNNING, job_pb2.Job.STATE_FAILED]
    assert _requests.job_states(iter(["running", impasto.JobState.FAILED])) == numbers
    for wrong in ("ready", impasto.JobState.UNKNOWN):
        with pytest.raises(impasto.ParameterError, match=rf"'{wrong}' is no state of a job; known are queued, running"):
            _requests.job_states([wrong])
