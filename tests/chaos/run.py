"""Live through the day of one seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autoscaler.core.lifecycle import Phase
from autoscaler.runtime.concerns import Name, concerns
from autoscaler.sim.virtual import VirtualLoop
from tests.chaos.daemon import Parts
from tests.chaos.invariants import Watch
from tests.chaos.plan import DAY, HOUR, Plan, draw
from tests.chaos.world import World

_CALM_LEAST_S, _CALM_MOST_S = HOUR, 6 * HOUR
"""How long the fleet may take to settle when all is calm: a placement's longest block, a boot, a budget's midnight."""
_TRUE_IN_PEACE = frozenset({Name.BUDGET_NEAR, Name.BUDGET_SPENT, Name.IMAGE_GIVEN_UP})
"""What may stand though no fault is left: the day's money is spent, and what needs no new machine tries no image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """An invariant that did not hold."""

    seed: int
    rule: str
    text: str
    at_s: float
    journal: tuple[str, ...]
    """What was told before."""

    def __str__(self) -> str:
        when = f"{int(self.at_s // 3600):02}:{int(self.at_s % 3600 // 60):02}:{int(self.at_s % 60):02}"
        return f"{self.rule} at {when}: {self.text}; replay: python -m tests.chaos --seed {self.seed}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lived:
    """What came of one seed."""

    plan: Plan
    finding: Finding | None
    served: int
    rented: int
    digest: int


def live(seed: int, parts: Parts | None = None) -> Lived:
    """Live through a seed's day, to its end or to the first invariant that does not hold."""
    loop = VirtualLoop()
    parts = parts or Parts()
    try:
        with parts.spoilt():
            return loop.run_until_complete(_live(draw(seed), parts))
    finally:
        loop.close()


async def _live(plan: Plan, parts: Parts) -> Lived:
    world = World(plan, parts)
    try:
        broken = await _day(world)
    except Exception as error:  # noqa: BLE001 - whatever ends a daemon is a finding
        broken = "no_daemon_ends_by_itself", repr(error)
    finding = None
    if broken:
        lines = tuple(f"{at_s / HOUR:8.4f}h {text}" for at_s, text in world.journal)
        finding = Finding(seed=plan.seed, rule=broken[0], text=broken[1], at_s=world.elapsed_s, journal=lines)
    await world.end()
    return Lived(plan=plan, finding=finding, served=world.crew.served, rented=world.market.rented, digest=world.digest)


async def _day(world: World) -> tuple[str, str] | None:
    watch = Watch(world)
    while world.elapsed_s < DAY:
        await world.step()
        if broken := watch.broken():
            return broken
    await world.calm_down()
    text: str | None = ""
    while world.elapsed_s < DAY + _CALM_MOST_S:
        await world.step()
        if broken := watch.broken():
            return broken
        text = unsettled(world)
        if world.elapsed_s > DAY + _CALM_LEAST_S and text is None:
            return None
    return "every_run_ends_settled", str(text)


def unsettled(world: World) -> str | None:
    """Why the fleet is not in order: records that differ from the provider's machines, or a floor not served."""
    records = [r for r in world.ground.redis.records.values() if r.phase is not Phase.GONE]
    known = {str(r.provider_id or r.id) for r in records}
    existing = {*world.machines()} | {name for name in world.market.machines if name in known}
    if known != existing:
        return f"records without a machine: {sorted(known - existing)}, without a record: {sorted(existing - known)}"
    for pool, settings in world.config.pools.items():
        if world.leader(pool) is None:
            return f"no daemon leads {pool}"
        hot = sum(r.phase is Phase.HOT and r.pool == pool for r in records)
        floor = settings.limits.hot.low
        if hot < floor:
            return f"{hot} machines of {pool} are HOT, the floor is {floor}"
    return next(_standing(world), None)


def _standing(world: World) -> Iterator[str]:
    """What some daemon says that a person must look at, though nothing is wrong any more."""
    for daemon in world.daemons:
        for loop in daemon.app.loops if daemon.up else ():
            report = daemon.reports.get(loop.unit.name)
            for concern in concerns(report, error=None, now=daemon.process.now()) if report else ():
                if concern.name not in _TRUE_IN_PEACE:
                    yield f"{daemon.owner} has a concern, {concern.name}: {concern.text}"
