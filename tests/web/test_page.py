"""The dashboard's files: what is served, how it is kept, and what the page may do."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import plotly
import pytest
from yarl import URL

import autoscaler.web
from tests.support.served import Daemon, served

STATIC = Path(autoscaler.web.__file__).parent / "static"
CHARTS = "/static/plotly.min.js"
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    async with served() as made:
        yield made


async def test_the_page_is_served_at_the_root_under_the_strictest_rules_it_can_live_with(daemon: Daemon) -> None:
    response, text = await daemon.ask("/")
    assert (response.status, response.content_type) == (200, "text/html")
    assert text == (STATIC / "index.html").read_text()
    policy = dict(rule.split(" ", 1) for rule in response.headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


async def test_each_shipped_file_is_served_as_what_it_is(daemon: Daemon) -> None:
    kinds = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    shipped = sorted(STATIC.iterdir())
    assert shipped
    for path in shipped:
        response, text = await daemon.ask(f"/static/{path.name}")
        assert (response.status, response.content_type) == (200, kinds[path.suffix[1:]]), path.name
        assert text == path.read_text()
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_the_charts_library_is_the_one_of_the_package_and_is_sent_packed(daemon: Daemon) -> None:
    content = (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_bytes()
    refused = {"Accept-Encoding": "br, gzip;q=0"}
    for headers, packed in (({"Accept-Encoding": "br, gzip;q=0.5"}, True), (PLAIN, False), (refused, False)):
        async with daemon.client.get(daemon.url + CHARTS, headers=headers, auto_decompress=False) as response:
            body = await response.read()
        assert (response.headers.get("Content-Encoding") == "gzip") == packed
        assert (gzip.decompress(body) if packed else body) == content
        assert (len(body) < 1_600_000) == packed
        assert response.headers["Vary"] == "Accept-Encoding"


async def test_a_file_that_is_known_is_not_sent_again_and_one_that_changed_is(daemon: Daemon) -> None:
    for path in ("/", CHARTS, "/static/app.js"):
        response, _ = await daemon.ask(path)
        assert response.headers["Cache-Control"] == "no-cache"
        etag = response.headers["ETag"]
        for known in (etag, f'"older", {etag}', etag.removeprefix("W/"), "*"):
            again, text = await daemon.ask(path, headers={"If-None-Match": known})
            assert (again.status, again.headers["ETag"], text) == (304, etag, "")
        other, text = await daemon.ask(path, headers={"If-None-Match": '"older"'})
        assert other.status == 200
        assert text


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/server.py",
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/%2e%2e/app.py",
        "/static/%2fetc%2fpasswd",
        "/static/..",
        "/static/app.js%00",
        "/static/APP.JS",
        "/static/plotly.js/../plotly.min.js/x",
        "/plotly.min.js",
    ],
)
async def test_nothing_else_is_served(daemon: Daemon, path: str) -> None:
    async with daemon.client.get(URL(daemon.url + path, encoded=True)) as response:
        assert response.status == 404
        assert response.content_type == "application/json"


def test_the_package_of_the_library_is_never_imported() -> None:
    script = """
import asyncio, sys
from tests.support.served import served
async def look():
    async with served() as daemon:
        await daemon.ask("/static/plotly.min.js")
    print(sorted(name for name in sys.modules if name.startswith("plotly")))
asyncio.run(look())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=STATIC.parents[2]
    )
    assert done.stdout == "[]\n"
