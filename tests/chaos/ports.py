"""The ports of a daemon in the fault simulation: its Redis, its provider and its queues, and what they note down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from autoscaler.core.decision import Action
from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.instance import Instance, parse_label
from autoscaler.core.lifecycle import ON_THE_WAY, Phase
from autoscaler.core.market import Listing, Offer
from autoscaler.core.orders import Order
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.link import Command, RedisLink, RedisSettings, Reply
from autoscaler.link.commands import Servers
from autoscaler.runtime.clock import LoopClock
from autoscaler.sim.provider import SimulatedProvider
from autoscaler.store.keys import Keys
from autoscaler.store.scripts import COMMIT
from providers.mock.machine import Machine
from tests.chaos.process import Process
from tests.chaos.redis import Redis
from tests.support.build import FLEET

_UP = ON_THE_WAY | {Phase.HOT}
_WRITES = frozenset({COMMIT.by_digest((), ())[1], COMMIT.in_full((), ())[1]})
_ORDERS = Keys(FLEET).orders


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call that changes something at the provider."""

    at: float
    owner: str
    action: Action
    machine: str
    """Provider id, or of a rent its token."""
    pool: str
    """That it belongs to; empty where nobody can tell."""
    holders: frozenset[str]
    """Who truly held a lease by which this could be called; nobody did when empty."""
    intent: Instance | None
    """What the store held of it at that moment."""
    busy: int
    """Jobs on it."""
    saw_orders_at: float
    """When the daemon last read what operators ordered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A write that the store accepted."""

    at: float
    owner: str
    epoch: int
    unit: str
    """The pool whose lease it was written with; empty: that of all pools."""
    fence: bytes
    holder: str
    ordered: Mapping[str, Sequence[str]]
    """Machines newly on order, by pool: planned, or to be resumed, or taken back from a drain."""
    up: Mapping[str, int]
    """Machines that are HOT or on their way, after it, by pool."""
    most: Mapping[str, int]
    """Machines that may run, by pool, as far as the daemon knows."""
    saw_orders_at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """An order, and since when it stands in Redis."""

    order: Order
    since: float


@dataclass(kw_only=True)
class Ground:
    """What all daemons stand on: one Redis, the queues, and the notes of what was done to them."""

    clock: LoopClock
    redis: Redis = field(init=False)
    epoch: int = 0
    """How often another Redis took its place."""
    refusing: bool = False
    hanging: bool = False
    answers_lost: bool = False
    queue_unknown: bool = False
    waiting: dict[str, int] = field(default_factory=dict)
    """Jobs in the queues, by pool."""
    workers_beat: Callable[[], None] = lambda: None
    calls: list[Call] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    standing: dict[str, Standing] = field(default_factory=dict)
    """Operators' orders, by name."""
    ever: list[Order] = field(default_factory=list)
    """All that ever stood."""
    shown: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    """By owner: when it last got a listing, and the provider ids of our machines in it."""
    refused_at: float = float("-inf")
    """When a call to stop or release a machine last failed."""

    def __post_init__(self) -> None:
        self.redis = Redis(self.clock.now)

    @property
    def redis_up(self) -> bool:
        """Whether Redis does and answers what it is asked."""
        return not (self.refusing or self.hanging or self.answers_lost)

    def holders(self, pool: str) -> frozenset[str]:
        """Who leads a pool; more than one daemon must not. Of one that has no lease of its own, any may."""
        leaders = self.redis.leaders()
        whole = {leaders[""]} if "" in leaders else set()
        return frozenset(whole | ({leaders[pool]} if pool in leaders else set() if whole else {*leaders.values()}))

    def fail_over(self, to: Redis) -> None:
        """Have another Redis in the place of this one; all daemons are connected to it at once."""
        self.epoch += 1
        self.redis.become(to)
        self.standing.clear()
        self.look_at_orders()

    def look_at_orders(self) -> None:
        """Note which orders stand by now."""
        before, now = self.standing, self.clock.now()
        self.standing = {
            name: Standing(order, before[name].since if name in before and before[name].order == order else now)
            for name, order in ((name, replace(order, until=None)) for name, order in self.redis.orders.items())
        }
        self.ever += [
            each.order for name, each in self.standing.items() if each is not before.get(name) and each.since == now
        ]


