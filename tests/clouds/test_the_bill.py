"""A whole daemon over each cloud, through all that cloud does to its customers: what is left at the end, what it cost.

A day is a rush, a pause in which machines stop, a second rush out of WARM, and the end, when the pool may have no
machine any more and all are given back. Whatever goes wrong meanwhile: nothing may be left, nothing may have been
billed unknown, no token may have had two machines, and the books must not say less than the bill.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from autoscaler.core.spec import Buy, Deadlines, Limits
from autoscaler.core.units import DurationRange, Span
from policies.thresholds import Thresholds
from providers.mock import Fault, Operation, Step
from tests.support.cloud import Cloud

CLOUDS = ("vastai", "runpod")
POLICY = Thresholds(resume_depth=10, rent_depth=30, idle_depth=3, idle_for=300.0, release_after=1200.0)
SMALL = {"limits": Limits(hot=Span(0, 2), warm=Span(0, 1)), "deadlines": Deadlines(booting=900.0, stopping=300.0)}
_CENT = 0.01


@dataclass(frozen=True, kw_only=True)
class Case:
    """What goes wrong during a day."""

    steps: tuple[Step, ...] = ()
    quirks: tuple[str, ...] = ()
    buy: Buy = "on_demand"
    of_market: dict[str, Any] = field(default_factory=dict)
    at_most: float = 1.3
    """What the day may cost, as a multiple of one on which nothing goes wrong."""


def first(fault: Fault, call: Operation | None = None, *, times: int = 1) -> Case:
    return Case(steps=(Step(fault=fault, call=call, times=times),))


RENT, RESUME, STOP, RELEASE, LIST = (
    Operation.RENT,
    Operation.RESUME,
    Operation.STOP,
    Operation.RELEASE,
    Operation.LIST,
)

ANYWHERE = {
    "nothing goes wrong": Case(),
    "the answer to a create is lost": first(Fault.ANSWER_LOST, RENT),
    "the answers to two creates are lost": first(Fault.ANSWER_LOST, RENT, times=2),
    "a create is lost on its way": first(Fault.REQUEST_LOST, RENT),
    "a create hangs": first(Fault.HANGS, RENT),
    "a create hangs, and the machine was made": first(Fault.ANSWER_HANGS, RENT),
    "a create answers with an error, and the machine was made": first(Fault.PARTIAL_LAUNCH, RENT),
    "a create answers 400 without a word, and the machine was made": first(Fault.REFUSED_YET_MADE, RENT),
    "a machine comes dearer than was offered": first(Fault.DEARER, RENT),
    "an offer is gone": first(Fault.OFFER_GONE, RENT),
    "a create is refused for money": first(Fault.FUNDS_REFUSED, RENT),
    "a new machine is listed late": first(Fault.LISTED_LATE, RENT),
    "a boot never ends": first(Fault.BOOT_HANGS, RENT),
    "a container crashes as it starts": first(Fault.CRASH_LOOP, RENT),
    "a resume is refused": first(Fault.RESUME_REFUSED, RESUME),
    "a resume is refused for ever": first(Fault.RESUME_NEVER, RESUME),
    "a refused resume stays in the queue": first(Fault.RESUME_QUEUED, RESUME),
    "a machine comes back without a GPU": first(Fault.ZERO_GPU, RESUME),
    "the answer to a resume is lost": first(Fault.ANSWER_LOST, RESUME),
    "a stop is answered and not done": first(Fault.STOP_IGNORED, STOP),
    "a stop is refused ten times": first(Fault.UNAVAILABLE, STOP, times=10),
    "the answer to a stop is lost": first(Fault.ANSWER_LOST, STOP),
    "a release is answered and not done": first(Fault.RELEASE_IGNORED, RELEASE, times=3),
    "a release is refused again and again": Case(
        steps=(Step(fault=Fault.RATE_LIMITED_SILENT, call=RELEASE, times=6),), at_most=1.5
    ),
    "a release hangs": first(Fault.HANGS, RELEASE, times=3),
    "a machine that is gone is listed": first(Fault.LINGERS, RELEASE),
    "listings break off for ten minutes": Case(
        steps=(Step(fault=Fault.LISTS_HALF, call=LIST, at=900.0, until=1500.0),)
    ),
    "listings fail for ten minutes": Case(steps=(Step(fault=Fault.LISTING_FAILS, call=LIST, at=900.0, until=1500.0),)),
    "every call is refused too often for a minute": Case(
        steps=(Step(fault=Fault.RATE_LIMITED, at=600.0, until=660.0),)
    ),
    "the key is refused for ten minutes": Case(steps=(Step(fault=Fault.AUTH_FAILED, at=900.0, until=1500.0),)),
    "a host goes away and comes back": Case(steps=(Step(fault=Fault.HOST_OFFLINE, at=1000.0, until=1300.0),)),
    "a machine vanishes": Case(steps=(Step(fault=Fault.VANISHES, at=1000.0),)),
    "a spot machine is outbid": Case(steps=(Step(fault=Fault.OUTBID, at=1000.0),), buy="spot"),
    "a spot machine is outbid and starts again unasked": Case(
        steps=(Step(fault=Fault.OUTBID, at=1000.0),),
        buy="spot",
        of_market={"outbid_returns": 1.0, "let_to_others": DurationRange(600.0, 600.0)},
    ),
}

VASTAI = {
    "a spot order becomes one on demand": Case(steps=(Step(fault=Fault.DEARER, call=RENT),), buy="spot"),
    "searches ignore their bounds": Case(quirks=("ignores_bounds",)),
    "the day's searches are used up": Case(quirks=("search_quota_spent",), at_most=0.0),
    "a taken offer is a 400": Case(steps=(Step(fault=Fault.OFFER_GONE, call=RENT),), quirks=("ask_gone_is_400",)),
    "every create says that it failed and was made": Case(quirks=("create_says_failed",), at_most=0.1),
    "no create says what it made": Case(quirks=("create_has_no_id",)),
    "every machine is on another host than was agreed": Case(quirks=("wrong_machine",), at_most=0.1),
    "what is gone is a 404": Case(quirks=("gone_is_404",)),
    "started machines show exited until they run": Case(quirks=("exited_lingers",)),
    "machines are frozen, and bill": Case(quirks=("frozen",)),
    "running machines show a word of no document": Case(quirks=("status_new",)),
    "hosts send no heartbeat": Case(quirks=("status_unknown",)),
    "containers end as soon as they run": Case(quirks=("container_exited",)),
    "an outbid machine looks like a queued one": Case(
        steps=(Step(fault=Fault.OUTBID, at=1000.0),), quirks=("outbid_still_intended",), buy="spot"
    ),
    "contracts end within the hour": Case(quirks=("short_contracts",), at_most=1.5),
    "every host asks for more": Case(quirks=("price_increase_pending",)),
    "endpoints refuse what comes too soon": Case(quirks=("minimum_intervals",)),
    "lost answers are pages of a gateway": Case(
        steps=(Step(fault=Fault.ANSWER_LOST, call=RENT),), quirks=("gateway_times_out",)
    ),
    "fields are null that no document says can be": Case(quirks=("nulls",)),
}

RUNPOD = {
    "the listing has no pages": Case(quirks=("no_pagination",)),
    "the listing has pages of two": Case(quirks=("short_pages",)),
    "a create answers with the id of a pod that never comes to be": Case(quirks=("never_lists",)),
    "errors are web pages": Case(steps=(Step(fault=Fault.UNAVAILABLE, call=RENT),), quirks=("html_errors",)),
    "a full host is a 500": Case(steps=(Step(fault=Fault.RESUME_REFUSED, call=RESUME),), quirks=("host_full_500",)),
    "answers look as in the specification's examples": Case(quirks=("example_shapes",)),
    "the catalogue has prices of a cloud that does not sell": Case(quirks=("unsold_prices",)),
    "every pod exits at once": Case(quirks=("exits_at_once",), at_most=0.1),
    "GraphQL is gone": Case(quirks=("graphql_gone",)),
    "GraphQL is gone where spot is wanted": Case(quirks=("graphql_gone",), buy="spot", at_most=0.0),
    "spot is gone": Case(quirks=("spot_gone",), buy="spot", at_most=0.0),
    "GraphQL tells no balance": Case(quirks=("balance_gone",)),
}

CASES = [
    *(pytest.param(kind, case, id=f"{kind}: {name}") for kind in CLOUDS for name, case in ANYWHERE.items()),
    *(pytest.param("vastai", case, id=f"vastai: {name}") for name, case in VASTAI.items()),
    *(pytest.param("runpod", case, id=f"runpod: {name}") for name, case in RUNPOD.items()),
]


async def lived(kind: str, case: Case) -> Cloud:
    cloud = Cloud(
        kind,
        scenario=case.steps,
        quirks=case.quirks,
        buy=case.buy,
        of_pool=SMALL,
        of_market=case.of_market,
        policy=POLICY,
    )
    daemon = cloud.begin()
    await cloud.day(daemon)
    last = await cloud.close_down(daemon)
    await last.stop()
    return cloud


async def usd_of_a_calm_day(kind: str, buy: Buy, known: dict[tuple[str, Buy], float]) -> float:
    if (kind, buy) not in known:
        known[kind, buy] = (await lived(kind, Case(buy=buy))).billed()
    return known[kind, buy]


@pytest.fixture(scope="module")
def calm() -> dict[tuple[str, Buy], float]:
    """What a day costs on which nothing goes wrong, by cloud and way of buying, once known."""
    return {}


@pytest.mark.parametrize(("kind", "case"), CASES)
async def test_nothing_is_left_and_nothing_was_billed_unknown(
    kind: str, case: Case, calm: dict[tuple[str, Buy], float]
) -> None:
    expected = await usd_of_a_calm_day(kind, case.buy, calm)
    cloud = await lived(kind, case)
    assert not cloud.rented(), "machines of ours are left at the end, and bill"
    assert cloud.unknown_usd < _CENT
    assert cloud.most_per_token <= 1
    assert cloud.billed() <= expected * case.at_most + _CENT
    assert cloud.booked() >= cloud.billed() - _CENT, "the books say less than the bill: budgets would not hold"
    assert [machine.label for machine in cloud.market.machines.values()] == ["somebody's notebook"]
