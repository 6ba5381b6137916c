"""All that a configuration holds and nobody may read in a log, in a message or on a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from autoscaler.config.schema import Config
from autoscaler.core.spec import MachineSpec
from autoscaler.core.units import Secret


def secrets_of(config: Config) -> frozenset[str]:
    """Keys and passwords, their words, passwords in URLs, and the whole environment of containers.

    What is in a file of its own (`password_file`) is not known here.
    """
    return frozenset(found for found in _secrets(config) if found)


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from (value.reveal(), *value.reveal().split())  # a registry's login is several words
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
