"""The HTTP API: read-only JSON, health for supervisors, metrics for Prometheus."""

from __future__ import annotations

import errno
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import choose_encoder

from autoscaler.core.admission import Admission
from autoscaler.core.errors import SettingsError, StoreUnavailable
from autoscaler.core.journal import Entry
from autoscaler.store.codec import admission_fields, encode_entry
from autoscaler.web.views import Board

Journal = Callable[[int], Awaitable[Sequence[Entry]]]
"""Gives that many of the newest entries, newest first; raises `StoreUnavailable`."""

_TICKS_LATE = 3
_LATE_S = 30.0
_ENTRIES = 100
_MOST_ENTRIES = 1000
_GOODBYE_S = 2.0  # every answer is short; who reads slower than this at the end is cut off

_INDEX = f"""\
/api/v1/status     the whole fleet
/api/v1/plan       what the newest tick decided, and why
/api/v1/instances  all machines
/api/v1/journal    what happened, newest first; ?count=1..{_MOST_ENTRIES}
/api/v1/admission  which tiers take new jobs; ?tier=TIER[&pool=POOL] is 200, or 503 with Retry-After
/metrics           for Prometheus
/healthz           200 while ticks are made
/readyz            200 while the newest tick was good
"""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_app(
    board: Board, registry: CollectorRegistry, journal: Journal, *, now: Callable[[], float], tick_s: float
) -> web.Application:
    """The application. `now` gives the daemon's time in epoch seconds; `tick_s` is how often it means to tick."""
    late_s = max(_TICKS_LATE * tick_s, _LATE_S)
    refusals = Counter(
        "autoscaler_admission_refusals_total",
        "How often /api/v1/admission answered that a tier is refused.",
        ("pool", "tier"),
        registry=registry,
    )
    api = _Api(
        board=board,
        registry=registry,
        read_journal=journal,
        now=now,
        started=now(),
        late_s=late_s,
        refusals=refusals,
    )
    app = web.Application(middlewares=[_errors_as_json])
    app.add_routes(
        [
            web.get("/", api.index),
            web.get("/api/v1/status", api.status),
            web.get("/api/v1/plan", api.plan),
            web.get("/api/v1/instances", api.instances),
            web.get("/api/v1/journal", api.journal),
            web.get("/api/v1/admission", api.admission),
            web.get("/metrics", api.metrics),
            web.get("/healthz", api.healthz),
            web.get("/readyz", api.readyz),
        ]
    )
    app.on_response_prepare.append(_finish_headers)
    return app


async def serve(app: web.Application, listen: str) -> web.AppRunner:
    """Serve an application at `HOST:PORT` until the runner is cleaned up.

    Raises:
        SettingsError: the address is taken, not ours, or none at all.
    """
    host, _, port = listen.rpartition(":")
    if not host or not re.fullmatch(r"\d{1,5}", port, re.ASCII):
        raise SettingsError(f"http.listen: {listen!r} is no address; expected HOST:PORT, such as 127.0.0.1:8080")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GOODBYE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except (OSError, OverflowError, UnicodeError) as error:
        await runner.cleanup()
        raise SettingsError(f"http.listen: {_explain(error, listen, int(port))}") from error
    return runner


