"""An emulated RunPod: REST v2 and GraphQL, for one account in a small market."""

from __future__ import annotations

import random
from collections.abc import Callable

from autoscaler.emulate.base import Emulator
from autoscaler.emulate.runpod.emulator import RunPod
from autoscaler.emulate.runpod.quirks import Quirk
from autoscaler.emulate.runpod.settings import Emulation


def make(settings: Emulation, *, now: Callable[[], float], rng: random.Random) -> Emulator:
    """An emulated RunPod.

    Raises:
        SettingsError: the scenario file is bad.
    """
    return RunPod(settings, now=now, rng=rng)


__all__ = ["Emulation", "Quirk", "make"]
