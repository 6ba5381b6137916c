"""A provider that hangs, lies or answers too late: one machine is left where one was wanted, and every one is known.

The vendors are emulated, each in a process of its own. A rent is never answered, or its connection breaks, and yet its
machine was made; or nothing was made and nobody can tell; or it shows in the listing only after its token was given up.
In each case the fleet comes to what it was to be, by the token in the label alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.lifecycle import Phase
from autoscaler.core.sync import UNCLEAR_S
from tests.support.cloud_processes import VENDORS, Vendor
from tests.support.emulator_process import EmulatorProcess
from tests.support.fleet_life import FOREIGN, at_a_vendor
from tests.support.mortal_daemon import MortalDaemon
from tests.support.real_time import until

SPEED = 40.0
TOO_LATE_S = 1.5 * UNCLEAR_S / SPEED
LIES: dict[str, tuple[list[str], int]] = {
    "nothing was made and no answer came": (["hangs"], 1),
    "it was made and no answer came": (["answer_hangs"], 1),
    "it was made and the answer was lost": (["answer_lost"], 1),
    "it shows after its token was given up": (["answer_lost", "listed_late"], 2),
}
"""What strikes the first rent, and how many machines are made in all."""


@pytest.fixture
def struck(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Iterator[tuple[MortalDaemon, Vendor]]:
    """A daemon at a vendor whose first rent is struck by faults."""
    kind, faults = request.param
    market = {
        "setup": "500ms..1s",
        "listing_lag": f"{TOO_LATE_S:g}s..{TOO_LATE_S + 1:g}s",
        "foreign": [FOREIGN],
        "scenario": [{"fault": fault, "call": "rent"} for fault in faults],
    }
    with EmulatorProcess(kind, tmp_path, market=market) as url:
        daemon = MortalDaemon(tmp_path, at_a_vendor(kind, url, redis_url), SPEED)
        daemon.start()
        yield daemon, VENDORS[kind](url)
        daemon.kill()


CASES = [
    pytest.param((kind, faults), made, id=f"{kind}: {lie}") for kind in VENDORS for lie, (faults, made) in LIES.items()
]


def assert_one_is_left(daemon: MortalDaemon, vendor: Vendor, client: Any, *, made: int) -> None:
    """One machine serves, and no other of ours is left of those that were made."""

    def is_right() -> bool:
        ours = {machine.id: machine.token for machine in vendor.machines() if machine.token}
        records = daemon.records(client)
        served = [record.phase for record in records] == [Phase.HOT]
        ever = {record.provider_id for record in daemon.records(client, gone=True)} - {None}
        return served and len(ever) == made and ours == {record.provider_id: record.id for record in records}

    until(is_right, "one machine served, and no other was left")
    [other] = [machine for machine in vendor.machines() if not machine.token]
    assert other.label == FOREIGN
    assert len(vendor.billed().keys() - {other.id}) == made, "no other was ever made"
    assert "internal error" not in daemon.log.read_text()
    assert daemon.terminate() == 0


@pytest.mark.parametrize(("struck", "made"), CASES, indirect=["struck"])
def test_one_machine_is_left_where_one_was_wanted(struck: tuple[MortalDaemon, Vendor], made: int, client: Any) -> None:
    assert_one_is_left(*struck, client, made=made)
