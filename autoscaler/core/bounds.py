"""The guards that speak for an operator: a floor, a ceiling, a pause.

A ceiling comes after the limits, a floor before them, pace and budget after both: an order never lets more run than
limits and money allow, it may let fewer run than the limits ask for, and a ceiling goes before a floor.
"""

from __future__ import annotations

from dataclasses import replace

from autoscaler.core.decision import Decision
from autoscaler.core.orders import OrderKind
from autoscaler.core.snapshot import PoolSnapshot


def floor(decision: Decision, snapshot: PoolSnapshot, now: float) -> Decision:
    """At least as many machines as an operator has ordered.

    They are as urgent as the most urgent tier: that the budget's warning is reached does not give them up.
    """
    order = snapshot.orders.of_pool(OrderKind.FLOOR, snapshot.pool.name)
    if order is None or order.count is None:
        return decision
    least = order.count
    text = f"{decision.hot} wanted, at least {least} ordered {order.source(now)}"
    needs = tuple((tier, max(count, least)) for tier, count in decision.needs)
    return decision.because("order.floor", text, hot=max(decision.hot, least), needs=needs)


def ceiling(decision: Decision, snapshot: PoolSnapshot, now: float) -> Decision:
    """At most as many machines as an operator has ordered, be it fewer than the limits ask for."""
    order = snapshot.orders.of_pool(OrderKind.CEILING, snapshot.pool.name)
    if order is None or order.count is None:
        return decision
    most = order.count
    text = f"{decision.hot} wanted, at most {most} ordered {order.source(now)}"
    return decision.because("order.ceiling", text, hot=min(decision.hot, most), ceiling=min(decision.ceiling, most))


def pause(decision: Decision, snapshot: PoolSnapshot, now: float) -> Decision:
    """Nothing at all while an operator has paused the fleet or the pool."""
    order = snapshot.orders.pause(snapshot.pool.name)
    if order is None:
        return decision
    text = f"paused {order.source(now)}: nothing is done until `autoscaler unpause`"
    return replace(decision.because("paused", text), hold_down=True, hold_up=True)
