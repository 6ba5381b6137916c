"""The ways by which a message leaves: a signed webhook, Slack, Discord, e-mail, and whatever Apprise reaches.

Slack and Discord are one POST each, and are not left to Apprise: it turns an `@everyone` in a text into a real mention,
says only that something failed, and not what the other side answered, and blocks a thread. What a stranger wrote (a
host's status, a queue's error) stands where neither Slack nor Discord looks for mentions, links or formatting.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import aiohttp

from autoscaler.config.notify import (
    AnyChannel,
    AppriseChannel,
    DiscordChannel,
    EmailChannel,
    SlackChannel,
    WebhookChannel,
)
from autoscaler.config.notify_checks import signing_key
from autoscaler.config.secrets import url_secrets
from autoscaler.core.words import MOST_SAID, one_line
from autoscaler.runtime.concerns import Severity
from autoscaler.runtime.ports import Clock
from autoscaler.telemetry.notify_text import Message
from autoscaler.telemetry.redact import quiet_about

_SEND_S = 15.0  # from the name's look-up to the end of the answer
_MOST_NEWS = 100  # in the JSON of a webhook
_MOST_SLACK = 3000
_MOST_DISCORD = 1900  # of 2,000
_MOST_ANSWER = 2000  # bytes that are read of an answer
_NO_EMBEDS = 4  # Discord's flag SUPPRESS_EMBEDS
_AGAIN = frozenset({408, 409, 425, 429})
_LINKS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKS = str.maketrans({"@": "@\N{ZERO WIDTH SPACE}", "<": "‹", ">": "›"})


class Undelivered(Exception):
    """A message could not be delivered: why, in words that hold no secret."""

    def __init__(self, reason: str, *, final: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.final = final
        """It would be refused again."""
        self.retry_after_s = retry_after_s
        """How long the other side asks to be left alone."""


Way = Callable[[Message, float], Awaitable[str]]
"""Sends a message, at a time in epoch seconds; gives what was answered, in words, or raises `Undelivered`."""


def way_of(channel: AnyChannel) -> Way:
    """The way that a channel's settings name."""
    match channel:
        case WebhookChannel():
            return Posted(channel.url.reveal(), lambda message, now: signed(message, signing_key(channel.secret), now))
        case SlackChannel():
            return Posted(channel.url.reveal(), lambda message, _now: _json(slack_body(message)))
        case DiscordChannel():
            return Posted(channel.url.reveal(), lambda message, _now: _json(discord_body(message)))
        case EmailChannel():
            return Mailed(channel)
        case AppriseChannel():
            return Apprised(channel.url.reveal())


async def attempt(way: Way, message: Message, clock: Clock) -> str | Undelivered:
    """Try once, for a while; gives what was answered, or why it was not taken."""
    try:
        async with clock.timeout(_SEND_S):
            return await way(message, clock.now())
    except Undelivered as error:
        return error
    except TimeoutError:
        return Undelivered(f"no answer within {_SEND_S:g}s")
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a way must not end the daemon
        return Undelivered(f"internal error, please report it: {type(error).__name__}")


# --- by HTTP ----------------------------------------------------------------------------------------------------------

