"""Degraded: a replacement first, then a drain. Down: replaced at once."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.core.decision import Action, Command
from autoscaler.core.diagnosis import Diagnosis
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.plan import plan
from autoscaler.core.spec import Pace
from tests.support.build import NOW, decision, instance, offer, pool, snapshot

P = Phase
OFFERS = {"mock-on-demand": tuple(offer(offer_id=f"o-{n}", host=f"h-{n}") for n in range(6))}


def machine(name: str, phase: Phase = P.HOT, **changes: Any) -> Instance:
    return instance(phase, id=name, provider_id=f"m-{name}", **changes)


def sick(name: str, phase: Phase = P.HOT, **changes: Any) -> Instance:
    return machine(name, phase, ailment="its worker has fallen silent", **changes)


def done(commands: tuple[Command, ...]) -> list[tuple[Action, str | None]]:
    return [(c.action, c.instance) for c in commands]


RENT, DRAIN = (Action.RENT, None), Action.DRAIN
STEPS = [
    # the fleet, machines wanted, what is done
    ([sick("a")], 1, [RENT]),
    ([sick("a"), machine("b", P.RENTING)], 1, []),
    ([sick("a"), machine("b", P.BOOTING)], 1, []),
    ([sick("a"), machine("b")], 1, [(DRAIN, "a")]),
    ([sick("a", P.DRAINING), machine("b")], 1, []),
    ([sick("a"), sick("b")], 2, [RENT, RENT]),
    ([sick("a"), sick("b"), machine("c")], 2, [RENT, (DRAIN, "a")]),
    ([sick("a"), machine("b"), machine("c")], 1, [(DRAIN, "a"), (DRAIN, "c")]),
    ([sick("a"), machine("w", P.WARM)], 1, [(Action.RESUME, "w")]),
    ([machine("a", P.LOST)], 1, [RENT]),
    ([machine("a", P.RELEASING), machine("b")], 2, [RENT]),
]


@pytest.mark.parametrize(("fleet", "hot", "does"), STEPS)
def test_failover_step_by_step(fleet: list[Instance], hot: int, does: list[tuple[Action, str | None]]) -> None:
    seen = snapshot(*fleet, busy={}, offers=OFFERS)
    commands, told = plan(seen, decision(hot), NOW)

    assert done(commands) == does
    assert told.hot == hot


def test_replacements_keep_to_the_pace() -> None:
    fleet = [sick("a"), sick("b"), machine("c", ordered_at=NOW - 60.0)]
    slow = pool(pace=Pace(up=2))

    commands, told = plan(snapshot(*fleet, pool=slow, offers=OFFERS), decision(3), NOW)

    assert done(commands) == [RENT]
    assert any("b is degraded" in r.text and "4 machines may run" in r.text for r in told.why_not)
    assert told.ceiling == decision(3).ceiling, "what runs already is held against limits and money alone"


def test_machines_whose_contract_ends_are_no_reason_to_doubt_the_sick_ones_and_go_whatever_is_doubted() -> None:
    ending = [sick(name, ends_at=NOW + 3000.0) for name in "ab"]
    few = [*ending, *(sick(name) for name in "cde")]
    many = [*ending, *(sick(name) for name in "cdefg")]

    assert done(plan(snapshot(*few, offers=OFFERS), decision(5, ceiling=20), NOW)[0]) == [RENT] * 5
    assert done(plan(snapshot(*many, offers=OFFERS), decision(7, ceiling=20), NOW)[0]) == [RENT] * 2


def test_a_replacement_is_explained() -> None:
    _, told = plan(snapshot(sick("a")), decision(1), NOW)

    assert [reason.rule for reason in told.why] == ["health.replace"]
    assert "a is degraded (its worker has fallen silent): a replacement first" in told.why[0].text


def test_a_replacement_needs_room_below_the_ceiling() -> None:
    commands, told = plan(snapshot(sick("a"), sick("b"), offers=OFFERS), decision(2, ceiling=3), NOW)
    assert done(commands) == [RENT]

    commands, told = plan(snapshot(sick("a"), offers=OFFERS), decision(1, ceiling=1), NOW)
    assert not commands
    assert any("no room for a replacement beside it, 1 machines may run" in reason.text for reason in told.why_not)


@pytest.mark.parametrize(("sick_ones", "well_ones", "rents"), [(3, 0, 3), (4, 0, 0), (4, 4, 0), (4, 5, 4)])
def test_a_fleet_of_which_too_much_seems_degraded_is_believed_to_be_misheard(
    sick_ones: int, well_ones: int, rents: int
) -> None:
    fleet = [sick(f"s{n}") for n in range(sick_ones)] + [machine(f"w{n}") for n in range(well_ones)]
    commands, told = plan(snapshot(*fleet, offers=OFFERS), decision(len(fleet), ceiling=99), NOW)

    assert done(commands) == [RENT] * rents
    assert rents or any("too many to be true" in reason.text for reason in told.why_not)


def test_a_drained_machine_that_was_degraded_is_neither_wanted_again_nor_kept_as_a_standby() -> None:
    drained = sick("a", P.DRAINING)
    assert done(plan(snapshot(drained, busy={}), decision(1), NOW)[0]) == [RENT]
    assert done(plan(snapshot(drained, machine("b")), decision(1), NOW)[0]) == [(Action.RELEASE, "a")]


def test_beside_a_boot_that_takes_too_long_another_machine_is_tried() -> None:
    slow = machine("a", P.BOOTING, diagnosis=Diagnosis.SLOW_PULL)
    assert done(plan(snapshot(slow), decision(1), NOW)[0]) == [RENT]
    assert not plan(snapshot(slow, machine("b", P.BOOTING)), decision(1), NOW)[0]
