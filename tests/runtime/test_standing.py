"""What becomes of orders while the store can be read and takes no writes."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.core.fulfilment import World
from autoscaler.core.journal import Kind
from autoscaler.core.orders import Order, OrderKind
from autoscaler.runtime.standing import StandingOrders
from tests.support.build import NOW, instance

WORLD = World(records=(), listings={})
FLOOR = Order(kind=OrderKind.FLOOR, by="ada", at=NOW, count=2, for_s=60.0)


def tick(orders: StandingOrders, given: Order, now: float) -> tuple[int, int]:
    """Orders that stand, and news of them, in a tick whose changes cannot be stored."""
    standing, news = orders.follow(orders.take((given,), now), WORLD, now)
    dated, ended = orders.take_unsaved()
    orders.not_stored(dated, ended)
    return len(standing.standing), len(news)


def test_an_order_is_over_in_time_and_told_once_though_nothing_can_be_stored() -> None:
    orders = StandingOrders()

    ticks = [tick(orders, FLOOR, NOW + 10.0 * n) for n in range(20)]

    assert ticks == [(1, 0)] * 6 + [(0, 1)] + [(0, 0)] * 13
    over = FLOOR.dated(NOW)
    assert orders.take_unsaved() == ((over,), (over,))


def test_an_order_in_the_place_of_one_that_ended_stands() -> None:
    orders = StandingOrders()
    tick(orders, FLOOR, NOW)
    tick(orders, FLOOR, NOW + 60.0)
    newer = Order(kind=OrderKind.FLOOR, by="bob", at=NOW + 65.0, count=2, for_s=60.0)

    assert tick(orders, newer, NOW + 70.0) == (1, 0)
    assert tick(orders, newer, NOW + 125.0) == (1, 0)
    assert tick(orders, newer, NOW + 130.0) == (0, 1)


def test_an_evacuation_tells_each_time_that_nothing_is_left_to_do() -> None:
    orders, evacuate = StandingOrders(), Order(kind=OrderKind.EVACUATE, subject="mock", by="ada", at=NOW)
    found = World(records=(instance(),), listings={})

    told = [
        len(orders.follow(orders.take((evacuate,), NOW), world, NOW)[1])
        for world in (WORLD, WORLD, found, WORLD, WORLD)
    ]

    assert told == [1, 0, 0, 1, 0]


def test_of_the_orders_of_years_the_newest_are_known_again() -> None:
    orders = StandingOrders()
    given = [replace(FLOOR, at=NOW + n, for_s=None) for n in range(3000)]
    for order in given:
        orders.take((order,), NOW)
    orders.take((), NOW)

    assert [len(orders.follow(orders.take((order,), NOW), WORLD, NOW)[1]) for order in (given[0], given[-1])] == [0, 1]


def test_an_order_that_comes_back_with_an_older_store_is_told_once_and_stands() -> None:
    orders, pause = StandingOrders(), Order(kind=OrderKind.PAUSE, subject="images", by="ada", at=NOW)
    again = replace(pause, at=NOW + 300.0)
    read = [(pause,), (), (again,), (again,), (pause,), (pause,), (), (pause,)]

    ticks = [orders.follow(orders.take(given, NOW), WORLD, NOW) for given in read]

    assert [len(news) for _, news in ticks] == [0, 0, 0, 0, 1, 0, 0, 1]
    [alarm] = ticks[4][1]
    assert alarm.kind is Kind.ALARM
    assert "if it is not wanted: autoscaler withdraw pause:images FILE" in alarm.text
    assert all(stand.standing == given for (stand, _), given in zip(ticks, read, strict=True))
