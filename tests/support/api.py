"""A daemon's HTTP API that answers with canned JSON, and its canned JSON."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from aiohttp import web
from click.testing import CliRunner, Result

from autoscaler.cli import CommandGroup

Json = dict[str, Any]
NOW = 1_795_000_000.0

_PHASES = ["planned", "renting", "booting", "hot", "draining", "stopping", "warm", "resuming", "releasing", "lost"]

_CAPS = {f"usd_per_{period}_{part}": None for period in ("hour", "day", "month") for part in ("warn", "stop")}

_TIERS = [
    {
        "tier": tier,
        "waiting": waiting,
        "waiting_is_lower_bound": False,
        "delayed": 0,
        "oldest_wait_s": wait_s,
        "age_source": "exact",
        "wait_target_s": target_s,
    }
    for tier, waiting, wait_s, target_s in (
        ("pro", 3, 3.0, 30.0),
        ("premium", 9, 100.0, 120.0),
        ("free", 21, 754.0, 300.0),
    )
]


def an_order(name: str, *, by: str) -> Json:
    """A standing order as the API gives it."""
    order = {"name": name, "kind": name, "text": f"{name} by {by}", "by": by, "why": "", "at": NOW, "until": None}
    return {**order, "subject": "", "pool": ""}


def a_machine(name: str, phase: str = "hot", **changes: Any) -> Json:
    """A machine as the API gives it."""
    machine = {
        "id": name,
        "pool": "images",
        "placement": "mock-spot",
        "provider": "mock",
        "provider_id": "m1",
        "phase": phase,
        "serving": False,
        "phase_since": NOW - 125.0,
        "since_s": 125.0,
        "reason": "ready after 12m of booting",
        "gpu": "RTX 4090",
        "region": "US",
        "host": "h3",
        "buy": "spot",
        "busy": 0,
        "slots": 1,
        "usd_per_hour": 0.412,
        "usd_spent": 1.23,
        "address": None,
        "tier": None,
        "health": "healthy",
        "ailment": "",
        "diagnosis": None,
        "gpu_use": "normal",
        "adopted": False,
        "primary": False,
    }
    return {**machine, **changes}


def a_pool(name: str = "images", **changes: Any) -> Json:
    """A pool of three tiers: one well, one nearly late, one late."""
    pool = {
        "name": name,
        "up": 2,
        "demand": {
            "unknown": None,
            "waiting": 33,
            "in_flight": 2,
            "oldest_wait_s": 754.0,
            "paused": False,
            "seen": True,
            "warnings": [],
            "advice": {},
            "tiers": copy.deepcopy(_TIERS),
        },
        "admission": [
            {
                "pool": name,
                "tier": "pro",
                "accept": True,
                "expected_wait_s": None,
                "retry_after_s": None,
                "message": "",
                "why": "what a job would wait is unknown",
            }
        ],
        "decision": {
            "hot": 3,
            "warm": 2,
            "standby": 1,
            "ceiling": 4,
            "needs": [{"tier": "pro", "hot": 2}, {"tier": "premium", "hot": 3}, {"tier": "free", "hot": 3}],
            "why": [{"rule": "thresholds.rent", "text": "33 jobs wait, more than 30, and no standby is left: rent"}],
            "why_not": [{"rule": "thresholds.stop", "text": "33 jobs wait; it takes fewer than 3 for 30m"}],
        },
        "commands": [
            {
                "action": "rent",
                "instance": None,
                "placement": "mock-spot",
                "reason": "3 machines wanted, 2 up: RTX 4090 in US at 0.412 USD/h",
                "usd_per_hour": 0.412,
            }
        ],
        "phases": dict.fromkeys(_PHASES, 0) | {"hot": 2},
        "image_given_up": False,
        "limits": {"hot": "1..4", "warm": "0..2", **_CAPS, "usd_per_day_warn": 20.0, "usd_per_day_stop": 30.0},
        "usd_today": 3.4,
        "usd_month": 61.0,
        "usd_month_forecast": 123.4,
        "usd_per_hour": 0.824,
    }
    return {**pool, **changes}


def a_status(**changes: Any) -> Json:
    """A fleet of one pool with two HOT machines."""
    status = {
        "fleet": "attic",
        "version": "0.1.0",
        "at": NOW - 3.2,
        "age_s": 3.2,
        "leads": True,
        "leaders": {"images": "night:4711:abcdefghij"},
        "orders": [],
        "concerns": [],
        "error": None,
        "clock": NOW,
        "usd_per_hour": 0.824,
        "usd_today": 3.4,
        "usd_month": 61.0,
        "usd_month_forecast": 123.4,
        "limits": _CAPS,
        "pools": [a_pool()],
        "instances": [
            a_machine("aaaa", serving=True, busy=1, primary=True),
            a_machine("bbbb", busy=None, region="CA", buy="on_demand"),
        ],
        "providers": [{"name": "mock", "unknown": None, "listing_age_s": 4.0, "machines": 2}],
    }
    return {**status, **changes}


def a_concern(text: str, *, severity: str = "warning", **changes: Any) -> Json:
    """What needs a person, as the API gives it."""
    concern = {"name": "phase_stuck", "severity": severity, "text": text, "command": "autoscaler drain bbbb"}
    return {**concern, "pool": "images", "subject": "bbbb", **changes}


def an_entry(kind: str, text: str, ago_s: float, **changes: Any) -> Json:
    """A journal entry as the API gives it."""
    entry = {
        "v": 1,
        "at": NOW - ago_s,
        "kind": kind,
        "text": text,
        "pool": "images",
        "instance": "",
        "action": "",
        "result": "",
        "hot": None,
        "warm": None,
        "why": [],
        "why_not": [],
    }
    return {**entry, **changes}


JOURNAL = [
    an_entry("outcome", "rent cccc: ok", 2.0, action="rent", result="ok"),
    an_entry(
        "decision",
        "images: 3 HOT wanted, 2 up: 33 jobs wait, more than 30, and no standby is left: rent",
        3.0,
        hot=3,
        warm=2,
        why=[{"rule": "thresholds.rent", "text": "33 jobs wait, more than 30, and no standby is left: rent"}],
    ),
    an_entry("alarm", "bbbb still draining after 30m; it has cost 1.23 USD so far", 60.0),
    an_entry("decision", "images: 2 HOT wanted, 2 up: nothing to change", 90.0, hot=2, warm=2),
]
"""Newest first."""


class FakeDaemon:
    """Serves canned JSON on loopback, from a thread of its own."""

    def __init__(self) -> None:
        self.status: object = a_status()
        self.journal: object = {"entries": JOURNAL}
        self.journal_code = 200
        self.asked: list[str] = []
        self.url = ""

    async def _status(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        return web.json_response(self.status)

    async def _journal(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        return web.json_response(self.journal, status=self.journal_code)

    @contextmanager
    def serving(self) -> Iterator[FakeDaemon]:
        """Serve while the block runs."""
        with asyncio.Runner() as runner:
            site = runner.run(self._start())
            loop = runner.get_loop()
            thread = threading.Thread(target=loop.run_forever, name="fake-daemon")
            thread.start()
            try:
                yield self
            finally:
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                runner.run(site.cleanup())

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/api/v1/status", self._status)
        app.router.add_get("/api/v1/journal", self._journal)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner


def run_command(command: click.Command, *arguments: str) -> Result:
    """Run a command as `autoscaler` runs it, with its errors as lines and exit codes."""

    class Group(CommandGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return command

    return CliRunner().invoke(Group("autoscaler"), [command.name or "", *arguments], env={"COLUMNS": "120"})
