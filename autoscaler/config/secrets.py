"""All that a configuration holds and nobody may read in a log, in a message or on a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from autoscaler.config.schema import Config
from autoscaler.core.spec import MachineSpec
from autoscaler.core.units import Secret

_LONG = 16  # characters: no word of a path has as many


def secrets_of(config: Config) -> frozenset[str]:
    """Keys and passwords, their words, passwords in URLs, and the whole environment of containers.

    What is in a file of its own (`password_file`) is not known here.
    """
    return frozenset(found for found in _secrets(config) if found)


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from (value.reveal(), *value.reveal().split())  # a registry's login is several words
        yield from url_secrets(value.reveal())
    elif isinstance(value, MachineSpec):
        for text in value.env.values():
            yield from (text, *_passwords(text))
    elif isinstance(value, str):
        yield from _passwords(value)
    elif is_dataclass(value):
        for each in fields(value):
            yield from _secrets(getattr(value, each.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _secrets(item)


def _passwords(text: str) -> Iterator[str]:
    """The passwords in a URL, as they stand there and as they are meant."""
    if "://" not in text:
        return
    try:
        url = urlsplit(text)
    except ValueError:
        return
    options = [given for name, given in parse_qsl(url.query) if name.endswith("password")]
    for password in (url.password or "", *options):
        yield from (password, unquote(password))


def url_secrets(text: str) -> Iterator[str]:
    """What is secret in a URL that is a secret itself, as of a webhook: all of it, and the parts that errors repeat.

    Of `https://host/services/T0/B0/token` that is the path and its last part; of `tgram://token/chat`, whose first part
    names no host, that one, too. Any other part counts that is too long to be a word: a token may stand anywhere.
    """
    if "://" not in text:
        return
    scheme, _, rest = text.partition("://")
    place, slash, path = rest.partition("/")
    yield from (text, *_passwords(text))
    if path:
        yield from (slash + path, path.partition("?")[0].rstrip("/").rpartition("/")[2])
        long = [part for part in re.split(r"[/?&=#]", path) if len(part) >= _LONG]
        yield from (*long, *map(unquote, long))
    if scheme not in ("http", "https"):
        yield place.rpartition("@")[0] or place
