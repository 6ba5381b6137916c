"""What was agreed about a machine: what came instead, and when it ends."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.core.contract import breach, ends_soon, same_gpu
from autoscaler.core.decision import Action
from autoscaler.core.evidence import Evidence
from autoscaler.core.history import Estimate, PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Remote, Status
from autoscaler.core.plan import plan
from autoscaler.core.spec import Deadlines
from autoscaler.core.sync import sync
from tests.support.build import FLEET, NOW, decision, instance, offer, pool, remote, snapshot

P = Phase
MINUTE, HOUR = 60.0, 3600.0
RULES = Deadlines(draining=30 * MINUTE)


# --- the first look at what was rented --------------------------------------------------------------------------------

SAME = [
    ("RTX 4090", "NVIDIA GeForce RTX 4090"),
    ("RTX 4090", "RTX_4090"),
    ("RTX 4090", "rtx4090"),
    ("A100 SXM4", "NVIDIA A100-SXM4-80GB"),
    ("A100 PCIE", "NVIDIA A100 80GB PCIe"),
    ("RTX 4070 Ti", "RTX 4070Ti"),
    ("RTX A6000", "NVIDIA RTX A6000"),
    ("RTX PRO 6000 WS", "NVIDIA RTX PRO 6000 Blackwell Workstation Edition"),
    ("H100 NVL", "H100 SXM"),
    ("", "RTX 4090"),
    ("GPU", "RTX 4090"),
]
OTHER = [
    ("RTX 4090", "RTX 3090"),
    ("H100 SXM", "A100 SXM"),
    ("H100 80GB", "A100 80GB"),
    ("RTX A6000", "RTX 6000 Ada"),
    ("L4", "L40S"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_a_spelling_or_a_variant_is_no_other_gpu(one: str, other: str) -> None:
    assert same_gpu(one, other)
    assert same_gpu(other, one)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_another_model_is_another_gpu(one: str, other: str) -> None:
    assert not same_gpu(one, other)
    assert not same_gpu(other, one)


def rented(**changes: Any) -> Instance:
    agreed: dict[str, Any] = {"gpu": "RTX 4090", "host": "h-1", "buy": "spot", "usd_per_hour": 0.2}
    return instance(P.RENTING, **(agreed | changes))


def came(**changes: Any) -> Remote:
    what: dict[str, Any] = {"host": "h-1", "buy": "spot", "usd_per_hour": 0.2}
    return remote(Status.STARTING, **(what | changes))


BREACHES: list[tuple[Instance, Remote, str]] = [
    # what was agreed, what came, what is said
    (rented(), came(), ""),
    (rented(), came(usd_per_hour=0.2001), ""),
    (rented(), came(usd_per_hour=0.201), ""),
    (rented(), came(usd_per_hour=0.202), "it costs 0.202 USD/h, 0.200 was agreed"),
    (rented(), came(usd_per_hour=0.1), ""),
    (rented(), came(usd_per_hour=0.5), "it costs 0.500 USD/h, 0.200 was agreed"),
    (rented(), came(buy="on_demand"), "it is let as on_demand, spot was agreed"),
    (rented(buy="on_demand"), came(), "it is let as spot, on_demand was agreed"),
    (rented(), came(host="h-2"), "it stands on host h-2, h-1 was agreed"),
    (rented(host=""), came(host="h-2"), ""),
    (rented(), came(host=""), ""),
    (rented(), came(gpu="RTX 3090"), "it has a RTX 3090, RTX 4090 was agreed"),
    (rented(), came(gpu="NVIDIA GeForce RTX 4090"), ""),
    (rented(), came(gpu=""), ""),
    (rented(), came(ends_at=NOW + HOUR), "its contract ends at 2027-01-15 09:00 UTC, too soon to be of use"),
    (rented(), came(ends_at=NOW + 24 * HOUR), ""),
    (rented(), came(ends_at=NOW - 1.0), ""),
]


@pytest.mark.parametrize(("agreed", "machine", "said"), BREACHES)
def test_a_machine_is_what_was_rented_or_is_released_at_once_with_both_told(
    agreed: Instance, machine: Remote, said: str
) -> None:
    assert breach(agreed, machine, RULES, NOW) == said
    new = seen(agreed, machine)
    assert new.phase is (P.RELEASING if said else P.BOOTING)
    assert new.reason == (f"not what was rented: {said}; releasing it" if said else "listed as starting")


def seen(record: Instance, machine: Remote) -> Instance:
    listings = {"mock": Listing(asked_at=NOW, machines=(machine,))}
    evidence = Evidence(now=NOW, fleet=FLEET, pools={"images": pool(deadlines=RULES)}, listings=listings)
    return {new.id: new for new in sync({record.id: record}, evidence).changed}.get(record.id, record)


@pytest.mark.parametrize("phase", [P.BOOTING, P.HOT, P.DRAINING, P.WARM])
def test_a_price_that_rises_later_counts_from_then_on(phase: Phase) -> None:
    status = Status.STOPPED if phase is P.WARM else Status.RUNNING
    assert seen(instance(phase), remote(status, usd_per_hour=0.9)).usd_per_hour == 0.9


def test_a_price_that_was_rounded_or_fell_changes_nothing_that_was_agreed() -> None:
    for price in (0.8004, 0.5, 0.0):
        assert seen(instance(), remote(usd_per_hour=price)).usd_per_hour == 0.8


# --- the end of a contract --------------------------------------------------------------------------------------------

QUICK = PlacementHistory(setup=Estimate(mean_s=5 * MINUTE, count=9))
SLOW = PlacementHistory(setup=Estimate(mean_s=2 * HOUR, count=9))
ENDS = [
    # how long machines there take to set up, how long the contract lasts, whether it ends soon
    (QUICK, None, False),
    (QUICK, -1.0, False),
    (QUICK, 0.0, False),
    (QUICK, 1.0, True),
    (QUICK, HOUR, True),
    (QUICK, HOUR + 1, False),
    (PlacementHistory(), 75 * MINUTE, True),
    (PlacementHistory(), 75 * MINUTE + 1, False),
    (SLOW, 2.5 * HOUR, True),
    (SLOW, 2.5 * HOUR + 1, False),
]


@pytest.mark.parametrize(("history", "left_s", "soon"), ENDS)
def test_a_contract_ends_soon_when_a_successor_would_come_too_late(
    history: PlacementHistory, left_s: float | None, soon: bool
) -> None:
    ends_at = None if left_s is None else NOW + left_s
    assert ends_soon(ends_at, history, RULES, NOW) is soon


def machine(name: str, phase: Phase = P.HOT, **changes: Any) -> Instance:
    return instance(phase, id=name, provider_id=f"m-{name}", **changes)


def ends(name: str, phase: Phase = P.HOT, *, left_s: float = 50 * MINUTE) -> Instance:
    """A machine whose contract ends soon, as the examination leaves it."""
    ails = "its contract ends at some time" if phase in (P.HOT, P.DRAINING) else ""
    return machine(name, phase, ends_at=NOW + left_s, ailment=ails)


RENT = (Action.RENT, None)
SIX = [offer(offer_id=f"o-{n}", host=f"h-{n}") for n in range(6)]
STEPS = [
    # the fleet, machines wanted, what is done
    ([ends("a")], 1, [RENT]),
    ([ends("a"), machine("b", P.BOOTING)], 1, []),
    ([ends("a"), machine("b")], 1, [(Action.DRAIN, "a")]),
    ([ends("a", P.DRAINING), machine("b")], 1, [(Action.RELEASE, "a")]),
    ([ends("a", P.DRAINING)], 1, [RENT, (Action.RELEASE, "a")]),
    ([ends("w", P.WARM)], 1, [RENT, (Action.RELEASE, "w")]),
    ([ends("w", P.WARM), machine("v", P.WARM)], 1, [(Action.RESUME, "v"), (Action.RELEASE, "w")]),
    ([ends("a", left_s=30 * MINUTE)], 1, [RENT, (Action.DRAIN, "a")]),
    ([ends("a", left_s=30 * MINUTE), machine("b")], 1, [(Action.DRAIN, "a")]),
    ([ends(name) for name in "abcdef"], 6, [RENT] * 6),
]


@pytest.mark.parametrize(("fleet", "hot", "does"), STEPS)
def test_a_contracts_end_step_by_step(fleet: list[Instance], hot: int, does: list[tuple[Action, str | None]]) -> None:
    offers = {"mock-on-demand": tuple(SIX)}
    commands, _ = plan(snapshot(*fleet, offers=offers), decision(hot, ceiling=12), NOW)
    assert [(command.action, command.instance) for command in commands] == does


@pytest.mark.parametrize("left_s", [1.0, 29 * MINUTE])
def test_the_last_job_may_end_even_where_nothing_replaces_the_machine_and_nothing_may_go_down(left_s: float) -> None:
    held = decision(1, ceiling=1, hold_down=True)
    commands, _ = plan(snapshot(ends("a", left_s=left_s), busy={"a": 1}, offers={}), held, NOW)
    [drain] = commands
    assert (drain.action, drain.instance) == (Action.DRAIN, "a")
    assert drain.reason.endswith("in time for its last job: drain it")


def test_a_paused_fleet_is_left_alone_even_then() -> None:
    paused = decision(1, hold_down=True, hold_up=True)
    assert plan(snapshot(ends("a", left_s=MINUTE)), paused, NOW)[0] == ()


def test_why_a_standby_is_not_resumed_is_told() -> None:
    _, told = plan(snapshot(ends("w", P.WARM)), decision(1), NOW)
    assert "w is not worth a resume: its contract ends at 2027-01-15 08:50 UTC" in [r.text for r in told.why_not]
