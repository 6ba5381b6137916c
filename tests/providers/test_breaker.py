"""A broken provider is left alone for a while; what saves money and what lets us see is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from autoscaler.core.errors import (
    AuthFailed,
    InsufficientFunds,
    NoCapacity,
    NotFound,
    PartialLaunch,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
    UnclearOutcome,
)
from autoscaler.core.market import Offer
from autoscaler.core.spec import MachineSpec
from providers.base import Provider
from providers.breaker import FAILURES, OPEN_S, Breaker
from providers.mock import Fault
from tests.support.build import offer
from tests.support.market import CALM, MACHINE, ON_DEMAND, Bench

HANGS = object()


class Scripted:
    """A provider of which every call ends as a test says; it counts them."""

    name = "mock"

    def __init__(self) -> None:
        self.ends: object = None
        self.calls: list[str] = []

    def __getattr__(self, call: str) -> Callable[..., Awaitable[object]]:
        async def answer(*_: object, **__: object) -> object:
            self.calls.append(call)
            if self.ends is HANGS:
                await asyncio.get_running_loop().create_future()
            if isinstance(self.ends, Exception):
                raise self.ends
            return self.ends

        return answer


class Account:
    """A breaker around a scripted provider, and its time."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
        self.inner = Scripted()
        self.breaker = Breaker(self.inner, lambda: self.now)  # type: ignore[arg-type]

    async def ask(self, call: str, ends: object = None) -> object:
        """How a call ends: what it gave, or what it raised."""
        self.inner.ends = ends
        try:
            async with asyncio.timeout(0):
                return await GIVEN[call](self.breaker)
        except (ProviderError, TimeoutError, ValueError) as error:
            return error

    async def breaks(self, ends: object = Transient("503")) -> None:
        for _ in range(FAILURES):
            await self.ask("list_machines", ends)
        self.inner.calls.clear()


GIVEN: dict[str, Callable[[Provider], Awaitable[object]]] = {
    "list_machines": lambda p: p.list_machines(),
    "stop": lambda p: p.stop("m1"),
    "release": lambda p: p.release("m1"),
    "list_offers": lambda p: p.list_offers(ON_DEMAND, MACHINE),
    "rent": lambda p: p.rent(_OFFER, MACHINE, label="x"),
    "resume": lambda p: p.resume("m1"),
    "set_bid": lambda p: p.set_bid("m1", 0.5),
    "balance_usd": lambda p: p.balance_usd(),
    "billed_usd": lambda p: p.billed_usd("2026-11-21"),
}
PASSING = ("list_machines", "stop", "release")
GATED = tuple(call for call in GIVEN if call not in PASSING)
_OFFER: Offer = offer()


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.mark.parametrize("call", GATED)
@pytest.mark.parametrize("failure", [Transient("503"), UnclearOutcome("reset"), AuthFailed("401"), HANGS])
async def test_after_failures_of_the_provider_as_a_whole_it_is_left_alone(
    account: Account, call: str, failure: object
) -> None:
    await account.breaks(failure)
    refused = await account.ask(call)
    assert isinstance(refused, Transient)
    assert account.inner.calls == []


@pytest.mark.parametrize("call", PASSING)
async def test_what_saves_money_and_what_lets_us_see_always_passes(account: Account, call: str) -> None:
    await account.breaks()
    await account.ask(call, Transient("still broken"))
    assert account.inner.calls == [call]


@pytest.mark.parametrize(
    "refusal",
    [
        NoCapacity(""),
        InsufficientFunds(""),
        NotFound(""),
        Rejected(""),
        PartialLaunch("", provider_ids=("m1",)),
        RateLimited(""),
        ValueError("a bug in the adapter"),
    ],
)
async def test_a_refusal_by_a_provider_that_works_opens_nothing(account: Account, refusal: Exception) -> None:
    await account.breaks(refusal)
    assert await account.ask("rent", None) is None
    assert account.inner.calls == ["rent"]


