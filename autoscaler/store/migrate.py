"""From the stored forms of older versions to those of this one, by the daemon that takes the lead.

The key `version` says in which forms a fleet's state lies; where there is none, version 1 wrote it, or nobody yet. A
program refuses what a newer one wrote. Records, journal and history carry their version as well, for the programs of
version 1, which do not know the key.

Forms that only gained fields need no step here: fields that are missing have defaults. Such is version 3, whose books
say what money was for: programs of version 2 cannot read those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from autoscaler.core.errors import NewerRecords
from autoscaler.core.instance import RECORD_VERSION
from autoscaler.core.orders import Order, OrderKind
from autoscaler.link import Command
from autoscaler.store.codec import encode_order
from autoscaler.store.keys import Keys


def is_older(stored: bytes | None) -> bool:
    """Whether what is stored was written in older forms than ours; `stored` is what lies in the key `version`.

    Raises:
        NewerRecords: a newer program wrote it.
    """
    version = int(stored) if stored and stored.isdigit() else 1
    if version > RECORD_VERSION:
        raise NewerRecords(
            f"the fleet's state has version {version}, and this program reads versions up to {RECORD_VERSION}: "
            "run the newer program that wrote it"
        )
    return version < RECORD_VERSION


def migration(settings: Mapping[str, bytes], keys: Keys, now: float) -> Iterator[Command]:
    """What brings the forms of version 1 to ours: its pause was two fields of a hash, and is an order now."""
    if settings.get("paused") == b"1":
        by = settings.get("paused_by", b"").decode(errors="replace") or "an operator"
        pause = Order(kind=OrderKind.PAUSE, by=by, at=now)
        yield ("HSETNX", keys.orders, pause.name, encode_order(pause))
    yield ("DEL", keys.settings)
    yield ("SET", keys.version, RECORD_VERSION)
