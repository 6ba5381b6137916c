"""Days on each cloud, with all that it does to its customers.

A day is a rush, a pause in which machines stop, a second rush out of WARM, and the end, when the pool may have no
machine any more and all are given back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from autoscaler.core.spec import Buy, Deadlines, Limits, MachineSpec, Placement
from autoscaler.core.units import DurationRange, Span
from policies.thresholds import Thresholds
from providers.mock import Fault, Operation, Step
from providers.pace import Paced
from tests.clouds.invariants import Rule, broken
from tests.support.cloud import NOTEBOOK, Around, Cloud, Line

RENT, RESUME, STOP, RELEASE, LIST = (
    Operation.RENT,
    Operation.RESUME,
    Operation.STOP,
    Operation.RELEASE,
    Operation.LIST,
)
CLOUDS = ("vastai", "runpod")
POLICY = Thresholds(resume_depth=10, rent_depth=30, idle_depth=3, idle_for=300.0, release_after=600.0)
SMALL: dict[str, Any] = {
    "limits": Limits(hot=Span(0, 2), warm=Span(0, 1)),
    "deadlines": Deadlines(booting=600.0, stopping=300.0),
}
CHEAP: dict[str, Any] = {"placements": (Placement(provider="vastai", max_usd_per_hour=0.5),)}
LARGE: dict[str, Any] = {"machine": MachineSpec(image="worker:1", gpus=("RTX 4090",), disk_gb=600.0)}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What goes wrong during a day."""

    steps: tuple[Step, ...] = ()
    quirks: tuple[str, ...] = ()
    buy: Buy = "on_demand"
    of_market: dict[str, Any] = field(default_factory=dict)
    of_pool: dict[str, Any] = field(default_factory=dict)
    at_most: float = 1.4
    """What the day may cost, as a multiple of one on which nothing goes wrong: what is left to rent may be dearer."""
    serves: float = 0.5
    """How much must be served at least, as a share of such a day."""


def made_unseen(fault: Fault) -> Case:
    """The first create is struck, and its machine is listed a minute late."""
    return Case(steps=(Step(fault=fault, call=RENT), Step(fault=Fault.LISTED_LATE, call=RENT)))


def unclear_while(fault: Fault) -> Case:
    """The answer to the first create is lost, and listings go wrong in the first five minutes."""
    return Case(steps=(Step(fault=Fault.ANSWER_LOST, call=RENT), Step(fault=fault, call=LIST, until=300.0)))


def first(fault: Fault, call: Operation | None = None, *, times: int = 1) -> Case:
    return Case(steps=(Step(fault=fault, call=call, times=times),))


ANYWHERE = {
    "nothing goes wrong": Case(),
    "machines have large disks": Case(of_pool=LARGE),
    "the answer to a create is lost": first(Fault.ANSWER_LOST, RENT),
    "the answers to two creates are lost": first(Fault.ANSWER_LOST, RENT, times=2),
    "the answer to a create is lost, and its machine listed late": made_unseen(Fault.ANSWER_LOST),
    "the answer to a create is lost while listings break off": unclear_while(Fault.LISTS_HALF),
    "the answer to a create is lost while listings fail": unclear_while(Fault.LISTING_FAILS),
    "a create is lost on its way": first(Fault.REQUEST_LOST, RENT),
    "a create hangs": first(Fault.HANGS, RENT),
    "a create hangs, and the machine was made": first(Fault.ANSWER_HANGS, RENT),
    "a create answers with an error, and the machine was made": made_unseen(Fault.PARTIAL_LAUNCH),
    "a create answers 400 without a word, and the machine was made": made_unseen(Fault.REFUSED_YET_MADE),
    "a machine comes dearer than was offered": first(Fault.DEARER, RENT),
    "an offer is gone": first(Fault.OFFER_GONE, RENT),
    "a create is refused for money": first(Fault.FUNDS_REFUSED, RENT),
    "a new machine is listed late": first(Fault.LISTED_LATE, RENT),
    "a boot never ends": first(Fault.BOOT_HANGS, RENT),
    "a container crashes as it starts": Case(steps=(Step(fault=Fault.CRASH_LOOP, call=RENT),), serves=0.9),
    "a resume is refused": first(Fault.RESUME_REFUSED, RESUME),
    "a resume is refused for ever": first(Fault.RESUME_NEVER, RESUME),
    "a refused resume stays in the queue": first(Fault.RESUME_QUEUED, RESUME),
    "a machine comes back without a GPU": first(Fault.ZERO_GPU, RESUME),
    "the answer to a resume is lost": first(Fault.ANSWER_LOST, RESUME),
    "a stop is answered and not done": first(Fault.STOP_IGNORED, STOP),
    "a stop is refused ten times": first(Fault.UNAVAILABLE, STOP, times=10),
    "the answer to a stop is lost": first(Fault.ANSWER_LOST, STOP),
    "a release is answered and not done": first(Fault.RELEASE_IGNORED, RELEASE, times=3),
    "a release is refused again and again": Case(steps=(Step(fault=Fault.RATE_LIMITED_SILENT, call=RELEASE, times=6),)),
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
    "searches ignore their bounds, and all there is is too dear": Case(
        quirks=("ignores_bounds",), of_pool=CHEAP, at_most=0.0, serves=0.0
    ),
    "an account has thirty machines more": Case(
        steps=(Step(fault=Fault.ANSWER_LOST, call=RENT),),
        quirks=("minimum_intervals",),
        of_market={"foreign": (NOTEBOOK,) * 30},
    ),
    "the day's searches are used up": Case(quirks=("search_quota_spent",), at_most=0.0, serves=0.0),
    "a taken offer is a 400": Case(steps=(Step(fault=Fault.OFFER_GONE, call=RENT),), quirks=("ask_gone_is_400",)),
    "every create says that it failed and was made": Case(quirks=("create_says_failed",), at_most=0.1, serves=0.0),
    "no create says what it made": Case(quirks=("create_has_no_id",)),
    "a create says that it failed, and not what it made": Case(
        steps=(Step(fault=Fault.LISTED_LATE, call=RENT),), quirks=("create_says_failed", "create_has_no_id")
    ),
    "every machine is on another host than was agreed": Case(quirks=("wrong_machine",), at_most=0.1, serves=0.0),
    "what is gone is a 404": Case(quirks=("gone_is_404",)),
    "started machines show exited until they run": Case(quirks=("exited_lingers",), serves=0.97),
    "machines are frozen, and bill": Case(quirks=("frozen",), at_most=0.5, serves=0.0),
    "running machines show a word of no document": Case(quirks=("status_new",), at_most=0.5, serves=0.0),
    "hosts send no heartbeat": Case(quirks=("status_unknown",), at_most=0.5, serves=0.0),
    "containers end as soon as they run": Case(quirks=("container_exited",), at_most=0.5, serves=0.0),
    "an outbid machine looks like a queued one": Case(
        steps=(Step(fault=Fault.OUTBID, at=1000.0),), quirks=("outbid_still_intended",), buy="spot"
    ),
    "contracts end within the hour": Case(quirks=("short_contracts",)),
    "every host asks for more": Case(quirks=("price_increase_pending",), at_most=1.05),
    "endpoints refuse what comes too soon": Case(quirks=("minimum_intervals",)),
    "lost answers are pages of a gateway": Case(
        steps=made_unseen(Fault.ANSWER_LOST).steps, quirks=("gateway_times_out",)
    ),
    "fields are null that no document says can be": Case(quirks=("nulls",)),
}

