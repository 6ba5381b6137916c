"""The suite over real accounts, rehearsed over the emulators: it rents, keeps to its cap, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.errors import InsufficientFunds, NoCapacity
from autoscaler.core.instance import make_label, parse_label
from autoscaler.core.units import DurationRange
from autoscaler.emulate.serve import served
from autoscaler.runtime.clock import LoopClock, SystemClock
from providers.mock import Fault, Market
from tests.live.capped import FLEET, RESERVE_S, Capped, release_all
from tests.live.conftest import VENDORS
from tests.support.market import CALM, HOUR, MACHINE, ON_DEMAND, Bench

SPEED = 300.0
ROOT = Path(__file__).parents[1]
LABEL = make_label(FLEET, "suite", "token00001")
TROUBLE_FREE = {Fault.RESUME_REFUSED: 0.0, Fault.OUTBID: 0.0}
NOTEBOOK = "somebody's notebook"
WAITING = ("-k", "test_a_stop_of_a_stopped_machine_is_no_error")
"""A test that waits for a boot, and so is in the middle of something for as long as that takes."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A vendor on this machine, whose clock runs fast, and the suite as a process."""

    kind: str
    url: str
    clock: LoopClock
    market: Market

    @property
    def ours(self) -> set[str]:
        """Machines of the suite's that exist."""
        return {name for name, machine in self.market.machines.items() if parse_label(machine.label, FLEET)}

    @property
    def billed_usd(self) -> float:
        """What the suite's machines were billed."""
        others = self.market.machines.keys() - self.ours
        return sum(usd for name, usd in self.market.billed_usd(self.clock.now()).items() if name not in others)

    async def start(self, spend_usd: float, *arguments: str) -> asyncio.subprocess.Process:
        vendor = VENDORS[self.kind]
        env = {
            **os.environ,
            vendor.key: "k3y-0f-the-account",
            vendor.url: self.url,
            "AUTOSCALER_LIVE_SPEED": str(SPEED),
        }
        options = ["tests/live", "--live", self.kind, "--spend-usd", str(spend_usd), "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", *options, *arguments]
        return await asyncio.create_subprocess_exec(*command, env=env, cwd=ROOT, stdout=asyncio.subprocess.PIPE)

    async def run(self, spend_usd: float, *arguments: str) -> tuple[int, str]:
        """Its exit code and what it wrote."""
        return await ended(await self.start(spend_usd, *arguments))


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    written, _ = await process.communicate()
    assert process.returncode is not None
    assert b"k3y-0f-the-account" not in written
    return process.returncode, written.decode()


@asynccontextmanager
async def rehearsed(kind: str, **market: Any) -> AsyncIterator[Rehearsal]:
    package = import_module(f"autoscaler.emulate.{kind}")
    clock = LoopClock(epoch=SystemClock().now(), speed=SPEED)
    quick = {"setup": exactly(60.0), "resume": exactly(30.0), "stop": exactly(5.0), "faults": TROUBLE_FREE}
    opened = replace(
        package.Emulation().market, foreign=(NOTEBOOK,), balance_usd=None, price_swing=0.0, **(quick | market)
    )
    emulator = package.make(package.Emulation(market=opened), now=clock.now, rng=random.Random(1))
    async with served(emulator) as url:
        yield Rehearsal(kind, url, clock, emulator.market)
    assert [each.label for each in emulator.market.machines.values() if not parse_label(each.label, FLEET)] == [
        NOTEBOOK
    ]


def exactly(seconds: float) -> DurationRange:
    return DurationRange(seconds, seconds)


async def until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(1500):
        if condition():
            return
        await SystemClock().sleep(0.01)
    raise AssertionError(f"waited in vain until {what}")


# --- the run ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(VENDORS))
async def test_the_whole_contract_is_kept_and_nothing_is_left(kind: str) -> None:
    async with rehearsed(kind) as vendor:
        code, written = await vendor.run(20.0)

        assert code == 0, written
        assert "failed" not in written
        assert vendor.market.rented >= 8
        assert vendor.ours == set()
        assert f"live: nothing is left over at {kind}; at most " in written


@pytest.mark.parametrize(("kind", "number"), [("vastai", signal.SIGINT), ("runpod", signal.SIGTERM)])
async def test_an_interrupt_in_the_middle_leaves_nothing(kind: str, number: signal.Signals) -> None:
    async with rehearsed(kind, setup=exactly(HOUR)) as vendor:
        process = await vendor.start(20.0, *WAITING)
        await until(lambda: bool(vendor.ours), "a machine was rented")
        process.send_signal(number)
        code, written = await ended(process)

        assert code == pytest.ExitCode.INTERRUPTED
        assert vendor.market.rented >= 1
        assert vendor.ours == set()
        assert f"live: nothing is left over at {kind}" in written


