"""SIGTERM in the middle of a call: the call ends, what came of it is stored, the lease is given back, machines stay.

The daemon ends with exit code 0 within the call's time-out, however often it is told to. Nothing is drained, stopped or
released because the daemon goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.lifecycle import Phase
from tests.support.daemon_process import Json
from tests.support.fleet_life import FLOOR_OF_TWO, a_fleet
from tests.support.mortal_daemon import KEYS, MortalDaemon, unknown
from tests.support.real_time import until

SPEED = 40.0


@pytest.fixture
def daemon(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Iterator[MortalDaemon]:
    """A daemon whose first rent is never answered, while the second goes well."""
    step: Json = {"fault": request.param, "call": "rent"}
    config = a_fleet(tmp_path, redis_url, step)
    config["pools"]["images"]["limits"] |= FLOOR_OF_TWO
    mortal = MortalDaemon(tmp_path, config, SPEED)
    mortal.start()
    yield mortal
    mortal.kill()


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize(("daemon", "made"), [("hangs", 1), ("answer_hangs", 2)], indirect=["daemon"])
def test_sigterm_waits_for_the_call_in_flight_gives_the_lease_back_and_leaves_the_machines(
    daemon: MortalDaemon, made: int, signals: int, client: Any
) -> None:
    until(lambda: Phase.HOT in daemon.phases(client), "the other machine of the floor was HOT")
    assert Phase.PLANNED in daemon.phases(client), "and the call still hung"
    before = daemon.machines()
    assert len(before) == made
    for _ in range(signals - 1):
        daemon.process.terminate()
    assert daemon.terminate() == 0, "within the call's time-out, a minute at that speed"
    assert not client.exists(KEYS.lease)
    assert daemon.machines() == before
    assert sorted(daemon.phases(client)) == [Phase.HOT, Phase.RENTING], "what is known was written"
    assert unknown(daemon, client) == set()
    assert "while stopping" not in daemon.log.read_text()
