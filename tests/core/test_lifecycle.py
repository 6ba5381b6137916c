from __future__ import annotations

from dataclasses import fields

import pytest

from autoscaler.core.lifecycle import ESCALATIONS, ON_THE_WAY, TRANSITIONS, InvalidTransition, Phase, check, deadline_s
from autoscaler.core.spec import Deadlines

P = Phase
EDGES = {
    P.PLANNED: {P.RENTING, P.RELEASING, P.GONE},
    P.RENTING: {P.BOOTING, P.RELEASING, P.GONE},
    P.BOOTING: {P.HOT, P.STOPPING, P.WARM, P.LOST, P.RELEASING},
    P.HOT: {P.DRAINING, P.BOOTING, P.WARM, P.LOST, P.RELEASING},
    P.DRAINING: {P.HOT, P.STOPPING, P.RELEASING, P.WARM, P.LOST},
    P.STOPPING: {P.WARM, P.LOST, P.RELEASING},
    P.WARM: {P.RESUMING, P.BOOTING, P.STOPPING, P.LOST, P.RELEASING},
    P.RESUMING: {P.BOOTING, P.WARM, P.STOPPING, P.LOST, P.RELEASING},
    P.LOST: {P.BOOTING, P.WARM, P.RELEASING},
    P.RELEASING: {P.GONE},
    P.GONE: {P.RELEASING},
}


def reachable(start: Phase) -> set[Phase]:
    found, edge = set[Phase](), {start}
    while edge:
        found |= edge
        edge = {phase for known in edge for phase in TRANSITIONS[known]} - found
    return found


@pytest.mark.parametrize("old", Phase)
@pytest.mark.parametrize("new", Phase)
def test_every_edge_of_the_table_is_meant_and_no_other_is_allowed(old: Phase, new: Phase) -> None:
    if new in EDGES[old]:
        check(old, new)
    else:
        with pytest.raises(InvalidTransition):
            check(old, new)


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_can_end_in_gone(phase: Phase) -> None:
    assert P.GONE in reachable(phase)


def test_a_phase_waits_with_a_deadline_and_an_escalation_or_does_not_wait() -> None:
    at_rest = {P.HOT, P.WARM, P.GONE}

    assert set(ESCALATIONS) == set(Phase) - at_rest
    assert {field.name for field in fields(Deadlines)} == {phase.value for phase in ESCALATIONS}
    assert all(deadline_s(phase, Deadlines()) is None for phase in at_rest)
    assert all((deadline_s(phase, Deadlines()) or 0) > 0 for phase in ESCALATIONS)


def test_only_proof_of_absence_ends_releasing() -> None:
    assert TRANSITIONS[P.RELEASING] == {P.GONE}


def test_a_machine_is_stopped_only_out_of_draining_or_while_it_serves_nobody() -> None:
    into_stopping = {old for old, news in TRANSITIONS.items() if P.STOPPING in news}

    assert into_stopping == {P.DRAINING, P.BOOTING, P.WARM, P.RESUMING}


def test_what_is_on_the_way_can_get_hot_without_an_order() -> None:
    orders = {P.DRAINING, P.STOPPING, P.WARM, P.RELEASING, P.GONE, P.LOST}
    for phase in ON_THE_WAY:
        path, edge = set[Phase](), {phase}
        while edge:
            path |= edge
            edge = {new for old in edge for new in TRANSITIONS[old]} - path - orders
        assert P.HOT in path
