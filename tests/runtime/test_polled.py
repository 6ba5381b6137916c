"""How often providers are asked, and for how long an answer is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from autoscaler.core.demand import Pending, Unknown
from autoscaler.core.errors import AuthFailed, InsufficientFunds, ProviderError, Transient
from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.runtime.observe import Observer
from autoscaler.runtime.polled import Polled
from providers.base import Capabilities
from tests.support.build import NOW, offer, pool
from tests.support.rehearsal import TICK_S, NoProbe, Rehearsal
from tests.support.teller import Teller, pause

ANY_TIME = Capabilities()
FIRST, SECOND = offer(offer_id="o-1", host="h-1"), offer(offer_id="o-2", host="h-2")


class Searched(Teller):
    """A provider that counts its searches."""

    searches = 0
    search_takes_s = 0.0
    found: Sequence[Offer] = (FIRST, SECOND)

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        self.searches += 1
        await pause(self.search_takes_s)
        return self.found


class Bench:
    """An observer of one provider, that looks with every tick."""

    def __init__(self, capabilities: Capabilities = ANY_TIME) -> None:
        world = Rehearsal()
        self.clock = world.clock
        self.provider = Searched(world, capabilities=capabilities)
        self.observer = Observer(
            pools={"images": pool()},
            providers={"mock": self.provider},
            probe=NoProbe(),
            clock=self.clock,
            patience_s=2.5,
        )
        self.unknown_s = 0.0

    def listing(self) -> Listing | Unknown:
        return self.observer.listings["mock"]

    async def live(self, seconds: float) -> None:
        until = self.clock.now() + seconds
        while self.clock.now() < until:
            next_tick = self.clock.now() + TICK_S
            await self.observer.look(self.clock.now())
            await self.clock.sleep(next_tick - self.clock.now())
            self.unknown_s += TICK_S * isinstance(self.listing(), Unknown)


@pytest.mark.parametrize(("every_s", "asked"), [(0.0, 60), (10.0, 60), (25.0, 20), (60.0, 10)])
async def test_a_listing_is_asked_for_with_each_tick_and_no_more_often_than_the_provider_allows(
    every_s: float, asked: int
) -> None:
    bench = Bench(Capabilities(list_every_s=every_s))
    await bench.live(600.0)
    assert len(bench.provider.listed_at) == asked


async def test_word_of_a_provider_has_its_machines_listed_with_the_next_tick_once_and_of_no_other() -> None:
    bench = Bench(Capabilities(list_every_s=60.0))
    await bench.live(TICK_S)
    bench.observer.look_again("mock")
    bench.observer.look_again("another")
    await bench.live(40.0)

    assert len(bench.provider.listed_at) == 2


async def test_a_search_is_made_no_more_often_than_the_provider_allows_however_much_it_is_wanted() -> None:
    bench = Bench(Capabilities(search_every_s=300.0))
    rentable, woken = 0, 0
    for _ in range(180):
        woken += bench.observer.want_offers("images")
        await bench.live(TICK_S)
        rentable += not isinstance(bench.observer.offers("images")["mock-on-demand"], Unknown)
    assert bench.provider.searches == 6
    assert rentable == 6 * 6, "an offer is rented from for a minute after the search"
    assert woken <= 6, "the loop is not woken again and again for what cannot come"


async def test_offers_that_cannot_be_looked_up_yet_say_when_they_can() -> None:
    bench = Bench(Capabilities(search_every_s=300.0))
    await bench.live(100.0)
    found = bench.observer.offers("images")["mock-on-demand"]
    assert isinstance(found, Unknown)
    assert found.reason == "looked up again in 3m 20s"


async def test_a_rent_is_followed_by_a_search_only_when_one_is_allowed() -> None:
    bench = Bench(Capabilities(search_every_s=120.0))
    for _ in range(60):
        bench.observer.want_offers("images")
        for each in FIRST, SECOND:
            bench.observer.take(each)
        await bench.live(TICK_S)
    assert bench.provider.searches == 5


@pytest.mark.parametrize(
    ("capabilities", "stands", "left"),
    [
        (Capabilities(), False, Unknown),  # a search costs nothing: what is true now is asked for
        (Capabilities(search_every_s=30.0), False, [SECOND]),
        (Capabilities(search_every_s=30.0), True, [replace(FIRST, stands=True), SECOND]),
    ],
)
async def test_after_a_rent_the_other_offers_stand_where_a_search_must_be_waited_for(
    capabilities: Capabilities, stands: bool, left: object
) -> None:
    bench = Bench(capabilities)
    bench.provider.found = (replace(FIRST, stands=stands), SECOND)
    await bench.live(TICK_S)
    bench.observer.take(FIRST)
    found = bench.observer.offers("images")["mock-on-demand"]
    assert isinstance(found, Unknown) if left is Unknown else found == left


@pytest.mark.parametrize(("stands", "searches"), [(False, 2), (True, 1)])
async def test_an_offer_that_somebody_else_has_taken_has_the_others_looked_up_once_more_and_soon(
    *, stands: bool, searches: int
) -> None:
    bench = Bench(Capabilities(search_every_s=30.0))
    lost = replace(FIRST, stands=stands)
    bench.provider.found = (lost, SECOND)
    await bench.live(TICK_S)
    for placement in ("mock-on-demand", "another"):
        bench.observer.missed("images", placement, lost)
    assert bench.observer.want_offers("images") is not stands, "the loop is woken for it"
    await bench.live(2 * TICK_S)
    assert bench.provider.searches == searches
    assert bench.observer.offers("images")["mock-on-demand"] == (lost, SECOND)


async def test_offers_that_are_being_looked_up_say_since_when() -> None:
    bench = Bench()
    bench.provider.search_takes_s = 25.0
    assert isinstance(bench.observer.offers("images")["mock-on-demand"], Unknown)
    await bench.live(30.0)
    bench.observer.take(FIRST)
    assert bench.observer.want_offers("images")
    await bench.live(20.0)
    assert bench.observer.offers("images")["mock-on-demand"] == Pending("being looked up", NOW + 30.0)
    await bench.live(10.0)
    assert bench.observer.offers("images")["mock-on-demand"] == (FIRST, SECOND)


async def test_a_listing_of_two_thousand_machines_comes_in_full_with_the_second_try_and_stays_known() -> None:
    bench = Bench()
    bench.provider.page_s = 80.0
    await bench.live(60.0)
    assert isinstance(bench.listing(), Unknown)
    await bench.live(90.0)
    listing = bench.listing()
    assert isinstance(listing, Listing)
    assert listing.asked_at == bench.provider.listed_at[1] == NOW + 60.0, "when its first page was asked for"
    bench.unknown_s = 0.0
    await bench.live(1800.0)
    assert bench.unknown_s == 0.0


async def test_what_hangs_is_unknown_after_a_minute_and_asked_again_more_and_more_patiently() -> None:
    bench = Bench()
    await bench.live(TICK_S)
    bench.provider.page_s = float("inf")
    await bench.live(70.0)
    assert isinstance(bench.listing(), Unknown)
    await bench.live(3600.0)
    asked = [at - NOW for at in bench.provider.listed_at]
    assert asked == [0, 10, 70, 190, 430, 910, 1510, 2110, 2710, 3310]
    bench.provider.page_s = 0.0
    await bench.live(600.0)
    assert isinstance(bench.listing(), Listing)
    await bench.observer.close()


SAID = [
    (AuthFailed("401"), f"AuthFailed: 401; {AuthFailed.fix}"),
    (InsufficientFunds("402"), f"InsufficientFunds: 402; {InsufficientFunds.fix}"),
    (Transient("503"), "Transient: 503"),
]


@pytest.mark.parametrize(("error", "said"), SAID)
async def test_what_only_a_person_can_mend_names_the_fix(error: ProviderError, said: str) -> None:
    async def ask() -> None:
        raise error

    polled = Polled("balance", ask, Rehearsal().clock)
    polled.start(NOW)
    await pause(1.0)
    assert isinstance(polled.value, Unknown)
    assert polled.value.reason == said
