"""One painting, from a host's pixels to a host's pixels."""

from impasto import _requests
from impasto._endpoint import CALL_TIMEOUT_S
from impasto._events import JobState
from impasto._exceptions import JobCancelledError, JobStateError
from impasto._helper import _rates
from impasto._helper._answers import Answers
from impasto._helper._control import Control
from impasto._helper._notes import keep_note, note_of_painting
from impasto._helper._pixels import bare_png
from impasto._helper._reports import Reports
from impasto._helper._requests import PaintRequest
from impasto._helper._servers import Server, choose_recipe, own_size_px
from impasto._helper._styles import style_messages, title
from impasto._helper._transfers import download, upload
from impasto._images import decode
from impasto._job import Job
from impasto._server_info import Recipe, ServerInfo
from impasto.v1 import stylizer_pb2

SMALLEST_PX = 32


def paint(server: Server, request: PaintRequest, answers: Answers, control: Control) -> None:
    """Paints to the end; the last word is `done`. Raises ImpastoError, and AbandonedError once it is cancelled."""
    answers.tell("stage", stage="connecting")
    info = server.info()
    control.check()
    recipe = choose_recipe(info, request.recipe)
    size_px = working_size_px(request, recipe, info)
    answers.tell("stage", stage="uploading")
    styles = style_messages(request.styles, lambda picture: upload(server.client, picture, control).name)
    with _requests.about("spec.content"):
        content = upload(server.client, request.content.png(size_px), control)
    options = request.options(recipe.name, size_px)
    sliders = control.sliders
    if changed := sliders.changed_weights(recipe.defaults):
        options |= {"style_weight": changed["style_weight"], "tv_weight": changed["tv_weight"]}
    asked = _requests.create_job_request(content, styles, options)
    asked.spec.continue_from = request.continue_from and _requests.job_name(request.continue_from)
    control.begin()
    # Its id makes a request that is repeated the same job.
    job = control.find(lambda: create(server, asked))
    keep_note(job.name, note_of_painting(request.content, request.note))
    control.steerable(recipe, sliders)
    answers.tell(
        "job",
        name=job.name,
        title=title([style.gallery for style in request.styles], server.titles()),
        recipe=recipe.name,
        size_px=size_px,
        server=server.address,
    )
    reports = Reports(answers, control, request.preview_px, request.content.icc_profile)
    reports.follow(job)
    # Before the last word: whoever asks then how long it takes here is told.
    learn(server, request, recipe, job, reports.seconds)
    finish(server, job, request, answers, control)


def create(server: Server, asked: stylizer_pb2.CreateJobRequest) -> Job:
    """Asks for the job."""
    answer = server.client._call("CreateJob", lambda stub: stub.CreateJob(asked, timeout=CALL_TIMEOUT_S))
    return Job(server.client, answer.job)


def finish(server: Server, job: Job, request: PaintRequest, answers: Answers, control: Control) -> None:
    """The last word: the picture, at the content's size."""
    answers.tell("stage", stage="fetching")
    if job.state is not JobState.FAILED and job.result_event is None:
        job.refresh()
    partial = False
    try:
        result = job._whole_result()
    except JobCancelledError as error:
        if error.partial is None:
            raise JobStateError("Nothing had been painted yet, so there is no picture to keep.") from None
        result, partial = error.partial, True
    data = download(server.client, result.stored, control)
    content, depth = request.content, request.depth
    parts = {"file": bare_png(data)} if depth == 16 else {"pixels": content.repainted(decode(data))}
    size = {"width": content.width, "height": content.height}
    answers.tell("done", parts, **size, depth=depth, partial=partial, job=job.name)


def learn(server: Server, request: PaintRequest, recipe: Recipe, job: Job, seconds: float | None) -> None:
    """A painting that begins at its beginning and comes to its end tells how long the recipe takes here."""
    result = job.result_event
    if seconds is None or result is None or result.partial or request.continue_from:
        return
    own_steps = float(recipe.defaults.get("steps") or 0)
    share = own_steps / request.steps if request.steps and own_steps else 1.0
    megapixels = result.stored.width_px * result.stored.height_px / 1e6
    _rates.learn(server.rates_key, recipe.name, seconds * share, megapixels)


def working_size_px(request: PaintRequest, recipe: Recipe, info: ServerInfo) -> int:
    """Long side that is painted: what was asked for or the recipe's own, never more than the layer has."""
    content = request.content
    wanted = request.size_px or own_size_px(recipe)
    return max(SMALLEST_PX, min(wanted, max(content.width, content.height), info.limits.max_size_px))