class Way(Servers):
    """A daemon's way to Redis."""

    def __init__(self, owner: str, process: Process, ground: Ground, most: Callable[[], Mapping[str, int]]) -> None:
        self.saw_orders_at = float("-inf")
        """When it last read them."""
        self._owner = owner
        self._process = process
        self._ground = ground
        self._most = most

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        return await self._process.crossing(lambda: self._redis(commands))

    async def _redis(self, commands: Sequence[Command]) -> list[Reply]:
        ground = self._ground
        ground.workers_beat()  # they do so every few seconds, and are played when somebody looks
        while ground.hanging:
            await ground.clock.sleep(5.0)
        if ground.refusing:
            raise StoreUnavailable("connection refused")
        replies = [self._answer(command) for command in commands]
        if ground.answers_lost:
            raise StoreUnavailable("the connection was reset before the answer")
        return replies

    def _answer(self, command: Command) -> Reply:
        if command[:2] == ("HGETALL", _ORDERS):
            self.saw_orders_at = self._ground.clock.now()
        if command[0] in ("EVAL", "EVALSHA") and command[1] in _WRITES:
            return self._write(command)
        reply = self._ground.redis.answer(command)
        if _ORDERS in command and command[0] != "HGETALL":
            self._ground.look_at_orders()
        return reply

    def _write(self, command: Command) -> Reply:
        ground, count = self._ground, int(command[2])
        lease, stamp = str(command[3]), str(command[3 + count])
        unit = lease.removeprefix(Keys(FLEET).prefix).removesuffix("lease").removeprefix("pool:").removesuffix(":")
        before, holder = ground.redis.records, ground.redis.leaders().get(unit, "")
        done = ground.redis.answer(command)
        if done != 1:
            return done
        ground.look_at_orders()
        after = ground.redis.records
        ordered: dict[str, list[str]] = {}
        for name, new in after.items():
            if new is not before.get(name) and _ordered(before.get(name), new):
                ordered.setdefault(new.pool, []).append(name)
        up: dict[str, int] = {}
        for record in after.values():
            up[record.pool] = up.get(record.pool, 0) + (record.phase in _UP)
        _, _, fence = stamp.rpartition(":")
        ground.commits.append(
            Commit(
                at=ground.clock.now(),
                owner=self._owner,
                epoch=ground.epoch,
                unit=unit,
                fence=fence.encode(),
                holder=holder,
                ordered=ordered,
                up=up,
                most=self._most(),
                saw_orders_at=self.saw_orders_at,
            )
        )
        return done

    def listen(self, channel: str) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def parts(self) -> Sequence[Servers]:
        return [self]

    async def close(self) -> None: ...


def link(way: Way) -> RedisLink:
    """A link of the product's own that goes that way."""
    made = RedisLink(RedisSettings(url="redis://chaos"))
    made._servers = way
    return made


def _ordered(old: Instance | None, new: Instance) -> bool:
    before = old.phase if old else None
    if new.phase is Phase.HOT:
        return before is Phase.DRAINING
    return new.phase in (Phase.PLANNED, Phase.RESUMING) and before is not new.phase


class ProviderPort:
    """A daemon's way to the provider."""

    def __init__(self, inner: SimulatedProvider, way: Way, owner: str, process: Process, ground: Ground) -> None:
        self._inner = inner
        self._way = way
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
            self._note(Action.RENT, token, label)
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

    def _note(self, action: Action, name: str, label: str = "") -> None:
        ground = self._ground
        market = self._inner.market
        market.settle(ground.clock.now())
        records = ground.redis.records
        intent = records.get(name) or next((r for r in records.values() if r.provider_id == name), None)
        machine: Machine | None = market.machines.get(name)
        ours = parse_label(label or (machine.label if machine else ""), FLEET)
        pool = intent.pool if intent else ours[0] if ours else ""
        ground.calls.append(
            Call(
                at=ground.clock.now(),
                owner=self._owner,
                action=action,
                machine=name,
                pool=pool,
                holders=ground.holders(pool),
                intent=intent,
                busy=machine.busy if machine and action in (Action.STOP, Action.RELEASE) else 0,
                saw_orders_at=self._way.saw_orders_at,
            )
        )


class DemandPort:
    """A daemon's way to the queues."""

    def __init__(self, process: Process, ground: Ground) -> None:
        self._process = process
        self._ground = ground
        self._pools: Sequence[str] = ()

    def adapt(self, queues: Mapping[str, object], *, patience_s: float | None) -> None:
        """Read these from now on."""
        self._pools = [*queues]

    async def read(self, now: float, *, only: str = "") -> Mapping[str, Demand | Unknown]:
        return await self._process.crossing(lambda: self._depths(now, only))

    async def _depths(self, now: float, only: str) -> Mapping[str, Demand | Unknown]:
        return {pool: self._depth(pool, now) for pool in self._pools if only in ("", pool)}

    def _depth(self, pool: str, now: float) -> Demand | Unknown:
        ground = self._ground
        if ground.queue_unknown or not ground.redis_up:
            return Unknown("the queue cannot be read", now)
        return Demand(taken_at=now, tiers=(TierDemand(tier="pro", waiting=ground.waiting.get(pool, 0)),))
