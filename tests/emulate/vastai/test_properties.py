"""Whatever a client sends, and whatever goes wrong, it gets an answer, and the market keeps its own rules."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.emulate.vastai import Quirk
from autoscaler.emulate.vastai.routes import ROUTES
from tests.emulate.vastai.desk import GPU, Desk

_scalars = st.none() | st.booleans() | st.integers(-5, 10**12) | st.floats() | st.text(max_size=5)
_json = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
_KEYS = (
    "state",
    "label",
    "price",
    "disk",
    "image",
    "env",
    "args",
    "onstart",
    "ids",
    "instance_ids",
    "q",
    "select_cols",
)
_MORE_KEYS = ("gpu_name", "order", "limit", "type", "allocated_storage", "dph_total", "target_state", "cancel_unavail")
_bodies = st.dictionaries(st.sampled_from(_KEYS + _MORE_KEYS) | st.text(max_size=3), _json, max_size=4)
_PARAMETERS = ("limit", "after_token", "order_by", "select_cols", "select_filters", "latest_first")
_queries = st.dictionaries(st.sampled_from(_PARAMETERS), _json.map(str) | st.text(max_size=8), max_size=3)


@settings(max_examples=150)
@given(route=st.sampled_from(ROUTES), known=st.booleans(), body=_bodies, query=_queries, image=st.just("i") | _json)
def test_no_request_breaks_it(route: Any, known: bool, body: dict[str, Any], query: dict[str, str], image: Any) -> None:
    async def ask() -> None:
        desk = Desk()
        instance_id = await desk.rent(price=0.5)
        (offer, *_) = await desk.offers(gpu_name={"eq": GPU})
        number = (offer["id"] if "asks" in route.path else instance_id) if known else 5
        sent = {"image": image, **body} if "asks" in route.path else body
        answer = await desk.ask(route.method, f"/{route.path.replace('{id}', str(number))}/", sent, **query)
        assert answer.status < 500 or answer.status == 501, answer.text
        if answer.status >= 400:
            assert set(answer.json()) >= {"success", "error", "msg"}
        assert (await desk.page()).status == 200

    asyncio.run(ask())


@settings(max_examples=25)
@given(quirks=st.sets(st.sampled_from(Quirk)), waits=st.lists(st.floats(0.0, 4000.0), min_size=4, max_size=4))
def test_every_cent_that_was_billed_is_in_the_charges(quirks: set[Quirk], waits: list[float]) -> None:
    quirks -= {Quirk.SEARCH_QUOTA_SPENT, Quirk.NOT_JSON, Quirk.MINIMUM_INTERVALS, Quirk.CREATE_HAS_NO_ID}

    async def live() -> None:
        desk = Desk(*quirks)
        instance_id = await desk.rent(price=0.5)
        for wait_s, body in zip(waits, ({"state": "stopped"}, {"label": "x"}, {"state": "running"}), strict=False):
            desk.now += wait_s
            await desk.put(instance_id, **body)
        desk.now += waits[-1]
        await desk.destroy(instance_id)
        charges = await desk.charges(0.0, desk.now + 1.0)
        amounts = [item["amount"] for row in charges.values() for item in row["items"]]
        assert abs(sum(amounts) - desk.bill(instance_id)) < 1e-5

    asyncio.run(live())
