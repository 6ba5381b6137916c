"""What was wasted of a pool's money and why, in words, each with the command or setting that would reduce it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autoscaler.core.cost import PoolCost
from autoscaler.core.ledger import Wasted
from autoscaler.core.purposes import Purpose
from autoscaler.core.spec import Pool
from autoscaler.core.units import format_duration
from autoscaler.core.waste import Waste

_LEAST_USD = 0.005  # what rounds to no cent is not worth a line
_WORTH_A_STEP = 0.05  # of the whole cost


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """One kind of waste."""

    pool: str
    code: str
    """`idle`, `unseen`, `lost`, or of a boot that failed or a disk that was given up why."""
    usd: float
    text: str
    """What happened."""
    fix: str
    """Which command or setting would reduce it."""


def advise(cost: PoolCost, pool: Pool | None) -> list[Advice]:
    """What was wasted, the dearest first. Without its settings a pool is one that is not configured any more."""
    found = [*_running(cost, pool), *_wasted(cost)]
    return sorted((each for each in found if each.usd >= _LEAST_USD), key=lambda each: -each.usd)


def next_step(advice: list[Advice], usd: float) -> str | None:
    """What to do first: about the dearest waste, if it is a twentieth of all that was spent."""
    worst = max(advice, key=lambda each: each.usd, default=None)
    if worst is None or worst.usd < _WORTH_A_STEP * usd:
        return None
    return f"{worst.pool}: {worst.fix}"


def _running(cost: PoolCost, pool: Pool | None) -> Iterator[Advice]:
    """What was paid for running machines that did nothing, or nobody knows what."""
    name, usd = cost.pool, cost.purposes
    hot_usd = sum(usd.get(purpose, 0.0) for purpose in (Purpose.SERVING, Purpose.IDLE, Purpose.UNSEEN))
    apart: dict[str, float] = {}
    for row in cost.rows:
        if row.purpose == Purpose.IDLE:
            apart[row.tier] = apart.get(row.tier, 0.0) + row.usd
    for tier, idle_usd in apart.items():
        share = f"{idle_usd / hot_usd:.0%} of what HOT machines cost" if hot_usd else "HOT without a job"
        if tier:
            text = f"machines set apart for {tier} that had no job: {share}"
            fix = f"a lower `reserve` of the tier {tier} keeps fewer HOT"
        else:
            text = f"machines that were HOT without a job: {share}"
            floor = f", now {pool.limits.hot}," if pool else ""
            fix = (
                f"`autoscaler hindsight FILE` finds settings that would have cost less; a lower `limits.hot`{floor} "
                "keeps fewer HOT"
            )
        yield Advice(pool=name, code=Purpose.IDLE.value, usd=idle_usd, text=text, fix=fix)
    yield Advice(
        pool=name,
        code=Purpose.UNSEEN.value,
        usd=usd.get(Purpose.UNSEEN, 0.0),
        text="HOT machines of which nobody could say whether they worked, as while the daemon was away",
        fix="let workers beat (docs/workers.md), and run a second daemon (docs/high-availability.md)",
    )
    patience = f", now {format_duration(pool.deadlines.lost)}" if pool else ""
    yield Advice(
        pool=name,
        code=Purpose.LOST.value,
        usd=usd.get(Purpose.LOST, 0.0),
        text="machines that their provider did not list, and may have billed",
        fix=f"a shorter `deadlines.lost`{patience}; `autoscaler status` shows where they were",
    )


_BOOTS: dict[Waste, tuple[str, str]] = {
    Waste.CRASH_LOOP: (
        "whose image crashed or was never ready",
        "`autoscaler why` names host and image; read its log in the vendor's console",
    ),
    Waste.SLOW_PULL: (
        "whose image was still being pulled at the deadline",
        "a smaller image, or hosts with a faster line (`providers.vastai.min_download_mbps`)",
    ),
    Waste.REFUSED: ("that the provider had no GPU for", "more `regions`, `gpus` or `placements`"),
    Waste.INTERRUPTED: (
        "that were stopped from outside",
        "a higher `bid_margin`, or `limits.on_demand` for some machines",
    ),
    Waste.LOST: ("that were lost with their host", "nothing: such hosts are avoided for a while"),
    Waste.NOT_WANTED: (
        "that nobody wanted any more before they were up",
        "`autoscaler tune FILE` finds policies that start fewer machines in vain",
    ),
    Waste.FAILED: ("that failed", "`autoscaler why` and the journal say at which host and with which words"),
}


def _wasted(cost: PoolCost) -> Iterator[Advice]:
    for why, wasted in cost.wasted.items():
        text, fix = _words(why, wasted)
        yield Advice(pool=cost.pool, code=why.value, usd=wasted.usd, text=text, fix=fix)


def _words(why: Waste, wasted: Wasted) -> tuple[str, str]:
    if why is Waste.DROPPED_DISK:
        noun = "disk of a stopped machine that was" if wasted.times == 1 else "disks of stopped machines that were"
        return f"{wasted.times} {noun} given up without coming back", "a lower `limits.warm` keeps fewer"
    which, fix = _BOOTS[why]
    return f"{wasted.times} {'boot' if wasted.times == 1 else 'boots'} {which}", fix
