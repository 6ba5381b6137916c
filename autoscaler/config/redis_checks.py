"""How `redis`, `store` and a pool's `redis` are written: a URL alone, or a mapping whose parts agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from autoscaler.config.checks import Context
from autoscaler.link.address import TLS_OPTIONS, Address, parse_address, parse_hosts
from autoscaler.link.refusals import Unusable
from autoscaler.link.server import tls_context
from autoscaler.link.settings import RedisSettings, SentinelSettings, Tls
from policies.base import Finding


class UrlAlone:
    """An annotation of `RedisSettings` that lets a URL stand for them."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(_from_url, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "examples": ["redis://localhost:6379/0"]}, handler(schema)]}


def _from_url(value: object, handler: ValidatorFunctionWrapHandler) -> RedisSettings:
    if not isinstance(value, str):
        settings: RedisSettings = handler(value)
        return settings
    parse_address(value)
    return RedisSettings(url=value)


def redis(settings: RedisSettings, _context: Context) -> Iterator[Finding]:
    """A Redis that can be found, by one way, as one user."""
    if settings.timeout <= 0:
        yield ("timeout",), "expected more than 0s"
    if settings.url is not None and settings.sentinel is not None:
        yield ("sentinel",), "expected either `url` or `sentinel`: the Sentinels know where it is"
    if settings.sentinel is not None:
        yield from _sentinel(settings.sentinel)
    address = None
    try:
        address = settings.address()
    except ValueError as error:
        if settings.sentinel is None:
            yield ("url",), str(error)
    options = {} if address is None else address.options
    yield from _account(settings, in_url=settings.sentinel is None and "password" in options)
    if settings.username is not None and "username" in options:
        yield ("username",), "the URL names a user already; leave out either"
    if address is not None:
        yield from _place(settings, address)
    if settings.tls is not None:
        yield from _tls(settings.tls)


def _place(settings: RedisSettings, address: Address) -> Iterator[Finding]:
    if settings.cluster and address.master is not None:
        yield ("cluster",), "what Sentinel watches is no Cluster; leave out either"
    elif settings.cluster and (address.path is not None or address.embedded):
        yield ("cluster",), "expected a redis:// or rediss:// URL of any node of the Cluster"
    elif address.cluster and address.options.get("db"):
        yield ("url" if settings.db is None else "db",), "a Redis Cluster has database 0 alone"
    if settings.db is not None:
        if settings.db < 0:
            yield ("db",), "expected 0 or more"
        if settings.url is not None and "db" in parse_address(settings.url).options:
            yield ("db",), "the URL names a database already; leave out either"
    if settings.tls is None:
        return
    if not address.tls:
        yield ("tls",), "the URL is without TLS; write rediss://, or leave this out"
    elif named := sorted(TLS_OPTIONS.keys() & address.options.keys()):
        yield ("tls",), f"the URL has {named[0]}, which is `tls.{TLS_OPTIONS[named[0]]}`; leave out either"


def _account(who: RedisSettings | SentinelSettings, *, in_url: bool = False) -> Iterator[Finding]:
    given = {"password": who.password, "password_file": who.password_file}
    if in_url and any(each is not None for each in given.values()):
        which = next(name for name, each in given.items() if each is not None)
        yield (which,), "the URL has a password already; leave out either"
    if None not in given.values():
        yield ("password_file",), "expected either `password` or `password_file`"
    if who.password_file is not None and (problem := _unreadable(who.password_file)):
        yield ("password_file",), problem


def _sentinel(sentinel: SentinelSettings) -> Iterator[Finding]:
    if not sentinel.master.strip():
        yield ("sentinel", "master"), "expected the name under which the Sentinels watch it, such as mymaster"
    if not sentinel.addresses:
        yield ("sentinel", "addresses"), "expected at least one HOST:PORT"
    for index, text in enumerate(sentinel.addresses):
        if "@" in text:  # not repeated: there may be a password before it
            yield ("sentinel", "addresses"), "expected HOST:PORT; who we are goes into `username` and `password`"
            continue
        try:
            parse_hosts([text])
        except ValueError:
            yield ("sentinel", "addresses", index), "expected HOST:PORT, such as 10.0.0.5:26379"
    for where, message in _account(sentinel):
        yield ("sentinel", *where), message


def _tls(tls: Tls) -> Iterator[Finding]:
    files: Mapping[str, str | None] = {"ca": tls.ca, "cert": tls.cert, "key": tls.key}
    problems = {name: _unreadable(file) for name, file in files.items() if file is not None}
    for name, problem in problems.items():
        if problem:
            yield ("tls", name), problem
    if tls.cert is not None and tls.key is None:
        yield ("tls", "cert"), "expected `key` beside it: the file of this certificate's key"
    if tls.key is not None and tls.cert is None:
        yield ("tls", "key"), "expected `cert` beside it: the file of this key's certificate"
    if tls.key_password is not None and tls.key is None:
        yield ("tls", "key_password"), "expected `key` beside it: the file that it opens"
    if any(problems.values()) or (tls.cert is None) != (tls.key is None):
        return
    for part in (Tls(ca=tls.ca), Tls(cert=tls.cert, key=tls.key, key_password=tls.key_password)):
        try:
            tls_context(part)
        except Unusable as error:
            yield ("tls", "ca" if part.ca is not None else "cert"), str(error)


def _unreadable(file: str) -> str | None:
    try:
        with Path(file).open("rb"):
            return None
    except OSError as error:
        return f"the file cannot be read: {error.strerror or error}"
