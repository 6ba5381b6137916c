"""RunPod: pods by its REST API v2, and by GraphQL what that lacks."""

from providers.kind import Means, ProviderKind
from providers.runpod.adapter import CAPABILITIES, RunpodProvider
from providers.runpod.settings import RunpodSettings


def _make(name: str, settings: RunpodSettings, means: Means) -> RunpodProvider:
    return RunpodProvider(name, settings, means)


KIND = ProviderKind(settings=RunpodSettings, capabilities=CAPABILITIES, make=_make)

__all__ = ["KIND", "RunpodProvider", "RunpodSettings"]
