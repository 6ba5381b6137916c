"""Asking a daemon that runs, over its HTTP API. Proxies are passed by."""

from __future__ import annotations

from typing import Any

import aiohttp
import click

from autoscaler.core.errors import AutoscalerError

_DEFAULT_URL = "http://127.0.0.1:8080"
_TIMEOUT = aiohttp.ClientTimeout(total=5)

url_option = click.option(
    "--url", default=_DEFAULT_URL, show_default=True, help="Where the daemon serves its API (`http.listen`)."
)


class NoDaemon(AutoscalerError):
    """Nobody answers there, or somebody else does."""


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


async def _ask(url: str, path: str, *expected: str) -> dict[str, Any]:
    base = url.rstrip("/")
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(base + path) as response:
            answer = await response.json()
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise NoDaemon(f"--url {url}: expected an address such as {_DEFAULT_URL}") from error
    except (aiohttp.ContentTypeError, ValueError):
        answer = None
    except (aiohttp.ClientError, OSError) as error:
        raise NoDaemon(f"no daemon answers at {base}; start one with: autoscaler run") from error
    if not isinstance(answer, dict) or not answer.keys() & set(expected):
        raise NoDaemon(f"what answers at {base} is no autoscaler; give the daemon's address with --url")
    return answer
