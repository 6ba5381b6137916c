"""The store in memory, for simulation and rehearsal. It keeps the rules of the one in Redis."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from autoscaler.core.admission import Notice
from autoscaler.core.errors import LeaseLost
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry, order_entry, withdrawal_entry
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Order
from autoscaler.core.samples import Sample
from autoscaler.core.unit import Unit
from autoscaler.runtime.ports import Changes, Clock, Control, Heartbeat, Saved
from autoscaler.store.lease import Lead
from autoscaler.store.rules import HISTORY_LENGTH, JOURNAL_LENGTH, LEASE_S, old_days


@dataclass(kw_only=True, slots=True)
class MemoryState:
    """What several daemons share, as they would share one Redis."""

    instances: dict[str, Instance] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    ledger: dict[str, str] = field(default_factory=dict)
    journal: deque[Entry] = field(default_factory=lambda: deque(maxlen=JOURNAL_LENGTH))
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=HISTORY_LENGTH))
    heartbeats: dict[str, Heartbeat] = field(default_factory=dict)
    """Written by simulated workers, by instance id."""
    notice: Notice | None = None
    orders: dict[str, Order] = field(default_factory=dict)
    owner: str = ""
    """Who holds the lease, until `lease_until`."""
    lease_until: float = float("-inf")
    fence: int = 0


class MemoryStore:
    """One daemon's view of a `MemoryState`."""

    def __init__(self, state: MemoryState, owner: str, clock: Clock, ttl_s: float = LEASE_S) -> None:
        self._state = state
        self._owner = owner
        self._clock = clock
        self._ttl_s = ttl_s
        self._lead = Lead(ttl_s)

    def may_act(self) -> bool:
        """Whether the lease is certainly still ours, by the clock."""
        return self._lead.certain(self._clock.now())

    async def read(self) -> Control:
        """Take or renew the lease; read settings and heartbeats."""
        state, now = self._state, self._clock.now()
        free = now >= state.lease_until
        if free:
            state.owner, state.fence = self._owner, state.fence + 1
        ours = state.owner == self._owner
        if ours:
            state.lease_until = now + self._ttl_s
        return Control(
            leader=state.owner,
            leads=self._lead.answered(state.fence if ours else None, taken=free, asked_at=now),
            orders=tuple(state.orders.values()),
            heartbeats=dict(state.heartbeats),
        )

    async def load(self) -> Saved:
        """All records, when the lead was taken."""
        state = self._state
        return Saved(
            instances=tuple(state.instances[name] for name in sorted(state.instances)),
            documents=dict(state.documents),
            ledger=dict(state.ledger),
        )

    async def commit(self, changes: Changes) -> None:
        """Write all of it or nothing.

        Raises:
            LeaseLost: another daemon leads; nothing was written.
        """
        if not changes:
            return
        state = self._state
        if self._lead.fence is None or not self._holds(self._lead.fence):
            self._lead.lost()
            raise LeaseLost("this daemon does not hold the lease; nothing was written")
        state.instances.update((record.id, record) for record in changes.instances)
        for name in changes.forgotten:
            state.instances.pop(name, None)
            state.heartbeats.pop(name, None)
        for name in changes.disowned:
            state.instances.pop(name, None)
        for record in changes.instances:
            if record.phase is Phase.GONE:
                state.heartbeats.pop(record.id, None)
        state.documents.update(changes.documents)
        state.ledger.update(changes.ledger)
        for day in old_days(state.ledger):
            del state.ledger[day]
        for order in changes.dated_orders:
            if state.orders.get(order.name) == replace(order, until=None):
                state.orders[order.name] = order
        for order in changes.ended_orders:
            if state.orders.get(order.name) == order:
                del state.orders[order.name]
        state.journal.extend(changes.journal)
        state.samples.extend(changes.samples)
        state.notice = changes.notice or state.notice

    def _holds(self, fence: int) -> bool:
        state = self._state
        return (state.owner, state.fence) == (self._owner, fence) and self._clock.now() < state.lease_until

    async def journal(self, count: int) -> Sequence[Entry]:
        """The newest entries, newest first."""
        return list(islice(reversed(self._state.journal), count))

    async def samples(self, *, newest_first: bool = False) -> AsyncIterator[Sample]:
        """The history of about a month, oldest first unless told otherwise."""
        for sample in tuple(reversed(self._state.samples) if newest_first else self._state.samples):
            yield sample

    async def orders(self) -> Sequence[Order]:
        """What operators have ordered and not withdrawn."""
        return tuple(self._state.orders.values())

    async def give(self, order: Order) -> None:
        """Take an operator's order."""
        self._state.orders[order.name] = order
        self._state.journal.append(order_entry(order, "given", order.at))

    async def withdraw(self, name: str, *, by: str, why: str = "") -> bool:
        """Take an order back; gives whether there was one."""
        order = self._state.orders.pop(name, None)
        if order is not None:
            self._state.journal.append(withdrawal_entry(order, by, why, self._clock.now()))
        return order is not None

    async def led(self) -> Sequence[str]:
        """None: all pools are led by one lease here."""
        return ()

    def adapt(self, unit: Unit) -> None:
        """All pools are led by one lease here."""

    def should_yield(self, *, failing: bool) -> bool:  # noqa: ARG002 - the signature is the store's
        """Never: it does not count those who share it."""
        return False

    async def resign(self, *, stay: bool = False) -> None:  # noqa: ARG002 - as above
        """Give the lease back, if it is ours."""
        self._lead.lost()
        if self._state.owner == self._owner:
            self._state.owner, self._state.lease_until = "", float("-inf")

    async def close(self) -> None:
        """Nothing to let go of."""
