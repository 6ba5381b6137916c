"""News and messages built by hand, and receivers that are real: an HTTP server and a mail server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from autoscaler.runtime.concerns import Concern, Name, Severity
from autoscaler.telemetry.notify_news import Change, News
from autoscaler.telemetry.notify_text import Message, compose
from tests.support.reports import NOW

HOSTILE = "@everyone <!channel> <https://evil.example|click> & `code` **bold** ```\n\x1b[31mred\u202e"


def concern(
    name: Name = Name.QUEUE_UNKNOWN, severity: Severity = Severity.WARNING, subject: str = "", **changes: Any
) -> Concern:
    """A concern of the pool `images`."""
    fields: dict[str, Any] = {"pool": "images", "text": f"images: {name} {subject}", "command": "autoscaler why"}
    return Concern(name=name, severity=severity, subject=subject, **(fields | changes))


def news(
    name: str = "machine_down", severity: Severity = Severity.WARNING, change: Change = Change.BEGUN, **changes: Any
) -> News:
    """News of the pool `images`."""
    fields: dict[str, Any] = {"pool": "images", "text": f"images: {name}", "at": NOW, "since": NOW}
    return News(name=name, severity=severity, change=change, **(fields | changes))


def message(*told: News, at: float = NOW) -> Message:
    """A message with these news, or one."""
    return compose(told or [news()], id="msg_1", fleet="attic", at=at)


@dataclass
class Receiver:
    """What an HTTP server was sent, and what it answers."""

    url: str = ""
    status: int = 200
    answer: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    bodies: list[bytes] = field(default_factory=list)
    sent: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request."""


@asynccontextmanager
async def receiving(**settings: Any) -> AsyncIterator[Receiver]:
    """A receiver at a free port of loopback."""
    receiver = Receiver(**settings)

    async def take(request: web.Request) -> web.StreamResponse:
        receiver.bodies.append(await request.read())
        receiver.sent.append(dict(request.headers))
        if receiver.hangs:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await request.loop.create_future()
        return web.Response(status=receiver.status, text=receiver.answer, headers=receiver.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield receiver
    await runner.cleanup()


@dataclass
class MailServer:
    """What a mail server took in."""

    address: str = ""
    mails: list[Envelope] = field(default_factory=list)
    refuses: str = ""
    """What it answers in place of taking a mail in."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if self.refuses:
            return self.refuses
        self.mails.append(envelope)
        return "250 OK"


@asynccontextmanager
async def mail_server(
    *, password: str = "", tls: SSLContext | None = None, **settings: Any
) -> AsyncIterator[MailServer]:
    """A mail server at a free port of loopback; with a password it lets in nobody else, with `tls` it has STARTTLS."""
    mails = MailServer(**settings)

    def allowed(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == password.encode(), handled=False)

    def session() -> SMTP:
        return SMTP(
            mails,
            hostname="mail.example.com",
            auth_required=bool(password),
            authenticator=allowed if password else None,
            tls_context=tls,
            require_starttls=tls is not None,
            auth_require_tls=tls is not None,
        )

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    mails.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield mails
    server.close()
    await server.wait_closed()
