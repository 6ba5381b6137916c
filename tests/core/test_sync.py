from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.core.demand import Unknown
from autoscaler.core.evidence import Evidence
from autoscaler.core.instance import Instance, make_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Remote, Status
from autoscaler.core.spec import Deadlines, MachineSpec
from autoscaler.core.sync import ABSENCE_S, TOMBSTONE_S, UNCLEAR_S, sync
from tests.support.build import FLEET, NOW, instance, pool, remote

P = Phase


def evidence(*machines: Remote, now: float = NOW, **changes: Any) -> Evidence:
    values: dict[str, Any] = {
        "now": now,
        "fleet": FLEET,
        "pools": {"images": pool()},
        "listings": {"mock": Listing(asked_at=now, machines=machines)},
    }
    return Evidence(**(values | changes))


def after(record: Instance, seen: Evidence) -> Instance:
    """The record after one sync."""
    changed = {new.id: new for new in sync({record.id: record}, seen).changed}
    return changed.get(record.id, record)


MEANING = [
    # phase, what the provider says, what it becomes
    (P.RENTING, Status.STARTING, P.BOOTING),
    (P.RENTING, Status.UNKNOWN, P.BOOTING),
    (P.RENTING, Status.OFFLINE, P.BOOTING),
    (P.RENTING, Status.RUNNING, P.HOT),
    (P.RENTING, Status.STOPPED, P.RELEASING),
    (P.RENTING, Status.QUEUED, P.RELEASING),
    (P.BOOTING, Status.STARTING, P.BOOTING),
    (P.BOOTING, Status.UNKNOWN, P.BOOTING),
    (P.BOOTING, Status.RUNNING, P.HOT),
    (P.BOOTING, Status.STOPPED, P.RELEASING),
    (P.BOOTING, Status.OFFLINE, P.LOST),
    (P.HOT, Status.RUNNING, P.HOT),
    (P.HOT, Status.UNKNOWN, P.HOT),
    (P.HOT, Status.STARTING, P.BOOTING),
    (P.HOT, Status.STOPPED, P.WARM),
    (P.HOT, Status.QUEUED, P.WARM),
    (P.HOT, Status.OFFLINE, P.LOST),
    (P.DRAINING, Status.RUNNING, P.DRAINING),
    (P.DRAINING, Status.STOPPED, P.WARM),
    (P.DRAINING, Status.OFFLINE, P.LOST),
    (P.STOPPING, Status.RUNNING, P.STOPPING),
    (P.STOPPING, Status.QUEUED, P.STOPPING),
    (P.STOPPING, Status.STOPPED, P.WARM),
    (P.WARM, Status.STOPPED, P.WARM),
    (P.WARM, Status.QUEUED, P.STOPPING),
    (P.WARM, Status.UNKNOWN, P.STOPPING),
    (P.WARM, Status.STARTING, P.BOOTING),
    (P.WARM, Status.RUNNING, P.HOT),
    (P.WARM, Status.OFFLINE, P.LOST),
    (P.RESUMING, Status.STOPPED, P.RESUMING),
    (P.RESUMING, Status.STARTING, P.BOOTING),
    (P.RESUMING, Status.RUNNING, P.HOT),
    (P.RESUMING, Status.QUEUED, P.STOPPING),
    (P.RESUMING, Status.OFFLINE, P.LOST),
    (P.LOST, Status.OFFLINE, P.LOST),
    (P.LOST, Status.STARTING, P.BOOTING),
    (P.LOST, Status.RUNNING, P.HOT),
    (P.LOST, Status.STOPPED, P.WARM),
    (P.RELEASING, Status.RUNNING, P.RELEASING),
    (P.RELEASING, Status.STOPPED, P.RELEASING),
    (P.GONE, Status.RUNNING, P.RELEASING),
    (P.GONE, Status.STOPPED, P.RELEASING),
    *[(phase, Status.FAILED, P.RELEASING) for phase in P if phase is not P.PLANNED],
]


