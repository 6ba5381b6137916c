"""`pytest tests/live --live VENDOR --spend-usd USD`: the account, the cap, and that nothing is left over.

The key is taken from the environment. Against an emulator, whose address is taken from the variable that the vendor's
own client reads, AUTOSCALER_LIVE_SPEED lets the suite's clock run faster.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio

from autoscaler.app import build
from autoscaler.config import load_config
from autoscaler.runtime.clock import LoopClock, SystemClock
from autoscaler.runtime.ports import Clock
from providers.base import Provider
from tests.live.capped import FLEET, Capped, release_all


@dataclass(frozen=True, kw_only=True, slots=True)
class Vendor:
    """What the suite must know of a vendor."""

    key: str
    """The variable with the account's key."""
    url: str
    """The variable that the vendor's own client reads another address from."""
    address: str


VENDORS: Mapping[str, Vendor] = {
    "vastai": Vendor(key="VAST_API_KEY", url="VAST_URL", address="https://console.vast.ai"),
    "runpod": Vendor(key="RUNPOD_API_KEY", url="RUNPOD_API_BASE_URL", address="https://api.runpod.io"),
}

_CONFIG = """
fleet: {fleet}
pools:
  suite:
    queue: {{kind: list, tiers: [{{name: none, key: none}}]}}
    machine: {{image: busybox, gpus: [RTX 4090]}}
    placements: [{{provider: {kind}, max_usd_per_hour: 1}}]
providers:
  {kind}: {{api_key: "${{{key}}}", url: "${{{url}:-{address}}}"}}
"""


@dataclass(kw_only=True, slots=True)
class Run:
    """One run over one account."""

    kind: str
    cap_usd: float
    clock: Clock
    capped: Capped | None = None

    @property
    def vendor(self) -> Vendor:
        return VENDORS[self.kind]

    @asynccontextmanager
    async def account(self) -> AsyncIterator[Provider]:
        """The vendor, by the daemon's own composition."""
        text = _CONFIG.format(
            fleet=FLEET, kind=self.kind, key=self.vendor.key, url=self.vendor.url, address=self.vendor.address
        )
        app = build(load_config(text, os.environ), clock=self.clock)
        try:
            yield app.providers[self.kind]
        finally:
            await app.close()


_RUN = pytest.StashKey[Run]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("live", "tests over a real account, for real money")
    group.addoption("--live", choices=sorted(VENDORS), help="The vendor to rent from; its key is in the environment.")
    group.addoption("--spend-usd", type=float, help="The most that the run may cost, in USD.")


def pytest_configure(config: pytest.Config) -> None:
    kind = config.getoption("--live", default=None)
    if kind is None:
        return
    cap_usd, vendor = config.getoption("--spend-usd"), VENDORS[kind]
    if cap_usd is None or not cap_usd > 0:
        raise pytest.UsageError("--live spends money: say how much it may be at most, such as --spend-usd 1.00")
    if not os.environ.get(vendor.key):
        raise pytest.UsageError(f"--live {kind}: {vendor.key} is not set; put the account's key there")
    config.stash[_RUN] = Run(kind=kind, cap_usd=cap_usd, clock=_clock(vendor))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what is rented is released then, too


def _clock(vendor: Vendor) -> Clock:
    speed = os.environ.get("AUTOSCALER_LIVE_SPEED")
    if speed is None:
        return SystemClock()
    if not os.environ.get(vendor.url, "").startswith("http://127.0.0.1:"):
        raise pytest.UsageError(f"AUTOSCALER_LIVE_SPEED is for emulators: {vendor.url} must be on this machine")
    return LoopClock(epoch=SystemClock().now(), speed=float(speed))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _RUN not in config.stash:
        skip = pytest.mark.skip(reason="rents real machines: pytest tests/live --live vastai --spend-usd 1.00")
        for item in items:
            if item.get_closest_marker("live"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    """What was asked for."""
    return request.config.stash[_RUN]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def capped(run: Run) -> AsyncIterator[Capped]:
    """The account within its cap, freed of what an earlier run may have left."""
    async with run.account() as provider:
        left = await release_all(provider, run.clock, settle=False)
        if left:
            pytest.exit(f"an earlier run left these at {run.kind}, and they are not to be released: {', '.join(left)}")
        run.capped = Capped(provider, run.clock, run.cap_usd)
        yield run.capped


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """After everything, however it ended: release what is left, and say what could not be."""
    try:
        return (yield)
    finally:
        asked = session.config.stash.get(_RUN, None)
        if asked is not None and asked.capped is not None:
            _finish(session, asked, asked.capped)


def _finish(session: pytest.Session, run: Run, capped: Capped) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # an impatient second one must leave nothing behind

    async def sweep() -> list[str]:
        async with run.account() as provider:
            return await release_all(provider, run.clock, capped.rented)

    terminal = session.config.pluginmanager.getplugin("terminalreporter")
    terminal.write_line(f"\nlive: releasing what was rented at {run.kind}; please wait")
    left = asyncio.run(sweep())
    spent = f"at most {capped.spent_usd:.2f} of {run.cap_usd:.2f} USD were spent"
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        terminal.write_line(
            f"live: LEFT OVER at {run.kind}, and billing: {', '.join(left)}. Release them by hand; {spent}"
        )
    else:
        terminal.write_line(f"live: nothing is left over at {run.kind}; {spent}")
