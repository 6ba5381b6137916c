"""Asking a daemon that runs, over its HTTP API. Proxies are passed by."""

from __future__ import annotations

import dataclasses
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import click
from yarl import URL

from autoscaler.core.errors import AutoscalerError, SettingsError
from autoscaler.core.orders import Order
from autoscaler.core.strays import Found, Stray
from autoscaler.core.words import one_line

_DEFAULT_URL = "http://127.0.0.1:8080"
_ORDERS = "/api/v1/orders"
_MOST_PROBLEM = 1000  # characters; the longest, a list of all that there is instead, have half of it
_TIMEOUT = aiohttp.ClientTimeout(total=5)

url_option = click.option(
    "--url", default=_DEFAULT_URL, show_default=True, help="Where the daemon serves its API (`http.listen`)."
)


class NoDaemon(AutoscalerError):
    """Nobody answers there, or somebody else does."""


class Refused(SettingsError):
    """A daemon does not do what it was asked."""


async def ask_status(url: str) -> dict[str, Any]:
    """What `/api/v1/status` gives.

    Raises:
        NoDaemon: there is none.
    """
    return await _ask(url, "/api/v1/status", "fleet")


async def ask_journal(url: str, count: int) -> list[dict[str, Any]]:
    """The newest journal entries, newest first; none while the daemon itself cannot read them.

    Raises:
        NoDaemon: there is none.
    """
    answer = await _ask(url, f"/api/v1/journal?count={count}", "entries", "error")
    entries: list[dict[str, Any]] = answer.get("entries", [])
    return entries


async def ask_cost(url: str, query: dict[str, str]) -> dict[str, Any]:
    """What `/api/v1/cost` gives for these days and this pool.

    Raises:
        NoDaemon: there is none.
        Refused: it has no such days or no such pool.
    """
    return _taken(await _ask(url, f"/api/v1/cost?{urlencode(query)}", "books_since", "error"))


async def ask_reload(url: str, token: str, wish: dict[str, Any]) -> dict[str, Any]:
    """What `/api/v1/reload` gives.

    Raises:
        NoDaemon: there is none.
        Refused: it does not do that.
    """
    return _taken(await _ask(url, "/api/v1/reload", "diff", "error", token=token, body=wish))


async def ask_orders(url: str) -> list[Order]:
    """The orders that stand, oldest first.

    Raises:
        NoDaemon: there is none.
        Refused: it cannot say.
    """
    answer = _taken(await _ask(url, _ORDERS, "orders", "error"))
    fields = [field.name for field in dataclasses.fields(Order)]
    return [Order(**{name: given[name] for name in fields}) for given in answer["orders"]]


async def ask_strays(url: str) -> Found:
    """The machines that nobody takes care of.

    Raises:
        NoDaemon: there is none.
        Refused: it cannot say.
    """
    answer = _taken(await _ask(url, "/api/v1/strays", "strays", "error"))
    strays = [Stray(**stray) for stray in answer["strays"]]
    return Found(strays=strays, unlisted=answer["unlisted"], machines=answer["machines"])


async def give_order(url: str, token: str, fields: dict[str, Any]) -> list[str]:
    """Give an order; gives what whoever gave it should know.

    Raises:
        NoDaemon: there is none.
        Refused: it does not take it.
    """
    answer = _taken(await _ask(url, _ORDERS, "name", "error", token=token, body=fields))
    warnings: list[str] = answer["warnings"]
    return warnings


async def withdraw_order(url: str, token: str, name: str, *, by: str, why: str) -> None:
    """Take an order back.

    Raises:
        NoDaemon: there is none.
        Refused: it does not do that, or no such order stands.
    """
    path = f"{_ORDERS}/{quote(name, safe='')}?by={quote(by, safe='')}&why={quote(why, safe='')}"
    _taken(await _ask(url, path, "error", token=token, method="DELETE"))


def _taken(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise Refused(*(one_line(str(each), _MOST_PROBLEM) for each in answer.get("problems", [answer["error"]])))
    return answer


async def _ask(
    url: str, path: str, *expected: str, token: str = "", body: dict[str, Any] | None = None, method: str = ""
) -> dict[str, Any]:
    base = url.rstrip("/")
    method = method or ("GET" if body is None else "POST")
    if not token.isprintable():  # aiohttp would refuse it as a header, and not say which
        raise Refused("--token: has a line break or a control character, expected the one line of http.token")
    headers = {} if method == "GET" else {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.request(method, URL(base + path, encoded=True), json=body, headers=headers) as response,
        ):
            if response.status == HTTPStatus.NO_CONTENT:
                return {}
            if response.status == HTTPStatus.UNAUTHORIZED:
                given = "not that of" if token else "missing, and needed by"
                raise Refused(f"--token: {given} the daemon at {base}; give its http.token, or set AUTOSCALER_TOKEN")
            answer = await response.json()
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise NoDaemon(f"--url {url}: expected an address such as {_DEFAULT_URL}") from error
    except (aiohttp.ContentTypeError, ValueError):
        answer = None
    except (aiohttp.ClientError, OSError) as error:
        raise NoDaemon(f"no daemon answers at {base}; start one with autoscaler run FILE, or give --url") from error
    if not isinstance(answer, dict) or not answer.keys() & set(expected):
        raise NoDaemon(f"what answers at {base} is no autoscaler; give the daemon's address with --url")
    return answer
