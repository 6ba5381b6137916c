"""What `status --watch` takes of a fleet of 10,000 machines: to take in a look, to draw it, and to obey a key."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from time import process_time

from rich.console import Console

from autoscaler.cli.watch.keys import press
from autoscaler.cli.watch.screen import draw
from autoscaler.cli.watch.state import Watch
from tests.benchmarks.figures import Figure, percentile
from tests.support.api import JOURNAL, a_machine, a_pool, a_status

_MACHINES, _POOLS, _TIMES = 10_000, 100, 20
_COLUMNS, _LINES = 200, 60
_KEY_MS = 100.0
"""What a person takes for at once (Nielsen, Usability Engineering, 1993, chapter 5)."""


def large_fleet() -> Iterator[Figure]:
    """The slowest of several times, in ms of CPU."""
    pools = [a_pool(f"pool{number}") for number in range(_POOLS)]
    machines = [
        a_machine(f"m{number}", pool=f"pool{number % _POOLS}", usd_spent=number % 97, since_s=number * 7.0 % 9001)
        for number in range(_MACHINES)
    ]
    status, watch = a_status(pools=pools, instances=machines), Watch()
    console = Console(file=io.StringIO(), width=_COLUMNS, height=_LINES)

    def obey(key: str) -> None:
        press(watch, key)
        console.print(draw(watch, _COLUMNS, _LINES))

    def times(act: Callable[[], None]) -> float:
        taken = []
        for _ in range(_TIMES):
            started = process_time()
            act()
            taken.append(1000.0 * (process_time() - started))
        return percentile(taken, 100)

    name = f"watch, {_MACHINES:,} machines"
    yield Figure(what=f"{name}: to take in a look", value=times(lambda: watch.looked(status, JOURNAL * 50)), unit="ms")
    for key, what in (("down", "go down a line"), ("pagedown", "go down a page"), ("s", "sort"), ("p", "pick a pool")):
        yield Figure(what=f"{name}: to {what}", value=times(partial(obey, key)), unit="ms", target=_KEY_MS)
    watch.pool = ""
    press(watch, "/")
    yield Figure(what=f"{name}: to filter", value=times(partial(obey, "m")), unit="ms", target=_KEY_MS)
