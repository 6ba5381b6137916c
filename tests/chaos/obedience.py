"""Whether daemons do what operators order, from the first tick on that reads it, and tell what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from autoscaler.core.decision import Action
from autoscaler.core.orders import Order, OrderKind
from tests.chaos.ports import Call, Commit, Standing
from tests.chaos.world import World

_STARTS = frozenset({Action.RENT, Action.RESUME})
_ENDS = frozenset({Action.STOP, Action.RELEASE})


class Obedience:
    """The invariants about orders, and what they remember from one step to the next."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._epoch = self._lines = 0
        self._stood: dict[str, Order] = {}
        self._became: dict[str, set[str]] = {}
        """How each order ended, by its number."""

    @property
    def checks(self) -> tuple[Callable[[], str | None], ...]:
        """All of them."""
        return (
            self.no_job_killed,
            self.no_call_in_a_pause,
            self.nothing_started_above_a_ceiling,
            self.nothing_started_where_it_is_evacuated,
            self.foreign_machines_untouched,
            self.each_order_ends_in_one_way,
        )

    def no_job_killed(self) -> str | None:
        """No machine is ended that has a job in hand, save where an operator gave its jobs up."""
        given_up = {order.subject for order in self._world.ground.ever if order.lose_jobs}
        for call in self._world.ground.calls:
            names = {f"mock/{call.machine}", call.intent.id if call.intent else ""}
            if call.action in _ENDS and call.busy and not names & given_up:
                return f"{call.busy} jobs were in hand on {call.machine}, and {call.owner} called {call.action}"
        return None

    def no_call_in_a_pause(self) -> str | None:
        """While a pause stands nothing is called for its pool, from the tick on that could read it."""
        for call in self._world.ground.calls:
            for order in self._seen(OrderKind.PAUSE, call):
                if order.subject in ("", call.pool):
                    return (
                        f"{call.owner} called {call.action} {call.machine} of {call.pool}; there stands: {order.text}"
                    )
        return None

    def nothing_started_above_a_ceiling(self) -> str | None:
        """No machine is rented, resumed or taken back from a drain for a pool that has as many as were ordered."""
        world = self._world
        for commit in world.ground.commits:
            if commit.at <= world.healed_at:
                continue
            ceilings = {order.subject: order for order in self._seen(OrderKind.CEILING, commit)}
            for pool, ordered in commit.ordered.items():
                order = ceilings.get(pool) or ceilings.get("")
                if order is not None and order.count is not None and commit.up[pool] > order.count:
                    text = f"{', '.join(ordered)} ordered, which makes {commit.up[pool]} machines up for {pool}"
                    return f"{text}; there stands: {order.text}"
        return None

    def nothing_started_where_it_is_evacuated(self) -> str | None:
        """A provider that is evacuated gets no rent and no resume."""
        for call in self._world.ground.calls:
            for order in self._seen(OrderKind.EVACUATE, call):
                if call.action in _STARTS and order.subject == "mock":
                    return f"{call.owner} called {call.action} {call.machine}; there stands: {order.text}"
        return None

    def foreign_machines_untouched(self) -> str | None:
        """Machines without our label stay as they are, save those that an operator had us adopt."""
        world = self._world
        adopted = {order.subject for order in world.ground.ever if order.kind is OrderKind.ADOPT}
        foreign = {f"foreign-{number}" for number, _ in enumerate(world.plan.market.foreign, start=1)}
        foreign = {name for name in foreign if f"mock/{name}" not in adopted}
        touched = [call for call in world.ground.calls if call.machine in foreign]
        if touched:
            return f"{touched[0].owner} called {touched[0].action} {touched[0].machine}, which is not ours"
        gone = foreign - world.market.machines.keys()
        return f"{', '.join(sorted(gone))} of somebody else is gone" if gone else None

    def each_order_ends_in_one_way(self) -> str | None:
        """An order that stands no more was replaced, or the journal says how it ended; and then it stands no more."""
        ground = self._world.ground
        if ground.epoch != self._epoch:
            self._epoch, self._lines, self._stood = ground.epoch, 0, {}
            self._became.clear()
            self._lines, _ = ground.redis.words_of_operators(self._lines)
        self._lines, entries = ground.redis.words_of_operators(self._lines)
        for entry in entries:
            became, _, about = entry.text.removeprefix("order ").partition(": ")
            if became != "given" and not became.startswith("has nothing left to do"):
                self._became.setdefault(_number(about), set()).add(became)
        standing = {name: each.order for name, each in ground.standing.items()}
        before, self._stood = self._stood, standing
        for name, order in before.items():
            if standing.get(name) != order and name not in standing and not self._became.get(_number(order.text)):
                return f"nothing tells what became of the order: {order.text}"
        for order in standing.values():
            if ways := self._became.get(_number(order.text)):
                return f"it stands, and the journal says that it {', '.join(sorted(ways))}: {order.text}"
        twice = next(((number, ways) for number, ways in self._became.items() if len(ways) > 1), None)
        return f"order {twice[0]} ended in several ways: {', '.join(sorted(twice[1]))}" if twice else None

    def _seen(self, kind: OrderKind, by: Call | Commit) -> Iterator[Order]:
        """Orders of a kind that stand, and that whoever called or wrote had read."""
        return (each.order for each in self._standing() if each.order.kind is kind and each.since < by.saw_orders_at)

    def _standing(self) -> list[Standing]:
        return [*self._world.ground.standing.values()]


def _number(text: str) -> str:
    return text.rpartition("no. ")[2]
