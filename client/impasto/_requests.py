"""From a caller's words to the contract's messages. Keyword names are the contract's field names."""

import contextlib
import difflib
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict, cast

from impasto._events import JobState, StoredImage
from impasto._exceptions import ImageError, ImageFileNotFoundError, ParameterError
from impasto._images import IMAGE_NAME, Picture
from impasto.v1 import image_pb2, job_pb2, stylizer_pb2

Style: TypeAlias = Picture
"""A picture, or the name of a style of the server's gallery."""
Styles: TypeAlias = "Style | Sequence[Style | tuple[Style, float]] | Mapping[str, float]"
"""One style, or a mixture: a list of styles or (style, weight) pairs, or a mapping of names to weights."""

GALLERY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class JobOptions(TypedDict, total=False):
    """What decides a picture beside its content and style. What is left out, or None, is the recipe's own.

    Ranges are those of `Client.server_info().parameters`.
    """

    recipe: str | None
    """Name of a recipe of the server: `painterly`, `classic`, `draft`."""
    size_px: int | None
    """Long side of the result."""
    size: Literal["full"] | None
    """`full`: the content's own size, in place of `size_px`, `height_px` and `width_px`."""
    height_px: int | None
    """Exact height; only together with `width_px`, and not with `size_px`."""
    width_px: int | None
    steps: int | None
    content_weight: float | None
    style_weight: float | None
    tv_weight: float | None
    learning_rate: float | None
    learning_rate_decay: float | None
    decay_every_steps: int | None
    style_layers: Iterable[str] | None
    """VGG-19 layers by their names from the paper: `relu4_1`."""
    content_layers: Iterable[str] | None
    initial_image: Literal["content", "noise"] | None
    seed: int | None
    weights: str | None
    """VGG-19 weights: `original`, `torchvision`, or `file:` and an absolute path."""
    tile_px: int | None
    """Side of the tiles of a large picture, a multiple of 16; left out: as the device's memory allows."""
    coarsest_px: int | None
    """Long side of the first scale, roughly; each further one doubles it. The result's size: one scale only."""
    result_format: Literal["PNG", "TIFF"] | None
    """How the server writes the result; left out: PNG."""
    bits_per_channel: Literal[8, 16] | None
    """Of the result's file; left out: 8."""
    device: str | None
    """`cuda:0`, `mps`, `cpu`; left out: the first that is free."""
    request_id: str | None
    """UUID of this request, to repeat it safely from another process; left out: a new one."""


