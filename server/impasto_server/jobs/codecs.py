"""Rows of the journal as JSON, and back: each kind of row says in `v` which version of its codec wrote it.

Every field is named here, so that a class can change its fields without a stored row changing its meaning. Rows without
`v` are those of schema 2 and before. Results have thumbnails since 4.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from impasto_server.codec import ImageFacts
from impasto_server.engine import Losses, Noticed, Progressed, ResultFormat, Steering
from impasto_server.recipes import Recipe

from .state import (
    Deaths,
    EventBody,
    Job,
    JobError,
    JobSpec,
    Result,
    State,
    StateChanged,
    StyleSource,
    Thumbnail,
    resolve,
)

_VERSION = 4

Plain = dict[str, Any]


def encode_spec(spec: JobSpec) -> str:
    """A spec, with the recipe that it came to."""
    return _dump(
        {
            "content": spec.content,
            "styles": [
                {"sha256": style.sha256, "gallery_style": style.gallery_style, "weight": style.weight}
                for style in spec.styles
            ],
            "recipe": spec.recipe,
            "parameters": dict(spec.parameters),
            "device": spec.device,
            "continue_from": spec.continue_from,
            "result_format": _encode_format(spec.result_format),
            "resolved": asdict(spec.resolved),
        }
    )


def decode_spec(text: str) -> JobSpec:
    """The spec again. One of an older server's is resolved by the recipes of this one: that is all there is."""
    plain = json.loads(text)
    parameters = {name: _tuple(value) for name, value in plain["parameters"].items()}
    continue_from = plain["continue_from"]
    if "v" in plain:
        resolved = _decode_recipe(plain["resolved"])
    else:
        resolved = resolve(plain["recipe"], parameters, continues=bool(continue_from))
    return JobSpec(
        content=plain["content"],
        styles=tuple(
            StyleSource(style["sha256"], style["gallery_style"], style["weight"]) for style in plain["styles"]
        ),
        recipe=plain["recipe"],
        resolved=resolved,
        parameters=parameters,
        device=plain["device"],
        continue_from=continue_from,
        # Journals of schema 1 don't say.
        result_format=_decode_format(plain.get("result_format") or _encode_format(ResultFormat())),
    )


def encode_body(body: EventBody) -> tuple[str, str]:
    """What happened: its kind, and the rest."""
    match body:
        case StateChanged():
            return "state", _dump(_encode_state(body))
        case Progressed():
            return "progress", json.dumps(_encode_progress(body), separators=(",", ":"))
        case Noticed():
            return "notice", _dump({"reason": body.reason, "message": body.message})
        case Result():
            return "result", _dump(_encode_result(body))


def decode_body(kind: str, text: str) -> EventBody:
    """What happened, again."""
    return _DECODERS[kind](json.loads(text))


def encode_standing(job: Job) -> str:
    """How a job stands, without what it is (its id, spec, owner and time of creation)."""
    return _dump(
        {
            "state": job.state.value,
            "start_time": job.start_time,
            "end_time": job.end_time,
            "attempt": job.attempt,
            "device": job.device,
            "progress": job.progress and _encode_progress(job.progress),
            "result": job.result and _encode_result(job.result),
            "error": job.error and _encode_error(job.error),
            "deaths": _encode_deaths(job.deaths),
            "last_sequence": job.last_sequence,
        }
    )


def decode_job(job_id: str, owner: str, spec: str, create_time: float, standing: str) -> Job:
    """The job again, as it stood after the event `last_sequence`."""
    plain = json.loads(standing)
    return Job(
        id=job_id,
        owner=owner,
        spec=decode_spec(spec),
        create_time=create_time,
        state=State(plain["state"]),
        start_time=plain["start_time"],
        end_time=plain["end_time"],
        attempt=plain["attempt"],
        device=plain["device"],
        progress=_optional(_decode_progress, plain["progress"]),
        result=_optional(_decode_result, plain["result"]),
        error=_optional(_decode_error, plain["error"]),
        deaths=_optional(_decode_deaths, plain.get("deaths")) or Deaths(),
        last_sequence=plain["last_sequence"],
    )


def encode_steering(steering: Steering) -> str:
    """Weights that were changed."""
    weights = {
        "content_weight": steering.content_weight,
        "style_weight": steering.style_weight,
        "tv_weight": steering.tv_weight,
    }
    return _dump({name: value for name, value in weights.items() if value is not None})


def decode_steering(text: str) -> Steering:
    """The weights again."""
    plain = json.loads(text)
    return Steering(plain.get("content_weight"), plain.get("style_weight"), plain.get("tv_weight"))


def encode_facts(facts: ImageFacts) -> str:
    """What an image's header said."""
    return _dump(_encode_facts(facts))


def decode_facts(text: str) -> ImageFacts:
    """The facts again."""
    return _decode_facts(json.loads(text))


def _encode_state(body: StateChanged) -> Plain:
    return {
        "state": body.state.value,
        "queue_position": body.queue_position,
        "device": body.device,
        "error": body.error and _encode_error(body.error),
        "deaths": body.deaths and _encode_deaths(body.deaths),
    }


