"""The settings of a Vast.ai account, as written under `providers`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import AtLeast, Seconds, Secret
from providers.http import api_url

_CONSOLE = "https://console.vast.ai"
_RENTAL = AtLeast(4 * 3600.0, "4h or more, such as 1d: a machine must have time to serve before its contract ends")
"""Up to 105 minutes before its end, a machine's successor is set up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VastSettings:
    """An account at Vast.ai."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["vastai"] = "vastai"
    api_key: Secret
    """Its rights should be `instance_read`, `instance_write`, `misc` (the search), `user_read` (the balance) and
    `billing_read` (the charges), and no others."""
    url: Annotated[str, api_url(_CONSOLE, "http://127.0.0.1:8085")] = _CONSOLE
    """Where the API is; an emulator in a rehearsal."""
    verified: bool = True
    """Rent only machines that Vast.ai has verified."""
    min_reliability: Annotated[float, Field(ge=0, le=1)] = 0.95
    """The least reliability of a host, by Vast.ai's own figure, 0 to 1."""
    min_rental: Annotated[Seconds, _RENTAL] = 86400.0
    """How long an offer must be for rent at least: at its end the machine stops, and cannot be started again."""
    min_download_mbps: Annotated[float, Field(ge=0)] = 200.0
    """The least download speed of a host in Mb/s: an image of 20 GB takes 13 minutes at 200."""
    min_cuda: Annotated[float, Field(ge=0)] = 12.8
    """The least CUDA version that a host's driver must know: an image that needs a newer one never starts there. Cards
    of the Blackwell generation need 12.8."""
    webhook_secret: Secret | None = None
    """What Vast.ai signs its notification webhooks with; without it none is listened to."""
    image_login: Secret | None = None
    """For images in a private registry: `-u USER -p TOKEN REGISTRY`."""
