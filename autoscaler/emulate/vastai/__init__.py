"""Vast.ai as its customers meet it: its REST API over the mock market, with its statuses, its bills and its quirks.

Where the documents, the official client and customers' reports disagree, the commonest behaviour is the default and
the others are quirks. Tags in brackets say where a behaviour is from: [docs] the vendor's documents and OpenAPI files,
[client] the official command line client, [reports] published code and logs of customers.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from autoscaler.emulate.base import Telling
from autoscaler.emulate.vastai.emulator import VastEmulator
from autoscaler.emulate.vastai.settings import Emulation, Quirk


def make(settings: Emulation, *, now: Callable[[], float], rng: random.Random) -> Telling:
    """A Vast.ai with one account, whose market opens with the first request."""
    return VastEmulator(settings, now=now, rng=rng)


__all__ = ["Emulation", "Quirk", "VastEmulator", "make"]
