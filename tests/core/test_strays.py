"""Which machines nobody takes care of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Remote, Status
from autoscaler.core.strays import Found, find
from tests.support.reports import FLEET, NOW, machine

OURS = Remote(provider_id="p0", label=f"autoscaler.{FLEET}.images.m1", status=Status.RUNNING)


def found(*records: Instance, remote: Remote = OURS, led: tuple[str, ...] = ()) -> Found:
    listings = {"mock": Listing(asked_at=NOW, machines=(remote,))}
    return find(listings, records, fleet=FLEET, pools=["images"], led=led, now=NOW)


def record(phase: Phase = Phase.HOT, **changes: Any) -> Instance:
    return replace(machine("m1", phase, provider_id="p0", phase_since=NOW - 60.0), **changes)


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(record(), id="it serves"),
        pytest.param(record(Phase.RENTING, provider_id=None), id="its rent is under way"),
        pytest.param(record(Phase.RELEASING), id="it goes"),
        pytest.param(record(Phase.GONE, phase_since=NOW + 1.0), id="it went after it was listed"),
    ],
)
def test_a_machine_that_is_taken_care_of_is_not_found(known: Instance) -> None:
    assert found(known) == Found(strays=[], unlisted={}, machines=1)


@pytest.mark.parametrize(
    ("known", "why", "to_release"),
    [
        (None, "no record names it", True),
        (record(provider_id="p9"), "no record names it", True),
        (record(pool="attic"), "its pool attic is not configured, hot for 1m", True),
        (record(Phase.GONE), "listed though its record says it is gone", False),
        (record(Phase.RELEASING, alarmed=True), "look in the provider's console", False),
        (record(Phase.DRAINING, alarmed=True), "`autoscaler release m1 --lose-jobs` ends it", False),
    ],
)
def test_what_is_wrong_with_a_machine_is_told_and_whether_a_release_mends_it(
    known: Instance | None, why: str, to_release: bool
) -> None:
    [stray] = found(*filter(None, [known])).strays
    assert why in stray.why
    assert (stray.name, stray.to_release) == ("mock/p0", to_release)


def test_a_machine_of_another_label_is_found_only_where_a_record_names_it() -> None:
    foreign = replace(OURS, label="somebody's")
    assert found(remote=foreign) == Found(strays=[], unlisted={}, machines=0)
    assert [stray.pool for stray in found(record(pool="attic"), remote=foreign).strays] == ["attic"]


def test_a_machine_whose_label_is_nearly_ours_is_shown_and_left_to_a_person() -> None:
    [stray] = found(remote=replace(OURS, label=OURS.label + "-copy")).strays
    assert "autoscaler adopt" in stray.why
    assert (stray.pool, stray.to_release) == ("", False)


def test_machines_of_a_pool_that_only_another_daemons_file_names_are_left_to_that_daemon() -> None:
    videos = replace(OURS, label=f"autoscaler.{FLEET}.videos.m1")
    assert found(remote=videos, led=("videos",)).strays == []
    assert found(record(pool="videos"), led=("videos",)).strays == []
    assert [stray.why for stray in found(led=("images",)).strays] == ["no record names it"]


def test_of_a_provider_that_is_not_listed_nothing_is_known() -> None:
    none = find({"mock": Unknown("503", NOW)}, [], fleet=FLEET, pools=[], led=[], now=NOW)
    assert none == Found(strays=[], unlisted={"mock": "503"}, machines=0)