def _explain(error: Exception, listen: str, port: int) -> str:
    """Why an address cannot be served at, and what to do."""
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE:
        return f"{listen} is taken by another program; stop that, or choose another port"
    if code == errno.EACCES:
        return f"{listen} may not be used by this user; choose a port above 1023"
    if port > 65535:
        return f"{listen} has no port between 0 and 65535; expected HOST:PORT, such as 127.0.0.1:8080"
    return f"{listen} is no address of this machine; expected one such as 127.0.0.1:8080 or 0.0.0.0:8080"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Api:
    """The handlers and what they answer from."""

    board: Board
    registry: CollectorRegistry
    read_journal: Journal
    now: Callable[[], float]
    started: float
    """Epoch seconds."""
    late_s: float
    """Without any tick, good or failed, for longer than this the daemon counts as stuck."""
    refusals: Counter

    async def index(self, _request: web.Request) -> web.Response:
        return web.Response(text=_INDEX)

    async def status(self, _request: web.Request) -> web.Response:
        return web.json_response(self.board.status(self.now()))

    async def plan(self, _request: web.Request) -> web.Response:
        return web.json_response(self.board.plan())

    async def instances(self, _request: web.Request) -> web.Response:
        return web.json_response(self.board.instances(self.now()))

    async def journal(self, request: web.Request) -> web.Response:
        text = request.query.get("count", str(_ENTRIES))
        count = int(text) if re.fullmatch(r"\d{1,4}", text, re.ASCII) else 0
        if not 1 <= count <= _MOST_ENTRIES:
            return _problem(400, f"count: {text[:40]!r} given, expected a whole number from 1 to {_MOST_ENTRIES}")
        try:
            entries = await self.read_journal(count)
        except StoreUnavailable as error:
            return _problem(503, f"the journal cannot be read: {error}")
        body = b'{"entries": [%b]}' % b", ".join(encode_entry(entry) for entry in entries)
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    async def admission(self, request: web.Request) -> web.Response:
        name, pool = request.query.get("tier"), request.query.get("pool")
        tiers = self.board.admission(self.now(), self.late_s)
        if name is not None and not tiers:  # nothing is known yet, or another daemon leads: in doubt all are let in
            tiers = [Admission(pool=pool or "", tier=name, why="open in doubt: this daemon does not lead")]
        found = [each for each in tiers if name in (None, each.tier) and pool in (None, each.pool)]
        if tiers and not found:
            asked = " ".join(f"{what}={text[:40]}" for what, text in request.query.items())
            known = [f"{each.pool}/{each.tier}" for each in tiers]
            return web.json_response({"error": f"there is no {asked}; `tiers` has all", "tiers": known}, status=404)
        if name is None:
            return web.json_response({"tiers": [admission_fields(each) for each in found]})
        if len(found) > 1:
            pools = " and ".join(each.pool for each in found)
            return _problem(400, f"pool: missing, and the tier {name} is in {pools}; add &pool={found[0].pool}")
        return self._answer(found[0])

    def _answer(self, admission: Admission) -> web.Response:
        answer = admission_fields(admission)
        if admission.accept:
            return web.json_response(answer)
        self.refusals.labels(admission.pool, admission.tier).inc()
        return web.json_response(answer, status=503, headers={"Retry-After": str(admission.retry_after_s)})

    async def metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self.registry), headers={"Content-Type": content_type})

    async def healthz(self, _request: web.Request) -> web.Response:
        # A daemon that cannot reach Redis and keeps trying is alive: a restart would help nobody. /readyz tells of it.
        now, at, tried_at = self.now(), self.board.at, self.board.tried_at
        alive = now - (self.started if tried_at is None else tried_at) <= self.late_s
        age_s = max(0.0, now - (self.started if at is None else at))
        answer = {"alive": alive, "last_good_tick_at": at, "age_s": age_s, "limit_s": self.late_s}
        return web.json_response({**answer, "error": self.board.error}, status=200 if alive else 503)

    async def readyz(self, _request: web.Request) -> web.Response:
        report, error = self.board.report, self.board.error
        ready = report is not None and error is None
        if report is None and error is None:
            error = "no tick was made yet"
        answer = {"ready": ready, "leads": report.leads if report else False, "error": error}
        return web.json_response(answer, status=200 if ready else 503)


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        problem = _problem(405, f"{request.method[:20]} is not allowed here: this API is read-only")
        problem.headers["Allow"] = error.headers["Allow"]
        return problem
    except web.HTTPNotFound:
        return _problem(404, "there is nothing here; / lists what there is")
    except web.HTTPException as error:
        return _problem(error.status, error.reason)
    except Exception:  # noqa: BLE001 - the log gets the traceback, the client does not
        structlog.get_logger(__name__).exception("request_failed", path=request.path)
        return _problem(500, "this is a bug; the daemon's log says more")


def _problem(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


async def _finish_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.popall("Server", None)