PLAIN_PARAMETERS = (
    "size_px",
    "height_px",
    "width_px",
    "steps",
    "content_weight",
    "style_weight",
    "tv_weight",
    "learning_rate",
    "learning_rate_decay",
    "decay_every_steps",
    "seed",
    "weights",
    "tile_px",
    "coarsest_px",
)
EXCLUDED_BY: dict[str, tuple[Literal["size_px", "height_px", "width_px"], ...]] = {
    "size_px": ("height_px", "width_px"),
    "height_px": ("size_px",),
    "width_px": ("size_px",),
}
"""A size is said in one of two ways."""
INITIAL_IMAGES = {
    "content": job_pb2.INITIAL_IMAGE_CONTENT,
    "noise": job_pb2.INITIAL_IMAGE_NOISE,
}
RESULT_FORMATS = {"PNG": image_pb2.IMAGE_FORMAT_PNG, "TIFF": image_pb2.IMAGE_FORMAT_TIFF}
PREVIEW_FORMATS = {
    "": image_pb2.IMAGE_FORMAT_UNSPECIFIED,
    "jpeg": image_pb2.IMAGE_FORMAT_JPEG,
    "png": image_pb2.IMAGE_FORMAT_PNG,
    "webp": image_pb2.IMAGE_FORMAT_WEBP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewOptions:
    """Which previews a watcher wants; 0 and empty mean the server's choice."""

    max_size_px: int = 0
    """Longest side, 16 to 4096; the server's choice is 512. Never larger than the scale being painted."""
    format: Literal["", "jpeg", "png", "webp"] = ""
    max_per_second: float = 0.0
    """Above 0 to 60; the server's choice is 4."""
    quality: int = 0
    """Of JPEG and WebP, 1 to 100; the server's choice is 85."""


@dataclass(frozen=True, slots=True)
class WeightedStyle:
    """One style of a mixture: a picture or the name of a gallery style."""

    source: Picture
    gallery_style: str
    """Empty if `source` is a picture."""
    weight: float | None


def sort_styles(style: Styles) -> list[WeightedStyle]:
    """What a caller gave as style, one by one. Raises ParameterError for what can't be meant."""
    if isinstance(style, Mapping):
        pairs = [(cast(Style, source), weight) for source, weight in style.items()]
        styles = [weighted_style(source, weight) for source, weight in pairs]
    elif isinstance(style, list | tuple):
        styles = [
            weighted_style(*entry) if isinstance(entry, tuple) and len(entry) == 2 else weighted_style(entry)
            for entry in style
        ]
    else:
        styles = [weighted_style(cast(Style, style))]
    if not styles:
        raise ParameterError("At least one style is wanted.", field="spec.styles")
    return styles


def weighted_style(source: Style, weight: float | None = None) -> WeightedStyle:
    """One style; a string that is no file but looks like a name is looked up in the server's gallery."""
    if weight is not None and not isinstance(weight, int | float):
        raise ParameterError(f"A style's weight has to be a number, not {weight!r}.", field="spec.styles.weight")
    if isinstance(source, str) and not IMAGE_NAME.fullmatch(source) and not Path(source).is_file():
        if GALLERY_NAME.fullmatch(source):
            return WeightedStyle(source, source, weight)
        raise ImageFileNotFoundError(
            f"There is no file {source}, and it is no name of a gallery style (`impasto styles` lists them).",
            field="spec.styles",
        )
    return WeightedStyle(source, "", weight)


@contextlib.contextmanager
def about(field: str) -> Iterator[None]:
    """Errors about an upload say which of the request's pictures it was."""
    try:
        yield
    except ImageError as error:
        error.field = field
        raise


def check_options(options: JobOptions, caller: str) -> None:
    """Raises TypeError for a keyword that doesn't exist, as Python would, with the nearest that does."""
    for name in options:
        if name not in JobOptions.__annotations__:
            near = difflib.get_close_matches(name, JobOptions.__annotations__, n=1)
            hint = f". Did you mean '{near[0]}'?" if near else ""
            raise TypeError(f"{caller}() got an unexpected keyword argument '{name}'{hint}")


def create_job_request(
    content: StoredImage, styles: Sequence[job_pb2.Style], options: JobOptions
) -> stylizer_pb2.CreateJobRequest:
    """The message that queues a job; it always has a request id, so that it can be sent again."""
    spec = job_pb2.JobSpec(
        content=content.name,
        styles=styles,
        recipe=options.get("recipe") or "",
        parameters=parameters(sized(options, content)),
        device=options.get("device") or "",
        result=result_options(options),
    )
    return stylizer_pb2.CreateJobRequest(spec=spec, request_id=options.get("request_id") or str(uuid.uuid4()))


def continue_request(job: job_pb2.Job, options: JobOptions) -> stylizer_pb2.CreateJobRequest:
    """The message that queues a job like `job`, but for `options`, that goes on from where `job` ended."""
    spec = job_pb2.JobSpec()
    spec.CopyFrom(job.spec)
    spec.continue_from = job.name
    spec.recipe = options.get("recipe") or spec.recipe
    spec.device = options.get("device") or spec.device
    if options.get("size") is not None:
        raise ParameterError("A continued job has the size of the one before it: size can't be said.", field="size")
    changes = parameters(options)
    for field, _ in changes.ListFields():
        spec.parameters.ClearField(field.name)  # type: ignore[arg-type]
        for other in EXCLUDED_BY.get(field.name, ()):
            spec.parameters.ClearField(other)
    spec.parameters.MergeFrom(changes)
    if (result := result_options(options)) is not None:
        spec.result.MergeFrom(result)
    return stylizer_pb2.CreateJobRequest(spec=spec, request_id=options.get("request_id") or str(uuid.uuid4()))


def sized(options: JobOptions, content: StoredImage) -> JobOptions:
    """The options with `size` in pixels. Raises ParameterError if it is neither left out nor `full`, or not alone."""
    size = options.get("size")
    if size is None:
        return options
    if size != "full":
        raise ParameterError(f"size can only be 'full', not {size!r}; size_px says it in pixels.", field="size")
    for name in ("size_px", "height_px", "width_px"):
        if name in options and options[name] is not None:
            raise ParameterError(f"size='full' and {name} exclude each other.", field="size")
    if not content.width_px:
        raise ParameterError(
            f"size='full' needs the size of {content.name}: give the picture itself, or what `upload` returned.",
            field="size",
        )
    return {**options, "size_px": max(content.width_px, content.height_px)}


def result_options(options: JobOptions) -> job_pb2.ResultOptions | None:
    """How the result is to be written; None if nothing was said. Raises ParameterError."""
    result_format, bits = options.get("result_format"), options.get("bits_per_channel")
    if result_format is None and bits is None:
        return None
    if result_format is not None and result_format not in RESULT_FORMATS:
        raise ParameterError(f"A result can be PNG or TIFF, not {result_format!r}.", field="spec.result.format")
    if bits is not None and bits not in (8, 16):
        raise ParameterError(
            f"A result can have 8 or 16 bits a channel, not {bits!r}.", field="spec.result.bits_per_channel"
        )
    return job_pb2.ResultOptions(
        format=RESULT_FORMATS[result_format] if result_format else image_pb2.IMAGE_FORMAT_UNSPECIFIED,
        bits_per_channel=bits or 0,
    )


def parameters(options: JobOptions) -> job_pb2.Parameters:
    """Departures from the recipe. Raises ParameterError for what doesn't fit a field at all."""
    message = job_pb2.Parameters()
    values = cast(Mapping[str, object], options)
    for name in PLAIN_PARAMETERS:
        if (value := values.get(name)) is not None:
            try:
                setattr(message, name, value)
            except (TypeError, ValueError) as error:
                raise ParameterError(f"{name} can't be {value!r}: {error}.", field=f"spec.parameters.{name}") from None
    for name in ("style_layers", "content_layers"):
        layers = values.get(name)
        if isinstance(layers, str):
            raise ParameterError(
                f"{name} has to be a list of layers, not the string {layers!r}.",
                field=f"spec.parameters.{name}",
            )
        if layers is not None:
            getattr(message, name).extend(layers)
    if (initial_image := options.get("initial_image")) is not None:
        if initial_image not in INITIAL_IMAGES:
            raise ParameterError(
                f"initial_image can be content or noise, not {initial_image!r}.",
                field="spec.parameters.initial_image",
            )
        message.initial_image = INITIAL_IMAGES[initial_image]
    return message


def style_message(style: WeightedStyle, image: str) -> job_pb2.Style:
    """One style of a spec; `image` is the upload's name, and empty for a gallery style."""
    message = job_pb2.Style(weight=style.weight)
    if style.gallery_style:
        message.gallery_style = style.gallery_style
    else:
        message.image = image
    return message


def watch_request(name: str, after_sequence: int, previews: PreviewOptions | None) -> stylizer_pb2.WatchJobRequest:
    """The message that follows a job from where the reader stands."""
    request = stylizer_pb2.WatchJobRequest(name=name, after_sequence=after_sequence)
    if previews is not None:
        if previews.format not in PREVIEW_FORMATS:
            raise ParameterError(
                f"Previews can be jpeg, png or webp, not {previews.format!r}.", field="previews.format"
            )
        request.previews.max_size_px = previews.max_size_px
        request.previews.format = PREVIEW_FORMATS[previews.format]
        request.previews.max_per_second = previews.max_per_second
        request.previews.quality = previews.quality
        request.previews.SetInParent()
    return request


def update_request(
    name: str, content_weight: float | None, style_weight: float | None, tv_weight: float | None
) -> stylizer_pb2.UpdateJobRequest:
    """The message that steers a job; weights that are None stay."""
    given = {"content_weight": content_weight, "style_weight": style_weight, "tv_weight": tv_weight}
    given = {field: value for field, value in given.items() if value is not None}
    if not given:
        raise ParameterError("Nothing to change: give content_weight, style_weight or tv_weight.", field="weights")
    request = stylizer_pb2.UpdateJobRequest(name=name)
    for field, value in given.items():
        setattr(request.weights, field, value)
        request.update_mask.paths.append(field)
    return request


def job_states(states: Iterable[JobState | str]) -> list[job_pb2.Job.State.ValueType]:
    """The contract's numbers. Raises ParameterError for what is no state."""
    known = [str(state) for state in JobState if state is not JobState.UNKNOWN]
    numbers = []
    for state in states:
        if state not in known:
            raise ParameterError(f"{str(state)!r} is no state of a job; known are {', '.join(known)}.", field="states")
        numbers.append(job_pb2.Job.State.Value(f"STATE_{state.upper()}"))
    return numbers


def job_name(name_or_id: str) -> str:
    """`jobs/{uuid}` of either form."""
    return name_or_id if "/" in name_or_id else f"jobs/{name_or_id}"


def named_image(name: str) -> StoredImage:
    """An image of which only the name is known."""
    return StoredImage(name=name, size_bytes=0, width_px=0, height_px=0, format="", has_alpha=False)


def expand_file_weights(weights: str) -> str:
    """`file:` and an absolute path for a path; names stay."""
    if weights.startswith("file:"):
        weights = weights.removeprefix("file:")
    elif os.sep not in weights and "." not in weights:
        return weights
    return f"file:{Path(weights).expanduser().absolute()}"