async def test_only_failures_in_a_row_count(account: Account) -> None:
    for _ in range(3):
        for _ in range(FAILURES - 1):
            await account.ask("rent", UnclearOutcome("reset"))
        await account.ask("rent", NoCapacity("gone"))
    await account.ask("rent")
    assert account.inner.calls[-1] == "rent"


async def test_a_request_that_waits_for_its_turn_neither_closes_nor_counts(account: Account) -> None:
    await account.breaks()
    await account.ask("stop", RateLimited("not sent"))
    assert isinstance(await account.ask("rent"), Transient)


async def test_it_says_in_one_line_since_when_why_and_until_when(account: Account) -> None:
    await account.breaks(UnclearOutcome("no answer within 30s"))
    assert str(await account.ask("rent")) == (
        "mock is left alone from 08:00:00 until 08:01:00 UTC, nothing was sent: 5 calls in a row failed, the last with "
        "UnclearOutcome: no answer within 30s"
    )


async def test_after_its_time_one_trial_is_made_and_closes_it(account: Account) -> None:
    await account.breaks()
    account.now += OPEN_S
    assert await account.ask("rent") is None
    assert await account.ask("resume") is None
    assert account.inner.calls == ["rent", "resume"]


async def test_a_trial_that_fails_opens_it_for_another_while(account: Account) -> None:
    await account.breaks()
    account.now += OPEN_S
    await account.ask("rent", UnclearOutcome("reset"))
    account.now += OPEN_S - 1
    assert isinstance(await account.ask("rent"), Transient)
    account.now += 1
    assert await account.ask("rent") is None


async def test_while_a_trial_is_under_way_nothing_else_is_tried(account: Account) -> None:
    await account.breaks()
    account.now += OPEN_S
    account.inner.ends = HANGS
    trial = asyncio.ensure_future(account.breaker.resume("m1"))
    while not account.inner.calls:
        await asyncio.wait([trial], timeout=0)
    assert isinstance(await account.ask("rent"), Transient)
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    assert account.inner.calls == ["resume"]
    account.now += OPEN_S
    assert await account.ask("rent") is None


async def test_a_listing_that_fails_after_its_time_keeps_it_open(account: Account) -> None:
    await account.breaks()
    account.now += OPEN_S
    await account.ask("list_machines", Transient("503"))
    account.inner.calls.clear()
    assert isinstance(await account.ask("rent"), Transient)
    assert account.inner.calls == []


async def test_what_fails_while_it_is_open_does_not_put_the_trial_off(account: Account) -> None:
    await account.breaks()
    for _ in range(6):
        account.now += OPEN_S / 6
        if account.now < 1_800_000_000.0 + OPEN_S:
            await account.ask("list_machines", Transient("503"))
    assert await account.ask("rent") is None


async def test_a_listing_that_comes_closes_it_at_once(account: Account) -> None:
    await account.breaks()
    await account.ask("list_machines")
    assert await account.ask("rent") is None


async def test_a_clock_that_is_set_back_does_not_keep_it_open(account: Account) -> None:
    await account.breaks()
    account.now -= 3600.0
    assert await account.ask("rent") is None


@pytest.mark.parametrize("call", sorted(GIVEN))
async def test_an_unclear_outcome_stays_one(account: Account, call: str) -> None:
    for _ in range(2 * FAILURES):
        unclear = UnclearOutcome("reset")
        ended = await account.ask(call, unclear)
        sent = bool(account.inner.calls)
        assert ended is unclear if sent else isinstance(ended, Transient)
        account.inner.calls.clear()


async def test_a_whole_market_that_hangs_is_asked_to_rent_only_a_few_times() -> None:
    bench = Bench(replace(CALM, faults={**CALM.faults, Fault.HANGS: 1.0}))
    breaker = Breaker(bench.provider, lambda: bench.now)
    ends = []
    for _ in range(FAILURES + 3):
        try:
            async with asyncio.timeout(0):
                await breaker.rent(_OFFER, MachineSpec(image="x", gpus=("RTX 4090",)), label="x")
        except (TimeoutError, Transient) as error:
            ends.append(type(error))
    assert ends == [TimeoutError] * FAILURES + [Transient] * 3
