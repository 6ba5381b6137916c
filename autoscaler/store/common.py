"""What the stores of one daemon have in common, where each pool has a lease of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from autoscaler.core.errors import StoreUnavailable
from autoscaler.link import Command, RedisLink, Reply
from autoscaler.runtime.ports import Heartbeat
from autoscaler.store.codec import decode_heartbeat
from autoscaler.store.exchange import Exchange
from autoscaler.store.keys import Keys
from autoscaler.store.owner import is_dead
from autoscaler.store.rules import LEASE_S
from autoscaler.store.scripts import RESIGN, TAKE

LED_LATELY_S = 600.0
"""A pool that is configured nowhere was led within that time: a daemon with another file may take it again."""


def pairs(flat: Sequence[bytes]) -> dict[str, bytes]:
    """A hash as RESP2 gives it: field, value, field, value."""
    return {flat[i].decode(errors="replace"): flat[i + 1] for i in range(0, len(flat), 2)}


class Share:
    """How many leases one daemon takes at once: as many as any other, of those that live."""

    def __init__(self, units: int = 1) -> None:
        self.units = units
        """Leases there are."""
        self._living = 1
        self._held: set[str] = set()
        self._back_until = float("-inf")

    def room(self, now: float) -> int:
        """How many leases all daemons share; 0 while this one steps back."""
        return self.units if now >= self._back_until else 0

    def heard(self, living: int) -> None:
        """Note how many daemons were heard of within the time of a lease, this one included unless it steps back."""
        self._living = living

    def held_beside(self, units: Collection[str]) -> int:
        """How many leases it holds beside these: a unit that was just handed over claims in a turn of its own."""
        return len(self._held.difference(units))

    def others(self, now: float) -> int:
        """How many other daemons live."""
        return self._living - (1 if self.room(now) else 0)

    def step_back(self, until: float) -> None:
        """Leave what is free to others, and do not be counted by them: each may then hold so many more."""
        self._back_until = until

    def count(self, unit: str, *, leads: bool) -> None:
        """Note whether a lease is held, or is about to be given back."""
        (self._held.add if leads else self._held.discard)(unit)


@dataclass(frozen=True, slots=True)
class Claim:
    """A unit that this daemon would lead."""

    keys: Keys
    leaves_to_former: bool
    """It takes no lease that was never taken: the store may have been emptied under whoever led."""
    found_free: bool
    """It was free the last time, too, and nobody has taken it whose share had room."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Who leads a unit."""

    fence: int | None
    """The number of the lease; None where this daemon does not hold it."""
    taken: bool
    """It was free, and is this daemon's now."""
    leader: str
    """Empty: nobody leads."""
    asked: bool
    """Another daemon asks this one for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What one round trip told."""

    version: Reply
    orders: Sequence[bytes]
    heartbeats: Mapping[str, Heartbeat]
    led: frozenset[str] = frozenset()
    """Pools that are or lately were led one by one."""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """By the pool of the unit."""


class Common:
    """One daemon's leases, its share of them, and what all its stores read alike."""

    def __init__(self, link: RedisLink, fleet: str, owner: str, ttl_s: float = LEASE_S, *, units: int = 1) -> None:
        self.share = Share(units)
        self._exchange = Exchange(link, fleet)
        self._owner = owner
        self._ttl_s = ttl_s
        self._keys = Keys(fleet)
        self._claims: list[Claim] = []
        self._asked: asyncio.Task[Heard | StoreUnavailable] | None = None

    async def read(self, claim: Claim | None = None) -> Heard:
        """What all stores read, and who leads each unit that is claimed in this turn of the event loop.

        It is asked once, for all that ask in the turn, and goes on where one of them is cancelled.

        Raises:
            StoreUnavailable: Redis did not answer, or refused.
        """
        if self._asked is None:
            self._claims = []
            task = self._ask(self._claims)
            self._asked = asyncio.get_running_loop().create_task(task, name="read what is common")
        if claim is not None:
            self._claims.append(claim)
        heard = await asyncio.shield(self._asked)
        if isinstance(heard, StoreUnavailable):
            raise heard
        return heard

    async def _ask(self, claims: Sequence[Claim]) -> Heard | StoreUnavailable:
        self._asked = None
        shown = (("GET", self._keys.version), ("HGETALL", self._keys.orders), ("HGETALL", self._keys.workers))
        try:
            if not claims:
                version, orders, beats = await self._exchange.ask(*shown)
                return Heard(version=version, orders=orders, heartbeats=_heartbeats(beats))
            taken, version, orders, beats = await self._take(claims, *shown)
            if dead := [each for each in zip(claims, _leaders(taken), strict=True) if is_dead(each[1])]:
                await asyncio.gather(*(self._free(claim.keys, leader) for claim, leader in dead))
                taken, version, orders, beats = await self._take(claims, *shown)
        except StoreUnavailable as error:
            return error
        living, led, answers = taken
        self.share.heard(living)
        return Heard(
            version=version,
            orders=orders,
            heartbeats=_heartbeats(beats),
            led=frozenset(name.decode(errors="replace") for name in led),
            answers={
                claim.keys.pool: Answer(fence or None, bool(taken), leader.decode(errors="replace"), bool(asked))
                for claim, (fence, taken, leader, asked) in zip(claims, answers, strict=True)
            },
        )

    async def _take(self, claims: Sequence[Claim], *others: Command) -> list[Reply]:
        keys = [self._keys.lease, claims[0].keys.daemons, self._keys.pools, self._keys.fence]
        room = self.share.room(asyncio.get_running_loop().time())
        leases = [key for claim in claims for key in (claim.keys.lease, claim.keys.fence, claim.keys.ask)]
        names = [claim.keys.pool for claim in claims]
        flags = [int(claim.leaves_to_former) for claim in claims] + [int(claim.found_free) for claim in claims]
        times_ms = [int(self._ttl_s * 1000), int(LED_LATELY_S * 1000)]
        arguments: list[str | int] = [self._owner, *times_ms, room, self.share.held_beside(names)]
        return await self._exchange.call(TAKE, [*keys, *leases], [*arguments, *names, *flags], *others)

    async def _free(self, keys: Keys, owner: str) -> None:
        """Free what a daemon of this machine holds that has ended: the lease of a unit, or that of all pools."""
        for lease in dict.fromkeys((keys.lease, self._keys.lease)):
            await self._exchange.call(RESIGN, [lease, keys.daemons], [owner, 0])


def _leaders(taken: Reply) -> list[str]:
    return [leader.decode(errors="replace") for _, _, leader, _ in taken[2]]


def _heartbeats(flat: Sequence[bytes]) -> dict[str, Heartbeat]:
    """Heartbeats by instance. A worker whose value cannot be read is absent: unknown, and so counted as busy."""
    beats = {name: decode_heartbeat(value) for name, value in pairs(flat).items()}
    return {name: beat for name, beat in beats.items() if beat is not None}
