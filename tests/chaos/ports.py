"""The ports of a daemon in the fault simulation: its store, its provider and its queue, and what they note down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from autoscaler.core.decision import Action
from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.instance import Instance, parse_label
from autoscaler.core.journal import Entry
from autoscaler.core.lifecycle import ON_THE_WAY, Phase
from autoscaler.core.market import Listing, Offer
from autoscaler.core.orders import Order
from autoscaler.core.samples import Sample
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.ports import Changes, Control, Saved, Store
from autoscaler.store.memory import MemoryState
from providers.base import Provider
from tests.chaos.process import Process
from tests.support.build import FLEET

T = TypeVar("T")
_UP = ON_THE_WAY | {Phase.HOT}


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call that changes something at the provider."""

    at: float
    owner: str
    action: Action
    machine: str
    """Provider id, or of a rent its token."""
    holder: str
    """Who truly held the lease; empty when nobody did."""
    intent: Instance | None
    """What the store held of it at that moment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A write that the store accepted."""

    at: float
    owner: str
    epoch: int
    fence: int
    holder: str
    ordered: tuple[str, ...]
    """Machines newly on order: planned, or to be resumed, or taken back from a drain."""
    up: int
    """Machines that are HOT or on their way, after it."""


@dataclass(kw_only=True)
class Ground:
    """What all daemons stand on: one Redis, one queue, and the notes of what was done to them."""

    clock: LoopClock
    state: MemoryState = field(default_factory=MemoryState)
    epoch: int = 0
    """How often another Redis took its place."""
    refusing: bool = False
    hanging: bool = False
    answers_lost: bool = False
    queue_unknown: bool = False
    waiting: int = 0
    """Jobs in the queue."""
    workers_beat: Callable[[], None] = lambda: None
    calls: list[Call] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    shown: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    """By owner: when it last got a listing, and the provider ids of our machines in it."""
    refused_at: float = float("-inf")
    """When a call to stop or release a machine last failed."""

    @property
    def redis_up(self) -> bool:
        """Whether Redis does and answers what it is asked."""
        return not (self.refusing or self.hanging or self.answers_lost)

    @property
    def holder(self) -> str:
        """Who holds the lease."""
        return self.state.owner if self.clock.now() < self.state.lease_until else ""

    def copy_of_redis(self) -> MemoryState:
        """Redis as it stands."""
        copied = {f.name: getattr(self.state, f.name) for f in fields(MemoryState)}
        return MemoryState(**{k: v.copy() if hasattr(v, "copy") else v for k, v in copied.items()})

    def fail_over(self, to: MemoryState) -> None:
        """Have another Redis in the place of this one; all daemons are connected to it at once."""
        self.epoch += 1
        for part in fields(MemoryState):
            setattr(self.state, part.name, getattr(to, part.name))


class StorePort:
    """A daemon's way to Redis."""

    def __init__(self, inner: Store, owner: str, process: Process, ground: Ground) -> None:
        self._inner = inner
        self._owner = owner
        self._process = process
        self._ground = ground

    def may_act(self) -> bool:
        return self._inner.may_act()

    async def read(self) -> Control:
        self._ground.workers_beat()  # they do so every few seconds, and are played when somebody looks
        return await self._ask(self._inner.read)

    async def load(self) -> Saved:
        return await self._ask(self._inner.load)

    async def commit(self, changes: Changes) -> None:
        await self._ask(lambda: self._commit(changes))

    async def journal(self, count: int) -> Sequence[Entry]:
        return await self._ask(lambda: self._inner.journal(count))

    def samples(self) -> AsyncIterator[Sample]:
        return self._inner.samples()

    async def orders(self) -> Sequence[Order]:
        return await self._ask(self._inner.orders)

    async def give(self, order: Order) -> None:
        await self._ask(lambda: self._inner.give(order))

    async def withdraw(self, name: str, *, by: str) -> bool:
        return await self._ask(lambda: self._inner.withdraw(name, by=by))

    def should_yield(self, *, failing: bool) -> bool:
        return self._inner.should_yield(failing=failing)

    async def resign(self, *, stay: bool = False) -> None:
        await self._ask(lambda: self._inner.resign(stay=stay))

    async def close(self) -> None:
        await self._inner.close()

    async def _ask(self, effect: Callable[[], Awaitable[T]]) -> T:
        return await self._process.crossing(lambda: self._redis(effect))

    async def _redis(self, effect: Callable[[], Awaitable[T]]) -> T:
        while self._ground.hanging:
            await self._ground.clock.sleep(5.0)
        if self._ground.refusing:
            raise StoreUnavailable("connection refused")
        answer = await effect()
        if self._ground.answers_lost:
            raise StoreUnavailable("the connection was reset before the answer")
        return answer

    async def _commit(self, changes: Changes) -> None:
        records, holder = dict(self._ground.state.instances), self._ground.holder
        await self._inner.commit(changes)
        if not changes:
            return
        ordered = tuple(
            new.id
            for new in changes.instances
            if _ordered(records.get(new.id), new) and self._ground.state.instances.get(new.id) is new
        )
        up = sum(record.phase in _UP for record in self._ground.state.instances.values())
        self._ground.commits.append(
            Commit(
                at=self._ground.clock.now(),
                owner=self._owner,
                epoch=self._ground.epoch,
                fence=self._ground.state.fence,
                holder=holder,
                ordered=ordered,
                up=up,
            )
        )


