"""What the settings of notifications must be beyond their types. No message repeats a URL: it is a secret."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import time
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from autoscaler.config.checks import Context
from autoscaler.config.words import suggest
from autoscaler.core.units import Secret
from policies.base import Finding

_HOURS = re.compile(r"(\d{1,2}:\d{2})\.\.(\d{1,2}:\d{2})", re.ASCII)
_SERVER = re.compile(r"(?:[^\s:/\[\]@]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", re.ASCII)
_SCHEMA = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", re.ASCII)
_LEAST_REMIND_S = 60.0
SECRET_PREFIX = "whsec_"  # noqa: S105 - what every such secret begins with


def parse_hours(value: object) -> str:
    """Hours of a day, `22:00..07:00`.

    Raises:
        ValueError: not of that form, or of no length.
    """
    match = _HOURS.fullmatch(value.replace(" ", "")) if isinstance(value, str) else None
    try:
        begin, end = (_clock(match[1]), _clock(match[2])) if match else (time(), time())
    except ValueError:
        begin = end = time()
    if begin == end:
        raise ValueError("expected hours such as 22:00..07:00")
    return f"{begin:%H:%M}..{end:%H:%M}"


def bounds(hours: str) -> tuple[time, time]:
    """Begin and end of hours as `parse_hours` gives them."""
    begin, _, end = hours.partition("..")
    return _clock(begin), _clock(end)


def _clock(text: str) -> time:
    hour, minute = text.split(":")
    return time(int(hour), int(minute))


def parse_zone(value: object) -> str:
    """The name of a time zone.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("expected the name of a time zone, such as Europe/Berlin") from error


def parse_server(value: object) -> str:
    """Where a mail server is.

    Raises:
        ValueError: not of the form HOST:PORT.
    """
    if isinstance(value, str) and _SERVER.fullmatch(value) and 0 < int(value.rpartition(":")[2]) <= 65535:
        return value
    raise ValueError("expected HOST:PORT, such as smtp.example.com:587")


def parse_address(value: object) -> str:
    """A plain e-mail address, in which nothing can be hidden.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str) and _ADDRESS.fullmatch(value):
        return value
    raise ValueError("expected an address alone, such as ops@example.com")


def url(secret: Secret, _context: Context) -> Iterator[Finding]:
    """A URL that can be posted to."""
    try:
        parts = urlsplit(secret.reveal())
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = None
    if not sound or not _SCHEMA.fullmatch(secret.reveal()):
        yield (), "expected an https:// URL"


def apprise_url(secret: Secret, _context: Context) -> Iterator[Finding]:
    """A URL of the form that Apprise reads. Whether it knows the service is told by `autoscaler notify test`."""
    if not _SCHEMA.fullmatch(secret.reveal()):
        yield (), "expected one Apprise URL, such as tgram://TOKEN/CHAT; https://appriseit.com/services lists all"


def webhook_secret(secret: Secret, _context: Context) -> Iterator[Finding]:
    """A secret of the form that libraries for Standard Webhooks take."""
    try:
        key = signing_key(secret)
    except ValueError:
        key = b""
    if not 24 <= len(key) <= 64:
        yield (), "expected whsec_ and 24 to 64 bytes in base64, such as `echo whsec_$(openssl rand -base64 32)` gives"


def signing_key(secret: Secret) -> bytes:
    """The bytes that sign.

    Raises:
        ValueError: not `whsec_` and base64.
    """
    text = secret.reveal()
    if not text.startswith(SECRET_PREFIX):
        raise ValueError(f"expected {SECRET_PREFIX}")
    try:
        return base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("expected base64") from error


def email(settings: Any, _context: Context) -> Iterator[Finding]:
    """An account at a mail server that is whole, and whose password is not sent in the open."""
    if settings.password is None:
        if settings.username is not None:
            yield ("password",), "expected the password of the user"
        return
    if settings.username is None:
        yield ("username",), "expected the user whom the password is for"
    if settings.security == "none":
        yield ("security",), "would send the password unencrypted; expected starttls or tls"


def notify(settings: Any, context: Context) -> Iterator[Finding]:
    """Channels that tell of pools there are."""
    pools = context.beside.get("pools")
    if pools is None:
        return
    for name, channel in settings.channels.items():
        for index, pool in enumerate(channel.pools):
            if pool not in pools:
                yield ("channels", name, "pools", index), f"no such key under `pools`; {suggest(pool, pools)}"


def not_negative(seconds: float, _context: Context) -> Iterator[Finding]:
    """Any time, none included."""
    if seconds < 0:
        yield (), "expected 0s or more"


def remind(seconds: float, _context: Context) -> Iterator[Finding]:
    """A time that lets people work."""
    if seconds < _LEAST_REMIND_S:
        yield (), f"expected at least {_LEAST_REMIND_S:g}s, such as 6h"