async def test_a_second_interrupt_does_not_stop_the_releasing() -> None:
    async with rehearsed("vastai", setup=exactly(HOUR)) as vendor:
        process = await vendor.start(20.0, *WAITING)
        await until(lambda: bool(vendor.ours), "a machine was rented")
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        while b"releasing what was rented" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, written = await ended(process)

        assert vendor.ours == set()
        assert "nothing is left over" in written


async def test_what_a_killed_run_left_is_released_by_the_next_one() -> None:
    async with rehearsed("vastai", setup=exactly(HOUR)) as vendor:
        killed = await vendor.start(20.0, *WAITING)
        await until(lambda: bool(vendor.ours), "a machine was rented")
        killed.kill()
        await killed.communicate()
        assert len(vendor.ours) == 1

        code, written = await vendor.run(20.0, "-k", "test_nothing_is_offered_under_the_market_price")

        assert code == 0, written
        assert vendor.ours == set()


async def test_what_is_left_over_is_told_in_one_line_with_ids() -> None:
    async with rehearsed("vastai", faults={**TROUBLE_FREE, Fault.RELEASE_IGNORED: 1.0}) as vendor:
        code, written = await vendor.run(20.0, "-x", "-k", "test_a_second_release_is_no_error")

        assert code == pytest.ExitCode.TESTS_FAILED
        [stuck] = vendor.ours
        [line] = [line for line in written.splitlines() if "LEFT OVER" in line]
        assert line.startswith(f"live: LEFT OVER at vastai, and billing: {stuck}. Release them by hand; at most ")


# --- the cap ----------------------------------------------------------------------------------------------------------


async def test_nothing_is_rented_that_the_cap_has_no_room_for() -> None:
    async with rehearsed("runpod") as vendor:
        code, written = await vendor.run(0.01)

        assert code == pytest.ExitCode.TESTS_FAILED
        assert "the cap of this run" in written
        assert vendor.market.rented == 0


@pytest.mark.parametrize("kind", sorted(VENDORS))
async def test_a_machine_that_never_comes_up_is_released_before_the_cap_is_passed(kind: str) -> None:
    async with rehearsed(kind, setup=exactly(100 * HOUR)) as vendor:
        cap_usd = 0.15
        code, written = await vendor.run(cap_usd, "-k", "stopped_resumed or stopped_machine or billed")

        assert code == pytest.ExitCode.TESTS_FAILED
        assert vendor.market.rented >= 1
        assert vendor.ours == set()
        assert vendor.billed_usd <= cap_usd
        assert float(written.rpartition("at most ")[2].split(" ")[0]) <= cap_usd


@pytest.mark.parametrize(
    ("options", "key", "refusal"),
    [
        (["--live", "vastai"], "k3y", "say how much it may be at most, such as --spend-usd 1.00"),
        (["--live", "vastai", "--spend-usd", "0"], "k3y", "say how much it may be at most"),
        (["--live", "vastai", "--spend-usd", "1"], "", "VAST_API_KEY is not set"),
        (["--live", "vast"], "k3y", "invalid choice: 'vast'"),
    ],
)
async def test_without_a_cap_or_a_key_it_refuses(options: list[str], key: str, refusal: str) -> None:
    code, written = await plain(*options, VAST_API_KEY=key)

    assert code == pytest.ExitCode.USAGE_ERROR
    assert refusal in written


async def test_without_being_asked_it_is_skipped_quietly() -> None:
    code, written = await plain("-q", VAST_API_KEY="k3y", RUNPOD_API_KEY="k3y")

    assert code == 0
    [told] = [line for line in written.splitlines() if "SKIPPED" in line]
    assert told.endswith("rents real machines: pytest tests/live --live vastai --spend-usd 1.00")


async def plain(*options: str, **env: str) -> tuple[int, str]:
    """The suite where no vendor is."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "pytest", "tests/live", "-p", "no:cacheprovider", *options],
        env={**os.environ, **env, "VAST_URL": "http://127.0.0.1:1", "RUNPOD_API_BASE_URL": "http://127.0.0.1:1"},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    written, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, written.decode()


# --- the wrapper ------------------------------------------------------------------------------------------------------


class Hand:
    """A clock that a bench's hand moves."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.now = lambda: bench.now

    async def sleep(self, seconds: float) -> None:
        await self._bench.advance(seconds)


