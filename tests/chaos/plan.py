"""What a seed draws: a market with its faults, a configuration, and what happens to daemons and Redis in one day."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from autoscaler.config.schema import Config, PolicyChoice, PoolSettings
from autoscaler.core.spec import Cap, Fallback, Limits, MachineSpec, Placement
from autoscaler.core.units import Span
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.runtime.entropy import seeded
from policies.thresholds import Thresholds
from providers.mock import Fault, MockSettings, Step
from providers.mock.faults import STRIKES
from tests.support.build import FLEET

HOUR, DAY = 3600.0, 86400.0
SUITE = range(100)
"""The seeds of the test suite."""
MORTAL_FROM = 1_000_000
"""From this seed on some daemon dies at one of its next awaits every few minutes, all day long."""
MORTAL = range(MORTAL_FROM, MORTAL_FROM + 4)
"""The seeds of the test suite that are of this kind."""
FROZEN = (8298, 9367, 14924)
"""Seeds of the test suite with what is rare: a daemon stands still in mid-tick for longer than its lease."""
_LIVES_S = 600.0
_FULL_ODDS = (0.02, 0.1, 0.3)
_TICKS_S = (10.0, 30.0, 60.0)
_TICK_WEIGHTS = (1, 9, 90)  # a day of short ticks costs six times one of long ticks


class Blow(StrEnum):
    """What can happen to a daemon, its Redis, its queue, its workers, its configuration; and what people order."""

    CRASH = "crash"
    """A daemon dies at one of its next awaits: nothing that it does from then on has any effect."""
    RESTART = "restart"
    """SIGTERM, and a new daemon a moment later."""
    FREEZE = "freeze"
    """A daemon stands still and goes on later with what it knew."""
    SECOND_DAEMON = "second daemon"
    """Another daemon wakes up beside the first; after a while one of the two ends."""
    CLOCK_JUMP = "clock jump"
    """A daemon's clock is set forward or back."""
    REDIS_LOSS = "redis loss"
    """Redis refuses all, for daemons and workers."""
    REDIS_HANGS = "redis hangs"
    """Redis does not answer."""
    ANSWERS_LOST = "answers lost"
    """Redis does what is asked, and its answers are lost."""
    EMPTY_REPLICA = "empty replica"
    """A failover to a Redis that knows nothing."""
    OLD_REPLICA = "old replica"
    """A failover to a Redis that is some minutes behind."""
    UNKNOWN_DEMAND = "unknown demand"
    """No queue can be read."""
    QUEUE_WIPED = "queue wiped"
    """The jobs that wait for a pool are gone."""
    SILENT_WORKERS = "silent workers"
    """Workers do not beat, look or pull; what they have in hand they finish."""
    BURST = "burst"
    """Many jobs at once."""
    ORDER = "order"
    """An operator who does not know the state gives an order."""
    WITHDRAWAL = "withdrawal"
    """An order is withdrawn, whosever it is."""
    RELOAD = "reload"
    """The configuration changes, and each daemon takes it in a moment of its own."""
    RESPREAD = "respread"
    """`spread` is switched: each daemon is restarted in a moment of its own."""


_RARE = {Blow.RESPREAD: 0.1}
_OFTEN = {Blow.ORDER: 12, Blow.RELOAD: 5}
"""At most so many times where it happens at all; others up to 4 times."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One blow."""

    at_s: float
    """Since the beginning of the day."""
    blow: Blow
    lasting_s: float
    """How long it lasts, or until a dead daemon's successor starts; of a clock jump its size, negative for back."""
    number: int
    """Jobs of a burst; of a crash the await at which it dies, counted from the event."""
    after: bool
    """Of a crash: the call at that await still has its effect."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything that one seed draws."""

    seed: int
    latency_s: float
    """The most that one answer from outside takes."""
    slots_service_s: float
    """The longest that a job takes."""
    jobs_per_h: float
    config: Config
    """What daemons are told first."""
    events: tuple[Event, ...]

    @property
    def tick_s(self) -> float:
        """The time from tick to tick at most; a reload may make it shorter."""
        return self.config.tick

    @property
    def lease_s(self) -> float:
        """How long a daemon leads that is not heard of."""
        return self.config.lease_s

    @property
    def market(self) -> MockSettings:
        """The provider."""
        return self.config.market("mock")

    @property
    def drawn(self) -> Mapping[str, int]:
        """How often each blow is dealt, and which faults the market has."""
        faults = {fault for fault, odds in self.market.faults.items() if odds}
        faults |= {step.fault for step in self.market.scenario}
        counts = dict.fromkeys((str(fault) for fault in Fault if fault in faults), 1)
        for event in self.events:
            counts[event.blow] = counts.get(event.blow, 0) + 1
        return counts


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    rng = seeded(seed)
    plan = Plan(
        seed=seed,
        latency_s=rng.choice((0.0, 0.0, 1.0, 4.0)),
        slots_service_s=rng.choice((30.0, 120.0, 600.0)),
        jobs_per_h=rng.choice((2.0, 20.0, 60.0)),
        config=_config(seed, rng),
        events=_events(rng),
    )
    if seed < MORTAL_FROM:
        return plan
    return replace(plan, events=tuple(sorted((*plan.events, *_deaths(rng)), key=lambda event: event.at_s)))


