"""From commands to intents, the records that say what is to be done, and to the calls that follow from these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from autoscaler.core.decision import Action, Command
from autoscaler.core.instance import Instance
from autoscaler.core.journal import command_entry
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Orders
from autoscaler.core.settle import CALLED_AT_ONCE, begin, begin_rent, owed
from autoscaler.core.spec import Pool
from autoscaler.runtime.fleet import Fleet

Call = tuple[Command, Instance]
"""What is to be called, and the record that is its intent."""


def intend(
    fleet: Fleet, commands: Iterable[Command], pools: Mapping[str, Pool], token: Callable[[], str], now: float
) -> list[Call]:
    """Move records into the phases that commands ask for; gives the calls that no phase owes."""
    calls = []
    for command in commands:
        fleet.note(command_entry(command, now))
        if command.action is Action.RENT:
            record = begin_rent(command, pools[command.pool], token(), now)
        else:
            record = begin(command, fleet.instances[str(command.instance)], now)
        if command.action in CALLED_AT_ONCE:
            calls.append((command, record))
        fleet.put(record, now, ordered=True)
    return calls


def due(fleet: Fleet, calling: frozenset[str], busy: Mapping[str, int], orders: Orders, now: float) -> list[Call]:
    """The calls that records owe now, save in pools that are paused."""
    commands = owed(fleet.instances.values(), calling, orders.protected(busy, fleet.instances), now)
    return [(each, fleet.instances[str(each.instance)]) for each in commands if orders.pause(each.pool) is None]


def take_back(fleet: Fleet, calls: Sequence[Call], now: float) -> None:
    """Rent nothing of this: the intents could not be stored. What records owe, they go on owing."""
    for command, record in calls:
        if command.action is Action.RENT:
            fleet.put(record.moved(Phase.GONE, now, "not rented: its intent could not be stored"), now)
