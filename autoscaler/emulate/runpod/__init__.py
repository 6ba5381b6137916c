"""RunPod as its customers meet it: its REST API, version 2, and its GraphQL over the mock market."""

from __future__ import annotations

import random
from collections.abc import Callable

from autoscaler.core.errors import SettingsError
from autoscaler.emulate.base import Telling
from autoscaler.emulate.runpod.quirks import Quirk
from autoscaler.emulate.runpod.settings import Emulation


def make(settings: Emulation, *, now: Callable[[], float], rng: random.Random) -> Telling:
    """An emulated RunPod.

    Raises:
        SettingsError: graphql-core is not installed.
    """
    try:
        from autoscaler.emulate.runpod.emulator import RunPod
    except ModuleNotFoundError as error:
        if error.name != "graphql":
            raise
        raise SettingsError("the emulated RunPod needs graphql-core: pip install 'gpu-autoscaler[emulate]'") from error
    return RunPod(settings, now=now, rng=rng)


__all__ = ["Emulation", "Quirk", "make"]
