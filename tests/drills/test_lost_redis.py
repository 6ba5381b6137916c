"""Redis wiped: the fleet is rebuilt from the labels at the provider.

A machine is *unknown* while the provider has it and no record of ours speaks of it, by its token or its id. An intent
is stored before each call, so no call and no crash makes one; a Redis that has lost its records does, for as long as it
takes to notice and to list: at most the tick in which the loss is noticed, the one in which the fleet is loaded anew,
and the least interval of the provider's listings, 60 s together (`tests/runtime/test_lost_store.py`). Time counts from
the moment at which a daemon could list the machine: while nobody runs or leads, nobody could. A rent without a clear
answer is no such machine, however long its token is looked for (`autoscaler.core.sync.UNCLEAR_S`): its record is there
all the while, and then its tombstone.

Nothing is rented twice, no machine that holds a job is ended although its drain mark is lost, the day's books go on,
and the machines of others are never touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from tests.support.fleet_life import FOREIGN, LIFE, QUEUE, RUSH, World, a_fleet, live
from tests.support.mortal_daemon import KEYS, MortalDaemon, booked, is_accounted_for, tokens
from tests.support.real_time import until

SPEED = 40.0
AWAY_S = 300.0
FLOOR, RUSHED, DRAINS, _, STOPPED = LIFE[:5]


@pytest.fixture
def daemon(tmp_path: Path, redis_url: str) -> Iterator[MortalDaemon]:
    """A daemon of a fleet in an empty market."""
    mortal = MortalDaemon(tmp_path, a_fleet(tmp_path, redis_url), SPEED)
    mortal.start()
    yield mortal
    mortal.kill()


def foreign(daemon: MortalDaemon) -> list[tuple[str, str]]:
    """The machines of others, and their states."""
    machines = daemon.market().machines.values()
    return [(machine.label, machine.status) for machine in machines if machine.id.startswith("foreign")]


def assert_known_again(daemon: MortalDaemon, client: Any) -> list[Instance]:
    """Every machine is adopted under its token; gives the records."""
    until(lambda: is_accounted_for(daemon, client), "every machine had a record again")
    records = daemon.records(client)
    assert all(record.adopted for record in records)
    return records


def test_wiped_under_a_running_fleet(daemon: MortalDaemon, client: Any) -> None:
    live(daemon, client, FLOOR, RUSHED)
    before, spent = tokens(daemon), booked(client)[0]
    client.flushall()
    client.rpush(QUEUE, *range(RUSH))
    assert_known_again(daemon, client)
    live(daemon, client, RUSHED)
    assert tokens(daemon) == before
    assert daemon.market().rented == RUSHED.rented, "nothing was rented twice"
    assert foreign(daemon) == [(FOREIGN, "running")]
    until(lambda: booked(client)[0] > spent, "the books went on from where they were")
    assert daemon.terminate() == 0


def test_wiped_while_nobody_runs(daemon: MortalDaemon, client: Any) -> None:
    live(daemon, client, FLOOR, RUSHED, DRAINS, STOPPED)
    before = tokens(daemon)
    daemon.kill()
    client.flushall()
    daemon.start_again()
    records = assert_known_again(daemon, client)
    assert {record.provider_id: record.id for record in records} == before
    live(daemon, client, STOPPED)
    assert tokens(daemon) == before
    assert daemon.market().rented == STOPPED.rented, "nothing was rented twice"
    assert foreign(daemon) == [(FOREIGN, "running")]
    assert daemon.terminate() == 0


def test_wiped_while_the_provider_cannot_list(daemon: MortalDaemon, client: Any) -> None:
    live(daemon, client, FLOOR)
    before = tokens(daemon)
    assert daemon.terminate() == 0
    client.flushall()
    opened_at = daemon.market().opened_at
    assert opened_at is not None
    back_s = daemon.now() - opened_at + AWAY_S
    daemon.configure(
        a_fleet(daemon.file.parent, daemon.config["redis"], {"fault": "listing_fails", "until": f"{back_s:g}s"})
    )
    daemon.start_again()
    live(daemon, client, FLOOR)
    assert daemon.events("signal_lost"), "it could not list"
    assert tokens(daemon) == before
    assert daemon.market().rented == FLOOR.rented, "what is not listed yet is not rented anew"
    assert daemon.terminate() == 0


def test_wiped_in_the_middle_of_a_rent(tmp_path: Path, redis_url: str, client: Any) -> None:
    hangs = {"fault": "answer_hangs", "call": "rent"}
    daemon = MortalDaemon(tmp_path, a_fleet(tmp_path, redis_url, hangs), SPEED)
    daemon.start()
    try:
        until(daemon.machines, "a machine was made, and nobody said so")
        client.flushall()
        assert_known_again(daemon, client)
        live(daemon, client, FLOOR)
        assert daemon.market().rented == FLOOR.rented, "nothing was rented twice"
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


def test_a_machine_that_drains_keeps_its_job_although_its_mark_is_lost(daemon: MortalDaemon, client: Any) -> None:
    live(daemon, client, FLOOR, RUSHED, DRAINS)
    before = tokens(daemon)
    busy, beats = list(before.values()), count(10**6)
    client.flushall()
    over_at = daemon.now() + 300.0

    def works_on() -> bool:
        for name in busy:
            beat = {"busy": 1, "slots": 1, "drained": False, "beat": next(beats)}
            client.hset(KEYS.workers, name, json.dumps(beat))
        return daemon.now() > over_at

    until(works_on, "five minutes had passed")
    assert tokens(daemon) == before
    assert [machine.status for machine in daemon.machines()] == ["running", "running"]
    assert set(daemon.phases(client)) <= {Phase.HOT, Phase.DRAINING}
    world = World(client)
    until(lambda: world.play(STOPPED, daemon), "it stopped once it was idle")
    assert daemon.terminate() == 0
