"""A fleet at each emulated cloud comes to what it was to be, though its daemon is killed or its vendor lies.

Machines are rented, stopped, resumed and released over HTTP. The daemon is killed before each of these requests is
sent, when it is on the wire, and when the answer is there; or the vendor answers "ok" to what it does not do, lists
machines late or when they are gone, and leaves some out for a while. Nothing is made twice, no machine is unknown, and
what was to go is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.cloud_processes import VENDORS, Vendor
from tests.support.daemon_process import Json
from tests.support.emulator_process import EmulatorProcess
from tests.support.fleet_life import FOREIGN, LIFE, LIMITS, POLICY, Step, at_a_vendor, live
from tests.support.mortal_daemon import MortalDaemon
from tests.support.real_time import until

SPEED = 40.0
FLOOR, RUSHED, _, _, STOPPED, RESUMED, RELEASED = LIFE[:7]
REQUESTS = {
    "vastai": (
        (FLOOR, "PUT /api/v0/asks/…/"),
        (RUSHED, "PUT /api/v0/asks/…/"),
        (STOPPED, "PUT /api/v0/instances/…/"),
        (RESUMED, "PUT /api/v0/instances/…/"),
        (RELEASED, "DELETE /api/v0/instances/…/"),
    ),
    "runpod": (
        (FLOOR, "POST /v2/pods"),
        (RUSHED, "POST /v2/pods"),
        (STOPPED, "POST /v2/pods/…/action"),
        (RESUMED, "POST /v2/pods/…/action"),
        (RELEASED, "DELETE /v2/pods/…"),
    ),
}
"""What is asked of each vendor in the steps of a life."""
LIES: dict[str, list[Json]] = {
    "it does not do what it says": [
        {"fault": "stop_ignored", "call": "stop", "times": 2},
        {"fault": "release_ignored", "call": "release", "times": 2},
    ],
    "its listing is stale": [{"fault": "listed_late", "call": "rent", "times": 9}, {"fault": "lingers", "times": 9}],
    "its listing lacks half": [{"fault": "lists_half", "call": "list", "nth": 2 * n, "times": 1} for n in range(1, 60)],
}
QUIRKS = {"runpod": {"it does not do what it says": ["never_lists"]}}
"""Beside the faults: RunPod names a machine that never comes to be."""

Account = tuple[MortalDaemon, Vendor]


@pytest.fixture
def open_account(tmp_path: Path, redis_url: str) -> Iterator[Callable[..., Account]]:
    """Starts a vendor and prepares a daemon that rents there."""
    with ExitStack() as running:

        def start(kind: str, *scenario: Json, quirks: list[str] | None = None) -> Account:
            market = {
                "setup": "300ms..600ms",
                "resume": "300ms..600ms",
                "stop": "100ms..200ms",
                "listing_lag": "500ms..1s",
                "faults": {"resume_refused": 0, "outbid": 0},
                "foreign": [FOREIGN],
                "scenario": list(scenario),
            }
            url = running.enter_context(EmulatorProcess(kind, tmp_path, market=market, quirks=quirks or []))
            pool = {"limits": LIMITS, "policies": [{"thresholds": POLICY}]}
            daemon = MortalDaemon(tmp_path, at_a_vendor(kind, url, redis_url, **pool), SPEED)
            running.callback(daemon.kill)
            return daemon, VENDORS[kind](url)

        yield start


def ours(vendor: Vendor) -> dict[str | None, str | None]:
    """The tokens of our machines by their ids at the vendor's."""
    return {machine.id: machine.token for machine in vendor.machines() if machine.token}


def assert_right(daemon: MortalDaemon, vendor: Vendor, client: Any, step: Step, why: str) -> None:
    """Machines and records are one to one, and no machine was made that the step did not take."""
    until(
        lambda: ours(vendor) == {record.provider_id: record.id for record in daemon.records(client)},
        f"machines and records were one to one, {why}",
    )
    made = vendor.billed().keys() - {machine.id for machine in vendor.machines() if not machine.token}
    assert len(made) == step.rented, why


def assert_ended(daemon: MortalDaemon, vendor: Vendor) -> None:
    """The life went without a bug, and nobody else's machine was touched."""
    assert [machine.label for machine in vendor.machines() if not machine.token] == [FOREIGN]
    assert "internal error" not in daemon.log.read_text()
    assert daemon.terminate() == 0


@pytest.mark.parametrize("moment", ["before", "on the wire", "after"])
@pytest.mark.parametrize("kind", REQUESTS)
def test_kill_9_around_each_request_changes_nothing_of_what_comes(
    kind: str, moment: str, open_account: Callable[..., Account], client: Any
) -> None:
    daemon, vendor = open_account(kind)
    daemon.die_at(f"{REQUESTS[kind][0][1]}: {moment}")
    daemon.start()
    for step, request in REQUESTS[kind]:
        point = f"{request}: {moment}"
        daemon.die_at(point)
        live(daemon, client, step)
        until(lambda: daemon.is_dead, f"it died at {point}")
        known = {record.id for record in daemon.records(client)}
        assert set(ours(vendor).values()) <= known, point
        daemon.start_again()
        live(daemon, client, step)
        assert_right(daemon, vendor, client, step, f"killed at {point}")
    assert_ended(daemon, vendor)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("kind", VENDORS)
def test_a_vendor_that_lies_changes_nothing_of_what_comes(
    kind: str, lie: str, open_account: Callable[..., Account], client: Any
) -> None:
    daemon, vendor = open_account(kind, *LIES[lie], quirks=QUIRKS.get(kind, {}).get(lie))
    daemon.start()
    for step, _ in REQUESTS[kind]:
        live(daemon, client, step)
        assert_right(daemon, vendor, client, step, lie)
    assert_ended(daemon, vendor)
