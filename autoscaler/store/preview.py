"""A store that only looks: for `autoscaler plan`, which must leave no trace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from autoscaler.core.journal import Entry
from autoscaler.core.orders import Order
from autoscaler.core.samples import Sample
from autoscaler.core.unit import Unit
from autoscaler.runtime.ports import Changes, Control, Saved
from autoscaler.store.redis import RedisStore


class PreviewStore:
    """Reads as the leader would; takes no lease, writes nothing, and lets no call be made."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    def may_act(self) -> bool:
        """Never."""
        return False

    async def read(self) -> Control:
        """Settings and heartbeats, as if this daemon led."""
        return await self._store.peek()

    async def load(self) -> Saved:
        """All records."""
        return await self._store.load()

    async def commit(self, changes: Changes) -> None:
        """Write nothing."""

    async def journal(self, count: int) -> Sequence[Entry]:
        """The newest entries, newest first."""
        return await self._store.journal(count)

    def samples(self, *, newest_first: bool = False) -> AsyncIterator[Sample]:
        """The history of about a month, oldest first unless told otherwise."""
        return self._store.samples(newest_first=newest_first)

    async def orders(self) -> Sequence[Order]:
        """What operators have ordered and not withdrawn."""
        return await self._store.orders()

    async def give(self, order: Order) -> None:
        """Write nothing."""

    async def withdraw(self, name: str, *, by: str, why: str = "") -> bool:  # noqa: ARG002 - the signature is the store's
        """Write nothing."""
        return False

    async def led(self) -> Sequence[str]:
        """Pools that are led one by one."""
        return await self._store.led()

    def adapt(self, unit: Unit) -> None:
        """Go on with other pools."""
        self._store.adapt(unit)

    def should_yield(self, *, failing: bool) -> bool:  # noqa: ARG002 - as above
        """There is nothing to give back."""
        return False

    async def resign(self, *, stay: bool = False) -> None:
        """There is no lease to give back."""

    async def close(self) -> None:
        """Let go of the connection."""
        await self._store.close()
