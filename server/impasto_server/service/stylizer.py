"""The RPCs of impasto.v1.Stylizer: checks and translates, then asks the jobs room. Knows nothing of painting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any

from impasto._version import __version__
from impasto.v1 import job_pb2, server_info_pb2, stylizer_pb2, stylizer_pb2_grpc
from impasto_server import codec
from impasto_server.jobs import Jobs
from impasto_server.recipes import DEFAULT_RECIPE, INITIAL_IMAGES, LAYERS, PARAMETERS, RECIPES, WEIGHTS, Recipe

from . import incoming, outgoing
from .authentication import Authentication
from .config import ServerConfig
from .encoded import EncodedEvents
from .errors import BadRequest
from .images import Images

CONTRACT_REVISION = 5
_WEIGHTS = {
    "original": "Simonyan and Zisserman's own, 8 bits a weight; comes with the server",
    "torchvision": "torchvision's IMAGENET1K_V1; 548 MB, downloaded at first use",
}


class Stylizer(stylizer_pb2_grpc.StylizerServicer):
    """One method an RPC. Refusals are raised and become statuses in `errors`."""

    def __init__(self, jobs: Jobs, images: Images, config: ServerConfig, authentication: Authentication) -> None:
        self._authentication = authentication
        self._jobs = jobs
        self._images = images
        self._config = config
        self._events = EncodedEvents()

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
                max_size_px=self._config.max_size_px,
                max_queued_jobs=self._config.limits.max_queued,
                image_formats=[outgoing.image_format(name) for name in codec.FORMATS],
            ),
            gallery=self._images.gallery,
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
        incoming.check_required(first.announcement, "announcement")
        incoming.image_sha256(outgoing.image_name(first.announcement.sha256), "announcement.sha256")
        chunks = (message.chunk async for message in request_iterator)
        image, already_known = await self._images.receive(first.announcement, chunks)
        return stylizer_pb2.UploadImageResponse(image=image, already_known=already_known)

    async def DownloadImage(  # noqa: N802
        self, request: stylizer_pb2.DownloadImageRequest, context: Any
    ) -> AsyncIterator[Any]:
        incoming.check_required(request)
        sha256 = incoming.image_sha256(request.name, "name")
        image = await self._images.describe(sha256)
        chunks = self._images.send(sha256, request.offset_bytes)
        first = await anext(chunks, b"")
        yield stylizer_pb2.DownloadImageResponse(image=image)
        if first:
            yield stylizer_pb2.DownloadImageResponse(chunk=first)
        async for chunk in chunks:
            yield stylizer_pb2.DownloadImageResponse(chunk=chunk)

    async def CreateJob(self, request: stylizer_pb2.CreateJobRequest, context: Any) -> Any:  # noqa: N802
        incoming.check_required(request)
        self._check_result_size(request.spec.parameters)
        spec = incoming.job_spec(
            request.spec, gallery=self._images.gallery_hashes, weight_files=self._config.weight_files
        )
        job = await self._jobs.create(
            spec,
            owner=self._authentication.owner(context),
            request_id=incoming.request_id(request.request_id),
            only_own=self._authentication.guest(context) is not None,
        )
        return stylizer_pb2.CreateJobResponse(job=outgoing.job(job))

    async def GetJob(self, request: stylizer_pb2.GetJobRequest, context: Any) -> Any:  # noqa: N802
        incoming.check_required(request)
        job = await self._jobs.get(await self._job_id(request.name, context))
        return stylizer_pb2.GetJobResponse(job=outgoing.job(job))

    async def ListJobs(self, request: stylizer_pb2.ListJobsRequest, context: Any) -> Any:  # noqa: N802
        if request.page_size < 0:
            raise BadRequest("page_size", f"page_size is {request.page_size}; expected 0 to 1000.")
        size = min(request.page_size or 50, 1000)
        before = incoming.page_token(request.page_token)
        states, owner = incoming.job_states(request.states), self._authentication.guest(context)
        jobs, more = await self._jobs.page(size, before, states, owner)
        return stylizer_pb2.ListJobsResponse(
            jobs=[outgoing.job(job) for job in jobs],
            next_page_token=str(more) if more else "",
        )

    async def UpdateJob(self, request: stylizer_pb2.UpdateJobRequest, context: Any) -> Any:  # noqa: N802
        incoming.check_required(request)
        job = await self._jobs.steer(await self._job_id(request.name, context), incoming.steering(request))
        return stylizer_pb2.UpdateJobResponse(job=outgoing.job(job))

    async def WatchJob(self, request: stylizer_pb2.WatchJobRequest, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        incoming.check_required(request)
        if request.after_sequence < 0:
            raise BadRequest("after_sequence", f"after_sequence is {request.after_sequence}; expected 0 or more.")
        spec, interval_s = incoming.preview_request(request)
        # What is refused is refused before the headers, which the client takes for a yes.
        name = await self._job_id(request.name, context)
        await self._jobs.check_sequence(name, request.after_sequence)
        await context.send_initial_metadata(())
        items = self._jobs.watch(name, after_sequence=request.after_sequence, spec=spec, interval_s=interval_s)
        async for item in items:
            self._authentication.guest(context)  # may have been removed since
            yield self._events.response(item)

    async def CancelJob(self, request: stylizer_pb2.CancelJobRequest, context: Any) -> Any:  # noqa: N802
        incoming.check_required(request)
        job = await self._jobs.cancel(await self._job_id(request.name, context))
        return stylizer_pb2.CancelJobResponse(job=outgoing.job(job))

    async def DeleteJob(self, request: stylizer_pb2.DeleteJobRequest, context: Any) -> Any:  # noqa: N802
        incoming.check_required(request)
        await self._jobs.delete(await self._job_id(request.name, context))
        return stylizer_pb2.DeleteJobResponse()

    async def _job_id(self, name: str, context: Any) -> str:
        """The id in a job's resource name. Raises BadRequest, and JobNotFound also for a job of another guest's."""
        found = incoming.job_id(name)
        await self._jobs.get(found, self._authentication.guest(context))
        return found

    def _check_result_size(self, parameters: job_pb2.Parameters) -> None:
        for name in ("size_px", "height_px", "width_px"):
            asked = getattr(parameters, name)
            if asked > self._config.max_size_px:
                raise BadRequest(
                    f"spec.parameters.{name}",
                    f"{name} is {asked}; this server paints at most {self._config.max_size_px} px a side.",
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
                maximum=self._config.max_size_px if parameter.name in sizes else parameter.maximum,
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