@pytest.mark.parametrize(("phase", "status", "expected"), MEANING)
def test_a_provider_status_means_what_the_table_says(phase: Phase, status: Status, expected: Phase) -> None:
    assert after(instance(phase), evidence(remote(status))).phase is expected


@pytest.mark.parametrize("phase", P)
@pytest.mark.parametrize("status", Status)
def test_no_status_in_any_phase_breaks_the_transition_table(phase: Phase, status: Status) -> None:
    for gpu_count in (0, 1):
        for record in (instance(phase), instance(phase, resumed=True), instance(phase, phase_since=NOW - 1e7)):
            assert after(record, evidence(remote(status, gpu_count=gpu_count))).id == "aaaa"


def test_a_failed_listing_changes_nothing() -> None:
    blind = evidence(listings={"mock": Unknown("500", NOW)})

    for phase in set(P) - {P.PLANNED}:
        record = instance(phase, burn_usd_per_hour=0.8)
        assert after(record, blind) is record


def test_a_machine_that_boots_unseen_is_booked_at_its_full_price() -> None:
    loading = instance(P.BOOTING, burn_usd_per_hour=0.02)
    blind = evidence(listings={"mock": Unknown("500", NOW)})
    assert after(loading, blind).burn_usd_per_hour == 0.8
    assert after(loading, evidence(ready=frozenset({"aaaa"}), listings=blind.listings)).burn_usd_per_hour == 0.8
    assert after(loading, evidence(remote(Status.STARTING, burn_usd_per_hour=0.02))).burn_usd_per_hour == 0.02


def test_a_listing_asked_for_before_the_last_call_ended_says_nothing() -> None:
    record = instance(P.RESUMING, called_at=NOW + 1)

    assert after(record, evidence(remote(Status.QUEUED))) is record


def test_a_machine_with_a_call_under_way_is_left_alone() -> None:
    record = instance(P.RESUMING, phase_since=NOW - 1e6)

    assert after(record, evidence(remote(Status.QUEUED), calling=frozenset({"aaaa"}))) is record


# --- absence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [P.BOOTING, P.HOT, P.DRAINING, P.STOPPING, P.WARM, P.RESUMING])
def test_a_machine_is_lost_only_when_complete_listings_agree_for_a_while(phase: Phase) -> None:
    once = after(instance(phase), evidence())
    assert once.phase is phase

    soon = after(once, evidence(now=NOW + ABSENCE_S - 1))
    assert soon.phase is phase

    assert after(soon, evidence(now=NOW + ABSENCE_S)).phase is P.LOST


def test_a_machine_seen_in_between_is_not_lost() -> None:
    once = after(instance(P.HOT), evidence())
    seen = after(once, evidence(remote(), now=NOW + 10))
    again = after(seen, evidence(now=NOW + ABSENCE_S + 5))

    assert again.phase is P.HOT


def test_releasing_ends_by_absence_after_an_answered_call_and_not_before() -> None:
    uncalled = instance(P.RELEASING, absent_since=NOW - 1e5)
    assert after(uncalled, evidence()).phase is P.RELEASING

    called = instance(P.RELEASING, called_at=NOW - 30, absent_since=NOW - ABSENCE_S)
    gone = after(called, evidence())
    assert gone.phase is P.GONE
    assert gone.burn_usd_per_hour == 0.0


@pytest.mark.parametrize("age_s", [0.0, 1e3, 1e7])
def test_releasing_never_ends_while_the_machine_is_listed(age_s: float) -> None:
    record = instance(P.RELEASING, called_at=NOW - age_s, phase_since=NOW - age_s - 1)

    assert after(record, evidence(remote())).phase is P.RELEASING


def test_an_unclear_rent_is_given_up_only_after_its_token_stayed_away_for_long() -> None:
    unclear = instance(P.RENTING, provider_id=None)
    first = after(unclear, evidence())
    assert first.phase is P.RENTING

    assert after(first, evidence(now=NOW + UNCLEAR_S - 1)).phase is P.RENTING
    assert after(first, evidence(now=NOW + UNCLEAR_S)).phase is P.GONE


