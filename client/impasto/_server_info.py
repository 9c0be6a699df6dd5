"""What a server is and offers, as frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from impasto._events import StoredImage, read_format, read_image
from impasto.v1 import server_info_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Something that paints."""

    name: str
    """`cuda:0`, `mps`, `cpu`."""
    description: str
    memory_bytes: int
    """0 if unknown."""
    busy: bool
    starting: bool
    """True for the first seconds of a server, until it is known what the device is."""
    notices: tuple[str, ...] = ()
    """What it isn't trusted with, a sentence each: faster ways of painting that went wrong on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A source of VGG-19 weights."""

    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A way of painting."""

    name: str
    summary: str
    defaults: Mapping[str, str]
    """Its values of the parameters, as text, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What a parameter of a job may hold."""

    name: str
    description: str
    unit: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server refuses."""

    max_image_bytes: int
    max_image_pixels: int
    max_size_px: int
    max_queued_jobs: int
    image_formats: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryStyle:
    """A style that comes with the server; `Client.submit` takes its name as a style."""

    name: str
    title: str
    description: str
    image: StoredImage
    """The picture; `Client.download` fetches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """A server and what it offers. Recipes and weights have the server's default first."""

    version: str
    contract_revision: int
    devices: tuple[Device, ...]
    weights: tuple[Weights, ...]
    recipes: tuple[Recipe, ...]
    parameters: tuple[Parameter, ...]
    layers: tuple[str, ...]
    """Layers of VGG-19 that can be compared, the shallowest first."""
    limits: Limits
    gallery: tuple[GalleryStyle, ...]
    queued_jobs: int
    running_jobs: int


def read_server_info(message: server_info_pb2.ServerInfo) -> ServerInfo:
    """The record of a server's answer."""
    limits = message.limits
    return ServerInfo(
        version=message.version,
        contract_revision=message.contract_revision,
        devices=tuple(
            Device(
                name=d.name,
                description=d.description,
                memory_bytes=d.memory_bytes,
                busy=d.busy,
                starting=d.starting,
                notices=tuple(d.notices),
            )
            for d in message.devices
        ),
        weights=tuple(Weights(name=w.name, description=w.description) for w in message.weights),
        recipes=tuple(
            Recipe(name=r.name, summary=r.summary, defaults=MappingProxyType(dict(r.defaults))) for r in message.recipes
        ),
        parameters=tuple(read_parameter(p) for p in message.parameters),
        layers=tuple(message.layers),
        limits=Limits(
            max_image_bytes=limits.max_image_bytes,
            max_image_pixels=limits.max_image_pixels,
            max_size_px=limits.max_size_px,
            max_queued_jobs=limits.max_queued_jobs,
            image_formats=tuple(read_format(f) for f in limits.image_formats),
        ),
        gallery=tuple(
            GalleryStyle(name=g.name, title=g.title, description=g.description, image=read_image(g.image))
            for g in message.gallery
        ),
        queued_jobs=message.queued_jobs,
        running_jobs=message.running_jobs,
    )


def read_parameter(message: server_info_pb2.Parameter) -> Parameter:
    """The record of a parameter's range."""
    return Parameter(
        name=message.name,
        description=message.description,
        unit=message.unit,
        minimum=message.minimum if message.HasField("minimum") else None,
        maximum=message.maximum if message.HasField("maximum") else None,
        choices=tuple(message.choices),
    )