def _decode_state(plain: Plain) -> StateChanged:
    return StateChanged(
        State(plain["state"]),
        plain["queue_position"],
        plain["device"],
        _optional(_decode_error, plain["error"]),
        _optional(_decode_deaths, plain.get("deaths")),
    )


def _encode_progress(progress: Progressed) -> list[Any]:
    """Without names: of these there are many."""
    losses = progress.losses
    return [
        _VERSION,
        *(progress.scale, progress.scales, progress.step, progress.steps, progress.height_px, progress.width_px),
        *(losses.content, losses.style, losses.tv, losses.total),
        *(progress.steps_per_second, progress.seconds_left, int(progress.ends_scale)),
    ]


def _decode_progress(plain: list[Any] | Plain) -> Progressed:
    if isinstance(plain, list):
        _version, scale, scales, step, steps, height_px, width_px, *losses, rate, left, ends_scale = plain
        return Progressed(
            scale, scales, step, steps, height_px, width_px, Losses(*losses), rate, left, bool(ends_scale)
        )
    # Until schema 2 each value had its name.
    losses = plain["losses"]
    return Progressed(
        scale=plain["scale"],
        scales=plain["scales"],
        step=plain["step"],
        steps=plain["steps"],
        height_px=plain["height_px"],
        width_px=plain["width_px"],
        losses=Losses(losses["content"], losses["style"], losses["tv"], losses["total"]),
        steps_per_second=plain["steps_per_second"],
        seconds_left=plain["seconds_left"],
    )


def _encode_result(result: Result) -> Plain:
    return {
        "sha256": result.sha256,
        "step": result.step,
        "partial": result.partial,
        "size_bytes": result.size_bytes,
        "facts": _encode_facts(result.facts),
        "thumbnail": result.thumbnail and _encode_thumbnail(result.thumbnail),
    }


def _decode_result(plain: Plain) -> Result:
    return Result(
        plain["sha256"],
        plain["step"],
        plain["partial"],
        plain["size_bytes"],
        _decode_facts(plain["facts"]),
        _optional(_decode_thumbnail, plain.get("thumbnail")),
    )


def _encode_thumbnail(thumbnail: Thumbnail) -> Plain:
    facts = _encode_facts(thumbnail.facts)
    return {"sha256": thumbnail.sha256, "size_bytes": thumbnail.size_bytes, "facts": facts}


def _decode_thumbnail(plain: Plain) -> Thumbnail:
    return Thumbnail(plain["sha256"], plain["size_bytes"], _decode_facts(plain["facts"]))


def _encode_facts(facts: ImageFacts) -> Plain:
    return {
        "format": facts.format,
        "width_px": facts.width_px,
        "height_px": facts.height_px,
        "has_alpha": facts.has_alpha,
    }


def _decode_facts(plain: Plain) -> ImageFacts:
    return ImageFacts(plain["format"], plain["width_px"], plain["height_px"], plain["has_alpha"])


def _decode_notice(plain: Plain) -> Noticed:
    return Noticed(plain["reason"], plain["message"])


def _encode_error(error: JobError) -> Plain:
    return {"reason": error.reason, "message": error.message}


def _decode_error(plain: Plain) -> JobError:
    return JobError(plain["reason"], plain["message"])


def _encode_deaths(deaths: Deaths) -> Plain:
    return {
        "crashes": deaths.crashes,
        "kills": deaths.kills,
        "of_memory": deaths.of_memory,
        "step": deaths.step,
        "workers": sorted(deaths.workers),
    }


def _decode_deaths(plain: Plain) -> Deaths:
    return Deaths(plain["crashes"], plain["kills"], plain["of_memory"], plain["step"], frozenset(plain["workers"]))


def _encode_format(result_format: ResultFormat) -> Plain:
    return {"format": result_format.format, "bits_per_channel": result_format.bits_per_channel}


def _decode_format(plain: Plain) -> ResultFormat:
    return ResultFormat(plain["format"], plain["bits_per_channel"])


def _decode_recipe(plain: Plain) -> Recipe:
    """A field that has come since has its default: what a recipe without it meant."""
    known = {field.name: field for field in fields(Recipe)}
    missing = [name for name, field in known.items() if name not in plain and field.default is MISSING]
    if missing:
        raise ValueError(f"a recipe without {', '.join(missing)}")
    values: dict[str, Any] = {name: _tuple(value) for name, value in plain.items() if name in known}
    return Recipe(**values)


_DECODERS: Mapping[str, Callable[[Any], EventBody]] = {
    "state": _decode_state,
    "progress": _decode_progress,
    "notice": _decode_notice,
    "result": _decode_result,
}


def _dump(plain: Plain) -> str:
    return json.dumps({"v": _VERSION, **plain}, sort_keys=True, separators=(",", ":"))


def _optional(decode: Callable[[Any], Any], plain: Any) -> Any:
    return None if plain is None else decode(plain)


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
