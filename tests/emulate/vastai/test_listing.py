"""The listing: pages, filters, orders, columns, and what its pages may lack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.mock import Fault, Stock
from tests.emulate.vastai.desk import GPU, Desk, step

MANY = (Stock(gpu=GPU, region="US", on_demand=0.6, spot=0.3, hosts=30),)


async def fleet(count: int, **market: Any) -> tuple[Desk, list[int]]:
    desk = Desk(stock=MANY, **market)
    return desk, [await desk.rent(label=f"w{number % 3}") for number in range(count)]


async def test_a_page_has_25_rows_and_the_pages_have_all() -> None:
    desk, made = await fleet(53)
    token: str | None = ""
    sizes = []
    while token is not None:
        page = (await desk.page(limit="1000", **({"after_token": token} if token else {}))).json()
        assert page["total_instances"] == 53
        assert page["instances_found"] == len(page["instances"])
        sizes.append(len(page["instances"]))
        token = page["next_token"]
    assert sizes == [25, 25, 3]
    assert await desk.listed() == made


async def test_a_row_that_goes_between_two_pages_hides_no_other() -> None:
    desk, made = await fleet(30)
    token = (await desk.page()).json()["next_token"]
    for gone in made[:3]:
        await desk.destroy(gone)
    await desk.destroy(made[24])
    rest = (await desk.page(after_token=token)).json()["instances"]
    assert [row["id"] for row in rest] == made[25:]


@pytest.mark.parametrize(("limit", "rows"), [("1", 1), ("0", 5), ("-3", 5), ("25", 7), ("99", 7)])
async def test_a_limit_of_nothing_means_five(limit: str, rows: int) -> None:
    desk, _ = await fleet(7)
    assert len((await desk.page(limit=limit)).json()["instances"]) == rows


async def test_rows_can_be_filtered_by_columns_of_the_contract() -> None:
    desk, made = await fleet(6)
    page = (await desk.page(select_filters=json.dumps({"label": {"in": ["w0"]}}))).json()
    assert [row["id"] for row in page["instances"]] == [made[0], made[3]]
    assert page["total_instances"] == 2
    page = (await desk.page(select_filters=json.dumps({"actual_status": {"eq": "running"}}))).json()
    assert page["instances"] == []


@pytest.mark.parametrize("column", ["dph_total", "num_gpus"])
async def test_computed_columns_cannot_be_filtered(column: str) -> None:
    answer = await Desk().page(select_filters=json.dumps({column: {"eq": 1}}))
    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"after_token": "nonsense"}, "invalid_token"),
        ({"select_filters": "{"}, "invalid_request"),
        ({"select_filters": '{"label": {"like": "w%"}}'}, "invalid_request"),
        ({"order_by": "id"}, "invalid_request"),
        ({"order_by": "[1]"}, "invalid_request"),
        ({"order_by": '[{"col": "shoe_size"}]'}, "invalid_request"),
        ({"order_by": '[{"col": "instance"}]'}, "invalid_request"),
    ],
)
async def test_a_listing_that_cannot_be_understood_is_a_400(query: dict[str, str], error: str) -> None:
    desk, _ = await fleet(2)
    answer = await desk.page(**query)
    assert (answer.status, answer.json()["error"]) == (400, error)


async def test_rows_come_in_the_order_of_columns_with_the_id_as_the_last() -> None:
    desk, made = await fleet(6)
    order = json.dumps([{"col": "label", "dir": "desc"}])
    rows = (await desk.page(order_by=order)).json()["instances"]
    assert [row["id"] for row in rows] == [made[place] for place in (2, 5, 1, 4, 0, 3)]


async def test_rows_without_a_value_come_last_either_way() -> None:
    desk, (unlabelled, *others) = await fleet(3)
    await desk.put(unlabelled, label="")
    for way in ("asc", "desc"):
        rows = (await desk.page(order_by=json.dumps([{"col": "label", "dir": way}]))).json()["instances"]
        assert [row["id"] for row in rows] == [*(others if way == "asc" else others[::-1]), unlabelled]


async def test_columns_can_be_chosen_and_unknown_ones_are_null() -> None:
    desk, (made,) = await fleet(1)
    (row,) = (await desk.page(select_cols='["id", "shoe_size"]')).json()["instances"]
    assert row == {"id": made, "shoe_size": None}


async def test_labels_are_counted_with_the_unlabelled_under_an_empty_text() -> None:
    desk, (made, *_) = await fleet(4)
    await desk.put(made, label="")
    counts = (await desk.page(limit="1")).json()["label_counts"]
    assert counts == {"": 1, "w0": 1, "w1": 1, "w2": 1}


async def test_a_label_can_be_changed() -> None:
    desk, (made,) = await fleet(1)
    assert (await desk.put(made, label="mine")).json() == {"success": True}
    assert desk.machine(made).label == (await desk.row(made))["label"] == "mine"


async def test_instances_of_others_in_the_account_are_listed_with_numbers_for_ids() -> None:
    desk = Desk(foreign=("somebody's notebook",))
    (listed,) = await desk.listed()
    row = await desk.row(listed)
    assert (row["label"], row["actual_status"]) == ("somebody's notebook", "running")


async def test_a_listing_may_end_early_and_only_its_total_tells() -> None:
    desk, made = await fleet(60, scenario=step(Fault.LISTS_HALF))
    first = (await desk.page()).json()
    rest = (await desk.page(after_token=first["next_token"])).json()
    assert rest["next_token"] is None
    assert [row["id"] for row in first["instances"] + rest["instances"]] == made[:30]
    assert first["total_instances"] == rest["total_instances"] == 60


async def test_a_listing_may_fail_at_its_last_page() -> None:
    desk, _ = await fleet(60, scenario=step(Fault.LISTING_FAILS))
    first = await desk.page()
    second = await desk.page(after_token=first.json()["next_token"])
    third = await desk.page(after_token=second.json()["next_token"])
    assert [first.status, second.status, third.status] == [200, 200, 503]


async def test_a_new_instance_may_be_missing_from_listing_and_reads_for_a_while() -> None:
    desk, (made,) = await fleet(1, scenario=step(Fault.LISTED_LATE))
    assert await desk.listed() == []
    assert await desk.row(made) is None
    desk.now += 61.0
    assert await desk.listed() == [made]


async def test_an_instance_may_be_listed_for_a_while_after_it_is_gone() -> None:
    desk, (made,) = await fleet(1, scenario=step(Fault.LINGERS))
    await desk.destroy(made)
    assert not desk.market.machines
    assert await desk.listed() == [made]
    desk.now += 61.0
    assert await desk.listed() == []