def capped(bench: Bench, cap_usd: float) -> Capped:
    return Capped(bench.provider, Hand(bench), cap_usd)  # type: ignore[arg-type]


async def test_what_was_spent_at_most_is_price_times_time_since_the_rent_stopped_or_not() -> None:
    bench = Bench()
    purse = capped(bench, 10.0)
    offer = await bench.offer()
    name = await purse.rent(offer, MACHINE, label=LABEL)
    await bench.advance(HOUR)
    await purse.stop(name)
    await bench.advance(HOUR)
    await purse.release(name)
    await bench.advance(60.0)
    await purse.list_machines()
    await bench.advance(HOUR)

    assert purse.spent_usd == pytest.approx(offer.usd_per_hour * (2 + 1 / 60))
    assert purse.spent_usd > sum(bench.market.billed_usd(bench.now).values())
    assert purse.rented == frozenset()


async def test_a_higher_price_than_was_offered_counts_from_the_rent_on() -> None:
    bench = Bench(replace(CALM, faults={**CALM.faults, Fault.DEARER: 1.0}))
    purse = capped(bench, 10.0)
    offer = await bench.offer()
    await purse.rent(offer, MACHINE, label=LABEL)
    await bench.advance(HOUR)
    await purse.list_machines()

    assert purse.spent_usd == pytest.approx(1.25 * offer.usd_per_hour)


async def test_a_rent_that_would_pass_the_cap_is_not_made() -> None:
    bench = Bench()
    offer = await bench.offer()
    purse = capped(bench, 1.5 * offer.usd_per_hour * RESERVE_S / HOUR)
    await purse.rent(offer, MACHINE, label=LABEL)

    with pytest.raises(InsufficientFunds, match="the cap of this run"):
        await purse.rent(await bench.offer(), MACHINE, label=LABEL)
    assert bench.market.rented == 1


async def test_an_offer_that_was_gone_costs_nothing_and_any_other_failure_may() -> None:
    for fault, error, spent in ((Fault.OFFER_GONE, NoCapacity, False), (Fault.ANSWER_LOST, Exception, True)):
        bench = Bench(replace(CALM, faults={**CALM.faults, fault: 1.0}))
        purse = capped(bench, 10.0)
        with pytest.raises(error):
            await purse.rent(await bench.offer(), MACHINE, label=LABEL)
        await bench.advance(HOUR)
        assert (purse.spent_usd > 0) is spent


async def test_whoever_waits_beside_a_machine_is_stopped_in_time_to_release_it() -> None:
    bench = Bench(replace(CALM, faults={**CALM.faults, Fault.LINGERS: 1.0}))
    offer = await bench.offer()
    cap_usd = offer.usd_per_hour
    purse = capped(bench, cap_usd)
    name = await purse.rent(offer, MACHINE, label=LABEL)

    async def wait() -> None:
        while True:
            await purse.list_machines()
            await bench.advance(15.0)

    with pytest.raises(InsufficientFunds):
        await wait()

    assert purse.spent_usd + offer.usd_per_hour * (RESERVE_S - 30.0) / HOUR <= cap_usd
    await purse.release(name)
    assert len((await purse.list_machines()).machines) == 1, "its end may be waited for"
    await bench.advance(120.0)
    await purse.list_machines()
    assert purse.rented == frozenset()


async def test_a_machine_without_the_suites_label_is_never_rented_nor_released() -> None:
    bench = Bench(replace(CALM, foreign=("notebook", "autoscaler.other.suite.token00001")))
    with pytest.raises(AssertionError, match="could not find it again"):
        await capped(bench, 10.0).rent(await bench.offer(), MACHINE, label="autoscaler.other.suite.t")

    assert await release_all(bench.provider, Hand(bench)) == []  # type: ignore[arg-type]
    assert set(await bench.listed()) == {"foreign-1", "foreign-2"}


async def test_what_is_listed_late_is_waited_for() -> None:
    bench = Bench(
        replace(CALM, faults={**CALM.faults, Fault.LISTED_LATE: 1.0, Fault.ANSWER_LOST: 0.0}, listing_lag=exactly(45.0))
    )
    await bench.provider.rent((await bench.provider.list_offers(ON_DEMAND, MACHINE))[0], MACHINE, label=LABEL)

    assert await release_all(bench.provider, Hand(bench)) == []  # type: ignore[arg-type]
    assert not bench.market.machines
