"""Requests in: messages of the contract to the jobs room's dataclasses, with everything a request can get wrong."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Literal

from google.api import field_behavior_pb2
from google.protobuf.message import Message

from impasto.v1 import image_pb2, job_pb2, stylizer_pb2
from impasto_server import suggest
from impasto_server.engine import PreviewSpec, ResultFormat, Steering
from impasto_server.jobs import JobSpec, State, StyleSource, resolve
from impasto_server.recipes import DEFAULT_RECIPE, FILE_PREFIX

from .errors import BadRequest

_SHA256 = re.compile(r"[0-9a-f]{64}")
INITIAL_IMAGES = {job_pb2.INITIAL_IMAGE_CONTENT: "content", job_pb2.INITIAL_IMAGE_NOISE: "noise"}
_STATES: Mapping[int, State] = {job_pb2.Job.State.Value(f"STATE_{state.name}"): state for state in State}
_RESULT_FORMATS: Mapping[int, Literal["PNG", "TIFF"]] = {
    image_pb2.IMAGE_FORMAT_UNSPECIFIED: "PNG",
    image_pb2.IMAGE_FORMAT_PNG: "PNG",
    image_pb2.IMAGE_FORMAT_TIFF: "TIFF",
}
_PREVIEW_FORMATS = {
    image_pb2.IMAGE_FORMAT_UNSPECIFIED: "JPEG",
    image_pb2.IMAGE_FORMAT_JPEG: "JPEG",
    image_pb2.IMAGE_FORMAT_PNG: "PNG",
    image_pb2.IMAGE_FORMAT_WEBP: "WEBP",
}


def check_required(message: Message, path: str = "") -> None:
    """Raises BadRequest for the first REQUIRED field that isn't there, as the contract's own annotations say."""
    for field in message.DESCRIPTOR.fields:
        here = f"{path}.{field.name}" if path else field.name
        value = getattr(message, field.name)
        required = field_behavior_pb2.REQUIRED in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        if field.is_repeated:
            if required and not value:
                raise BadRequest(here, f"{here} is required and empty.", "FIELD_REQUIRED")
            if field.message_type and not field.message_type.GetOptions().map_entry:
                for index, item in enumerate(value):
                    check_required(item, f"{here}[{index}]")
        elif field.message_type:
            if message.HasField(field.name):
                check_required(value, here)
            elif required:
                raise BadRequest(here, f"{here} is required and not set.", "FIELD_REQUIRED")
        elif required and not value:
            raise BadRequest(here, f"{here} is required and empty.", "FIELD_REQUIRED")


def image_sha256(name: str, field: str) -> str:
    """The hash in an image's resource name. Raises BadRequest."""
    collection, _, sha256 = name.partition("/")
    if collection != "images" or not _SHA256.fullmatch(sha256):
        raise BadRequest(field, f"{name!r} names no image; expected images/ and 64 hexadecimal digits.")
    return sha256


def job_id(name: str, field: str = "name") -> str:
    """The id in a job's resource name. Raises BadRequest."""
    collection, _, found = name.partition("/")
    if collection != "jobs" or not _is_uuid(found):
        raise BadRequest(field, f"{name!r} names no job; expected jobs/ and a UUID.")
    return found


def request_id(text: str) -> str:
    """A checked request id. Raises BadRequest."""
    if text and not _is_uuid(text):
        raise BadRequest("request_id", f"request_id is {text!r}; expected a UUID.")
    return text


def job_spec(message: job_pb2.JobSpec, *, gallery: Mapping[str, str], weight_files: bool) -> JobSpec:
    """A request's spec; `gallery` has content hashes by name. Raises BadRequest."""
    parameters = {field.name: value for field, value in message.parameters.ListFields()}
    if initial_image := parameters.pop("initial_image", None):
        parameters["initial_image"] = INITIAL_IMAGES.get(initial_image, initial_image)
    for name in ("style_layers", "content_layers"):
        if name in parameters:
            parameters[name] = tuple(parameters[name])
    weights = parameters.get("weights", "")
    if weights.startswith(FILE_PREFIX) and not weight_files:
        raise BadRequest(
            "spec.parameters.weights",
            "This server reads no weights from files; its operator can allow that with --allow-weight-files.",
            "WEIGHTS_UNKNOWN",
        )
    recipe = message.recipe or DEFAULT_RECIPE
    continue_from = job_id(message.continue_from, "spec.continue_from") if message.continue_from else None
    return JobSpec(
        content=image_sha256(message.content, "spec.content"),
        styles=tuple(_style(style, index, gallery) for index, style in enumerate(message.styles)),
        recipe=recipe,
        resolved=resolve(recipe, parameters, continues=continue_from is not None),
        parameters=parameters,
        device=message.device or None,
        continue_from=continue_from,
        result_format=_result_format(message.result),
    )


