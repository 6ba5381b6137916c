"""What stands before every handler: time limits, errors as JSON, the Host header, and the token of what changes things.

The token is compared in constant time and appears in no answer, log line or metric. Whoever fails is told and counted,
and not slowed: a token of sixteen characters is not guessed, and a request that waits would only hold a connection.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from autoscaler.config.schema import HttpSettings
from autoscaler.core.errors import NewerRecords, StoreUnavailable
from autoscaler.core.units import Secret
from autoscaler.core.words import one_line
from autoscaler.web.routes import BadRequest, Handler, Route

MOST_BYTES = 65_536
"""Of a request's body."""
_ANSWERED_S = 15.0  # a request read and its answer made: the store gives up long before
_SENT_S = 30.0  # an answer read by whoever asked
_PIECE = 65_536  # bytes of an answer that may wait for whoever does not read it
_LOGGED_EVERY_S = 60.0
_LIMIT: ContextVar[asyncio.Timeout] = ContextVar("limit")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_NOT_SET_UP = (
    "this daemon has no token, so nothing can be changed over HTTP; set http.token in its configuration, such as "
    "${AUTOSCALER_TOKEN}, or give the order on the command line"
)


class Guard:
    """Refuses who must not pass. `settings` gives those in force, `now` the daemon's time in epoch seconds."""

    def __init__(
        self, settings: Callable[[], HttpSettings], registry: CollectorRegistry, now: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._now = now
        self._refusals = Counter(
            "autoscaler_http_refusals_total",
            "Requests refused for a wrong or missing token, or for a Host header that is not ours.",
            ("reason",),
            registry=registry,
        )
        self._logged_at = -_LOGGED_EVERY_S
        self._unlogged = 0

    def handler(self, route: Route) -> Handler:
        """What a route is served by."""
        if not route.guarded:
            return route.handler

        async def guarded(request: web.Request) -> web.StreamResponse:
            token = self._settings().token
            if token is None:
                return problem(403, _NOT_SET_UP)
            if not _bears(request, token):
                self._refused("token", request)
                text = "expected the header Authorization: Bearer and the daemon's token"
                return problem(401, text, headers={"WWW-Authenticate": "Bearer"})
            return await route.handler(request)

        return guarded

    @web.middleware
    async def known_host(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse names that are not ours.

        A page on the web may point its own name at this address and then read what a browser here can reach (DNS
        rebinding). Nobody can do that with an IP address, nor own a name without a dot, such as localhost.
        """
        name = _host(request.headers.get("Host", ""))
        if "." not in name or _is_ip(name) or name.lower() in self._ours():
            return await handler(request)
        self._refused("host", request)
        return problem(421, f"{one_line(name, 80)} is not a name of this daemon; add it to http.hosts if it is")

    def _ours(self) -> set[str]:
        http = self._settings()
        return {name.lower() for name in (_host(http.listen), *http.hosts)}

    def _refused(self, reason: str, request: web.Request) -> None:
        self._refusals.labels(reason).inc()
        now = self._now()
        if abs(now - self._logged_at) < _LOGGED_EVERY_S:
            self._unlogged += 1
            return
        log = structlog.get_logger(__name__)
        log.warning("http_refused", reason=reason, peer=request.remote, path=request.path, unlogged=self._unlogged)
        self._logged_at, self._unlogged = now, 0


def _bears(request: web.Request, token: Secret) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), token.reveal().encode())
    return same and scheme.lower() == "bearer"


def _host(header: str) -> str:
    """The name in a Host header, without its port."""
    return header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@web.middleware
async def in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Hold nothing for whoever sends a body or reads an answer too slowly."""
    try:
        async with asyncio.timeout(_ANSWERED_S) as limit:
            _LIMIT.set(limit)
            response = await handler(request)
    except TimeoutError:
        response = problem(408, f"the request was not read and answered within {_ANSWERED_S:g}s")
        response.force_close()
    if isinstance(response, web.Response) and isinstance(response.body, bytes) and len(response.body) > _PIECE:
        response.headers["Content-Length"] = str(len(response.body))
        response.body = _in_pieces(response.body)
    try:
        async with asyncio.timeout(_SENT_S):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # whoever asked has left
    return response


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    """A long answer bit by bit: what is sent at once is copied, and kept for whoever does not read it."""
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


def without_limit() -> None:
    """Let the present answer go on for as long as somebody listens; who makes it sees to those who do not read."""
    _LIMIT.get().reschedule(None)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One form for all that goes wrong; a traceback is for the log alone."""
    try:
        return await handler(request)
    except BadRequest as error:
        return web.json_response({"error": one_line(str(error), 1000), "problems": error.problems}, status=400)
    except (StoreUnavailable, NewerRecords) as error:
        return problem(503, f"the store cannot be used: {error}")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return problem(405, f"{request.method[:20]} is not allowed here; {allowed} is", headers={"Allow": allowed})
    except web.HTTPNotFound:
        return problem(404, "there is nothing here; /api/v1 lists what there is")
    except web.HTTPRequestEntityTooLarge:
        return problem(413, f"the body is longer than {MOST_BYTES} bytes")
    except web.HTTPException as error:
        return problem(error.status, error.reason)
    except Exception:  # noqa: BLE001 - the log gets the traceback, the client does not
        structlog.get_logger(__name__).exception("request_failed", path=request.path)
        return problem(500, "this is a bug; the daemon's log says more")


def problem(status: int, text: str, *, headers: dict[str, str] | None = None) -> web.Response:
    """Why there is no other answer."""
    return web.json_response({"error": text}, status=status, headers=headers)


async def finish_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """What each answer bears unless it says otherwise, and what it does not."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.popall("Server", None)
