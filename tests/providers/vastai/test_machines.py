"""What a row of Vast.ai's listing means: status, prices, address, and all else the core reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.market import Remote, Status
from providers.vastai import wire
from tests.support.vast import NOW, instance_row

NULL = None
OCI = "Error response from daemon: failed to create task: OCI runtime create failed: runc create failed"


def read(**changes: Any) -> Remote:
    return wire.remote(instance_row(**changes), NOW, str)


def states(actual: object, intended: object, contract: object, following: object = "running") -> dict[str, object]:
    return {
        "actual_status": actual,
        "intended_status": intended,
        "cur_state": contract,
        "next_state": following,
        "status_msg": "success",
    }


STATUSES: list[tuple[str, dict[str, object], Status]] = [
    ("ready", states("running", "running", "running"), Status.RUNNING),
    (
        "ready, the intention in a word that was seen",
        {**states("running", "bid", "running"), "is_bid": True},
        Status.RUNNING,
    ),
    ("a stop is under way", states("running", "stopped", "running", "stopped"), Status.UNKNOWN),
    ("the contract has ended, the container's word lags", states("running", "running", "stopped"), Status.UNKNOWN),
    ("it runs, and nobody wanted that", states("running", NULL, "running"), Status.UNKNOWN),
    ("being made", states(NULL, "running", "running"), Status.STARTING),
    ("being made, the contract not yet running", states(NULL, "running", "stopped", "running"), Status.STARTING),
    ("made", states("created", "running", "running"), Status.STARTING),
    ("pulling the image", states("loading", "running", "running"), Status.STARTING),
    ("loading, and told to stop", states("loading", "stopped", "running", "stopped"), Status.UNKNOWN),
    ("it was made stopped", states("created", "stopped", "stopped", "stopped"), Status.STOPPED),
    ("outbid while it loaded", {**states("loading", "running", "stopped", "stopped"), "is_bid": True}, Status.STOPPED),
    ("rebooting", states("rebooting", "running", "running"), Status.STARTING),
    ("stopped", states("stopped", "stopped", "stopped", "stopped"), Status.STOPPED),
    ("stopped, by the other word", states("exited", "stopped", "stopped", "stopped"), Status.STOPPED),
    ("stopped, the contract not yet", states("exited", "stopped", "running", "stopped"), Status.UNKNOWN),
    ("a start is queued", states("exited", "running", "stopped"), Status.QUEUED),
    ("a start is queued, the other word", states("stopped", "running", "stopped"), Status.QUEUED),
    ("a start is queued, no word on the contract", states("stopped", "running", NULL), Status.QUEUED),
    ("outbid, the intention unchanged", {**states("stopped", "running", "stopped"), "is_bid": True}, Status.STOPPED),
    ("outbid, the intention taken back", {**states("exited", "stopped", "stopped"), "is_bid": True}, Status.STOPPED),
    ("its container has ended, or lingers after a start", states("exited", "running", "running"), Status.UNKNOWN),
    ("frozen", states("frozen", "frozen", "running"), Status.UNKNOWN),
    ("no heartbeat", states("unknown", "running", "running"), Status.UNKNOWN),
    ("its host is gone", states("offline", "running", "running"), Status.OFFLINE),
    ("its host is gone while it is stopped", states("offline", "stopped", "stopped"), Status.OFFLINE),
    ("a word of tomorrow", states("hibernating", "running", "running"), Status.UNKNOWN),
    ("not even a word", states(7, "running", "running"), Status.STARTING),
    ("given back and still listed", states("exited", "running", "unloaded"), Status.FAILED),
    ("its contract is over", {**states("exited", "stopped", "stopped"), "end_date": NOW - 1}, Status.FAILED),
    (
        "its contract is over, and it still runs",
        {**states("running", "running", "running"), "end_date": NOW - 1},
        Status.RUNNING,
    ),
]


@pytest.mark.parametrize(("row", "status"), [pytest.param(row, status, id=name) for name, row, status in STATUSES])
def test_words_mean_a_status(row: dict[str, object], status: Status) -> None:
    assert read(**row).status is status


@pytest.mark.parametrize(
    ("actual", "contract", "message", "status"),
    [
        ("created", "stopped", OCI, Status.FAILED),
        ("created", "running", OCI, Status.FAILED),
        (NULL, "running", "Error: no space left on device", Status.FAILED),
        ("created", "running", "Pulling from acme/terror-detector", Status.STARTING),
        ("created", "running", NULL, Status.STARTING),
        ("loading", "running", "manifest unknown", Status.FAILED),
        ("loading", "running", "pull access denied for acme/worker", Status.FAILED),
        ("loading", "running", "Failed to resolve reference ghcr.io/acme/worker:1.0", Status.FAILED),
        ("loading", "running", "unauthorized: authentication required", Status.FAILED),
        ("loading", "running", "layer 3 failed, will try again", Status.STARTING),
        ("exited", "running", OCI, Status.FAILED),
        ("exited", "running", "error: worker ended", Status.UNKNOWN),
        ("stopped", "stopped", OCI, Status.FAILED),
        ("running", "running", OCI, Status.RUNNING),
    ],
)
def test_the_words_about_a_container_that_does_not_run_tell_whether_it_ever_will(
    actual: str | None, contract: str, message: str | None, status: Status
) -> None:
    row = {**states(actual, "running", contract), "status_msg": message}
    assert read(**row).status is status


PRESENT = {"gpuCostPerHour": 0.0, "diskHour": 0.008, "totalHour": 0.008}


@pytest.mark.parametrize(
    ("row", "usd_per_hour"),
    [
        (states("running", "running", "running"), 0.328),
        (states("running", "stopped", "stopped"), 0.328),
        (states("frozen", "frozen", "running"), 0.328),
        (states("frozen", "frozen", "stopped"), 0.328),
        (states("rebooting", "running", "running"), 0.328),
        (states("unknown", "running", "running"), 0.328),
        (states("exited", "running", "running"), 0.328),
        ({**states("exited", "running", "running"), "instance": PRESENT}, 0.328),
        (states("exited", "stopped", "stopped"), 0.008),
        (states("stopped", "running", "stopped"), 0.008),
        (states("stopped", "running", NULL), 0.008),
        ({**states("exited", "stopped", "stopped"), "instance": {"totalHour": 0.044, "diskHour": 0.044}}, 0.044),
        (states("loading", "running", "running"), 0.328),
        ({**states("loading", "running", "running"), "instance": PRESENT}, 0.008),
        ({**states("loading", "running", "running"), "instance": {**PRESENT, "totalHour": 0.328}}, 0.328),
        ({**states(NULL, "running", "running"), "instance": PRESENT}, 0.008),
        ({**states("running", "running", "running"), "instance": PRESENT}, 0.328),
        (states("offline", "running", "running"), 0.0),
        (states("offline", "stopped", "stopped"), 0.0),
    ],
)
def test_a_machine_costs_what_it_says_and_where_that_is_in_doubt_the_most(
    row: dict[str, object], usd_per_hour: float
) -> None:
    assert read(**row).burn_usd_per_hour == pytest.approx(usd_per_hour)


@pytest.mark.parametrize(
    ("row", "usd_per_hour"),
    [
        ({}, 0.328),
        ({"dph_total": None}, 0.328),
        ({"dph_total": 0.35}, 0.35),
        ({"dph_base": 0.34}, 0.348),
        ({"dph_base": None}, 0.328),
        ({"dph_total": float("nan"), "dph_base": True}, 0.008),
    ],
)
def test_the_price_while_running_is_the_highest_that_the_row_tells(row: dict[str, object], usd_per_hour: float) -> None:
    assert read(**row).usd_per_hour == pytest.approx(usd_per_hour)


@pytest.mark.parametrize(
    ("row", "address"),
    [
        ({}, "203.0.113.9:41233"),
        ({"public_ipaddr": " 203.0.113.9\n"}, "203.0.113.9:41233"),
        ({"ports": None}, None),
        ({"ports": {}}, None),
        ({"ports": [8188]}, None),
        ({"ports": {"8188/tcp": []}}, None),
        ({"ports": {"22/tcp": [{"HostPort": "40000"}], "8188/tcp": [{"HostPort": "40007"}]}}, "203.0.113.9:40007"),
        ({"extra_env": [["-p 80:8188", "1"]]}, "203.0.113.9:41233"),
        ({"extra_env": [["MODE", "fast"]]}, "203.0.113.9"),
        ({"extra_env": None}, "203.0.113.9"),
        ({"public_ipaddr": None}, None),
        ({"public_ipaddr": "\n"}, None),
    ],
)
def test_the_address_is_the_outer_port_of_the_one_it_was_rented_with(
    row: dict[str, object], address: str | None
) -> None:
    assert read(**row).address == address


def test_all_else_is_as_the_row_says() -> None:
    remote = read()
    assert (remote.provider_id, remote.label) == ("50911234", "autoscaler.acme.images.aaaa")
    assert (remote.gpu, remote.gpu_count, remote.region, remote.host) == ("RTX 4090", 1, "US", "51877")
    assert (remote.buy, remote.disk_usd_per_hour, remote.ends_at) == ("on_demand", 0.008, NOW + 30 * 86400)
    assert read(is_bid=True).buy == "spot"
    assert read(label=None).label == ""
    assert read(num_gpus=0).gpu_count == 0
    assert read(country_code="CA").region == "CA"
    assert read(end_date=None).ends_at is None


def test_white_space_around_a_text_is_no_part_of_it() -> None:
    padded = {"label": "autoscaler.acme.images.aaaa\n", "gpu_name": " RTX 4090", "extra_env": [["-p 8188:8188 ", "1"]]}
    assert read(**padded, geolocation="Iowa, US \n") == read()


def test_the_vendors_words_are_kept_for_people_short_and_without_secrets() -> None:
    remote = wire.remote(instance_row(status_msg=f" {OCI * 9} "), NOW, lambda text: text.replace("daemon", "***"))
    assert remote.detail.startswith("Error response from ***: failed")
    assert len(remote.detail) <= 200


ANYTHING: st.SearchStrategy[object] = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.just([])
    | st.just({})
)
WORDS = st.sampled_from(
    [
        None,
        "created",
        "loading",
        "running",
        "stopped",
        "frozen",
        "exited",
        "rebooting",
        "unknown",
        "offline",
        "unloaded",
        "x",
    ]
)


@given(st.dictionaries(st.sampled_from(sorted(set(instance_row()) - {"id"})), ANYTHING))
def test_a_strange_row_with_an_id_hides_no_other(changes: dict[str, Any]) -> None:
    remote = read(**changes)
    assert min(remote.usd_per_hour, remote.disk_usd_per_hour, remote.burn_usd_per_hour) >= 0


@given(WORDS, WORDS, WORDS, WORDS, st.booleans())
def test_only_what_runs_and_is_meant_to_is_running_and_it_bills_its_gpu(
    actual: str | None, intended: str | None, contract: str | None, following: str | None, is_bid: bool
) -> None:
    remote = read(**states(actual, intended, contract, following), is_bid=is_bid)
    if remote.status is Status.RUNNING:
        assert (actual, intended) == ("running", "running")
    if actual in ("running", "frozen", "rebooting"):
        assert remote.burn_usd_per_hour >= remote.usd_per_hour
    if remote.status in (Status.STOPPED, Status.QUEUED):
        assert actual != "running"
