"""The last day as the dashboard draws it: what waited, what ran, what it cost, and what each machine did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Annotated, Any, ClassVar

from aiohttp import web
from pydantic import Field
from pydantic_core import to_json

from autoscaler.config.schema import Config
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.samples import Stay
from autoscaler.core.spec import Pool
from autoscaler.web.forms import ProblemForm
from autoscaler.web.recent import Histories, Point, Recent, others_turn
from autoscaler.web.routes import FORM, Answer, Route, read_query
from autoscaler.web.timeline_forms import MachineOfTimeline, PointsForm, PoolOfTimeline, SpanForm, TimelineForm

_MOST_MACHINES = 500
_FRESH_S = 5.0
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineQuery:
    """How far back."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORM

    hours: Annotated[int, Field(ge=1, le=24)] = 24
    """So many hours, up to now."""


class Timeline:
    """The handler, and what was answered of late: however many ask, it is made once in five seconds."""

    def __init__(
        self,
        histories: Histories,
        records: Callable[[], Awaitable[Sequence[Instance]]],
        config: Callable[[], Config],
        now: Callable[[], float],
    ) -> None:
        self._recent = Recent(histories)
        self._records = records
        self._config = config
        self._now = now
        self._making = asyncio.Lock()
        self._made: dict[int, bytes] = {}
        self._made_in = 0.0

    def route(self) -> Route:
        """The one route."""
        return Route(
            method="GET",
            path="/api/v1/timeline",
            handler=self._answer,
            summary="the last day: queues, machines with their phases, cost; ?hours=1..24",
            query=TimelineQuery,
            answers={
                200: Answer(text="At most five seconds old.", form=TimelineForm),
                503: Answer(text="The store is away.", form=ProblemForm),
            },
        )

    async def _answer(self, request: web.Request) -> web.Response:
        hours = read_query(request, TimelineQuery).hours
        async with self._making:
            fresh = self._now() // _FRESH_S
            if fresh != self._made_in:
                self._made, self._made_in = {}, fresh
            if hours not in self._made:
                self._made[hours] = await self._make(hours)
            body = self._made[hours]
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    async def _make(self, hours: int) -> bytes:
        """The answer as JSON, made in parts: those of a large fleet take a while, and ticks must go on."""
        now, config = self._now(), self._config()
        since = now - hours * _HOUR_S
        await self._recent.read(len(config.pools), now)
        pools = []
        for name, settings in config.pools.items():
            pools.append(to_json(self._pool(settings.pool(name), since, now)))
            await others_turn()
        machines, left_out = await _machines(self._recent.stays(), await self._records(), since)
        return b'{"from":%f,"to":%f,"step_s":%f,"pools":[%b],"machines":%b,"machines_left_out":%d}' % (
            since,
            now,
            self._recent.step_s,
            b",".join(pools),
            to_json(machines),
            left_out,
        )

    def _pool(self, pool: Pool, since: float, now: float) -> PoolOfTimeline:
        step_s, points = self._recent.step_s, self._recent.points(pool.name)
        steps = sorted(step for step in points if since - step_s < step * step_s <= now)
        tiers = [tier.name for tier in pool.tiers]
        return {
            "name": pool.name,
            "tiers": [{"tier": tier.name, "wait_target_s": tier.wait_target} for tier in pool.tiers],
            "points": _columns({step * step_s: points[step] for step in steps}, tiers),
        }


def _columns(points: Mapping[float, Point], tiers: Sequence[str]) -> PointsForm:
    """Points by when they begin, column by column."""
    every = points.values()
    return {
        "at": list(points),
        "hot": [round(point.hot_s / point.seconds, 2) for point in every],
        "warm": [round(point.warm_s / point.seconds, 2) for point in every],
        "up": [round(point.up_s / point.seconds, 2) for point in every],
        "wanted": [point.wanted for point in every],
        "usd_per_hour": [round(point.usd / point.seconds * _HOUR_S, 4) for point in every],
        "tiers": [
            {
                "waiting": [point.tiers[tier][0] if tier in point.tiers else None for point in every],
                "oldest_wait_s": [point.tiers[tier][1] if tier in point.tiers else None for point in every],
            }
            for tier in tiers
        ],
    }


async def _machines(
    stays: Sequence[Stay], records: Iterable[Instance], since: float
) -> tuple[list[MachineOfTimeline], int]:
    """Machines that were there, those that changed last if there are too many; and how many are left out."""
    changed = {stay.instance: stay.since for stay in stays if stay.until > since}
    await others_turn()
    present = {record.id: record for record in records if record.phase is not Phase.GONE}
    changed |= {name: record.phase_since for name, record in present.items()}
    await others_turn()
    chosen = nlargest(_MOST_MACHINES, changed, key=lambda name: changed[name])
    spans: dict[str, list[SpanForm]] = {name: [] for name in chosen}
    about: dict[str, Stay | Instance] = {}
    for stay in stays:
        if stay.instance in spans and stay.until > since:
            spans[stay.instance].append(_span(stay.phase, max(stay.since, since), stay.until, stay.usd_per_hour))
            about[stay.instance] = stay
    for name in spans.keys() & present.keys():
        record = about[name] = present[name]
        spans[name].append(_span(record.phase, max(record.phase_since, since), None, record.burn_usd_per_hour))
    machines = [_machine(name, about[name], spans[name]) for name in chosen]
    machines.sort(key=lambda machine: (machine["pool"], machine["phases"][0]["from"], machine["id"]))
    return machines, len(changed) - len(chosen)


def _span(phase: Phase, since: float, until: float | None, usd_per_hour: float) -> SpanForm:
    ends = None if until is None else round(until, 1)
    return {"phase": phase, "from": round(since, 1), "to": ends, "usd_per_hour": round(usd_per_hour, 4)}


def _machine(name: str, about: Stay | Instance, spans: list[SpanForm]) -> MachineOfTimeline:
    return {
        "id": name,
        "pool": about.pool,
        "placement": about.placement,
        "provider": about.provider,
        "gpu": about.gpu,
        "region": about.region,
        "usd_per_hour": max(span["usd_per_hour"] for span in spans),
        "phases": spans,
    }
