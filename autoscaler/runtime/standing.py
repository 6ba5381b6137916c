"""Operators' orders as the leading daemon follows them: dated when it first sees them, ended when they are done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from heapq import nlargest
from operator import itemgetter

from autoscaler.core.fulfilment import World, became, left_at
from autoscaler.core.journal import Entry, order_entry, returned_entry
from autoscaler.core.orders import Order, OrderKind, Orders

_MOST_PAST = 1000
"""Orders that are known again should they come back, the newest: a program may give some each minute for years."""


class StandingOrders:
    """What has become of orders and is not stored yet."""

    def __init__(self) -> None:
        self._dated: dict[str, Order] = {}
        self._ended: dict[str, Order] = {}
        self._emptied: set[str] = set()
        """Names of evacuations that have nothing left to do."""
        self._read: frozenset[tuple[str, float]] = frozenset()
        """The orders in the store as of the last tick, by name and by when they were given."""
        self._past: frozenset[tuple[str, float]] = frozenset()
        """Those that the store had once, and has no more."""
        self._returned: frozenset[tuple[str, float]] = frozenset()
        """Those of them that it has again since this tick."""

    def __bool__(self) -> bool:
        """Whether the store is to be told of anything."""
        return bool(self._dated or self._ended)

    def take(self, given: Sequence[Order], now: float) -> Orders:
        """The orders that were given and have not ended, each with the time when it is over.

        What became of them counts though it is not stored yet: a store may be read for days that takes no writes.
        """
        read = frozenset((order.name, order.at) for order in given)
        self._returned = self._past & read
        past, self._read = (self._past | self._read) - read, read
        self._past = past if len(past) <= _MOST_PAST else frozenset(nlargest(_MOST_PAST, past, key=itemgetter(1)))
        dated = [self._as_dated(order, now) for order in given]
        return Orders(standing=tuple(order for order in dated if self._ended.get(order.name) != order))

    def _as_dated(self, order: Order, now: float) -> Order:
        known = self._dated.get(order.name)
        if known is not None and replace(known, until=None) == order:
            return known
        dated = order.dated(now)
        if dated is not order:
            self._dated[order.name] = dated
        return dated

    def follow(self, orders: Orders, world: World, now: float) -> tuple[Orders, list[Entry]]:
        """The orders that still stand, and what the journal is to be told."""
        ends = {order.name: became(order, world, now) for order in orders.standing}
        standing = tuple(order for order in orders.standing if ends[order.name] is None)
        ended = [order for order in orders.standing if ends[order.name] and world.tells_of(order, now)]
        news = [order_entry(order, str(ends[order.name]), now) for order in ended]
        self._ended |= {order.name: order for order in ended}
        empty = {
            order.name: order
            for order in standing
            if order.kind is OrderKind.EVACUATE and not left_at(order.subject, world.records)
        }
        here = f" in {world.unit.name}" if world.unit.name else ""
        text = f"has nothing left to do{here} and stands until it is withdrawn"
        news += [order_entry(order, text, now) for name, order in empty.items() if name not in self._emptied]
        self._emptied = set(empty)
        returned = [order for order in standing if (order.name, order.at) in self._returned]
        news += [returned_entry(order, now) for order in returned if world.tells_of(order, now)]
        return Orders(standing=standing), news

    def take_unsaved(self) -> tuple[tuple[Order, ...], tuple[Order, ...]]:
        """The orders dated and those ended that are not stored yet; they are taken for stored then."""
        unsaved = tuple(self._dated.values()), tuple(self._ended.values())
        self._dated, self._ended = {}, {}
        return unsaved

    def not_stored(self, dated: Iterable[Order], ended: Iterable[Order]) -> None:
        """Take changes for not stored after all."""
        self._dated = {order.name: order for order in dated} | self._dated
        self._ended = {order.name: order for order in ended} | self._ended
