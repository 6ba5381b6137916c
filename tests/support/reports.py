"""Tick reports built by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autoscaler.core.admission import Admission
from autoscaler.core.decision import Action, Command, Decision, Outcome, Reason, Result
from autoscaler.core.demand import AgeSource, Demand, TierDemand, Unknown
from autoscaler.core.instance import Instance, make_label
from autoscaler.core.ledger import Spent
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Offer, Remote, Status
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import MachineSpec, Placement, Pool, Tier
from autoscaler.runtime.report import PoolReport, TickReport

NOW = 1_795_000_000.0
FLEET = "attic"

POOL = Pool(
    name="images",
    tiers=(Tier(name="pro", wait_target=30.0), Tier(name="free", wait_target=300.0)),
    machine=MachineSpec(image="worker:1", gpus=("RTX 4090",)),
    placements=(Placement(provider="mock", buy="spot", max_usd_per_hour=0.5),),
)
DEMAND = Demand(
    taken_at=NOW,
    tiers=(
        TierDemand(tier="pro", waiting=3, oldest_wait_s=4.5, age_source=AgeSource.EXACT),
        TierDemand(tier="free", waiting=9, delayed=None),
    ),
    in_flight=2,
)
RENT = Command(
    action=Action.RENT,
    pool="images",
    placement="mock-spot",
    reason="2 machines wanted, 1 up",
    offer=Offer(
        provider="mock",
        offer_id="o1",
        gpu="RTX 4090",
        region="US",
        host="h1",
        buy="spot",
        usd_per_hour=0.41,
        disk_usd_per_hour=0.01,
    ),
)
ADMISSION = (
    Admission(pool="images", tier="pro", expected_wait_s=12.0, why="a job that comes now would wait 12s"),
    Admission(
        pool="images",
        tier="free",
        expected_wait_s=95.0,
        accept=False,
        why="a job that comes now would wait 1m 35s",
        retry_after_s=80,
        message="Server busy, try again in a few minutes",
    ),
)
DECISION = Decision(
    hot=2,
    warm=1,
    standby=1,
    ceiling=4,
    needs=(("pro", 1), ("free", 2)),
    why=(Reason("thresholds.rent", "35 jobs wait"),),
    why_not=(Reason("plan.stop", "it is busy"),),
)


def machine(name: str = "m1", phase: Phase = Phase.HOT, **changes: Any) -> Instance:
    """A record; it began an hour ago and burns 0.40 USD an hour."""
    record = Instance(
        id=name,
        pool="images",
        placement="mock-spot",
        provider="mock",
        phase=phase,
        phase_since=NOW - 3600.0,
        created_at=NOW - 3600.0,
        booked_at=NOW - 3600.0,
        burn_usd_per_hour=0.4,
        buy="spot",
    )
    return replace(record, **changes)


def listing(*names: str, asked_at: float = NOW - 4.0) -> Listing:
    """A listing of machines of the fleet, and of one of somebody else."""
    labels = [*(make_label(FLEET, "images", name) for name in names), "somebody else's"]
    machines = [Remote(provider_id=f"p{n}", label=label, status=Status.RUNNING) for n, label in enumerate(labels)]
    return Listing(asked_at=asked_at, machines=tuple(machines))


def pool_report(
    *instances: Instance,
    demand: Demand | Unknown = DEMAND,
    busy: dict[str, int] | None = None,
    pool: Pool = POOL,
    commands: tuple[Command, ...] = (RENT,),
    admission: tuple[Admission, ...] = ADMISSION,
) -> PoolReport:
    """One pool of a tick."""
    snapshot = PoolSnapshot(pool=pool, demand=demand, instances=instances, busy=busy or {})
    spent = Spent(running_usd=1.5, stopped_usd=0.25)
    return PoolReport(snapshot=snapshot, decision=DECISION, commands=commands, spent_today=spent, admission=admission)


def report(*instances: Instance, **changes: Any) -> TickReport:
    """A tick of a leader with one pool and one provider."""
    fields: dict[str, Any] = {
        "at": NOW,
        "duration_s": 0.004,
        "leads": True,
        "pools": {"images": pool_report(*instances)},
        "instances": {instance.id: instance for instance in instances},
        "listings": {"mock": listing(*(instance.id for instance in instances))},
    }
    return TickReport(**(fields | changes))


def outcome(action: Action = Action.RENT, result: Result = Result.OK) -> Outcome:
    """A provider's answer."""
    return Outcome(action=action, instance="m1", result=result, started_at=NOW - 1.0, ended_at=NOW)