def test_an_unclear_rent_is_never_given_up_on_failed_listings() -> None:
    unclear = instance(P.RENTING, provider_id=None, phase_since=NOW - 1e6)

    still = after(unclear, evidence(listings={"mock": Unknown("503", NOW)}))

    assert still.phase is P.RENTING
    assert still.alarmed


def test_an_unclear_rent_is_found_by_its_token() -> None:
    unclear = instance(P.RENTING, provider_id=None)

    found = after(unclear, evidence(remote(Status.STARTING, provider_id="m-77")))

    assert found.phase is P.BOOTING
    assert found.provider_id == "m-77"


def test_an_accepted_machine_that_never_lists_is_released_by_its_id() -> None:
    accepted = instance(P.RENTING, phase_since=NOW - 601)

    assert after(accepted, evidence()).phase is P.RELEASING


def test_a_rent_whose_answer_died_with_the_daemon_is_looked_for() -> None:
    planned = instance(P.PLANNED, provider_id=None)

    assert after(planned, evidence()).phase is P.RENTING


# --- money and identity -----------------------------------------------------------------------------------------------


def test_a_machine_dearer_than_agreed_is_released_on_the_first_read() -> None:
    assert after(instance(P.RENTING), evidence(remote(usd_per_hour=0.81))).phase is P.RELEASING
    assert after(instance(P.RENTING), evidence(remote(usd_per_hour=0.8004))).phase is P.HOT


def test_the_cost_follows_the_price_that_the_listing_shows() -> None:
    record = instance(P.HOT, burn_usd_per_hour=0.8, booked_at=NOW - 3600)

    stopped = after(record, evidence(remote(Status.STOPPED)))

    assert stopped.usd_spent == pytest.approx(0.8)
    assert stopped.cost_usd(NOW + 3600) == pytest.approx(0.82)


def test_a_start_that_was_just_accepted_may_look_queued_for_a_minute() -> None:
    for record in (instance(P.RESUMING, phase_since=NOW - 59), instance(P.RESUMING, called_at=NOW - 59)):
        assert after(record, evidence(remote(Status.QUEUED))).phase is P.RESUMING
    assert after(instance(P.RESUMING, called_at=NOW - 60), evidence(remote(Status.QUEUED))).phase is P.STOPPING
    assert after(instance(P.WARM, phase_since=NOW - 1), evidence(remote(Status.QUEUED))).phase is P.STOPPING


@pytest.mark.parametrize(
    ("status", "usd_per_hour"),
    [
        (Status.RUNNING, 0.8),
        (Status.UNKNOWN, 0.8),
        (Status.STOPPED, 0.02),
        (Status.QUEUED, 0.02),
        (Status.OFFLINE, 0.0),
    ],
)
def test_a_price_that_is_missing_is_not_zero(status: Status, usd_per_hour: float) -> None:
    untold = remote(status, usd_per_hour=0.0, disk_usd_per_hour=0.0, burn_usd_per_hour=0.0)
    for phase in (P.BOOTING, P.HOT, P.WARM, P.RELEASING):
        record = after(instance(phase, phase_since=NOW - 1), evidence(untold))
        assert (record.burn_usd_per_hour, record.disk_usd_per_hour) == (usd_per_hour, 0.02)


@pytest.mark.parametrize(
    ("disk", "burn", "phase"),
    [(0.02, 0.02, P.WARM), (0.02, 0.8, P.STOPPING), (0.0, 0.0, P.WARM), (0.0, 0.8, P.STOPPING)],
)
def test_a_standby_whose_gpu_bills_is_stopped_again_whatever_its_state_is_called(
    disk: float, burn: float, phase: Phase
) -> None:
    seen = remote(Status.UNKNOWN, disk_usd_per_hour=disk, burn_usd_per_hour=burn)
    assert after(instance(P.WARM, disk_usd_per_hour=disk), evidence(seen)).phase is phase


def test_a_resumed_machine_without_a_gpu_is_stopped_and_counts_as_refused() -> None:
    bare = remote(gpu_count=0)

    assert after(instance(P.RESUMING), evidence(bare)).phase is P.STOPPING
    assert after(instance(P.RESUMING), evidence(bare)).refusals == 1
    assert after(instance(P.BOOTING, resumed=True), evidence(bare)).phase is P.STOPPING
    assert after(instance(P.BOOTING), evidence(bare)).phase is P.RELEASING


