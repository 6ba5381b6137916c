"""Whatever befalls creates, and whenever the daemon is killed: a token has one machine at most, and it is known."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.spec import Buy, Deadlines, Limits
from autoscaler.core.units import DurationRange, Span
from autoscaler.sim.virtual import VirtualLoop
from providers.mock import Fault, Operation, Step
from tests.support.cloud import Cloud

TROUBLE_S, CALM_S = 300.0, 180.0
ON_CREATES = (
    Fault.ANSWER_LOST,
    Fault.REQUEST_LOST,
    Fault.HANGS,
    Fault.ANSWER_HANGS,
    Fault.PARTIAL_LAUNCH,
    Fault.REFUSED_YET_MADE,
    Fault.DEARER,
    Fault.OFFER_GONE,
    Fault.FUNDS_REFUSED,
    Fault.RATE_LIMITED,
    Fault.RATE_LIMITED_SILENT,
    Fault.UNAVAILABLE,
    Fault.AUTH_FAILED,
    Fault.BOOT_HANGS,
    Fault.CRASH_LOOP,
)
ON_LISTINGS = (Fault.LISTS_HALF, Fault.LISTING_FAILS, Fault.RATE_LIMITED, Fault.RATE_LIMITED_SILENT, Fault.HANGS)
QUIRKS = {
    "vastai": (
        "ask_gone_is_400",
        "create_has_no_id",
        "create_says_failed",
        "exited_lingers",
        "gateway_times_out",
        "minimum_intervals",
        "nulls",
        "wrong_machine",
    ),
    "runpod": ("example_shapes", "html_errors", "never_lists", "no_pagination", "short_pages"),
}


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What goes wrong in the first five minutes."""

    steps: tuple[Step, ...]
    quirks: tuple[str, ...]
    buy: Buy
    lives_s: tuple[float, ...]
    """After how long each daemon is killed; the one after the last is not."""


def _of_creates(creates: list[tuple[frozenset[Fault], bool]]) -> list[Step]:
    """What strikes the first create, the second, and so on, and whether its machine is listed a minute late."""
    return [
        Step(fault=fault, call=Operation.RENT, nth=nth, times=1, until=TROUBLE_S)
        for nth, (faults, late) in enumerate(creates, start=1)
        for fault in [*sorted(faults), *([Fault.LISTED_LATE] if late else [])]
    ]


def _of_listings(fault: Fault, at: int, lasts: int) -> Step:
    return Step(fault=fault, call=Operation.LIST, at=float(at), until=min(TROUBLE_S, at + float(lasts)))


def troubles(kind: str) -> st.SearchStrategy[Trouble]:
    create = st.tuples(st.frozensets(st.sampled_from(ON_CREATES), max_size=2), st.booleans())
    of_creates = st.lists(create, max_size=6).map(_of_creates)
    of_listings = st.lists(
        st.builds(_of_listings, st.sampled_from(ON_LISTINGS), st.integers(0, 250), st.integers(5, 150)), max_size=2
    )
    return st.builds(
        lambda creates, listings, quirks, buy, lives: Trouble(
            steps=(*creates, *listings), quirks=tuple(sorted(quirks)), buy=buy, lives_s=tuple(lives)
        ),
        of_creates,
        of_listings,
        st.frozensets(st.sampled_from(QUIRKS[kind]), max_size=2),
        st.sampled_from(["on_demand", "spot"]),
        st.lists(st.integers(0, 160).map(lambda half: half / 2), max_size=3),
    )


async def live(kind: str, trouble: Trouble) -> None:
    cloud = Cloud(
        kind,
        scenario=trouble.steps,
        quirks=trouble.quirks,
        buy=trouble.buy,
        of_pool={"limits": Limits(hot=Span(2, 3), warm=Span(0, 1)), "deadlines": Deadlines(booting=300.0)},
        of_market={"setup": DurationRange(90.0, 90.0)},
    )
    cloud.queue.waiting = 40
    daemon = cloud.begin()
    for life_s in trouble.lives_s:
        await cloud.step(daemon, life_s)
        await daemon.kill()
        daemon = cloud.begin()
    await cloud.live(daemon, TROUBLE_S + CALM_S - sum(trouble.lives_s), waiting=40)
    await cloud.close_down(daemon)
    assert cloud.most_per_token <= 1
    assert cloud.unknown_s == 0.0, "the intent is stored before the call: a machine is known before it is listed"
    assert not cloud.let_to_us()
    assert not cloud.live_records()
    assert cloud.foreign_is_whole


@pytest.mark.parametrize("kind", ["vastai", "runpod"])
@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_token_has_one_machine_at_most_and_all_are_known(kind: str, data: st.DataObject) -> None:
    trouble = data.draw(troubles(kind))
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live(kind, trouble))
