"""Jobs, specs and events as JSON, and back: the form in which the journal keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from impasto_server.engine import Losses, Noticed, Progressed, ResultFormat, Steering

from .state import EventBody, Job, JobError, JobSpec, Result, State, StateChanged, StyleSource


def encode_spec(spec: JobSpec) -> str:
    """A spec; equal specs give equal text."""
    return _dump(asdict(spec))


def decode_spec(text: str) -> JobSpec:
    """The spec again."""
    plain = json.loads(text)
    parameters = plain["parameters"].items()
    return JobSpec(
        content=plain["content"],
        styles=tuple(StyleSource(**style) for style in plain["styles"]),
        recipe=plain["recipe"],
        parameters={name: tuple(value) if isinstance(value, list) else value for name, value in parameters},
        device=plain["device"],
        continue_from=plain["continue_from"],
        # Journals of schema 1 don't say.
        result_format=ResultFormat(**plain.get("result_format", {})),
    )


def encode_body(body: EventBody) -> tuple[str, str]:
    """What happened: its kind, and the rest."""
    plain = asdict(body)
    if isinstance(body, StateChanged):
        plain["state"] = body.state.value
    return _KINDS[type(body)], _dump(plain)


def decode_body(kind: str, text: str) -> EventBody:
    """What happened, again."""
    return _DECODERS[kind](json.loads(text))


def encode_standing(job: Job) -> str:
    """How a job stands, without what it is (its id, spec, owner and time of creation)."""
    plain = asdict(replace(job, spec=_NO_SPEC))
    for name in _IDENTITY:
        del plain[name]
    plain["state"] = job.state.value
    return _dump(plain)


def decode_job(job_id: str, owner: str, spec: str, create_time: float, standing: str) -> Job:
    """The job again."""
    plain = json.loads(standing)
    return Job(
        id=job_id,
        owner=owner,
        spec=decode_spec(spec),
        create_time=create_time,
        **plain
        | {
            "state": State(plain["state"]),
            "progress": _optional(_progress, plain["progress"]),
            "result": _optional(_result, plain["result"]),
            "error": _optional(_error, plain["error"]),
        },
    )


def encode_steering(steering: Steering) -> str:
    """Weights that were changed."""
    return _dump({name: value for name, value in asdict(steering).items() if value is not None})


def decode_steering(text: str) -> Steering:
    """The weights again."""
    return Steering(**json.loads(text))


_IDENTITY = ("id", "owner", "spec", "create_time")
_NO_SPEC = JobSpec("", (), "")
_KINDS: Mapping[type[EventBody], str] = {
    StateChanged: "state",
    Progressed: "progress",
    Noticed: "notice",
    Result: "result",
}


def _dump(plain: object) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def _optional(decode: Callable[[Any], Any], plain: Any) -> Any:
    return None if plain is None else decode(plain)


def _progress(plain: dict[str, Any]) -> Progressed:
    return Progressed(**plain | {"losses": Losses(**plain["losses"])})


def _result(plain: dict[str, Any]) -> Result:
    return Result(**plain)


def _notice(plain: dict[str, Any]) -> Noticed:
    return Noticed(**plain)


def _error(plain: dict[str, Any]) -> JobError:
    return JobError(**plain)


def _state(plain: dict[str, Any]) -> StateChanged:
    return StateChanged(**plain | {"state": State(plain["state"]), "error": _optional(_error, plain["error"])})


_DECODERS: Mapping[str, Callable[[Any], EventBody]] = {
    "state": _state,
    "progress": _progress,
    "notice": _notice,
    "result": _result,
}
