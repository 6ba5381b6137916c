"""The dashboard of a real daemon in a real browser, both shared by the tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.daemon_process import DaemonProcess, a_config, connect
from tests.support.dashboard import PATIENCE_MS, WIDE_PX, Dashboard
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")  # not longer: it has an event loop in this process, in which others cannot run theirs
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("neither chromium nor google-chrome is installed")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # Its sandbox cannot be had by root, as whom tests in containers often run; it opens our own page alone.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def client(redis_server: RedisServer) -> Iterator[Any]:
    with connect(redis_server.url) as connected:
        connected.flushall()
        yield connected


@pytest.fixture(scope="module")
def daemon(redis_server: RedisServer, client: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon at the pace of life, two ticks a second, with one machine that is HOT within a second."""
    directory = tmp_path_factory.mktemp("daemon")
    mock = {"setup": "300ms..500ms", "resume": "300ms..500ms", "stop": "100ms..200ms"}
    config = a_config(directory, redis_server.url, mock=mock, policy={"rent_depth": 100})
    config["pools"]["images"] |= {"health": {"degraded_after": "300ms"}}
    config["pools"]["images"]["limits"]["hot"] = "1..1"
    daemon = DaemonProcess(directory, config | {"tick": "500ms"})
    daemon.start()
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.kill()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    # Animations would be caught half-way, where a colour is neither the one nor the other.
    with browser.new_context(viewport={"width": WIDE_PX, "height": 900}, reduced_motion="reduce") as context:
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        yield page
        page.unroute_all(behavior="ignoreErrors")  # an answer may be on its way


@pytest.fixture
def dashboard(page: Page, daemon: DaemonProcess) -> Dashboard:
    """The page, not yet opened."""
    return Dashboard(page, daemon.url)