RUNPOD = {
    "the listing has no pages": Case(quirks=("no_pagination",)),
    "the listing has pages of two": Case(quirks=("short_pages",)),
    "the answer to a create is lost while listings break off, and two machines are wanted": replace(
        unclear_while(Fault.LISTS_HALF), of_pool={"limits": Limits(hot=Span(2, 2), warm=Span(0, 1))}
    ),
    "the listing has pages of two, three machines are wanted, and the answer to a create is lost": Case(
        steps=(Step(fault=Fault.ANSWER_LOST, call=RENT),),
        quirks=("short_pages",),
        of_pool={"limits": Limits(hot=Span(3, 3), warm=Span(0, 1))},
    ),
    "a create answers with the id of a pod that never comes to be": Case(quirks=("never_lists",)),
    "errors are web pages": Case(steps=(Step(fault=Fault.UNAVAILABLE, call=RENT),), quirks=("html_errors",)),
    "a full host is a 500": Case(steps=(Step(fault=Fault.RESUME_REFUSED, call=RESUME),), quirks=("host_full_500",)),
    "answers look as in the specification's examples": Case(quirks=("example_shapes",)),
    "the catalogue has prices of a cloud that does not sell": Case(quirks=("unsold_prices",)),
    "every pod exits at once": Case(quirks=("exits_at_once",), at_most=0.1, serves=0.0),
    "GraphQL is gone": Case(quirks=("graphql_gone",)),
    "GraphQL is gone where spot is wanted": Case(quirks=("graphql_gone",), buy="spot", at_most=0.0, serves=0.0),
    "spot is gone": Case(quirks=("spot_gone",), buy="spot", at_most=0.0, serves=0.0),
    "GraphQL tells no balance": Case(quirks=("balance_gone",)),
}

OF = {"vastai": ANYWHERE | VASTAI, "runpod": ANYWHERE | RUNPOD}
"""The days of each cloud by name."""


async def lived(kind: str, case: Case, *, line: Line = Paced, around: Around | None = None) -> Cloud:
    """A cloud after such a day."""
    cloud = Cloud(
        kind,
        scenario=case.steps,
        quirks=case.quirks,
        buy=case.buy,
        of_pool=SMALL | case.of_pool,
        of_market=case.of_market,
        policy=POLICY,
        line=line,
        around=around,
    )
    daemon = cloud.begin()
    await cloud.day(daemon)
    await cloud.close_down(daemon)
    return cloud


class Calm:
    """What a day costs and serves on which nothing goes wrong."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, float]] = {}

    async def of(self, kind: str, case: Case) -> tuple[float, float]:
        """USD and machine-seconds, at the same vendor, bought the same way and for the same pool."""
        calm = Case(buy=case.buy, of_pool={} if case.serves == 0.0 else case.of_pool)
        name = f"{kind} {calm}"
        if name not in self._known:
            cloud = await lived(kind, calm)
            self._known[name] = cloud.billed(), cloud.served_s
        return self._known[name]


async def broken_on(kind: str, case: Case, calm: Calm, **client: Any) -> frozenset[Rule]:
    """The rules that a client broke on such a day."""
    usd, served_s = await calm.of(kind, case)
    cloud = await lived(kind, case, **client)
    return broken(cloud, most_usd=usd * case.at_most, least_served_s=served_s * case.serves)