def _config(seed: int, rng: random.Random) -> Config:
    [tick_s] = rng.choices(_TICKS_S, _TICK_WEIGHTS)
    names = ("images", "texts")[: rng.choice((1, 1, 2))]
    return Config(
        fleet=FLEET,
        tick=tick_s,
        lease=max(30.0, 3 * tick_s),
        spread=rng.random() < 0.3,
        pools={name: draw_pool(name, rng) for name in names},
        providers={"mock": _market(seed, rng)},
    )


def draw_pool(name: str, rng: random.Random) -> PoolSettings:
    """Any pool."""
    on_demand = Placement(provider="mock", max_usd_per_hour=1.0)
    spot = Placement(provider="mock", buy="spot", max_usd_per_hour=0.6)
    ready = rng.choice(("running", "heartbeat"))
    return PoolSettings(
        queue=ListQueue(kind="list", tiers=(ListTier(name="pro", wait_target=30.0, key=f"jobs:{name}"),)),
        machine=MachineSpec(image="worker:1", gpus=("RTX 4090",), slots=rng.choice((1, 2)), ready=ready),
        placements=rng.choice(((on_demand,), (spot, on_demand))),
        limits=draw_limits(rng),
        fallback=rng.choice((Fallback(), Fallback(then="last_good"), Fallback(then="floor", floor=3, after=2))),
        policies=(draw_policy(rng),),
    )


def draw_limits(rng: random.Random) -> Limits:
    """Any limits of a pool."""
    stop = rng.choice((15.0, 22.0, 30.0, 60.0))
    return Limits(
        hot=Span(1, rng.randint(2, 6)),
        warm=Span(rng.choice((0, 0, 1)), rng.randint(1, 3)),
        usd_per_day=Cap(warn=stop / 2, stop=stop),
    )


def draw_policy(rng: random.Random) -> PolicyChoice:
    """Any settings of a pool's policy."""
    thresholds = Thresholds(idle_for=rng.choice((600.0, 1800.0)), release_after=rng.choice((1, 3, 24)) * HOUR)
    return PolicyChoice(name="thresholds", settings=thresholds)


def _market(seed: int, rng: random.Random) -> MockSettings:
    """Half of the markets are calm but for two faults, half have many."""
    chance = rng.choice((0.06, 0.4))
    faults: dict[Fault, float] = {
        fault: rng.choice(_FULL_ODDS) if rng.random() < chance else 0.0
        for fault in Fault
        if fault is not Fault.BALANCE_SPENT
    }
    scenario = tuple(_step(rng) for _ in range(rng.choice((0, 1, 3))))
    return replace(MockSettings(seed=seed), faults=faults, scenario=scenario, foreign=("somebody-else", "another"))


def _step(rng: random.Random) -> Step:
    """A fault at a moment, some for a while."""
    fault = rng.choice(list(Fault))
    at = rng.uniform(0.0, 22 * HOUR)
    until = at + rng.uniform(60.0, 2 * HOUR)
    if not STRIKES[fault]:
        return Step(fault=fault, at=at, until=None if fault in (Fault.OUTBID, Fault.VANISHES) else until)
    if rng.random() < 0.5:
        return Step(fault=fault, at=at, until=until)
    return Step(fault=fault, at=at, nth=rng.randint(1, 3), times=rng.randint(1, 4))


_MOST_S = {
    Blow.CRASH: 1200.0,
    Blow.RESTART: 120.0,
    Blow.FREEZE: 900.0,
    Blow.SECOND_DAEMON: HOUR,
    Blow.CLOCK_JUMP: HOUR,
    Blow.REDIS_LOSS: 2400.0,
    Blow.REDIS_HANGS: 900.0,
    Blow.ANSWERS_LOST: 300.0,
    Blow.EMPTY_REPLICA: 60.0,
    Blow.OLD_REPLICA: 1800.0,
    Blow.UNKNOWN_DEMAND: 2 * HOUR,
    Blow.QUEUE_WIPED: 60.0,
    Blow.SILENT_WORKERS: 2 * HOUR,
    Blow.BURST: 60.0,
    Blow.ORDER: 6 * HOUR,
    Blow.WITHDRAWAL: 60.0,
    Blow.RELOAD: 120.0,
    Blow.RESPREAD: 600.0,
}
"""The longest that each lasts."""


def _events(rng: random.Random) -> tuple[Event, ...]:
    """Some kinds of blow, each a few times; bursts always."""
    events = []
    for blow in Blow:
        chance = 1.0 if blow is Blow.BURST else _RARE.get(blow, 0.3)
        times = rng.randint(1, _OFTEN.get(blow, 4)) if rng.random() < chance else 0
        for _ in range(times):
            lasting_s = _MOST_S[blow] * rng.random() ** 3  # mostly short
            if blow is Blow.CLOCK_JUMP:
                lasting_s *= rng.choice((-1, 1))
            number = rng.choice((12, 40, 90)) if blow is Blow.BURST else rng.randint(1, 40)
            events.append(
                Event(
                    at_s=rng.uniform(0.0, DAY),
                    blow=blow,
                    lasting_s=lasting_s,
                    number=number,
                    after=rng.random() < 0.5,
                )
            )
    return tuple(sorted(events, key=lambda event: event.at_s))


def _deaths(rng: random.Random) -> Iterator[Event]:
    """So many that each command is begun, answered, adopted and ended by daemons that know of it from the store."""
    at_s = rng.expovariate(1.0 / _LIVES_S)
    while at_s < DAY:
        yield Event(at_s=at_s, blow=Blow.CRASH, lasting_s=30.0, number=rng.randint(1, 40), after=rng.random() < 0.5)
        at_s += rng.expovariate(1.0 / _LIVES_S)
