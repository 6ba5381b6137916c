"""How a vendor lets its machines, where vendors differ: what an emulator of one gives to the market."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """Terms; by default the mock's own."""

    bills_boot: bool = True
    """The GPU is billed while a machine starts or fails to; else only its disk is."""
    queues_starts: bool = False
    """A refused start is a pending order: the machine starts, and bills, once its GPU is free."""
    name: Callable[[str], str] = str
    """A machine's id from the one it would have here: `m1` and so on, `foreign-1` and so on."""


MOCK_TERMS = Terms()
