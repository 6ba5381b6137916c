"""The bodies that REST v2 takes. They are closed: what is not here is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from autoscaler.emulate.runpod.pods import Cloud
from autoscaler.emulate.runpod.refusals import Refusal

T = TypeVar("T")
_CLOSED: dict[str, Any] = {"extra": "forbid", "alias_generator": to_camel, "strict": True}
_MOST_BYTES = 102_400


def _not_null(value: object) -> object:
    if value is None:
        raise ValueError("null is not allowed")
    return value


AtLeastOne = Annotated[int, Field(ge=1)]
NotEmpty = Annotated[str, Field(min_length=1)]
NOT_NULL = BeforeValidator(_not_null)
"""For what may be left out, and then is None, but may not be null."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PersistentMount:
    """A disk on the pod's host that outlives a stop."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED

    size: Annotated[int, Field(ge=10)]
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkMount:
    """A network volume."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED

    volume_id: str
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Mounts:
    """What is mounted."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED

    persistent: Annotated[PersistentMount | None, NOT_NULL] = None
    network: Annotated[list[NetworkMount], Field(max_length=1)] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """A GPU pod's GPUs."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED

    id: str
    count: AtLeastOne = 1
    allowed_cuda_versions: list[str] = field(default_factory=list)
    min_cuda_version: str = ""
    min_ram_per_gpu: AtLeastOne = 1
    min_vcpu_count_per_gpu: AtLeastOne = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Cpu:
    """A CPU pod's processors."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED

    id: NotEmpty
    vcpu_count: Annotated[int, Field(ge=2)]


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatePod:
    """POST /v2/pods."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED

    name: NotEmpty
    image: str = ""
    gpu: Annotated[Gpu | None, NOT_NULL] = None
    cpu: Annotated[Cpu | None, NOT_NULL] = None
    cloud: Cloud = "SECURE"
    data_center_ids: list[str] = field(default_factory=list)
    disk: Annotated[AtLeastOne | None, NOT_NULL] = None
    mounts: Mounts = field(default_factory=Mounts)
    ports: list[str] = field(default_factory=list)
    env: Mapping[str, str] = field(default_factory=dict)
    args: str = ""
    cmd: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    registry: str | None = None
    template_id: str = ""
    global_networking: bool = False
    start_ssh: bool = False
    start_jupyter: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class UpdatePod:
    """PATCH /v2/pods/{id}."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED

    name: Annotated[NotEmpty | None, NOT_NULL] = None
    locked: Annotated[bool | None, NOT_NULL] = None
    image: Annotated[str | None, NOT_NULL] = None
    args: Annotated[str | None, NOT_NULL] = None
    disk: Annotated[AtLeastOne | None, NOT_NULL] = None
    ports: Annotated[list[str] | None, NOT_NULL] = None
    env: Annotated[Mapping[str, str] | None, NOT_NULL] = None
    registry: str | None = None
    mounts: Annotated[Mounts | None, NOT_NULL] = None
    global_networking: Annotated[bool | None, NOT_NULL] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ActOnPod:
    """POST /v2/pods/{id}/action."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED

    action: Literal["start", "stop", "restart", "terminate"]


CREATE, UPDATE, ACT = TypeAdapter(CreatePod), TypeAdapter(UpdatePod), TypeAdapter(ActOnPod)


def read_body(kind: TypeAdapter[T], body: bytes) -> T:
    """A request's body.

    Raises:
        Refusal: it is too large, no JSON, or not of this kind.
    """
    if len(body) > _MOST_BYTES:
        raise Refusal(413, f"request body exceeds {_MOST_BYTES} bytes")
    try:
        return kind.validate_json(body)
    except ValidationError as error:
        problems = [_problem(details) for details in error.errors()]
        raise Refusal(422, "request body failed validation", errors=tuple(problems)) from None


def _problem(details: Any) -> str:
    *parents, last = details["loc"] or ("",)
    where = "".join(f"/{part}" for part in parents)
    if details["type"] == "unexpected_keyword_argument":
        return f"${where}: additional properties '{last}' not allowed"
    return f"${where}/{last}: {details['msg']}" if last != "" else f"$: {details['msg']}"
