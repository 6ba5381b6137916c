"""The survey of providers: what it finds, what it says of what it does not find, and that it changes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autoscaler.app import build
from autoscaler.config import load_config
from autoscaler.core.errors import Rejected
from autoscaler.runtime.clock import LoopClock
from autoscaler.survey import PATIENCE_S, Survey, questions, survey

pytestmark = pytest.mark.looptime

CONFIG = """
fleet: attic
pools:
  images:
    queue: {kind: list, tiers: [{name: pro, key: jobs:pro}]}
    machine: {image: acme/comfy, disk_gb: 40, gpus: [RTX 4090, RTX 3090]}
    placements: [PLACEMENT]
    limits: {usd_per_day: {warn: 3, stop: 5}}
providers: {mock: {price_swing: 0, MOCK}OTHERS}
"""
PLACEMENT = "{provider: mock, max_usd_per_hour: 0.9}"


async def surveyed(placement: str = PLACEMENT, mock: str = "seed: 1", others: str = "") -> Survey:
    text = CONFIG.replace("PLACEMENT", placement).replace("MOCK", mock).replace("OTHERS", others)
    config = load_config(text, {})
    clock = LoopClock(epoch=1_800_000_000.0)
    steps: list[float] = []
    app = build(config, clock=clock, preview=True)
    found = await survey(config, app.providers, clock, steps.append)
    await app.close()
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) <= questions(config)
    return found


async def test_what_is_on_offer_is_told_cheapest_first_and_nothing_needs_mending() -> None:
    found = await surveyed()

    [row] = found.on_offer
    assert (row.pool, row.placement, row.offers[0].gpu) == ("images", "mock-on-demand", "RTX 3090")
    assert [offer.usd_per_hour for offer in row.offers] == sorted(offer.usd_per_hour for offer in row.offers)
    assert found.problems() == found.notes() == ()


SMALL = (
    "stock: [{gpu: RTX 4090, region: US, on_demand: 0.76, spot: 0.38, hosts: 1}, "
    "{gpu: RTX 3090, region: DE, on_demand: 0.40, spot: 0.20, hosts: 1}, "
    "{gpu: H100 SXM, region: CA, on_demand: 2.0, spot: 1.0, hosts: 1}]"
)


@pytest.mark.parametrize(
    ("placement", "problem"),
    [
        (
            "{provider: mock, max_usd_per_hour: 0.05}",
            (
                "pools.images.placements[0].max_usd_per_hour: 0.05 - below the market: the cheapest now is "
                "RTX 3090 in DE for # USD per hour; raise it to # or more"
            ),
        ),
        (
            "{provider: mock, max_usd_per_hour: 0.5, regions: [US]}",
            (
                "pools.images.placements[0].max_usd_per_hour: 0.5 - below the market: the cheapest now is "
                "RTX 4090 in US for # USD per hour; raise it to # or more"
            ),
        ),
        (
            "{provider: mock, max_usd_per_hour: 0.9, regions: [FR, CA]}",
            (
                "pools.images.placements[0].regions: FR, CA - no stock there now; there is in "
                "DE (from # USD per hour), US (from # USD per hour)"
            ),
        ),
        (
            "{provider: mock, max_usd_per_hour: 0.1, regions: [FR]}",
            (
                "pools.images.placements[0].regions: FR - no stock there now; there is in "
                "DE (from # USD per hour), US (from # USD per hour), all above max_usd_per_hour (0.1)"
            ),
        ),
        (
            "{provider: mock, max_usd_per_hour: 0.9, gpus: [RTX 4900]}",
            (
                "pools.images.placements[0].gpus: RTX 4900 - not on offer at mock now, at any price in any region; "
                'did you mean "RTX 4090"?'
            ),
        ),
        (
            "{provider: mock, max_usd_per_hour: 0.9, gpus: [L4, H100]}",
            (
                "pools.images.placements[0].gpus: L4 - not on offer at mock now, at any price in any region; "
                "there is RTX 3090, RTX 4090, H100 SXM"
            ),
        ),
    ],
)
async def test_where_nothing_is_on_offer_the_bound_to_mend_is_named(placement: str, problem: str) -> None:
    found = await surveyed(placement, SMALL)

    assert found.on_offer[0].offers == ()
    assert priceless(found.problems()[0]) == priceless(problem)


async def test_a_cap_raised_as_told_finds_something() -> None:
    told = (await surveyed("{provider: mock, max_usd_per_hour: 0.05}")).problems()[0]
    least = told.rpartition("raise it to ")[2].partition(" ")[0]

    found = await surveyed(f"{{provider: mock, max_usd_per_hour: {least}}}")

    assert found.on_offer[0].offers


async def test_every_mistake_of_every_placement_is_told_at_once() -> None:
    found = await surveyed(
        "{provider: mock, max_usd_per_hour: 0.05}, "
        "{provider: mock, name: b, max_usd_per_hour: 0.9, regions: [FR]}, "
        "{provider: mock, name: c, max_usd_per_hour: 0.9, gpus: [L4, H100]}"
    )

    assert [problem.partition(" - ")[0] for problem in found.problems()] == [
        "pools.images.placements[0].max_usd_per_hour: 0.05",
        "pools.images.placements[1].regions: FR",
        "pools.images.placements[2].gpus: L4",
        "pools.images.placements[2].gpus: H100",
    ]


async def test_an_unknown_gpu_beside_one_that_is_on_offer_is_a_note() -> None:
    found = await surveyed("{provider: mock, max_usd_per_hour: 0.9, gpus: [RTX 4900, RTX 3090]}")

    assert found.on_offer[0].offers
    assert found.problems() == ()
    assert [note.partition(" - ")[0] for note in found.notes()] == ["pools.images.placements[0].gpus: RTX 4900"]


async def test_a_gpu_that_is_only_too_dear_beside_one_on_offer_is_not_worth_a_word() -> None:
    found = await surveyed("{provider: mock, max_usd_per_hour: 0.5}")

    assert {offer.gpu for offer in found.on_offer[0].offers} == {"RTX 3090"}
    assert found.notes() == found.problems() == ()


async def test_an_unknown_gpu_of_the_machine_is_told_once_a_provider() -> None:
    config = "{provider: mock, max_usd_per_hour: 0.9}, {provider: mock, name: b, max_usd_per_hour: 0.8}"
    stock = "stock: [{gpu: RTX 3090, region: DE, on_demand: 0.40, spot: 0.20, hosts: 1}]"

    found = await surveyed(config, stock)

    [note] = found.notes()
    assert note.startswith("pools.images.machine.gpus: RTX 4090 - not on offer at mock now")


async def test_a_dry_market_is_told_as_such() -> None:
    found = await surveyed(mock="faults: {no_offers: 1}")

    assert found.problems() == (
        "pools.images.placements[0]: mock offers no machine at all now, on demand; wait, or add a placement elsewhere",
    )


async def test_no_spot_is_told_with_what_there_is_on_demand() -> None:
    dry_of_spot = ", ".join(f"{{fault: no_offers, call: offers, nth: {nth}}}" for nth in (1, 2))

    found = await surveyed("{provider: mock, buy: spot, max_usd_per_hour: 0.9}", f"scenario: [{dry_of_spot}]")

    assert priceless(found.problems()[0]) == priceless(
        "pools.images.placements[0].buy: spot - mock has no RTX 4090 or RTX 3090 so now; "
        "there is RTX 3090 in US for # USD per hour on demand: write on_demand"
    )


async def test_few_searches_are_made() -> None:
    """One where all is well; with the wider ones four at most, for vendors have daily quotas of them."""
    struck = "scenario: [{fault: unavailable, call: offers, nth: NTH}]"
    everything_wrong = "{provider: mock, max_usd_per_hour: 0.05, regions: [US], gpus: [RTX 4090, L4]}"

    assert not (await surveyed(mock=struck.replace("NTH", "2"))).problems()
    assert len((await surveyed(everything_wrong, struck.replace("NTH", "4"))).problems()) == 2
    assert len((await surveyed(everything_wrong, struck.replace("NTH", "5"))).problems()) == 2


# --- the account ------------------------------------------------------------------------------------------------------


async def test_a_refused_key_is_one_line_that_names_the_fix() -> None:
    found = await surveyed(mock="faults: {auth_failed: 1}")

    assert found.problems() == (
        (
            "providers.mock: its machines cannot be listed: 401: the key was refused; "
            "put a valid key, with the rights to read and to rent, into the file or its variable"
        ),
    )


@pytest.mark.parametrize(
    ("balance", "problems", "notes"),
    [
        ("0.89", ["0.89 USD left, not an hour of its dearest placement (0.9 USD): add credit"], []),
        (
            "4.99",
            [],
            ["4.99 USD left, less than a day at pools.images.limits.usd_per_day.stop (5): add credit"],
        ),
        ("5.01", [], []),
        ("null", [], []),
    ],
)
async def test_credit_is_held_against_an_hour_and_against_a_day(
    balance: str, problems: list[str], notes: list[str]
) -> None:
    found = await surveyed(mock=f"balance_usd: {balance}")

    assert [line.removeprefix("providers.mock: ") for line in found.problems()] == problems
    assert [line.removeprefix("providers.mock: ") for line in found.notes()] == notes


async def test_a_key_without_the_right_to_the_balance_is_told_and_may_rent() -> None:
    found = await surveyed(mock="scenario: [{fault: auth_failed, call: balance}]")

    assert found.problems() == ()
    assert found.on_offer
    [note] = found.notes()
    fix = "give the key the right to read it, or nothing warns before it runs out"
    assert note == f"providers.mock: its balance cannot be read: 401: the key was refused; {fix}"


async def test_a_provider_that_hangs_costs_its_time_and_is_one_line_while_the_others_answer() -> None:
    began = LoopClock(epoch=0.0)
    began.now()

    found = await surveyed(
        PLACEMENT + ", {provider: slow, max_usd_per_hour: 0.9}, {provider: slow, name: s2, max_usd_per_hour: 0.9}",
        others=", slow: {kind: mock, faults: {hangs: 1}}",
    )

    assert began.now() == pytest.approx(PATIENCE_S)
    assert [row.placement for row in found.on_offer] == ["mock-on-demand"]
    assert found.problems() == (
        "providers.slow: no answer within 30s; check again, and if it lasts look at the vendor's status page",
    )


async def test_a_search_that_fails_leaves_the_other_placements_their_answers() -> None:
    found = await surveyed(
        PLACEMENT + ", {provider: mock, name: b, max_usd_per_hour: 0.9}",
        "scenario: [{fault: rate_limited, call: offers}]",
    )

    assert [row.placement for row in found.on_offer] == ["b"]
    assert found.problems() == (
        "pools.images.placements[0]: no search at mock: 429: too many requests; check again in 30s",
    )


@pytest.mark.parametrize(
    ("gpus", "problems"),
    [
        ("[RTX 4900, RTX 3090]", ()),
        (
            "[RTX 4900]",
            (
                (
                    "pools.images.placements[0]: nothing is on offer; why, cannot be told: 503: "
                    "temporarily unavailable; check again, and if it lasts look at the vendor's status page"
                ),
            ),
        ),
    ],
)
async def test_a_wider_search_that_fails_matters_only_where_nothing_is_on_offer(
    gpus: str, problems: tuple[str, ...]
) -> None:
    found = await surveyed(
        f"{{provider: mock, max_usd_per_hour: 0.9, gpus: {gpus}}}",
        "scenario: [{fault: unavailable, call: offers, nth: 2}]",
    )

    assert found.problems() == problems
    assert found.notes() == ()


async def test_machines_that_are_there_are_told_with_what_they_burn() -> None:
    labels = "foreign: [autoscaler.attic.images.t0000001, autoscaler.attic.images.t0000002, notebook]"

    found = await surveyed(mock=labels)

    assert [priceless(note) for note in found.notes()] == [
        "providers.mock: 2 machines of this fleet already there: # USD per hour",
        "providers.mock: 1 machine of others in the account, never touched: # USD per hour",
    ]


async def test_the_disk_of_a_stopped_machine_is_told() -> None:
    labels = "balance_usd: 0, foreign: [autoscaler.attic.images.t0000001]"

    notes = (await surveyed(mock=labels + ", scenario: [{fault: balance_spent}]")).notes()

    assert priceless(notes[0]) == (
        "providers.mock: 1 machine of this fleet already there: # USD per hour, "
        "# of it for the disks of 1 that are stopped"
    )


# --- it cannot rent ---------------------------------------------------------------------------------------------------


async def test_the_providers_that_are_asked_can_rent_nothing(tmp_path: Path) -> None:
    state = tmp_path / "market.json"
    text = CONFIG.replace("PLACEMENT", PLACEMENT).replace("MOCK", f"state_file: {state}").replace("OTHERS", "")
    config = load_config(text, {})
    clock = LoopClock(epoch=0.0)
    app = build(config, clock=clock, preview=True)

    [row] = (await survey(config, app.providers, clock, lambda _: None)).on_offer
    with pytest.raises(Rejected, match="dry run"):
        await app.providers["mock"].rent(row.offers[0], config.pools["images"].machine, label="x")
    await app.close()

    assert not state.exists(), "the market keeps a file of every change, and there was one"


def priceless(text: str) -> str:
    """Without prices: each host has its own."""
    return re.sub(r"\d+\.\d{2,}", "#", text)