def test_a_resumed_machine_stopped_before_it_was_ready_stays_a_standby() -> None:
    record = after(instance(P.BOOTING, resumed=True), evidence(remote(Status.STOPPED)))

    assert record.phase is P.WARM
    assert record.refusals == 1


def test_ready_needs_what_the_pool_asks_for() -> None:
    asking = evidence(remote(), pools={"images": pool(machine=MachineSpec(image="x", gpus=(), ready="heartbeat"))})
    assert after(instance(P.BOOTING), asking).phase is P.BOOTING

    told = replace(asking, ready=frozenset({"aaaa"}))
    assert after(instance(P.BOOTING), told).phase is P.HOT


def test_a_machine_that_says_it_is_ready_has_not_restarted_because_an_older_listing_says_it_starts() -> None:
    asking = {"images": pool(machine=MachineSpec(image="x", gpus=(), ready="heartbeat"))}
    told = evidence(remote(Status.STARTING), pools=asking, ready=frozenset({"aaaa"}))
    hot = after(instance(P.BOOTING, ordered_at=NOW - 50.0), told)
    assert (hot.phase, hot.restarts, hot.ordered_at) == (P.HOT, 0, NOW - 50.0)
    assert after(hot, replace(told, now=NOW + 5.0, ready=frozenset())) is hot, "the same listing, a tick later"
    newer = evidence(remote(Status.STARTING), now=NOW + 10.0, pools=asking)
    assert after(hot, newer).phase is P.BOOTING


def test_only_what_we_ordered_teaches_how_long_it_takes() -> None:
    lost = after(instance(P.LOST, ordered_at=NOW - 1e5), evidence(remote(Status.STARTING)))
    resumed = after(instance(P.RESUMING, ordered_at=NOW - 100), evidence(remote(Status.STARTING)))

    assert (lost.ordered_at, resumed.ordered_at) == (0.0, NOW - 100)


# --- deadlines --------------------------------------------------------------------------------------------------------

OVERDUE = [
    (P.PLANNED, P.RENTING, False),
    (P.RENTING, P.RELEASING, False),
    (P.BOOTING, P.RELEASING, False),
    (P.DRAINING, P.DRAINING, True),
    (P.STOPPING, P.RELEASING, False),
    (P.RESUMING, P.STOPPING, False),
    (P.RELEASING, P.RELEASING, True),
    (P.LOST, P.RELEASING, False),
]
QUIET = {
    P.STOPPING: Status.RUNNING,
    P.RESUMING: Status.STOPPED,
    P.DRAINING: Status.RUNNING,
    P.RELEASING: Status.RUNNING,
}


@pytest.mark.parametrize(("phase", "expected", "alarmed"), OVERDUE)
def test_every_deadline_has_its_escalation(phase: Phase, expected: Phase, alarmed: bool) -> None:
    limit = getattr(Deadlines(), phase.value)
    record = instance(phase, phase_since=NOW - limit - 1)
    machines = [remote(QUIET[phase])] if phase in QUIET else []
    if phase is P.BOOTING:
        machines = [remote(Status.STARTING)]

    new = after(record, evidence(*machines))

    assert new.phase is expected
    assert new.alarmed is alarmed


def test_a_deadline_of_a_machine_we_cannot_see_only_raises_an_alarm() -> None:
    record = instance(P.BOOTING, phase_since=NOW - 1e6)

    blind = after(record, evidence(listings={"mock": Unknown("500", NOW)}))

    assert (blind.phase, blind.alarmed) == (P.BOOTING, True)


def test_an_alarm_is_raised_once() -> None:
    record = instance(P.DRAINING, phase_since=NOW - 1e6)
    alarmed = after(record, evidence(remote()))

    assert alarmed.alarmed
    assert not sync({"aaaa": alarmed}, evidence(remote())).changed


