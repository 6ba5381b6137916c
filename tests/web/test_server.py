"""The HTTP API, over a real socket."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import structlog
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import LogCapture
from yarl import URL

from autoscaler.core.admission import Admission
from autoscaler.core.errors import SettingsError, StoreUnavailable
from autoscaler.core.journal import Entry, Kind, command_entry
from autoscaler.runtime.report import TickReport
from autoscaler.store.codec import encode_entry
from autoscaler.web.server import serve
from tests.support.reports import NOW, RENT, machine, pool_report, report
from tests.support.served import WITH_TOKEN, Daemon, served

JSON_PATHS = (
    "/api/v1/status",
    "/api/v1/plan",
    "/api/v1/instances",
    "/api/v1/journal",
    "/api/v1/admission",
    "/api/v1/orders",
    "/api/v1/strays",
    "/api/v1/openapi.json",
    "/healthz",
    "/readyz",
)
PATHS = ("/api/v1", "/metrics", *JSON_PATHS)
READ_ONLY = [path for path in PATHS if path != "/api/v1/orders"]


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    async with served() as made:
        yield made


# --- the views --------------------------------------------------------------------------------------------------------


async def test_each_view_is_what_the_board_says(daemon: Daemon) -> None:
    daemon.board.ticked(report(machine()))
    daemon.clock.time = NOW + 3.5
    assert await daemon.json("/api/v1/status") == (200, daemon.board.status(NOW + 3.5))
    assert await daemon.json("/api/v1/plan") == (200, daemon.board.plan())
    assert await daemon.json("/api/v1/instances") == (200, daemon.board.instances(NOW + 3.5))


async def test_each_view_answers_before_the_first_tick(daemon: Daemon) -> None:
    for path in JSON_PATHS[:8]:
        assert (await daemon.json(path))[0] == 200, path


async def test_the_index_names_every_path(daemon: Daemon) -> None:
    response, text = await daemon.ask("/api/v1")
    assert response.content_type == "text/plain"
    assert [path for path in PATHS if path not in text] == []


async def test_a_strangers_words_stay_a_string_in_json(daemon: Daemon) -> None:
    hostile = '"},<script>alert(1)</script>\x1b[2J\n\u202e'
    daemon.board.ticked(report(machine(reason=hostile, provider_id=hostile)))
    response, text = await daemon.ask("/api/v1/instances")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert json.loads(text)["instances"][0]["reason"] == hostile
    assert text.isprintable()


async def test_prometheus_can_scrape(daemon: Daemon) -> None:
    daemon.metrics.ticked(report(machine()))
    response, text = await daemon.ask("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"autoscaler_instances", "autoscaler_usd", "autoscaler_tick_duration_seconds"} <= names


# --- admission --------------------------------------------------------------------------------------------------------


async def test_a_tier_that_takes_jobs_is_200_with_what_one_would_wait(daemon: Daemon) -> None:
    daemon.board.ticked(report())
    assert await daemon.json("/api/v1/admission?tier=pro") == (
        200,
        {
            "pool": "images",
            "tier": "pro",
            "accept": True,
            "expected_wait_s": 12.0,
            "retry_after_s": None,
            "message": "",
            "why": "a job that comes now would wait 12s",
        },
    )


async def test_free_is_refused_with_503_server_busy_retry_after_and_the_expected_wait(daemon: Daemon) -> None:
    daemon.board.ticked(report())
    response, text = await daemon.ask("/api/v1/admission?tier=free")
    answer = json.loads(text)
    assert (response.status, response.headers["Retry-After"]) == (503, "80")
    assert (answer["accept"], answer["expected_wait_s"]) == (False, 95.0)
    assert answer["message"] == "Server busy, try again in a few minutes"


async def test_without_a_tier_all_are_told(daemon: Daemon) -> None:
    daemon.board.ticked(two_pools())
    status, answer = await daemon.json("/api/v1/admission")
    assert status == 200
    assert [(each["pool"], each["tier"], each["accept"]) for each in answer["tiers"]] == [
        ("images", "pro", True),
        ("images", "free", False),
        ("speech", "free", True),
    ]
    _, answer = await daemon.json("/api/v1/admission?pool=speech")
    assert [each["pool"] for each in answer["tiers"]] == ["speech"]


def two_pools() -> TickReport:
    speech = (Admission(pool="speech", tier="free"),)
    return report(pools={"images": pool_report(), "speech": pool_report(admission=speech)})


async def test_the_pool_must_be_named_where_two_have_the_tier_and_only_there(daemon: Daemon) -> None:
    daemon.board.ticked(two_pools())
    status, answer = await daemon.json("/api/v1/admission?tier=free")
    assert (status, answer["error"]) == (
        400,
        "pool: missing, and the tier free is in images and speech; add &pool=images",
    )
    assert (await daemon.json("/api/v1/admission?tier=free&pool=images"))[0] == 503
    assert (await daemon.json("/api/v1/admission?tier=free&pool=speech"))[0] == 200
    assert (await daemon.json("/api/v1/admission?tier=pro"))[0] == 200


@pytest.mark.parametrize(
    "query", ["tier=gold", "tier=", "tier=pro&pool=speech", "pool=speech", "tier=%00" + "x" * 5000]
)
async def test_an_unknown_tier_is_answered_with_those_there_are(daemon: Daemon, query: str) -> None:
    daemon.board.ticked(report())
    status, answer = await daemon.json(f"/api/v1/admission?{query}")
    assert (status, answer["tiers"]) == (404, ["images/pro", "images/free"])
    assert len(answer["error"]) < 120


@pytest.mark.parametrize("state", ["before the first tick", "not the leader", "no good tick of late"])
async def test_in_doubt_all_are_let_in(daemon: Daemon, state: str) -> None:
    if state != "before the first tick":
        daemon.board.ticked(report() if state == "no good tick of late" else report(leads=False, pools={}))
        daemon.board.failed("Redis did not answer in time", NOW + 61.0)
        daemon.clock.time = NOW + 61.0
    status, answer = await daemon.json("/api/v1/admission?tier=free")
    assert (status, answer["accept"], answer["expected_wait_s"]) == (200, True, None)
    assert answer["why"].startswith("open in doubt: ")


async def test_a_refusal_stands_while_ticks_fail_for_a_moment(daemon: Daemon) -> None:
    daemon.board.ticked(report())
    daemon.board.failed("Redis did not answer in time", NOW + 20.0)
    daemon.clock.time = NOW + 59.0
    assert (await daemon.json("/api/v1/admission?tier=free"))[0] == 503


async def test_refusals_are_counted_and_acceptances_are_not(daemon: Daemon) -> None:
    daemon.board.ticked(report())
    for path in ("?tier=free", "?tier=pro", "?tier=free", "?tier=gold", ""):
        await daemon.ask(f"/api/v1/admission{path}")
    _, text = await daemon.ask("/metrics")
    [family] = [each for each in text_string_to_metric_families(text) if each.name == "autoscaler_admission_refusals"]
    counted = {tuple(sample.labels.items()): sample.value for sample in family.samples}
    assert counted == {(("pool", "images"), ("tier", "free")): 2.0}


# --- the journal ------------------------------------------------------------------------------------------------------


async def test_the_journal_has_the_stored_form(daemon: Daemon) -> None:
    entries = [command_entry(RENT, NOW), Entry(at=NOW, kind=Kind.OPERATOR, text='paused by "ann"\n→')]
    daemon.note(*entries)
    status, answer = await daemon.json("/api/v1/journal")
    assert status == 200
    assert answer == {"entries": [json.loads(encode_entry(entry)) for entry in entries]}


async def test_the_journal_gives_as_many_entries_as_asked(daemon: Daemon) -> None:
    daemon.note(*(command_entry(RENT, NOW - n) for n in range(1200)))
    for query, count in (("", 100), ("?count=1", 1), ("?count=1000", 1000)):
        _, answer = await daemon.json(f"/api/v1/journal{query}")
        assert len(answer["entries"]) == count


@pytest.mark.parametrize("count", ["0", "-1", "1001", "many", "1.5", "", "%D9%A3", "1e2", "9" * 5000])
async def test_a_bad_count_is_answered_with_what_was_expected(daemon: Daemon, count: str) -> None:
    status, answer = await daemon.json(f"/api/v1/journal?count={count}")
    assert status == 400
    assert answer["error"].startswith("count: ")
    assert len(answer["error"]) < 250


async def test_a_journal_that_cannot_be_read_is_503(daemon: Daemon) -> None:
    daemon.store.error = StoreUnavailable("Redis did not answer in time")
    status, answer = await daemon.json("/api/v1/journal")
    assert (status, answer) == (503, {"error": "the store cannot be used: Redis did not answer in time"})


# --- health -----------------------------------------------------------------------------------------------------------


async def test_a_daemon_is_alive_until_three_ticks_are_missed(daemon: Daemon) -> None:
    daemon.board.ticked(report())
    for age_s, expected in ((0.0, 200), (60.0, 200), (60.1, 503)):
        daemon.clock.time = NOW + age_s
        status, answer = await daemon.json("/healthz")
        assert (status, answer["alive"], answer["age_s"]) == (expected, expected == 200, pytest.approx(age_s))
        assert answer["limit_s"] == 60.0


async def test_a_daemon_whose_ticks_fail_is_alive_and_tells_the_age_of_the_last_good_one(daemon: Daemon) -> None:
    daemon.board.ticked(report())
    daemon.board.failed("Redis cannot be reached", NOW + 3600.0)
    daemon.clock.time = NOW + 3610.0

    status, answer = await daemon.json("/healthz")

    assert (status, answer["alive"], answer["age_s"]) == (200, True, 3610.0)
    assert answer["error"] == "Redis cannot be reached"


async def test_with_short_ticks_a_daemon_has_thirty_seconds(daemon: Daemon) -> None:
    daemon.config = replace(daemon.config, tick=1.0)
    assert (await daemon.json("/healthz"))[1]["limit_s"] == 30.0


async def test_a_daemon_that_never_made_a_tick_is_alive_for_as_long(daemon: Daemon) -> None:
    for age_s, expected in ((60.0, 200), (61.0, 503)):
        daemon.clock.time = NOW + age_s
        status, answer = await daemon.json("/healthz")
        assert (status, answer["last_good_tick_at"]) == (expected, None)


async def test_a_daemon_is_ready_from_the_first_good_tick_on(daemon: Daemon) -> None:
    status, answer = await daemon.json("/readyz")
    assert (status, answer) == (503, {"ready": False, "leads": False, "error": "no tick was made yet"})
    daemon.board.ticked(report())
    assert await daemon.json("/readyz") == (200, {"ready": True, "leads": True, "error": None})


async def test_a_daemon_is_not_ready_while_ticks_fail(daemon: Daemon) -> None:
    daemon.board.failed("Redis cannot be reached", NOW)
    assert (await daemon.json("/readyz"))[1]["error"] == "Redis cannot be reached"
    daemon.board.ticked(report())
    daemon.board.failed("Redis did not answer in time", NOW)
    status, answer = await daemon.json("/readyz")
    assert (status, answer["error"]) == (503, "Redis did not answer in time")
    assert (await daemon.json("/healthz"))[0] == 200


async def test_a_follower_is_ready_and_says_so(daemon: Daemon) -> None:
    daemon.board.ticked(report(leads=False, pools={}, instances={}, listings={}))
    assert await daemon.json("/readyz") == (200, {"ready": True, "leads": False, "error": None})


# --- manners ----------------------------------------------------------------------------------------------------------


async def test_each_answer_bears_the_security_headers_and_no_banner(daemon: Daemon) -> None:
    for path in (*PATHS, "/nothing", "/api/v1/journal?count=x"):
        response, _ = await daemon.ask(path)
        assert response.headers["X-Content-Type-Options"] == "nosniff", path
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'", path
        assert response.headers["Cache-Control"] == "no-store", path
        assert "Server" not in response.headers, path
        assert not [name for name in response.headers if name.startswith("Access-Control-")], path


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_what_is_only_read_takes_no_other_method_with_or_without_the_token(daemon: Daemon, method: str) -> None:
    for path, headers in itertools.product(READ_ONLY, ({}, WITH_TOKEN)):
        response, text = await daemon.ask(path, method, headers=headers)
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"
        assert json.loads(text) == {"error": f"{method} is not allowed here; GET, HEAD is"}


async def test_head_is_get_without_the_body(daemon: Daemon) -> None:
    for path in PATHS:
        (got, text), (head, nothing) = await daemon.ask(path), await daemon.ask(path, "HEAD")
        assert (head.status, nothing, head.content_type) == (got.status, "", got.content_type)
        assert text


async def test_an_unknown_path_is_answered_with_where_to_look(daemon: Daemon) -> None:
    for path in ("/nothing", "/api/v1/status/", "/..%2f..%2fetc/passwd", "/%00"):
        assert await daemon.json(path) == (404, {"error": "there is nothing here; /api/v1 lists what there is"})


async def test_a_bug_is_answered_without_a_traceback_and_logged_with_one(daemon: Daemon) -> None:
    events = LogCapture()
    structlog.configure(processors=[events])
    daemon.store.error = ZeroDivisionError("internal words")
    status, answer = await daemon.json("/api/v1/journal")
    structlog.reset_defaults()
    assert (status, answer) == (500, {"error": "this is a bug; the daemon's log says more"})
    [event] = events.entries
    assert (event["event"], event["path"], event["exc_info"]) == ("request_failed", "/api/v1/journal", True)


async def test_thousands_of_connections_leave_room_for_whoever_comes_next_and_for_other_files(daemon: Daemon) -> None:
    address = URL(daemon.url)
    opened = [await asyncio.open_connection(address.host, address.port) for _ in range(450)]

    assert (await daemon.ask("/healthz"))[0].status == 200
    async with asyncio.timeout(5.0):
        assert [await reader.read() for reader, _ in opened[:50]] == [b""] * 50
    newest_reader, newest = opened[-1]
    newest.write(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert (await newest_reader.read()).startswith(b"HTTP/1.0 200")
    for _, writer in opened:
        writer.close()


async def test_a_daemon_that_ends_waits_for_no_idle_client() -> None:
    async with AsyncExitStack() as opened:
        daemon = await opened.enter_async_context(served())
        await daemon.ask("/")
        async with asyncio.timeout(1.0):
            await opened.aclose()


# --- addresses --------------------------------------------------------------------------------------------------------


async def test_a_port_taken_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(SettingsError) as caught:
            await serve(web.Application(), listen)
    assert str(caught.value) == (
        f"http.listen: {listen} is taken by another program; stop that, or choose another port"
    )


@pytest.mark.parametrize(
    "listen",
    ["8080", ":8080", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000", "192.0.2.1:8080", "..:8080", "", "a b:1"],
)
async def test_an_address_that_is_none_is_named_with_an_example(listen: str) -> None:
    with pytest.raises(SettingsError) as caught:
        await serve(web.Application(), listen)
    assert str(caught.value).startswith("http.listen: ")
    assert listen in str(caught.value)
    assert "127.0.0.1:8080" in str(caught.value)


async def test_an_ipv6_address_is_served() -> None:
    runner = await serve(web.Application(), "[::1]:0")
    assert runner.addresses[0][0] == "::1"
    await runner.cleanup()


# --- size -------------------------------------------------------------------------------------------------------------


async def test_ten_thousand_machines_make_no_more_series_than_ten(daemon: Daemon) -> None:
    async def lines(count: int) -> int:
        machines = [machine(f"m{n}") for n in range(count)]
        daemon.metrics.ticked(replace(report(*machines), pools={"images": pool_report(*machines)}))
        return len((await daemon.ask("/metrics"))[1].splitlines())

    assert await lines(10_000) == await lines(10)
