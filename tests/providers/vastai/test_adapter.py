"""Vast.ai's adapter: listings complete or not at all, what an order says, bids, bills, notices, settings."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.config import load_config
from autoscaler.core.contract import notice_s
from autoscaler.core.errors import ProviderError, Rejected, SettingsError, Transient
from autoscaler.core.history import PlacementHistory
from autoscaler.core.market import Offer
from autoscaler.core.spec import Deadlines, MachineSpec
from autoscaler.core.spot import bid_usd_per_hour
from autoscaler.core.units import Secret
from providers.http import Answer, Request, json_answer
from providers.vastai import KIND, VastSettings
from tests.support.vast import (
    DAY,
    MACHINE,
    NOW,
    ON_DEMAND,
    SPOT,
    TOKEN,
    Account,
    instance_row,
    listing,
    offer_row,
)

# --- listings ---------------------------------------------------------------------------------------------------------


def pages(*sizes: int, totals: tuple[int, ...] = ()) -> list[Answer]:
    """A listing on pages of so many rows, each with the total it tells."""
    answers, first = [], 0
    for number, size in enumerate(sizes):
        rows = [instance_row(id=first + n) for n in range(size)]
        first += size
        token = f"after {first}" if number + 1 < len(sizes) else None
        total = totals[number] if totals else sum(sizes)
        answers.append(listing(*rows, total_instances=total, next_token=token))
    return answers


async def test_a_listing_is_read_page_by_page_to_the_end() -> None:
    account = Account(list=pages(25, 25, 10))
    machines = (await account.provider.list_machines()).machines
    assert [int(remote.provider_id) for remote in machines] == list(range(60))
    asked = [request.query for request in account.asked if request.endpoint == "list"]
    assert [query.get("after_token") for query in asked] == [None, "after 25", "after 50"]
    assert {(query["limit"], query["order_by"]) for query in asked} == {("25", '[{"col": "id", "dir": "asc"}]')}


@pytest.mark.parametrize(
    ("sizes", "totals"),
    [((25, 10), (35, 34)), ((25, 9), (35, 34)), ((25, 11), (35, 36)), ((0,), (0,))],
)
async def test_machines_may_come_and_go_while_pages_are_read(sizes: tuple[int, ...], totals: tuple[int, ...]) -> None:
    listed = await Account(list=pages(*sizes, totals=totals)).provider.list_machines()
    assert len(listed.machines) == sum(sizes)


@pytest.mark.parametrize(
    "answers",
    [
        pages(25, 9, totals=(35, 35)),
        pages(25, 11, totals=(35, 35)),
        pages(3, totals=(4,)),
        [listing(instance_row(id=1), instance_row(id=1))],
        [listing(instance_row(id=None))],
        [listing(instance_row(id="1"))],
        [listing(total_instances=None)],
        [listing(instances=None)],
        [listing(instances={"1": instance_row()})],
        [listing(instances=[None], total_instances=1)],
        [listing(success=False)],
        [pages(25, 1)[0], json_answer(503)],
        [pages(25, 1)[0], json_answer(400, {"error": "invalid_token"})],
        [pages(25, 1)[0], Answer(status=200, body=b'{"instances": [')],
        [pages(25, 1)[0], pages(25, 1)[0]],
        [pages(25, 1)[0], listing(next_token="after 25", total_instances=26)],
        [*pages(*[25] * 9, totals=(50,) * 9)[:3]],
        [pages(25, 1)[0], listing(next_token="after 26", total_instances=26)],
    ],
)
async def test_a_listing_that_is_not_whole_is_an_error(answers: list[Answer]) -> None:
    with pytest.raises(ProviderError):
        await Account(list=answers).provider.list_machines()


async def test_a_listing_says_when_it_was_asked_for_and_not_when_it_was_answered() -> None:
    account = Account(list=listing())

    def slowly(_: Request) -> Answer:
        account.time += 8.0
        return listing()

    account.answers["list"] = slowly
    assert (await account.provider.list_machines()).asked_at == NOW


# --- notices ----------------------------------------------------------------------------------------------------------

INCREASE = {
    "pending_price_increase_id": 9,
    "contract_id": 50911234,
    "old_gpu_costpersec": 0.36 / 3600,
    "new_gpu_costpersec": 0.72 / 3600,
    "old_disk_ram_costpersec": 0.15 / 720 / 3600,
    "new_disk_ram_costpersec": 0.30 / 720 / 3600,
    "old_bwd_cost": 0.003,
    "new_bwd_cost": None,
}


def pending(*rows: Any) -> Answer:
    return json_answer(200, {"success": True, "count": len(rows), "pending_price_increases": list(rows)})


async def test_a_price_increase_is_told_in_the_units_of_prices_and_never_accepted() -> None:
    account = Account(list=listing(), increases=pending(INCREASE))
    (notice,) = (await account.provider.list_machines()).notices
    assert "the host of 50911234 asks for GPU from 0.36 to 0.72 USD/h" in notice
    assert "disk from 0.15 to 0.3 USD per GB and month" in notice
    assert "download" not in notice
    assert {request.method for request in account.asked} == {"GET"}


async def test_a_higher_fee_and_a_price_without_an_old_one_are_told_too() -> None:
    more = {"contract_id": 7, "old_platform_fee": 0.05, "new_platform_fee": 0.08, "new_bwu_cost": 0.01}
    (notice,) = (await Account(list=listing(), increases=pending(more)).provider.list_machines()).notices
    assert "upload to 0.01 USD/GB, platform fee from 5 to 8 %" in notice


async def test_price_increases_are_asked_for_every_ten_minutes_and_told_in_between() -> None:
    account = Account(list=listing(), increases=[pending(INCREASE), pending()])
    for _ in range(60):
        assert (await account.provider.list_machines()).notices
        account.time += 9.99
    account.time += 1.0
    assert not (await account.provider.list_machines()).notices
    assert sum(request.endpoint == "increases" for request in account.asked) == 2


@pytest.mark.parametrize("answer", [json_answer(403), json_answer(500), json_answer(200, {}), pending(None)])
async def test_no_word_on_price_increases_does_not_spoil_the_listing(answer: Answer) -> None:
    account = Account(list=listing(instance_row()), increases=[pending(INCREASE), answer])
    told = await account.provider.list_machines()
    account.time += 600
    again = await account.provider.list_machines()
    assert len(again.machines) == 1
    assert again.notices == told.notices


# --- what an order says -----------------------------------------------------------------------------------------------

MADE = json_answer(200, {"success": True, "new_contract": 7})
SERVED = replace(MACHINE, ready="http :8188/system_stats", env={"MODE": "fast"}, args=("--port", "8188"))


async def test_an_order_on_demand_has_no_price_and_says_all_else() -> None:
    account = Account(search=json_answer(200, {"offers": [offer_row()]}), create=MADE)
    (offer,) = await account.provider.list_offers(ON_DEMAND, SERVED)
    await account.provider.rent(offer, SERVED, label="autoscaler.acme.images.aaaa")
    assert account.asked[-1].path == "/api/v0/asks/41207733/"
    assert account.bodies("create") == [
        {
            "client_id": "me",
            "image": MACHINE.image,
            "label": "autoscaler.acme.images.aaaa",
            "disk": 40.0,
            "env": {"-p 8188:8188": "1", "MODE": "fast"},
            "runtype": "args",
            "args": ["--port", "8188"],
            "target_state": "running",
            "cancel_unavail": True,
            "image_login": f"-u bob -p {TOKEN} ghcr.io",
        }
    ]


async def test_an_image_without_arguments_or_port_is_told_none() -> None:
    account = Account(search=json_answer(200, {"offers": [offer_row()]}), create=MADE)
    (offer,) = await account.provider.list_offers(ON_DEMAND, MACHINE)
    await account.provider.rent(offer, MACHINE, label="ours")
    (body,) = account.bodies("create")
    assert body["env"] == {}
    assert "args" not in body


async def test_a_bid_is_what_we_pay_at_most_less_the_disk() -> None:
    account = Account(search=json_answer(200, {"offers": [offer_row(min_bid=0.2)]}), create=MADE)
    (offer,) = await account.provider.list_offers(SPOT, MACHINE)
    agreed = bid_usd_per_hour(offer, SPOT)
    await account.provider.rent(replace(offer, usd_per_hour=agreed), MACHINE, label="ours")
    (body,) = account.bodies("create")
    assert body["price"] == pytest.approx(1.1 * offer.usd_per_hour - offer.disk_usd_per_hour, abs=1e-6)
    assert body["price"] >= 0.2


async def test_a_bid_at_the_very_floor_is_not_rounded_below_it() -> None:
    for floor in (0.193, 0.1234, 0.2, 0.333333, 0.07, 1 / 3, 2 / 15, 0.26666666666666666, 0.1234567):
        account = Account(search=json_answer(200, {"offers": [offer_row(min_bid=floor)]}), create=MADE)
        (offer,) = await account.provider.list_offers(SPOT, MACHINE)
        await account.provider.rent(offer, MACHINE, label="ours")
        price = account.bodies("create")[0]["price"]
        assert price == floor if floor == round(floor, 6) else floor < price < floor + 1e-6


@pytest.mark.parametrize(
    ("machine", "problem"),
    [
        (replace(MACHINE, image="x" * 1025), "machine.image has 1025 characters; expected 1024 at most"),
        (replace(MACHINE, args=("x" * 4000, "y" * 96)), "machine.args has 4097 characters; expected 4096 at most"),
        (replace(MACHINE, env={"A" * 700: "b" * 32069}), "machine.env has 32769 characters; expected 32768 at most"),
    ],
)
async def test_an_order_that_is_too_long_is_refused_before_it_is_sent(machine: MachineSpec, problem: str) -> None:
    account = Account(search=json_answer(200, {"offers": [offer_row()]}))
    (offer,) = await account.provider.list_offers(ON_DEMAND, MACHINE)
    with pytest.raises(Rejected, match=re.escape(problem)):
        await account.provider.rent(offer, machine, label="ours")
    assert await account.provider.list_offers(ON_DEMAND, MACHINE) == [offer]


@pytest.mark.parametrize("usd_per_hour", [0.0, 0.008, 0.0085, 40.0, float("nan"), float("inf")])
async def test_a_bid_that_is_none_is_refused_before_it_is_sent(usd_per_hour: float) -> None:
    account = Account(show=json_answer(200, {"instances": instance_row(is_bid=True)}))
    with pytest.raises(Rejected):
        await account.provider.set_bid("50911234", usd_per_hour)
    offer = Offer(
        provider="vastai",
        offer_id="1",
        gpu="RTX 4090",
        region="US",
        host="1",
        buy="spot",
        usd_per_hour=usd_per_hour,
        disk_usd_per_hour=0.008,
    )
    with pytest.raises(Rejected):
        await account.provider.rent(offer, MACHINE, label="ours")
    assert {request.method for request in account.asked} == {"GET"}


async def test_a_new_bid_is_without_the_disk_whose_price_the_machine_tells() -> None:
    row = instance_row(is_bid=True, dph_base=0.2, dph_total=0.208)
    account = Account(show=json_answer(200, {"instances": row}), bid=json_answer(200, {"success": True}))
    await account.provider.set_bid("50911234", 0.258)
    assert account.asked[-1].path == "/api/v0/instances/bid_price/50911234/"
    assert account.bodies("bid") == [{"client_id": "me", "price": 0.25}]


async def test_a_machine_on_demand_has_no_bid() -> None:
    account = Account(show=json_answer(200, {"instances": instance_row()}))
    with pytest.raises(Rejected, match="on demand"):
        await account.provider.set_bid("50911234", 0.5)


@pytest.mark.parametrize("body", [{}, {"instances": []}, {"instances": {}}])
async def test_a_machine_that_cannot_be_read_gets_no_bid(body: dict[str, object]) -> None:
    with pytest.raises(Transient):
        await Account(show=json_answer(200, body)).provider.set_bid("50911234", 0.5)


async def test_a_resume_a_stop_and_a_release_are_one_request_each() -> None:
    done = json_answer(200, {"success": True})
    account = Account(state=done, destroy=done)
    await account.provider.resume("7")
    await account.provider.stop("7")
    await account.provider.release("7")
    sent = [(request.method, request.path, request.json()) for request in account.asked]
    assert sent == [
        ("PUT", "/api/v0/instances/7/", {"state": "running"}),
        ("PUT", "/api/v0/instances/7/", {"state": "stopped"}),
        ("DELETE", "/api/v0/instances/7/", {}),
    ]


# --- money ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "usd"), [({"credit": 12.5, "balance": 0}, 12.5), ({"credit": -3}, -3.0), ({}, None)])
async def test_the_balance_is_the_credit(body: dict[str, float], usd: float | None) -> None:
    assert await Account(user=json_answer(200, body)).provider.balance_usd() == usd


def charged(*bills: tuple[str, object], total: int, token: str | None = None) -> Answer:
    rows = [{"type": "instance", "source": source, "amount": amount} for source, amount in bills]
    return json_answer(200, {"success": True, "total": total, "next_token": token, "results": rows})


async def test_a_days_bill_is_that_of_all_pages_by_machine() -> None:
    first = charged(("instance-1", 0.5), ("instance-2", 1.25), total=4, token="more")
    account = Account(charges=[first, charged(("instance-3", 0), ("instance-1", 0.25), total=4)])
    assert await account.provider.billed_usd("2027-01-15") == {"1": 0.75, "2": 1.25, "3": 0.0}
    query = account.asked[0].query
    assert json.loads(query["select_filters"]) == {
        "day": {"gte": int(NOW - NOW % DAY), "lte": int(NOW - NOW % DAY + DAY - 1)},
        "type": {"in": ["instance"]},
    }
    assert (query["format"], query["limit"]) == ("table", "500")


async def test_a_volume_in_a_days_bill_hides_no_machine() -> None:
    account = Account(charges=charged(("volume-9", 0.5), ("instance-1", 0.25), total=2))
    assert await account.provider.billed_usd("2027-01-15") == {"1": 0.25}


@pytest.mark.parametrize(
    "answer",
    [
        charged(("instance-1", 0.5), total=2),
        charged(("instance-1", None), total=1),
        charged(("volume-1", 0.5), total=2),
        charged(("instance-", 0.5), total=1),
    ],
)
async def test_a_bill_that_is_not_whole_is_an_error(answer: Answer) -> None:
    with pytest.raises(Transient):
        await Account(charges=answer).provider.billed_usd("2027-01-15")


# --- settings ---------------------------------------------------------------------------------------------------------

CONFIG = """
fleet: acme
pools:
  images:
    queue: {kind: list, tiers: [{name: pro, key: jobs}]}
    machine: {image: "acme/worker:1", gpus: [RTX 4090]}
    placements: [{provider: vastai, buy: spot, max_usd_per_hour: 0.5}]
