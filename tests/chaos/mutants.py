"""Daemons with one rule taken out, to prove that the fault simulation would notice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from functools import partial
from typing import Any
from unittest.mock import patch

from autoscaler.config.schema import PoolSettings
from autoscaler.core import adopt, guards, instance, ledger, orders, settle
from autoscaler.core.decision import Command, Decision
from autoscaler.core.errors import ProviderError
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.ledger import Books, DayLedger
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing
from autoscaler.core.purposes import AtWork
from autoscaler.core.spec import Cap, Deadlines
from autoscaler.core.units import Span
from autoscaler.runtime import accounts, decider, intents, standing
from autoscaler.runtime.ports import Changes, Control, Saved
from autoscaler.store.redis import RedisStore
from tests.chaos.daemon import Parts
from tests.chaos.plan import FROZEN, Blow, Plan
from tests.chaos.ports import ProviderPort

_NEVER_S = 1e9


class _NoConfirmation(RedisStore):
    """Takes every worker for drained and idle."""

    async def read(self) -> Control:
        control = await super().read()
        beats = {name: replace(beat, busy=0, drained=True) for name, beat in control.heartbeats.items()}
        return replace(control, heartbeats=beats)


class _NoFence(RedisStore):
    """Never asks whose the lease is before it acts or writes."""

    def may_act(self) -> bool:
        return True

    async def commit(self, changes: Changes) -> None:
        owner, fence = self._owner, self._lead.fence
        [holder] = await self._exchange.ask(("GET", self._keys.lease))
        if holder:
            self._owner, _, number = holder.decode().rpartition(":")
            self._lead.fence = int(number)
        try:
            await super().commit(changes)
        finally:
            self._owner, self._lead.fence = owner, fence


class _NoIntent(RedisStore):
    """Does not store the intent to rent, and says that it did."""

    async def commit(self, changes: Changes) -> None:
        kept = tuple(record for record in changes.instances if record.phase is not Phase.PLANNED)
        await super().commit(replace(changes, instances=kept))


class _OrdersDropped(RedisStore):
    """Forgets what operators ordered when it takes the lead."""

    async def load(self) -> Saved:
        await self._exchange.ask(("DEL", self._keys.orders))
        return await super().load()


class _FailedListingIsEmpty(ProviderPort):
    """Takes a listing that failed for one that shows nothing."""

    async def list_machines(self) -> Listing:
        asked_at = self._process.now()
        try:
            return await super().list_machines()
        except ProviderError:
            return Listing(asked_at=asked_at, machines=())


class _StrangersIgnored(ProviderPort):
    """Does not see machines that have no record."""

    async def list_machines(self) -> Listing:
        listing = await super().list_machines()
        known = self._ground.redis.records
        return replace(listing, machines=tuple(m for m in listing.machines if m.label.rpartition(".")[2] in known))


def _without_budget(pool: PoolSettings) -> PoolSettings:
    return replace(pool, limits=replace(pool.limits, usd_per_day=Cap(warn=1e6, stop=1e6)))


def _without_limits(pool: PoolSettings) -> PoolSettings:
    return replace(pool, limits=replace(pool.limits, hot=Span(1, 50)))


def _without_deadlines(pool: PoolSettings) -> PoolSettings:
    endless = {phase.name: _NEVER_S for phase in fields(Deadlines)}
    return replace(pool, deadlines=Deadlines(**endless))


def _spoilt(where: object, name: str, instead: object) -> Parts:
    made: Callable[[], AbstractContextManager[object]] = partial(patch.object, where, name, instead)
    return Parts(spoilt=made)


def _owed_in_no_pool(*args: Any) -> list[Command]:
    return [replace(command, pool="-") for command in settle.owed(*args)]


def _as_it_was(decision: Decision, *_: Any) -> Decision:
    return decision


def _mistaken_for_ours(label: str, fleet: str) -> tuple[str, str]:
    return _PARSE(label, fleet) or ("images", label)


def _no_strays(*_: Any) -> Sequence[Command]:
    return []


def _silence(order: orders.Order, _became: str, now: float) -> Entry:
    return Entry(at=now, kind=Kind.OPERATOR, text=f"order given: {order.text}")


def _half_booked(
    books: DayLedger | None, instances: Iterable[Instance], now: float, at_work: AtWork | None, *, later: Books
) -> list[DayLedger]:
    halves = [replace(each, burn_usd_per_hour=each.burn_usd_per_hour / 2) for each in instances]
    return _BOOK(books, halves, now, at_work, later=later)


_BOOK, _PARSE = ledger.book, instance.parse_label


def _dealt(blow: Blow, plan: Plan) -> float:
    return plan.drawn.get(blow, 0)


def _tightness(plan: Plan) -> float:
    """How little may be spent in a day for each machine that may run."""
    return -min(pool.limits.usd_per_day.stop / pool.limits.hot.high for pool in plan.config.pools.values())


SHOWN_BY: Mapping[str, Callable[[Plan], float]] = {
    "writes without a fence": lambda plan: plan.seed in FROZEN,
    "has no budget": _tightness,
    "keeps what belongs to no pool": partial(_dealt, Blow.RELOAD),
    **dict.fromkeys(
        (
            "drops orders when it takes the lead",
            "calls what it owes in a pause",
            "knows no ceiling",
            "goes on at a provider that is evacuated",
            "ends orders and tells nobody",
        ),
        partial(_dealt, Blow.ORDER),
    ),
}
"""How likely a day shows a mutant, where that is known: the likeliest days are lived through first."""

MUTANTS: Mapping[str, tuple[Parts, frozenset[str]]] = {
    "stops without confirmation": (Parts(store=_NoConfirmation), frozenset({"no_job_killed"})),
    "writes without a fence": (Parts(store=_NoFence), frozenset({"one_writer"})),
    "acts before its intent is stored": (Parts(store=_NoIntent), frozenset({"intent_before_effect"})),
    "has no budget": (Parts(pool=_without_budget), frozenset({"budget_held"})),
    "has no limits": (Parts(pool=_without_limits), frozenset({"orders_within_limits"})),
    "never escalates": (Parts(pool=_without_deadlines), frozenset({"no_phase_past_its_deadline"})),
    "believes that a failed listing is empty": (
        Parts(provider=_FailedListingIsEmpty),
        frozenset({"no_job_killed", "no_machine_unknown", "budget_held"}),
    ),
    "sees no strangers": (Parts(provider=_StrangersIgnored), frozenset({"no_machine_unknown"})),
    "drops orders when it takes the lead": (Parts(store=_OrdersDropped), frozenset({"each_order_ends_in_one_way"})),
    "calls what it owes in a pause": (_spoilt(intents, "owed", _owed_in_no_pool), frozenset({"no_call_in_a_pause"})),
    "knows no ceiling": (_spoilt(guards, "ceiling", _as_it_was), frozenset({"nothing_started_above_a_ceiling"})),
    "goes on at a provider that is evacuated": (
        _spoilt(orders.Orders, "evacuation", lambda *_: None),
        frozenset({"nothing_started_where_it_is_evacuated"}),
    ),
    "takes any label for ours": (
        _spoilt(adopt, "parse_label", _mistaken_for_ours),
        frozenset({"foreign_machines_untouched"}),
    ),
    "keeps what belongs to no pool": (
        _spoilt(decider.Decider, "give_up_strays", _no_strays),
        frozenset({"nothing_is_kept_for_a_pool_that_is_gone"}),
    ),
    "ends orders and tells nobody": (
        _spoilt(standing, "order_entry", _silence),
        frozenset({"each_order_ends_in_one_way"}),
    ),
    "books half of the cost": (
        _spoilt(accounts, "book", _half_booked),
        frozenset({"books_cover_the_bill", "budget_held"}),
    ),
}
"""What daemons are made of that lack one rule, and the invariants that notice."""
