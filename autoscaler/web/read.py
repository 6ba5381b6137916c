"""What is read: the fleet, the journal, admission, health and metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import choose_encoder
from pydantic import Field

from autoscaler.core.admission import Admission
from autoscaler.runtime.ports import Store
from autoscaler.store.codec import encode_entry
from autoscaler.web.forms import (
    AdmissionForm,
    AdmissionsForm,
    HealthForm,
    InstancesForm,
    JournalForm,
    PlanForm,
    ProblemForm,
    ReadyForm,
    StatusForm,
    UnknownTierForm,
)
from autoscaler.web.rendering import Rendering
from autoscaler.web.routes import FORM, Answer, BadRequest, Handler, Route, read_query
from autoscaler.web.views import Board, admission_view

_MOST_ENTRIES = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalQuery:
    """Which entries of the journal."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORM

    count: Annotated[int, Field(ge=1, le=_MOST_ENTRIES)] = 100
    """How many, the newest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AdmissionQuery:
    """Which tiers."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORM

    tier: str | None = None
    """This tier alone."""
    pool: str | None = None
    """Those of this pool; needed where two pools have a tier of that name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """The handlers and what they answer from."""

    board: Board
    registry: CollectorRegistry
    store: Store
    now: Callable[[], float]
    started: float
    """Epoch seconds."""
    late_s: Callable[[], float]
    """Without any tick, good or failed, for longer than this the daemon counts as stuck."""
    refusals: Counter
    rendering: Rendering

    def routes(self) -> list[Route]:
        """All that is read."""
        return [
            _json("/api/v1/status", self._status, "the whole fleet", StatusForm),
            _json("/api/v1/plan", self._plan, "what the newest tick decided, and why", PlanForm),
            _json("/api/v1/instances", self._instances, "all machines", InstancesForm),
            Route(
                method="GET",
                path="/api/v1/journal",
                handler=self._journal,
                summary=f"what happened, newest first; ?count=1..{_MOST_ENTRIES}",
                query=JournalQuery,
                answers={
                    200: Answer(text="The newest entries.", form=JournalForm),
                    503: Answer(text="The store is away.", form=ProblemForm),
                },
            ),
            Route(
                method="GET",
                path="/api/v1/admission",
                handler=self._admission,
                summary="which tiers take new jobs; ?tier=TIER[&pool=POOL] is 200, or 503 with Retry-After",
                query=AdmissionQuery,
                answers={
                    200: Answer(
                        text="All tiers, or the one asked for, which takes jobs.", form=AdmissionForm | AdmissionsForm
                    ),
                    404: Answer(text="There is no such tier.", form=UnknownTierForm),
                    503: Answer(
                        text="The tier asked for is refused.",
                        form=AdmissionForm,
                        headers={"Retry-After": "Seconds after which to ask again."},
                    ),
                },
            ),
            Route(
                method="GET",
                path="/metrics",
                handler=self._metrics,
                summary="for Prometheus",
                answers={200: Answer(text="In the format that the header Accept prefers.")},
            ),
            _state("/healthz", self._healthz, "200 while ticks are made", HealthForm),
            _state("/readyz", self._readyz, "200 while the newest tick was good", ReadyForm),
        ]

    async def _status(self, _request: web.Request) -> web.Response:
        return _bytes(await self.rendering.status())

    async def _plan(self, _request: web.Request) -> web.Response:
        return web.json_response(self.board.plan())

    async def _instances(self, _request: web.Request) -> web.Response:
        return _bytes(await self.rendering.instances())

    async def _journal(self, request: web.Request) -> web.Response:
        entries = await self.store.journal(read_query(request, JournalQuery).count)
        return _bytes(b'{"entries": [%b]}' % b", ".join(encode_entry(entry) for entry in entries))

    async def _admission(self, request: web.Request) -> web.Response:
        asked = read_query(request, AdmissionQuery)
        tiers = self.board.admission(self.now(), self.late_s())
        found = [each for each in tiers if asked.tier in (None, each.tier) and asked.pool in (None, each.pool)]
        if asked.tier is not None and not found and (not tiers or self.board.led_elsewhere(asked.pool)):
            why = "open in doubt: this daemon does not lead"
            tiers = found = [Admission(pool=asked.pool or "", tier=asked.tier, why=why)]
        if tiers and not found:
            words = " ".join(f"{what}={text[:40]}" for what, text in request.query.items())
            known = [f"{each.pool}/{each.tier}" for each in tiers]
            return web.json_response({"error": f"there is no {words}; `tiers` has all", "tiers": known}, status=404)
        if asked.tier is None:
            return web.json_response({"tiers": [admission_view(each) for each in found]})
        if len(found) > 1:
            pools = " and ".join(each.pool for each in found)
            raise BadRequest(f"pool: missing, and the tier {asked.tier} is in {pools}; add &pool={found[0].pool}")
        return self._answer(found[0])

    def _answer(self, admission: Admission) -> web.Response:
        answer = admission_view(admission)
        if admission.accept:
            return web.json_response(answer)
        self.refusals.labels(admission.pool, admission.tier).inc()
        return web.json_response(answer, status=503, headers={"Retry-After": str(admission.retry_after_s)})

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self.registry), headers={"Content-Type": content_type})

    async def _healthz(self, _request: web.Request) -> web.Response:
        # A daemon that cannot reach Redis and keeps trying is alive: a restart would help nobody. /readyz tells of it.
        now, at, tried_at, late_s = self.now(), self.board.at, self.board.tried_at, self.late_s()
        alive = now - (self.started if tried_at is None else tried_at) <= late_s
        answer: HealthForm = {
            "alive": alive,
            "last_good_tick_at": at,
            "age_s": max(0.0, now - (self.started if at is None else at)),
            "limit_s": late_s,
            "error": self.board.error,
        }
        return web.json_response(answer, status=200 if alive else 503)

    async def _readyz(self, _request: web.Request) -> web.Response:
        report, error = self.board.report, self.board.error
        ready = report is not None and error is None
        if report is None and error is None:
            error = "no tick was made yet"
        answer: ReadyForm = {"ready": ready, "leads": report.leads if report else False, "error": error}
        return web.json_response(answer, status=200 if ready else 503)


def _json(path: str, handler: Handler, summary: str, form: Any) -> Route:
    """A view that is always there."""
    answers = {200: Answer(text="As of the newest tick.", form=form)}
    return Route(method="GET", path=path, handler=handler, summary=summary, answers=answers)


def _state(path: str, handler: Handler, summary: str, form: Any) -> Route:
    """What a supervisor asks."""
    answers = {200: Answer(text="All is well.", form=form), 503: Answer(text="It is not.", form=form)}
    return Route(method="GET", path=path, handler=handler, summary=summary, answers=answers)


def _bytes(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", charset="utf-8")