Post = tuple[bytes, Mapping[str, str]]
"""A body and its headers."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A POST, whose answer is 2xx."""

    url: str
    make: Callable[[Message, float], Post]

    async def __call__(self, message: Message, now: float) -> str:
        """Send a message; see `Way`."""
        body, headers = self.make(message, now)
        quiet = quiet_about(url_secrets(self.url))
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(self.url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                said = one_line((await response.content.read(_MOST_ANSWER)).decode(errors="replace"), MOST_SAID)
                status, again_s = response.status, _seconds(response.headers.get("Retry-After", ""))
        except aiohttp.InvalidURL:
            raise Undelivered("the URL cannot be used", final=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Undelivered(quiet(one_line(str(error) or type(error).__name__, MOST_SAID))) from None
        answer = f"HTTP {status}" + (f": {quiet(said)}" if said else "")
        if 200 <= status < 300:
            return answer
        raise Undelivered(answer, final=status < 500 and status not in _AGAIN, retry_after_s=again_s)


def _seconds(header: str) -> float:
    """What `Retry-After` asks for. A date there would need the other side's clock: our own back-off does."""
    try:
        return max(0.0, min(float(header), 3600.0))
    except ValueError:
        return 0.0


def _json(value: object) -> Post:
    return json.dumps(value).encode(), {"Content-Type": "application/json"}


def signed(message: Message, key: bytes, now: float) -> Post:
    """The JSON of a webhook, signed: `v1,` and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`.

    Source: the Standard Webhooks specification 1.0.0, https://www.standardwebhooks.com.
    """
    body, headers = _json(webhook_body(message))
    stamp = str(int(now))
    digest = hmac.new(key, b".".join((message.id.encode(), stamp.encode(), body)), hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return body, {**headers, "webhook-id": message.id, "webhook-timestamp": stamp, "webhook-signature": signature}


def webhook_body(message: Message) -> dict[str, Any]:
    """What receivers parse; docs/notifications.md names each field."""
    return {
        "type": "autoscaler.notification",
        "timestamp": datetime.fromtimestamp(message.at, UTC).isoformat().replace("+00:00", "Z"),
        "data": {
            "fleet": message.fleet,
            "severity": message.severity,
            "title": message.title,
            "lines": message.lines,
            "news": [asdict(each) for each in message.news[:_MOST_NEWS]],
            "more": max(0, len(message.news) - _MOST_NEWS),
        },
    }


def slack_body(message: Message) -> dict[str, Any]:
    """A title, and all else in a code block, with the three characters written out that make links and mentions there.

    The code block is what Mattermost heeds: it knows no such writing out, and takes any `@all` for a mention.
    Source: docs.slack.dev, "Formatting message text", on escaping.
    """
    text = f"{message.title}\n{_fenced(message, _MOST_SLACK)}".translate(_LINKS)
    return {"text": text, "unfurl_links": False, "unfurl_media": False}


def discord_body(message: Message) -> dict[str, Any]:
    """A title, and all else in a code block, where Discord formats nothing; nobody is mentioned whatever it says."""
    content = f"**{message.title}**\n{_fenced(message, _MOST_DISCORD)}"
    return {"content": content, "allowed_mentions": {"parse": []}, "flags": _NO_EMBEDS}


def _fenced(message: Message, most: int) -> str:
    """The body as a code block, which no word in it ends; as long as it may be beside the title."""
    text = message.body[: most - len(message.title)].replace("`", "'")
    return f"```\n{text}\n```"


# --- by others' hands -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mailed:
    """An e-mail."""

    settings: EmailChannel

    async def __call__(self, message: Message, _now: float) -> str:
        """Send a message; see `Way`."""
        import aiosmtplib

        own = self.settings
        host, _, port = own.server.rpartition(":")
        quiet = quiet_about(_login_secrets(own))
        try:
            _, said = await aiosmtplib.send(
                mail_of(message, own.sender, own.to),
                hostname=host.strip("[]"),
                port=int(port),
                username=own.username,
                password=own.password.reveal() if own.password else None,
                use_tls=own.security == "tls",
                start_tls=own.security == "starttls",
            )
        except aiosmtplib.SMTPResponseException as error:
            reason = quiet(one_line(f"SMTP {error.code}: {error.message}", MOST_SAID))
            raise Undelivered(reason, final=error.code >= 500) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Undelivered(quiet(one_line(str(error) or type(error).__name__, MOST_SAID))) from None
        return quiet(one_line(f"SMTP: {said}", MOST_SAID))


def _login_secrets(settings: EmailChannel) -> list[str]:
    """The password, as it is and as it goes over the wire (RFC 4616): servers repeat commands that they refuse."""
    if settings.password is None:
        return []
    password = settings.password.reveal()
    sent = (password, f"\0{settings.username}\0{password}")
    return [password, *(base64.b64encode(each.encode()).decode() for each in sent)]


def mail_of(message: Message, sender: str, to: Iterable[str]) -> EmailMessage:
    """The e-mail; its headers hold nothing but our own words and the addresses of the settings."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, ", ".join(to), message.title
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.at, UTC))
    mail["Message-ID"] = f"<{message.id}.{message.fleet}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.body)
    return mail


def _broken_up(text: str) -> str:
    """A text in which nobody is mentioned and no link is hidden: Apprise makes both even of a plain text."""
    return text.translate(_MARKS).replace("](", "]\N{ZERO WIDTH SPACE}(")


@dataclass(slots=True)
class Apprised:
    """A message by the library Apprise, in a thread.

    The thread cannot be ended, so that while one still works, perhaps on a service that hangs, no other is begun: they
    are the event loop's own few, in which names are looked up, too.
    """

    url: str
    _sending: asyncio.Future[str] | None = field(default=None, init=False)

    async def __call__(self, message: Message, _now: float) -> str:
        """Send a message; see `Way`."""
        if self._sending is not None and not self._sending.done():
            raise Undelivered("the last message is still under way")
        self._sending = asyncio.ensure_future(asyncio.to_thread(self._send, message))
        return await asyncio.shield(self._sending)

    def _send(self, message: Message) -> str:
        try:
            import apprise
        except ImportError:
            raise Undelivered(
                "Apprise is not installed; run pip install 'gpu-autoscaler[notify]'", final=True
            ) from None
        kinds = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}
        quiet = quiet_about(url_secrets(self.url))
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as log:  # type: ignore[no-untyped-call]
            asset = apprise.AppriseAsset()
            asset.http_redirects = False  # older ones know no such thing, and follow
            service = apprise.Apprise(asset=asset)
            if not service.add(self.url):
                raise Undelivered("Apprise knows no such service, or its URL lacks something", final=True)
            sent = service.notify(
                title=message.title,
                body=_broken_up(message.body),
                body_format=apprise.NotifyFormat.TEXT,
                notify_type=kinds[message.severity],
            )
            said = quiet(one_line(log.getvalue(), MOST_SAID))
        if not sent:
            raise Undelivered(said or "Apprise could not send it, and does not say why")
        return "sent"
