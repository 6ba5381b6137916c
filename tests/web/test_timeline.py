"""The last day: points and phases out of the stored history, whatever its holes, and small whatever the fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.lifecycle import Phase
from autoscaler.core.samples import PoolSample, Sample, Stay, TierSample
from autoscaler.web import recent, timeline
from tests.support.reports import NOW, machine, report
from tests.support.served import Daemon, served

MINUTE, HOUR = 60.0, 3600.0
START = NOW // HOUR * HOUR
"""The whole hour before now."""


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    async with served() as made:
        made.clock.time = START + HOUR
        yield made


def measured(**changes: Any) -> PoolSample:
    """A minute of two machines HOT, one of them for half of it, and one that boots."""
    values: dict[str, Any] = {
        "tiers": {"pro": TierSample(3, 2, 4, 9.5), "removed": TierSample(0, 0, 0, None)},
        "seen_s": MINUTE,
        "machine_s": {Phase.HOT: 60.0, Phase.DRAINING: 30.0, Phase.BOOTING: 60.0, Phase.WARM: 60.0},
        "usd": 0.02,
        "wanted": 3,
    }
    return PoolSample(**(values | changes))


def a_sample(minute: float, *stays: Stay, **changes: Any) -> Sample:
    at = START + minute * MINUTE
    return Sample(at=at, until=at + MINUTE, pools={"images": measured(**changes)}, stays=stays)


def a_stay(name: str, phase: Phase, since: float, until: float, **changes: Any) -> Stay:
    """Times in minutes."""
    values: dict[str, Any] = {
        "instance": name,
        "pool": "images",
        "placement": "mock-spot",
        "provider": "mock",
        "gpu": "RTX 4090",
        "region": "US",
        "phase": phase,
        "since": START + since * MINUTE,
        "until": START + until * MINUTE,
        "usd_per_hour": 0.4,
    }
    return Stay(**(values | changes))


async def ask(daemon: Daemon, hours: int = 24) -> dict[str, Any]:
    """Ask anew: what was answered a moment ago is kept for five seconds."""
    daemon.clock.time += 5.0
    status, answer = await daemon.json(f"/api/v1/timeline?hours={hours}")
    assert status == 200, answer
    return dict(answer)


async def points(daemon: Daemon, hours: int = 24) -> dict[str, Any]:
    [pool] = (await ask(daemon, hours))["pools"]
    return dict(pool["points"])


# --- points -----------------------------------------------------------------------------------------------------------


async def test_before_anything_is_known_the_pools_and_their_targets_are(daemon: Daemon) -> None:
    answer = await ask(daemon, 3)
    [pool] = answer["pools"]
    assert (answer["to"], answer["from"]) == (daemon.clock.time, daemon.clock.time - 3 * HOUR)
    assert (answer["machines"], answer["machines_left_out"]) == ([], 0)
    assert pool["name"] == "images"
    assert [tier["tier"] for tier in pool["tiers"]] == ["pro"]
    assert pool["points"]["at"] == []
    assert pool["points"]["tiers"] == [{"waiting": [], "oldest_wait_s": []}]


async def test_each_minute_is_a_point(daemon: Daemon) -> None:
    daemon.store.state.samples.extend([a_sample(0), a_sample(1, wanted=None, usd=0.0, tiers={}, machine_s={})])
    assert await points(daemon) == {
        "at": [START, START + MINUTE],
        "hot": [1.5, 0.0],
        "warm": [1.0, 0.0],
        "up": [2.0, 0.0],
        "wanted": [3, None],
        "usd_per_hour": [1.2, 0.0],
        "tiers": [
            {"waiting": [4, None], "oldest_wait_s": [9.5, None]},
        ],
    }


async def test_a_minute_in_two_parts_is_one_point_and_a_gap_is_none(daemon: Daemon) -> None:
    first = Sample(at=START, until=START + 20.0, pools={"images": measured(usd=0.01, machine_s={Phase.HOT: 20.0})})
    rest = Sample(at=START + 20.0, until=START + 60.0, pools={"images": measured(usd=0.01, machine_s={})})
    daemon.store.state.samples.extend([first, rest, a_sample(7)])
    found = await points(daemon)
    assert found["at"] == [START, START + 7 * MINUTE]
    assert (found["hot"][0], found["usd_per_hour"][0]) == (pytest.approx(0.33), 1.2)


async def test_what_is_older_than_asked_for_is_left_out(daemon: Daemon) -> None:
    daemon.store.state.samples.extend(a_sample(minute) for minute in range(-30 * 60, 60))
    assert len((await points(daemon, 24))["at"]) == 24 * 60
    assert len((await points(daemon, 1))["at"]) == 60
    assert (await points(daemon, 1))["at"][-1] == START + 59 * MINUTE


async def test_what_is_new_is_added_and_no_more_is_read_than_that() -> None:
    stored, read = [a_sample(minute) for minute in range(-60, 50)], list[float]()

    async def newest_first() -> AsyncIterator[Sample]:
        for sample in reversed(stored):
            read.append(sample.at)
            yield sample

    day = recent.Recent(lambda: {"": newest_first()})
    await day.read(1, START + HOUR)
    assert len(day.points("images")) == len(read) == 110
    read.clear()
    stored.append(a_sample(50))
    await day.read(1, START + HOUR)
    assert len(day.points("images")) == 111
    assert read == [START + 50 * MINUTE, START + 49 * MINUTE], "the newest that was known is where it ends"


async def test_what_has_become_older_than_a_day_is_forgotten(daemon: Daemon) -> None:
    daemon.store.state.samples.extend(a_sample(minute) for minute in range(-60, 50))
    await ask(daemon)
    daemon.clock.time += 23 * HOUR
    daemon.store.state.samples.append(a_sample(23 * 60))
    found = await points(daemon)
    assert found["at"][0] >= daemon.clock.time - 24 * HOUR - MINUTE
    assert found["at"][-1] == START + 23 * HOUR


@pytest.mark.parametrize("becomes", ["emptied", "another"])
async def test_a_store_that_holds_another_history_by_now_is_believed(daemon: Daemon, becomes: str) -> None:
    daemon.store.state.samples.extend(a_sample(minute) for minute in range(10))
    await ask(daemon)
    daemon.store.state.samples.clear()
    if becomes == "another":
        daemon.store.state.samples.append(a_sample(30))
    assert (await points(daemon))["at"] == ([] if becomes == "emptied" else [START + 30 * MINUTE])


async def test_many_pools_have_longer_steps_with_the_worst_of_each(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "_MOST_POINTS", 144)
    waits = [TierSample(0, 0, waiting, wait_s) for waiting, wait_s in ((1, 5.0), (7, None), (3, 60.0))]
    daemon.store.state.samples.extend(
        a_sample(minute, tiers={"pro": wait}, wanted=minute) for minute, wait in enumerate(waits)
    )
    answer = await ask(daemon)
    [pool] = answer["pools"]
    assert answer["step_s"] == 600.0
    assert pool["points"]["at"] == [START]
    assert pool["points"]["tiers"][0] == {"waiting": [7], "oldest_wait_s": [60.0]}
    assert (pool["points"]["hot"], pool["points"]["wanted"]) == ([1.5], [2])


# --- machines ---------------------------------------------------------------------------------------------------------


async def phases(daemon: Daemon, hours: int = 24) -> dict[str, list[tuple[str, float, float | None]]]:
    """By machine: each phase and when it begins and ends, in minutes."""
    return {
        each["id"]: [(span["phase"], *(minutes(span[end]) for end in ("from", "to"))) for span in each["phases"]]
        for each in (await ask(daemon, hours))["machines"]
    }


def minutes(at: float | None) -> float | None:
    return None if at is None else (at - START) / MINUTE


async def test_a_machine_has_the_phases_of_the_history_and_the_one_of_its_record(daemon: Daemon) -> None:
    booting, hot = a_stay("m1", Phase.BOOTING, 1, 5, usd_per_hour=0.5), a_stay("m1", Phase.HOT, 5, 9)
    daemon.store.state.samples.extend([a_sample(5, booting), a_sample(9, hot)])
    about = {"gpu": "RTX 4090", "region": "US", "burn_usd_per_hour": 0.02}
    daemon.board.ticked(report(machine("m1", Phase.WARM, phase_since=START + 9 * MINUTE, **about)))
    [found] = (await ask(daemon))["machines"]
    assert [found[name] for name in ("id", "pool", "placement", "provider", "gpu", "region", "usd_per_hour")] == [
        *("m1", "images", "mock-spot", "mock", "RTX 4090", "US", 0.5)
    ]
    assert [span["usd_per_hour"] for span in found["phases"]] == [0.5, 0.4, 0.02]
    assert (await phases(daemon))["m1"] == [("booting", 1, 5), ("hot", 5, 9), ("warm", 9, None)]


async def test_a_machine_that_is_gone_ends_when_it_went_with_or_without_a_record(daemon: Daemon) -> None:
    stays = [a_stay(name, Phase.RELEASING, 2, 4) for name in ("with", "without")]
    daemon.store.state.samples.append(a_sample(4, *stays))
    daemon.board.ticked(report(machine("with", Phase.GONE, phase_since=START + 4 * MINUTE)))
    assert await phases(daemon) == {"with": [("releasing", 2, 4)], "without": [("releasing", 2, 4)]}


async def test_a_phase_that_began_before_begins_with_the_time_that_was_asked_for(daemon: Daemon) -> None:
    daemon.store.state.samples.append(a_sample(10, a_stay("m1", Phase.HOT, -500, 10), a_stay("m2", Phase.HOT, -9, -5)))
    daemon.board.ticked(report(machine("m3", Phase.HOT, phase_since=START - 600 * MINUTE)))
    found = await phases(daemon, 1)
    begin = pytest.approx(daemon.clock.time / MINUTE - START / MINUTE - 60.0, abs=0.01)
    assert found == {"m1": [("hot", begin, 10)], "m3": [("hot", begin, None)]}


async def test_of_too_many_machines_those_that_changed_last_are_shown_and_the_others_counted(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "_MOST_MACHINES", 2)
    daemon.store.state.samples.append(a_sample(10, a_stay("old", Phase.HOT, 1, 2), a_stay("new", Phase.HOT, 8, 9)))
    daemon.board.ticked(report(machine("now", phase_since=START + 10 * MINUTE)))
    answer = await ask(daemon)
    assert ([each["id"] for each in answer["machines"]], answer["machines_left_out"]) == (["new", "now"], 1)


async def test_of_too_many_changes_the_newest_are_kept(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_MOST_STAYS", 3)
    daemon.store.state.samples.extend(a_sample(n, a_stay(f"m{n}", Phase.HOT, n - 1, n)) for n in range(5))
    assert list(await phases(daemon)) == ["m2", "m3", "m4"]
    daemon.store.state.samples.append(a_sample(5, a_stay("m5", Phase.HOT, 4, 5)))
    assert list(await phases(daemon)) == ["m3", "m4", "m5"]


# --- manners ----------------------------------------------------------------------------------------------------------


async def test_it_is_made_once_in_five_seconds_however_many_ask(daemon: Daemon) -> None:
    first = await ask(daemon)
    daemon.store.state.samples.append(a_sample(0))
    assert (await daemon.json("/api/v1/timeline"))[1] == first
    daemon.clock.time += 5.0
    assert (await daemon.json("/api/v1/timeline"))[1] != first


@pytest.mark.parametrize("hours", ["0", "25", "-1", "x", "1.5", ""])
async def test_hours_that_make_no_sense_are_answered_with_what_was_expected(daemon: Daemon, hours: str) -> None:
    status, answer = await daemon.json(f"/api/v1/timeline?hours={hours}")
    assert status == 400
    assert answer["error"].startswith("hours: ")


async def test_while_the_store_is_away_it_is_503_and_what_was_read_is_kept(daemon: Daemon) -> None:
    daemon.store.state.samples.append(a_sample(0))
    await ask(daemon)
    daemon.store.error = StoreUnavailable("Redis did not answer in time")
    daemon.clock.time += 5.0
    assert (await daemon.json("/api/v1/timeline"))[0] == 503
    daemon.store.error = None
    assert (await points(daemon))["at"] == [START]


async def test_hostile_words_of_a_provider_stay_a_string(daemon: Daemon) -> None:
    hostile = "</script><script>alert(1)</script>\x1b[2J\n"
    daemon.store.state.samples.append(a_sample(5, a_stay("m1", Phase.HOT, 1, 5, region=hostile, gpu=hostile)))
    [found] = (await ask(daemon))["machines"]
    assert (found["region"], found["gpu"]) == (hostile, hostile)