def _ordered(old: Instance | None, new: Instance) -> bool:
    before = old.phase if old else None
    if new.phase is Phase.HOT:
        return before is Phase.DRAINING
    return new.phase in (Phase.PLANNED, Phase.RESUMING) and before is not new.phase


class ProviderPort:
    """A daemon's way to the provider."""

    def __init__(self, inner: Provider, owner: str, process: Process, ground: Ground) -> None:
        self._inner = inner
        self._owner = owner
        self._process = process
        self._ground = ground
        self.name = inner.name
        self.capabilities = inner.capabilities

    async def list_machines(self) -> Listing:
        asked_at = self._process.now()
        listing = await self._process.crossing(self._inner.list_machines)
        ours = frozenset(remote.provider_id for remote in listing.machines if parse_label(remote.label, FLEET))
        self._ground.shown[self._owner] = self._ground.clock.now(), ours
        return replace(listing, asked_at=asked_at)

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        return await self._process.crossing(lambda: self._inner.list_offers(placement, machine))

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        token = label.rpartition(".")[2]

        async def effect() -> str:
            self._note(Action.RENT, token)
            return await self._inner.rent(offer, machine, label=label)

        return await self._process.crossing(effect)

    async def resume(self, provider_id: str) -> None:
        await self._change(Action.RESUME, provider_id, self._inner.resume)

    async def stop(self, provider_id: str) -> None:
        await self._change(Action.STOP, provider_id, self._inner.stop)

    async def release(self, provider_id: str) -> None:
        await self._change(Action.RELEASE, provider_id, self._inner.release)

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        await self._change(Action.SET_BID, provider_id, lambda name: self._inner.set_bid(name, usd_per_hour))

    async def balance_usd(self) -> float | None:
        return await self._process.crossing(self._inner.balance_usd)

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:
        return await self._process.crossing(lambda: self._inner.billed_usd(day))

    async def close(self) -> None:
        await self._inner.close()

    async def _change(self, action: Action, provider_id: str, order: Callable[[str], Awaitable[None]]) -> None:
        async def effect() -> None:
            self._note(action, provider_id)
            try:
                await order(provider_id)
            except BaseException:
                self._ground.refused_at = self._ground.clock.now()
                raise

        await self._process.crossing(effect)

    def _note(self, action: Action, machine: str) -> None:
        records = self._ground.state.instances
        intent = records.get(machine) or next((r for r in records.values() if r.provider_id == machine), None)
        self._ground.calls.append(
            Call(
                at=self._ground.clock.now(),
                owner=self._owner,
                action=action,
                machine=machine,
                holder=self._ground.holder,
                intent=intent,
            )
        )


class DemandPort:
    """A daemon's way to the queue."""

    def __init__(self, process: Process, ground: Ground) -> None:
        self._process = process
        self._ground = ground

    async def read(self, now: float) -> Mapping[str, Demand | Unknown]:
        return await self._process.crossing(lambda: self._depth(now))

    async def _depth(self, now: float) -> Mapping[str, Demand | Unknown]:
        ground = self._ground
        if ground.queue_unknown or not ground.redis_up:
            return {"images": Unknown("the queue cannot be read", now)}
        return {"images": Demand(taken_at=now, tiers=(TierDemand(tier="pro", waiting=ground.waiting),))}
