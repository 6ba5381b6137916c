"""The settings of a RunPod account, as written under `providers`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import AtLeast, Seconds, Secret, Written
from providers.http import api_url

_API = "https://api.runpod.io"
_LIFE = AtLeast(4 * 3600.0, "4h or more, such as 24h: a machine must have time to serve before it ends")
"""Up to 105 minutes before its end, a machine's successor is set up."""


def _parse_path(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"/\S+", value):
        return value
    raise ValueError("expected an absolute path in the container, such as /workspace")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunpodSettings:
    """An account at RunPod."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["runpod"] = "runpod"
    api_key: Secret
    """It needs the right to pods; to GraphQL, too, for spot machines, `terminate_after` and the balance."""
    url: Annotated[str, api_url(_API, "http://127.0.0.1:8086")] = _API
    """Where the API is; an emulator in a rehearsal."""
    registry: str | None = None
    """The id of a registry credential that is stored at RunPod, for private images."""
    volume_path: Annotated[str, Written(_parse_path, "/workspace")] = "/workspace"
    """Where `machine.disk_gb` is mounted: the one disk that outlives a stop."""
    container_disk_gb: Annotated[int, Field(ge=1)] = 50
    """Disk for all else in the container, in GB: wiped by a stop, and billed while the machine runs."""
    terminate_after: Annotated[Seconds, _LIFE] | None = None
    """RunPod itself deletes each machine this long after it was rented, whatever becomes of this daemon; never when
    absent."""
