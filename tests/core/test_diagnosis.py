"""Capacity shortage, crash loop and slow pull: three diagnoses, three reactions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.core.decision import Action, Decision
from autoscaler.core.diagnosis import SETTLED_S, Diagnosis, ImageHistory
from autoscaler.core.evidence import Evidence
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Remote, Status
from autoscaler.core.plan import plan
from autoscaler.core.spec import Deadlines, MachineSpec
from autoscaler.core.sync import sync
from tests.support.build import FLEET, NOW, decision, instance, offer, pool, remote, snapshot

P = Phase
CRASH_LOOP, SLOW_PULL = Diagnosis.CRASH_LOOP, Diagnosis.SLOW_PULL
LATE = {"phase_since": NOW - Deadlines().booting - 1.0}


def after(record: Instance, seen: Remote, now: float = NOW) -> Instance:
    """The record after one sync."""
    machine = MachineSpec(image="worker:1", gpus=("RTX 4090",), ready="heartbeat")
    evidence = Evidence(
        now=now,
        fleet=FLEET,
        pools={"images": pool(machine=machine)},
        listings={"mock": Listing(asked_at=now, machines=(seen,))},
    )
    changed = {new.id: new for new in sync({record.id: record}, evidence).changed}
    return changed.get(record.id, record)


WHAT_IT_IS = [
    # phase, what is known of it, what the provider says, the diagnosis
    (P.RENTING, {}, Status.FAILED, CRASH_LOOP),
    (P.BOOTING, {}, Status.FAILED, CRASH_LOOP),
    (P.RESUMING, {}, Status.FAILED, CRASH_LOOP),
    (P.HOT, {"phase_since": NOW - SETTLED_S + 1}, Status.FAILED, CRASH_LOOP),
    (P.HOT, {"phase_since": NOW - SETTLED_S}, Status.FAILED, None),
    (P.WARM, {}, Status.FAILED, None),
    (P.BOOTING, {}, Status.STARTING, None),
    (P.BOOTING, LATE, Status.STARTING, SLOW_PULL),
    (P.BOOTING, LATE, Status.UNKNOWN, SLOW_PULL),
    (P.BOOTING, LATE, Status.RUNNING, CRASH_LOOP),
]


@pytest.mark.parametrize(("phase", "known", "status", "diagnosis"), WHAT_IT_IS)
def test_what_a_machine_that_does_not_come_up_suffers_from(
    phase: Phase, known: dict[str, Any], status: Status, diagnosis: Diagnosis | None
) -> None:
    new = after(instance(phase, **known), remote(status))

    assert new.diagnosis is diagnosis
    assert (new.phase is P.RELEASING) is (status is Status.FAILED or bool(diagnosis))


def restarted(record: Instance, hot_s: float, now: float) -> tuple[Instance, float]:
    """A machine that got HOT, and restarts after some time."""
    hot = record.moved(P.HOT, now, "ready") if record.phase is P.BOOTING else replace(record, phase_since=now)
    return after(hot, remote(Status.STARTING), now + hot_s), now + hot_s


def test_a_third_restart_in_a_row_is_a_crash_loop() -> None:
    record, now = restarted(instance(P.HOT), 60.0, NOW)
    assert record.phase is P.BOOTING
    record, now = restarted(record, 60.0, now)
    assert record.phase is P.BOOTING
    record, _ = restarted(record, 60.0, now)

    assert (record.phase, record.diagnosis) == (P.RELEASING, CRASH_LOOP)
    assert "restarted 3 times, each within 10m" in record.reason


def test_restarts_of_a_machine_that_worked_long_between_them_are_no_crash_loop() -> None:
    record, now = instance(P.HOT), NOW
    for _ in range(6):
        record, now = restarted(record, SETTLED_S, now)
        assert (record.phase, record.restarts) == (P.BOOTING, 1)


# --- an image that crashes wherever it runs ---------------------------------------------------------------------------

ONCE = ImageHistory().after_crash("h-1", NOW - 600.0)
TWICE = ONCE.after_crash("h-2", NOW - 300.0)
RETRY_S = 3600.0
OFFERS = {"mock-on-demand": (offer(offer_id="o-1"), offer(offer_id="o-2", host="h-2"))}


def planned(history: ImageHistory, *fleet: Instance, now: float = NOW) -> tuple[list[Action], Decision]:
    commands, told = plan(snapshot(*fleet, image=history, offers=OFFERS), decision(2), now)
    return [command.action for command in commands], told


def test_a_crash_on_one_host_may_be_the_hosts_fault_however_often() -> None:
    again = ONCE.after_crash("h-1", NOW)
    assert not again.given_up
    assert planned(again)[0] == [Action.RENT, Action.RENT]


def test_a_crash_on_two_hosts_stops_all_renting_and_says_what_to_do() -> None:
    actions, told = planned(TWICE)

    assert actions == []
    [reason] = [reason for reason in told.why_not if reason.rule == "image.rent"]
    assert "worker:1 crashed in a loop on 2 hosts (h-1, h-2)" in reason.text
    assert "name the new tag under `machine.image`" in reason.text
    assert "tries it again in 55m" in reason.text


def test_a_standby_is_resumed_though_its_image_is_given_up() -> None:
    assert planned(TWICE, instance(P.WARM))[0] == [Action.RESUME]


def test_after_a_while_one_machine_at_a_time_tries_the_image_again() -> None:
    later = NOW - 300.0 + RETRY_S
    assert planned(TWICE, now=later - 1.0)[0] == []
    assert planned(TWICE, now=later)[0] == [Action.RENT]
    assert planned(TWICE, instance(P.BOOTING), now=later)[0] == []
    assert planned(TWICE.after_crash("h-3", later), now=later + 60.0)[0] == []
