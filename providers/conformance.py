# ruff: noqa: S101, D102 - these are tests, shipped so that any adapter can be held to the contract; names state rules
"""The provider contract as a test suite that every adapter can run; it needs pytest and nothing of our own tests.

Subclass it in a test module, override the fixtures, and let pytest collect it (with pytest-asyncio in auto mode)::

    pytest.register_assert_rewrite("providers.conformance")  # in conftest.py, for readable failures

    class TestMyCloud(ProviderConformance):
        @pytest.fixture
        def provider(self) -> Provider: ...

        @pytest.fixture
        def advance(self) -> Advance: ...

Where providers differ, there are class attributes to set. The account may hold machines that are not ours; they must
come out untouched. Whatever a test rents it releases. :class:`ReadingConformance` is the part that rents nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from autoscaler.core.errors import NoCapacity, NotFound, PartialLaunch, Rejected
from autoscaler.core.instance import make_label, parse_label
from autoscaler.core.market import Listing, Offer, Remote, Status
from autoscaler.core.spec import MachineSpec, Placement
from providers.base import Provider

Advance = Callable[[float], Awaitable[None]]
"""Lets that many seconds of the provider's time go by: virtual time, a manual clock, or a real wait."""

_FLEET = "conformance"
_LABEL = make_label(_FLEET, "suite", "token00001")