def _result_format(options: job_pb2.ResultOptions) -> ResultFormat:
    if options.format not in _RESULT_FORMATS:
        raise BadRequest("spec.result.format", "Results are PNG or TIFF.")
    bits = options.bits_per_channel or 8
    if bits not in (8, 16):
        raise BadRequest("spec.result.bits_per_channel", f"bits_per_channel is {bits}; expected 8 or 16.")
    return ResultFormat(_RESULT_FORMATS[options.format], bits)


def _style(style: job_pb2.Style, index: int, gallery: Mapping[str, str]) -> StyleSource:
    path = f"spec.styles[{index}]"
    weight = style.weight if style.HasField("weight") else 1.0
    if not (math.isfinite(weight) and weight > 0):
        raise BadRequest(f"{path}.weight", f"The style's weight is {weight}; expected a number above 0.")
    match style.WhichOneof("source"):
        case "image":
            return StyleSource(image_sha256(style.image, f"{path}.image"), weight=weight)
        case "gallery_style":
            name = style.gallery_style
            if name not in gallery:
                message = suggest.unknown("style of the gallery", name, gallery)
                raise BadRequest(f"{path}.gallery_style", message, "STYLE_UNKNOWN")
            return StyleSource(gallery[name], name, weight)
    raise BadRequest(path, f"{path} names no picture; expected an image or a gallery_style.", "FIELD_REQUIRED")


def page_token(text: str) -> int | None:
    """The number of the job that the page is behind; None for the first page. Raises BadRequest."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadRequest("page_token", f"{text!r} is no token of a page: take it from the response before.")
    return int(text)


def job_states(numbers: Iterable[int]) -> frozenset[State]:
    """The states to list; none means all. Raises BadRequest."""
    states = set()
    for index, number in enumerate(numbers):
        if number not in _STATES:
            known = ", ".join(f"STATE_{state.name}" for state in State)
            raise BadRequest(f"states[{index}]", f"{number} is no state of a job; expected one of: {known}.")
        states.add(_STATES[number])
    return frozenset(states)


def steering(request: stylizer_pb2.UpdateJobRequest) -> Steering:
    """The weights to change. Raises BadRequest."""
    known = [field.name for field in job_pb2.SteeringWeights.DESCRIPTOR.fields]
    given = {field.name: value for field, value in request.weights.ListFields()}
    wanted = list(request.update_mask.paths) or list(given)
    if not wanted:
        raise BadRequest("weights", f"There is nothing to change: set one of {', '.join(known)}.")
    changes = {}
    for name in wanted:
        if name not in known:
            raise BadRequest("update_mask", f"{name!r} can't be steered, only {', '.join(known)}.")
        if name not in given:
            raise BadRequest(
                f"weights.{name}", f"update_mask names {name}, but weights doesn't set it.", "FIELD_REQUIRED"
            )
        value = given[name]
        if not (math.isfinite(value) and value >= 0):
            raise BadRequest(f"weights.{name}", f"{name} is {value}; expected a number from 0.")
        changes[name] = value
    return Steering(**changes)


def preview_request(request: stylizer_pb2.WatchJobRequest) -> tuple[PreviewSpec | None, float]:
    """Which previews a watcher wants, and the shortest time between two in seconds. Raises BadRequest."""
    if not request.HasField("previews"):
        return None, 0.0
    options = request.previews
    size, rate, quality = options.max_size_px or 512, options.max_per_second or 4.0, options.quality or 85
    if not 16 <= size <= 4096:
        raise BadRequest("previews.max_size_px", f"max_size_px is {size}; expected 16 to 4096.")
    if not 0 < rate <= 60:
        raise BadRequest("previews.max_per_second", f"max_per_second is {rate}; expected above 0, up to 60.")
    if not 1 <= quality <= 100:
        raise BadRequest("previews.quality", f"quality is {quality}; expected 1 to 100.")
    if options.format not in _PREVIEW_FORMATS:
        raise BadRequest("previews.format", "Previews are PNG, JPEG or WebP.")
    return PreviewSpec(size, _PREVIEW_FORMATS[options.format], quality), 1 / rate


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