providers:
  vastai: {api_key: "${VAST_API_KEY}", SETTING}
"""


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://console.vast.ai", "https://console.vast.ai"),
        ("https://console.vast.ai/", "https://console.vast.ai"),
        ("http://127.0.0.1:8085", "http://127.0.0.1:8085"),
        ("http://[::1]:8085", "http://[::1]:8085"),
        ("http://emulator:8085", "http://emulator:8085"),
    ],
)
def test_the_api_is_reached_with_tls_or_nearby(written: str, url: str) -> None:
    config = load_config(CONFIG.replace("SETTING", f'url: "{written}"'), {"VAST_API_KEY": "k"})
    assert config.providers["vastai"] == VastSettings(api_key=Secret("k"), url=url)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("url: http://console.vast.ai", "expected https://console.vast.ai, or an emulator"),
        ("url: console.vast.ai", "expected https://console.vast.ai, or an emulator"),
        ("url: https://user:pw@console.vast.ai", "expected https://console.vast.ai, or an emulator"),
        ("min_reliability: 95", "min_reliability: 95"),
        ("min_download_mbps: -1", "min_download_mbps: -1"),
        ("min_rental: 1", "expected a duration with its unit"),
        ("min_rental: 3h", "expected 4h or more, such as 1d"),
        ("min_bandwidth: 1", "min_bandwidth"),
    ],
)
def test_a_bad_setting_is_told_with_its_key(setting: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_config(CONFIG.replace("SETTING", setting), {"VAST_API_KEY": "k"})
    (told,) = caught.value.problems
    assert told.startswith("providers.vastai")
    assert problem in told


def test_the_shortest_rental_leaves_a_machine_time_to_serve_before_its_successor_is_set_up() -> None:
    settings = load_config(CONFIG.replace("SETTING", "min_rental: 4h"), {"VAST_API_KEY": "k"}).providers["vastai"]
    slow = PlacementHistory().came_up(Deadlines().booting, resumed=False)
    assert settings.min_rental >= 2.0 * notice_s(slow, Deadlines())


def test_the_kind_says_what_vast_ai_can_do() -> None:
    can = KIND.capabilities
    assert (KIND.name, can.can_stop, can.can_spot, can.can_bid) == ("vastai", True, True, True)
    assert (can.list_every_s, can.search_every_s) == (10.0, 30.0)