class ReadingConformance:
    """What the calls must do that change nothing. Override the fixtures, not the tests."""

    @pytest.fixture
    def provider(self) -> Provider:
        """The provider under test."""
        raise NotImplementedError

    @pytest.fixture
    def placement(self, provider: Provider) -> Placement:
        """Where the tests rent; something must be on offer there."""
        return Placement(provider=provider.name, max_usd_per_hour=2.0)

    @pytest.fixture
    def machine(self) -> MachineSpec:
        """What the tests rent."""
        return MachineSpec(image="ghcr.io/acme/worker:1.0", gpus=("RTX 4090", "RTX 3090"))

    async def test_offers_keep_every_bound_and_come_cheapest_first(
        self, provider: Provider, placement: Placement, machine: MachineSpec
    ) -> None:
        everything = await provider.list_offers(placement, machine)
        assert everything, "nothing is on offer: choose another placement"
        for bounds in _narrower(placement, everything):
            offers = await provider.list_offers(bounds, machine)
            assert offers, f"nothing within {bounds}, though the wider search found it"
            for offer in offers:
                assert offer.provider == provider.name
                assert offer.gpu in (bounds.gpus or machine.gpus)
                assert not bounds.regions or offer.region in bounds.regions
                assert offer.buy == bounds.buy
                assert 0 <= offer.disk_usd_per_hour < offer.usd_per_hour <= bounds.max_usd_per_hour
            assert [o.usd_per_hour for o in offers] == sorted(o.usd_per_hour for o in offers)

    async def test_nothing_is_offered_under_the_market_price(
        self, provider: Provider, placement: Placement, machine: MachineSpec
    ) -> None:
        cheap = replace(placement, max_usd_per_hour=0.0001)
        assert not await provider.list_offers(cheap, machine)

    async def test_where_no_gpu_type_is_named_any_will_do(
        self, provider: Provider, placement: Placement, machine: MachineSpec
    ) -> None:
        named = await provider.list_offers(placement, machine)
        found = await provider.list_offers(placement, replace(machine, gpus=()))
        assert {offer.offer_id for offer in named} <= {offer.offer_id for offer in found}

    async def test_each_machine_is_listed_once_with_what_it_costs(self, provider: Provider) -> None:
        machines = (await provider.list_machines()).machines
        ids = [remote.provider_id for remote in machines]
        assert all(ids)
        assert len(ids) == len(set(ids))
        for remote in machines:
            for usd_per_hour in (remote.usd_per_hour, remote.disk_usd_per_hour, remote.burn_usd_per_hour):
                assert 0 <= usd_per_hour < math.inf, remote

    async def test_the_balance_is_a_number_or_not_told(self, provider: Provider) -> None:
        balance_usd = await provider.balance_usd()
        assert balance_usd is None or math.isfinite(balance_usd)

    async def test_a_days_bill_has_no_negative_amounts_or_is_not_told(self, provider: Provider) -> None:
        listing = await provider.list_machines()
        bill = await provider.billed_usd(_day(listing))
        assert bill is None or all(name and 0 <= usd < math.inf for name, usd in bill.items()), bill

    async def test_a_call_that_was_given_up_breaks_nothing(
        self, provider: Provider, placement: Placement, machine: MachineSpec
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await provider.list_machines()
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await provider.list_offers(placement, machine)
        await provider.list_machines()
        assert await provider.list_offers(placement, machine)


class ProviderConformance(ReadingConformance):
    """What every provider must do. Override the fixtures, not the tests."""

    poll_s = 15.0
    """Time between two listings while a test waits."""
    patience_s = 2 * 3600.0
    """The longest wait for a boot, a stop, a release or a bill."""

    @pytest.fixture
    def advance(self) -> Advance:
        """How time goes by."""
        raise NotImplementedError

    async def test_a_rented_machine_is_listed_by_its_label(
        self, provider: Provider, advance: Advance, placement: Placement, machine: MachineSpec
    ) -> None:
        async with self._rented(provider, advance, placement, machine) as (provider_id, offer):
            remote = await self._wait_for(provider, advance, provider_id, set(Status))
            assert remote.label == _LABEL
            assert (remote.gpu, remote.buy) == (offer.gpu, offer.buy)
            assert remote.usd_per_hour == pytest.approx(offer.usd_per_hour, rel=0.05)

    async def test_a_spent_offer_raises_no_capacity(
        self, provider: Provider, advance: Advance, placement: Placement, machine: MachineSpec
    ) -> None:
        async with self._rented(provider, advance, placement, machine) as (_, offer):
            if offer.stands:
                pytest.skip("this offer stands for any number of machines")
            with pytest.raises(NoCapacity):
                await provider.rent(offer, machine, label=make_label(_FLEET, "suite", "token00002"))

    async def test_a_machine_is_rented_stopped_resumed_and_released(
        self, provider: Provider, advance: Advance, placement: Placement, machine: MachineSpec
    ) -> None:
        if not provider.capabilities.can_stop:
            pytest.skip("this provider cannot stop a machine")
        async with self._rented(provider, advance, placement, machine) as (provider_id, _):
            up = await self._wait_for(provider, advance, provider_id, {Status.RUNNING})
            assert up.gpu_count > 0
            assert up.burn_usd_per_hour > up.disk_usd_per_hour

            await provider.stop(provider_id)
            down = await self._wait_for(provider, advance, provider_id, {Status.STOPPED})
            assert down.burn_usd_per_hour <= up.disk_usd_per_hour

            try:
                await provider.resume(provider_id)
            except NoCapacity:
                await provider.stop(provider_id)  # the contract's way to cancel a start that was queued
                await self._wait_for(provider, advance, provider_id, {Status.STOPPED})
            else:
                await self._wait_for(provider, advance, provider_id, {Status.RUNNING})

    async def test_a_stop_of_a_stopped_machine_is_no_error(
        self, provider: Provider, advance: Advance, placement: Placement, machine: MachineSpec
    ) -> None:
        if not provider.capabilities.can_stop:
            pytest.skip("this provider cannot stop a machine")
        async with self._rented(provider, advance, placement, machine) as (provider_id, _):
            await self._wait_for(provider, advance, provider_id, {Status.RUNNING})
            await provider.stop(provider_id)
            await self._wait_for(provider, advance, provider_id, {Status.STOPPED})
            await provider.stop(provider_id)
            await self._wait_for(provider, advance, provider_id, {Status.STOPPED})

    async def test_a_second_release_is_no_error(
        self, provider: Provider, advance: Advance, placement: Placement, machine: MachineSpec
    ) -> None:
        async with self._rented(provider, advance, placement, machine) as (provider_id, _):
            await provider.release(provider_id)
            await self._wait_until_gone(provider, advance, provider_id)
            await provider.release(provider_id)

    async def test_an_unknown_machine_cannot_be_stopped_or_resumed_and_need_not_be_released(
        self, provider: Provider, advance: Advance, placement: Placement, machine: MachineSpec
    ) -> None:
        async with self._rented(provider, advance, placement, machine) as (unknown_id, _):
            await provider.release(unknown_id)
            await self._wait_until_gone(provider, advance, unknown_id)
        if provider.capabilities.can_stop:
            with pytest.raises(NotFound):
                await provider.stop(unknown_id)
            with pytest.raises(NotFound):
                await provider.resume(unknown_id)
        await provider.release(unknown_id)

    async def test_a_bid_on_a_machine_without_bids_is_rejected(
        self, provider: Provider, advance: Advance, placement: Placement, machine: MachineSpec
    ) -> None:
        on_demand = replace(placement, buy="on_demand")
        async with self._rented(provider, advance, on_demand, machine) as (provider_id, offer):
            await self._wait_for(provider, advance, provider_id, set(Status))
            with pytest.raises(Rejected):
                await provider.set_bid(provider_id, offer.usd_per_hour)

    async def test_a_new_bid_is_listed(
        self, provider: Provider, advance: Advance, placement: Placement, machine: MachineSpec
    ) -> None:
        if not provider.capabilities.can_bid:
            pytest.skip("this provider takes no bids")
        spot = replace(placement, buy="spot")
        async with self._rented(provider, advance, spot, machine) as (provider_id, offer):
            await self._wait_for(provider, advance, provider_id, {Status.RUNNING})
            bid = round(1.2 * offer.usd_per_hour, 3)
            await provider.set_bid(provider_id, bid)
            await self._wait_for(provider, advance, provider_id, set(Status), usd_per_hour=bid)

    async def test_what_a_machine_ran_for_is_billed_under_its_id(
        self, provider: Provider, advance: Advance, placement: Placement, machine: MachineSpec
    ) -> None:
        day = _day(await provider.list_machines())
        if await provider.billed_usd(day) is None:
            pytest.skip("this provider does not tell what it bills")
        began = (await provider.list_machines()).asked_at
        async with self._rented(provider, advance, placement, machine) as (provider_id, offer):
            await self._wait_for(provider, advance, provider_id, {Status.RUNNING})
            await advance(self.poll_s)
        waited, billed_usd = 0.0, 0.0
        while not billed_usd:
            assert waited <= self.patience_s, f"{provider_id} ran, and no bill has it"
            await advance(self.poll_s)
            waited += self.poll_s
            listing = await provider.list_machines()
            bills = [await provider.billed_usd(each) for each in dict.fromkeys((day, _day(listing)))]
            billed_usd = sum(bill.get(provider_id, 0.0) for bill in bills if bill)
            hours = (listing.asked_at - began) / 3600.0
            assert billed_usd <= 2 * offer.usd_per_hour * hours, "it is billed at a price that was not offered"

    async def test_foreign_machines_are_listed_and_never_touched(
        self, provider: Provider, advance: Advance, placement: Placement, machine: MachineSpec
    ) -> None:
        before = _foreign(await provider.list_machines())
        if not before:
            pytest.skip("the account holds no foreign machine")
        async with self._rented(provider, advance, placement, machine) as (provider_id, _):
            await self._wait_for(provider, advance, provider_id, set(Status))
        assert _foreign(await provider.list_machines()) == before

    @asynccontextmanager
    async def _rented(
        self, provider: Provider, advance: Advance, placement: Placement, machine: MachineSpec
    ) -> AsyncIterator[tuple[str, Offer]]:
        offers = await provider.list_offers(placement, machine)
        assert offers, "nothing is on offer: choose another placement"
        try:
            provider_id = await provider.rent(offers[0], machine, label=_LABEL)
        except PartialLaunch as error:
            for stray_id in error.provider_ids:
                await provider.release(stray_id)
            raise
        try:
            yield provider_id, offers[0]
        finally:
            await provider.release(provider_id)
            await self._wait_until_gone(provider, advance, provider_id)

    async def _wait_for(
        self,
        provider: Provider,
        advance: Advance,
        provider_id: str,
        wanted: set[Status],
        usd_per_hour: float | None = None,
    ) -> Remote:
        remote: Remote | None = None
        waited = 0.0
        while waited <= self.patience_s:
            remote = await _find(provider, provider_id)
            priced = remote is not None and usd_per_hour in (None, pytest.approx(remote.usd_per_hour))
            if remote is not None and remote.status in wanted and priced:
                return remote
            await advance(self.poll_s)
            waited += self.poll_s
        at = "" if usd_per_hour is None else f" at {usd_per_hour} USD per hour"
        raise AssertionError(f"{provider_id} was not seen {' or '.join(sorted(wanted))}{at} but as {remote}")

    async def _wait_until_gone(self, provider: Provider, advance: Advance, provider_id: str) -> None:
        waited = 0.0
        while await _find(provider, provider_id) is not None:
            assert waited <= self.patience_s, f"{provider_id} was released and is still listed: it may still bill"
            await advance(self.poll_s)
            waited += self.poll_s


def _narrower(placement: Placement, offers: Sequence[Offer]) -> list[Placement]:
    """The placement, and it narrowed to one region, one GPU type and one price that are on offer."""
    some = offers[len(offers) // 2]
    return [
        placement,
        replace(placement, regions=(some.region,)),
        replace(placement, gpus=(some.gpu,)),
        replace(placement, max_usd_per_hour=some.usd_per_hour),
    ]


async def _find(provider: Provider, provider_id: str) -> Remote | None:
    listing = await provider.list_machines()
    return next((remote for remote in listing.machines if remote.provider_id == provider_id), None)


def _foreign(listing: Listing) -> dict[str, tuple[str, Status]]:
    return {
        remote.provider_id: (remote.label, remote.status)
        for remote in listing.machines
        if parse_label(remote.label, _FLEET) is None
    }


def _day(listing: Listing) -> str:
    """The UTC day on which the listing was asked for."""
    return f"{datetime.fromtimestamp(listing.asked_at, UTC):%Y-%m-%d}"
