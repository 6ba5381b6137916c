"""From the catalogue to offers: what is sold, where, by which name, at which price."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from providers.http import json_answer
from tests.support.runpod import MACHINE, SECURE, data, gpu, gpus, pod, scripted

DISKS = 90 * 0.10 / 720
L40S = gpu("NVIDIA L40S", "L40S", price={"secure": 0.86, "community": 0.79})


async def found(*rows: dict[str, Any], **changed: Any) -> list[tuple[str, str]]:
    """GPU and region of each offer of the Secure Cloud."""
    provider, _ = scripted(gpus(*rows))
    machine = replace(MACHINE, gpus=changed.pop("machine_gpus", ("RTX 4090",)))
    return [(each.gpu, each.region) for each in await provider.list_offers(replace(SECURE, **changed), machine)]


EU, US = ("RTX 4090", "EU-RO-1"), ("RTX 4090", "US-KS-2")


@pytest.mark.parametrize(
    ("regions", "offers"),
    [
        ((), [EU, US]),
        (("EU-RO-1",), [EU]),
        (("EU",), [EU]),
        (("eu-ro-1", "us"), [EU, US]),
        (("EU-RO",), [EU]),
        (("EU-RO-10", "E", "U"), []),
        (("AP-JP-1",), []),
    ],
)
async def test_a_region_is_a_data_centre_or_the_beginning_of_several(
    regions: tuple[str, ...], offers: list[tuple[str, str]]
) -> None:
    assert await found(gpu(), regions=regions) == offers


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("RTX 4090", "RTX 4090"),
        ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("rtx  4090", "rtx  4090"),
        ("RTX 409", None),
        ("4090", None),
    ],
)
async def test_a_gpu_is_called_as_its_user_calls_it_by_name_or_id(wanted: str, name: str | None) -> None:
    offers = await found(gpu(), L40S, machine_gpus=(wanted,))
    assert offers == ([] if name is None else [(name, "EU-RO-1"), (name, "US-KS-2")])


async def test_without_a_named_gpu_any_will_do_cheapest_first() -> None:
    assert await found(L40S, gpu(), machine_gpus=()) == [EU, US, ("L40S", "EU-RO-1"), ("L40S", "US-KS-2")]


@pytest.mark.parametrize(
    "row",
    [
        gpu(secure=False),  # a price alone does not mean that it is sold
        gpu(price={"secure": 0.0, "community": 0.39}),
        gpu(price={"secure": None, "community": 0.39}),
        gpu(price={"secure": 2.0, "community": 0.39}),  # with the disks it is above 2 USD
        gpu(dataCenters=[{"id": "EU-RO-1", "availability": "NONE"}], availability="NONE"),
        gpu(dataCenters=[], availability="NONE"),
    ],
)
async def test_what_is_not_sold_not_in_stock_or_too_dear_is_not_offered(row: dict[str, Any]) -> None:
    assert await found(row) == []


@pytest.mark.parametrize("strange", [{"name": None}, {"price": None}, {"price": {"secure": "dear"}}, {"price": []}])
async def test_a_strange_row_of_the_catalogue_hides_no_other(strange: dict[str, Any]) -> None:
    assert await found(gpu("NVIDIA X", "X") | strange, gpu()) == [EU, US]


async def test_stock_is_a_hint_of_which_only_none_counts() -> None:
    centres = {"A-1": "NONE", "B-1": "LOW", "C-1": "MEDIUM", "D-1": "HIGH", "E-1": "PLENTY", "F-1": None}
    rows = [{"id": each, "availability": level} for each, level in centres.items()]
    regions = [region for _, region in await found(gpu(dataCenters=rows))]
    assert regions == ["D-1", "C-1", "B-1", "E-1", "F-1"], "at one price, the fullest first"


async def test_hosts_of_no_data_centre_are_offered_where_the_place_does_not_matter() -> None:
    nowhere = gpu(dataCenters=[{"id": "EU-RO-1", "availability": "NONE"}])
    assert await found(nowhere) == [("RTX 4090", "")]
    assert await found(nowhere, regions=("EU",)) == []


async def test_both_clouds_are_searched_where_none_is_named_and_an_offer_remembers_its_own() -> None:
    provider, script = scripted(gpus(gpu()), gpus(gpu()), json_answer(201, pod()))
    offers = await provider.list_offers(replace(SECURE, cloud=None), MACHINE)

    asked = "GET /v2/catalog/gpus include=AVAILABILITY product=POD count=1 cloud="
    assert script.lines == [f"{asked}SECURE", f"{asked}COMMUNITY"]
    assert [offer.usd_per_hour for offer in offers] == [pytest.approx(usd + DISKS) for usd in (0.39, 0.39, 0.69, 0.69)]
    await provider.rent(offers[0], MACHINE, label="x")
    assert script.asked[-1].json()["cloud"] == "COMMUNITY"


async def test_a_price_holds_both_disks_and_a_stopped_one_the_volume_at_twice_the_price() -> None:
    provider, _ = scripted(gpus(gpu()))
    (cheapest, _) = await provider.list_offers(SECURE, MACHINE)
    assert cheapest.usd_per_hour == pytest.approx(0.69 + (40 + 50) * 0.10 / 720)
    assert cheapest.disk_usd_per_hour == pytest.approx(40 * 0.20 / 720)
    assert not cheapest.takes_bids


async def test_a_spot_offer_asks_for_the_least_bid_and_one_without_it_is_none() -> None:
    bids = data(gpuTypes=[{"id": gpu()["id"], "lowestPrice": {"minimumBidPrice": 0.35}}, {"id": "NVIDIA L40S"}])
    provider, script = scripted(gpus(gpu(), L40S), bids)
    offers = await provider.list_offers(replace(SECURE, buy="spot", gpus=("RTX 4090", "L40S")), MACHINE)

    assert {offer.gpu for offer in offers} == {"RTX 4090"}
    assert offers[0].usd_per_hour == pytest.approx(0.35 + DISKS)
    assert (offers[0].buy, offers[0].takes_bids) == ("spot", True)
    assert script.asked[1].json()["variables"] == {"secure": True}
