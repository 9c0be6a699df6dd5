"""The RPCs of impasto.v1.Stylizer: checks and translates, then asks the jobs room. Knows nothing of painting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields
from typing import Any

from impasto._version import __version__
from impasto.v1 import job_pb2, server_info_pb2, stylizer_pb2, stylizer_pb2_grpc
from impasto_server import codec
from impasto_server.jobs import Jobs, Keeping
from impasto_server.recipes import DEFAULT_RECIPE, INITIAL_IMAGES, LAYERS, PARAMETERS, RECIPES, WEIGHTS, Recipe

from . import requests, responses
from .door import Door
from .encoded import EncodedEvents
from .errors import BadRequest
from .images import Images

CONTRACT_REVISION = 4
_WEIGHTS = {
    "original": "Simonyan and Zisserman's own, 8 bits a weight; comes with the server",
    "torchvision": "torchvision's IMAGENET1K_V1; 548 MB, downloaded at first use",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator decides."""

    max_size_px: int = 16384
    weight_files: bool = False
    keeping: Keeping = field(default_factory=Keeping)


class Stylizer(stylizer_pb2_grpc.StylizerServicer):
    """One method an RPC. Refusals are raised and become statuses in `errors`."""

    def __init__(self, jobs: Jobs, images: Images, policy: Policy, door: Door) -> None:
        self._door = door
        self._jobs = jobs
        self._images = images
        self._policy = policy
        self._events = EncodedEvents(images.describe)

    async def GetServerInfo(self, request: stylizer_pb2.GetServerInfoRequest, context: Any) -> Any:  # noqa: N802
        info = server_info_pb2.ServerInfo(
            version=__version__,
            contract_revision=CONTRACT_REVISION,
            weights=[server_info_pb2.Weights(name=name, description=_WEIGHTS[name]) for name in WEIGHTS],
            recipes=[_recipe(RECIPES[name]) for name in sorted(RECIPES, key=lambda name: name != DEFAULT_RECIPE)],
            parameters=self._parameters(),
            layers=LAYERS,
            limits=server_info_pb2.Limits(
                max_image_bytes=self._images.max_bytes,
                max_image_pixels=self._images.max_pixels,
                max_size_px=self._policy.max_size_px,
                max_queued_jobs=self._policy.keeping.max_queued,
                image_formats=[responses.image_format(name) for name in codec.FORMATS],
            ),
            gallery=self._images.gallery(),
            queued_jobs=self._jobs.queued_count,
            running_jobs=self._jobs.running_count,
        )
        for device in self._jobs.devices():
            info.devices.add(
                name=device.info.name,
                description=device.info.description,
                memory_bytes=device.info.memory_bytes,
                busy=device.busy,
                starting=device.starting,
                notices=device.info.notices,
            )
        return stylizer_pb2.GetServerInfoResponse(server=info)

    async def UploadImage(self, request_iterator: AsyncIterator[Any], context: Any) -> Any:  # noqa: N802
        first = await anext(aiter(request_iterator), None)
        if first is None or first.WhichOneof("part") != "announcement":
            raise BadRequest("announcement", "An upload begins with an announcement.", "FIELD_REQUIRED")
        if first.announcement.sha256 and first.announcement.size_bytes == 0:
            raise codec.ImageError("IMAGE_EMPTY", "The file is empty (0 bytes): it is no image.")
        requests.check_required(first.announcement, "announcement")
        requests.image_sha256(responses.image_name(first.announcement.sha256), "announcement.sha256")
        chunks = (message.chunk async for message in request_iterator)
        image, already_known = await self._images.receive(first.announcement, chunks)
        return stylizer_pb2.UploadImageResponse(image=image, already_known=already_known)

    async def DownloadImage(  # noqa: N802
        self, request: stylizer_pb2.DownloadImageRequest, context: Any
    ) -> AsyncIterator[Any]:
        requests.check_required(request)
        sha256 = requests.image_sha256(request.name, "name")
        chunks = self._images.send(sha256, request.offset_bytes)
        first = await anext(chunks, b"")
        yield stylizer_pb2.DownloadImageResponse(image=self._images.describe(sha256))
        if first:
            yield stylizer_pb2.DownloadImageResponse(chunk=first)
        async for chunk in chunks:
            yield stylizer_pb2.DownloadImageResponse(chunk=chunk)

    async def CreateJob(self, request: stylizer_pb2.CreateJobRequest, context: Any) -> Any:  # noqa: N802
        requests.check_required(request)
        spec = requests.job_spec(
            request.spec, gallery=self._images.gallery_hashes, weight_files=self._policy.weight_files
        )
        self._check_result_size(request.spec.parameters)
        job = await self._jobs.create(
            spec,
            owner=self._door.owner(context),
            request_id=requests.request_id(request.request_id),
            only_own=self._door.guest(context) is not None,
        )
        return stylizer_pb2.CreateJobResponse(job=responses.job(job, self._images.describe))

    async def GetJob(self, request: stylizer_pb2.GetJobRequest, context: Any) -> Any:  # noqa: N802
        requests.check_required(request)
        job = self._jobs.get(self._job_id(request.name, context))
        return stylizer_pb2.GetJobResponse(job=responses.job(job, self._images.describe))

    async def ListJobs(self, request: stylizer_pb2.ListJobsRequest, context: Any) -> Any:  # noqa: N802
        if request.page_size < 0:
            raise BadRequest("page_size", f"page_size is {request.page_size}; expected 0 to 1000.")
        size = min(request.page_size or 50, 1000)
        before = self._job_id(request.page_token, context, "page_token") if request.page_token else None
        states, owner = requests.job_states(request.states), self._door.guest(context)
        jobs, more = self._jobs.list(size, before, states, owner)
        return stylizer_pb2.ListJobsResponse(
            jobs=[responses.job(job, self._images.describe) for job in jobs],
            next_page_token=f"jobs/{jobs[-1].id}" if more else "",
        )

    async def UpdateJob(self, request: stylizer_pb2.UpdateJobRequest, context: Any) -> Any:  # noqa: N802
        requests.check_required(request)
        job = await self._jobs.steer(self._job_id(request.name, context), requests.steering(request))
        return stylizer_pb2.UpdateJobResponse(job=responses.job(job, self._images.describe))

    async def WatchJob(self, request: stylizer_pb2.WatchJobRequest, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        requests.check_required(request)
        if request.after_sequence < 0:
            raise BadRequest("after_sequence", f"after_sequence is {request.after_sequence}; expected 0 or more.")
        spec, interval_s = requests.preview_wish(request)
        # What is refused is refused before the headers, which the client takes for a yes.
        name = self._job_id(request.name, context)
        await context.send_initial_metadata(())
        items = self._jobs.watch(name, after_sequence=request.after_sequence, spec=spec, interval_s=interval_s)
        async for item in items:
            self._door.guest(context)  # may have been removed since
            yield self._events.response(item)

    async def CancelJob(self, request: stylizer_pb2.CancelJobRequest, context: Any) -> Any:  # noqa: N802
        requests.check_required(request)
        job = await self._jobs.cancel(self._job_id(request.name, context))
        return stylizer_pb2.CancelJobResponse(job=responses.job(job, self._images.describe))

    async def DeleteJob(self, request: stylizer_pb2.DeleteJobRequest, context: Any) -> Any:  # noqa: N802
        requests.check_required(request)
        await self._jobs.delete(self._job_id(request.name, context))
        return stylizer_pb2.DeleteJobResponse()

    def _job_id(self, name: str, context: Any, field: str = "name") -> str:
        """The id in a job's resource name. Raises BadRequest, and JobNotFound also for a job of another guest's."""
        found = requests.job_id(name, field)
        self._jobs.get(found, self._door.guest(context))
        return found

    def _check_result_size(self, parameters: job_pb2.Parameters) -> None:
        for name in ("size_px", "height_px", "width_px"):
            asked = getattr(parameters, name)
            if asked > self._policy.max_size_px:
                raise BadRequest(
                    f"spec.parameters.{name}",
                    f"{name} is {asked}; this server paints at most {self._policy.max_size_px} px a side.",
                )

    def _parameters(self) -> list[server_info_pb2.Parameter]:
        choices = {
            "initial_image": INITIAL_IMAGES,
            "weights": WEIGHTS,
            "style_layers": LAYERS,
            "content_layers": LAYERS,
        }
        sizes = ("size_px", "height_px", "width_px")
        return [
            server_info_pb2.Parameter(
                name=parameter.name,
                description=parameter.description,
                unit=parameter.unit,
                minimum=parameter.minimum,
                maximum=self._policy.max_size_px if parameter.name in sizes else parameter.maximum,
                choices=choices.get(parameter.name, ()),
            )
            for parameter in PARAMETERS
        ]


def _recipe(recipe: Recipe) -> server_info_pb2.Recipe:
    settable = {parameter.name for parameter in PARAMETERS}
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name in settable}
    defaults = {
        name: ",".join(value) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
        if value is not None
    }
    return server_info_pb2.Recipe(name=recipe.name, summary=recipe.summary, defaults=defaults)