# --- ownership --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label",
    [
        "",
        "somebody-else",
        "autoscaler.other.images.x",
        "autoscaler.acme.images",
        "autoscaler.acme.images.x.y",
        "acme.images.x",
        "autoscaler.acm.images.x",
        "autoscaler.acme-eu.images.x",
        "Autoscaler.acme.images.x",
        "autoscaler.acme.images.X",
        "autoscaler.\N{CYRILLIC SMALL LETTER A}cme.images.x",
        "autoscaler.acme.images.\N{FULLWIDTH LATIN SMALL LETTER X}",
        "autoscaler.acme.images.\N{ARABIC-INDIC DIGIT ONE}",
        "autoscaler.acme.images.x-copy",
        "autoscaler.acme.images.x ",
        "autoscaler.acme.images.x\n",
        " autoscaler.acme.images.x",
        "autoscaler.acme.my images.x",
    ],
)
def test_a_machine_without_our_label_is_never_touched(label: str) -> None:
    assert not sync({}, evidence(remote(label=label))).changed


def test_a_machine_that_a_record_names_by_its_id_is_there_whatever_its_label_says_by_now() -> None:
    released = instance(P.RELEASING, called_at=NOW - 100.0, phase_since=NOW - 200.0, absent_since=NOW - 90.0)
    assert after(released, evidence(remote(label=""))).phase is P.RELEASING
    assert after(instance(P.HOT), evidence(remote(Status.STOPPED, label=""))).phase is P.WARM


@pytest.mark.parametrize(
    ("status", "phase"),
    [(Status.RUNNING, P.BOOTING), (Status.STARTING, P.BOOTING), (Status.STOPPED, P.WARM), (Status.FAILED, P.RELEASING)],
)
def test_a_machine_of_our_label_without_a_record_is_adopted(status: Status, phase: Phase) -> None:
    [found] = sync({}, evidence(remote(status))).changed

    assert (found.id, found.pool, found.phase, found.adopted) == ("aaaa", "images", phase, True)
    assert found.provider_id == "m-1"


def test_a_second_machine_for_one_token_is_released() -> None:
    first = instance(P.HOT)

    [twin] = sync({"aaaa": first}, evidence(remote(), remote(provider_id="m-2"))).changed[-1:]

    assert twin.phase is P.RELEASING
    assert twin.provider_id == "m-2"
    assert twin.id != first.id


def test_a_machine_whose_rent_is_still_being_answered_is_not_adopted_twice() -> None:
    planned = instance(P.PLANNED, provider_id=None)

    assert not sync({"aaaa": planned}, evidence(remote(), calling=frozenset({"aaaa"}))).changed


def test_a_tombstone_is_forgotten_in_the_end() -> None:
    grave = instance(P.GONE, phase_since=NOW - TOMBSTONE_S - 1)

    assert sync({"aaaa": grave}, evidence()).forgotten == ("aaaa",)


def test_labels_are_read_back_as_they_were_made() -> None:
    [found] = sync({}, evidence(remote(label=make_label(FLEET, "images", "zz99")))).changed

    assert found.id == "zz99"


def test_a_boot_that_comes_and_goes_in_the_listing_has_one_deadline() -> None:
    limit = Deadlines().booting
    starting = remote(Status.STARTING)
    booting = instance(P.BOOTING, phase_since=NOW, absent_since=NOW)

    lost = after(booting, evidence(now=NOW + ABSENCE_S))
    back = after(lost, evidence(starting, now=NOW + 60.0))
    late = after(back, evidence(starting, now=NOW + limit + 1.0))

    assert [lost.phase, back.phase, late.phase] == [P.LOST, P.BOOTING, P.RELEASING]
    assert back.phase_since == NOW


def test_a_machine_that_was_hot_when_it_was_lost_has_a_whole_deadline_to_come_up_again() -> None:
    hot = instance(P.HOT, phase_since=NOW - 86400.0, absent_since=NOW)

    lost = after(hot, evidence(now=NOW + ABSENCE_S))
    back = after(lost, evidence(remote(Status.STARTING), now=NOW + 60.0))

    assert (back.phase, back.phase_since) == (P.BOOTING, NOW + 60.0)
