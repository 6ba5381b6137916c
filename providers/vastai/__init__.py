"""Vast.ai: a market of other people's GPUs, on demand and by bids."""

from providers.http import Service
from providers.kind import Means, ProviderKind
from providers.vastai.adapter import CAPABILITIES, VastProvider
from providers.vastai.client import SPACING_S
from providers.vastai.hooks import hear
from providers.vastai.settings import VastSettings


def _make(name: str, settings: VastSettings, means: Means) -> VastProvider:
    service = Service(url=settings.url, key=settings.api_key, spacing_s=SPACING_S)
    return VastProvider(name, settings, means.http(service), means.now)


KIND = ProviderKind(settings=VastSettings, capabilities=CAPABILITIES, make=_make, hear=hear)

__all__ = ["KIND", "VastProvider", "VastSettings"]
