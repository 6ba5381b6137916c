"""The command ``python -m tests.chaos``: live through the days of many seeds, or replay one that failed."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from providers.mock import Fault
from tests.chaos.plan import Blow
from tests.chaos.run import Lived, live

_BATCH = 10


@click.command()
@click.option("--seeds", default=200, show_default=True, help="How many seeds.")
@click.option("--from", "first", default=0, show_default=True, help="The first of them.")
@click.option("--processes", default=1, show_default=True, help="Processes that live through them.")
@click.option("--seed", "one", type=int, help="Replay this seed alone, and show the journal before its failure.")
def main(seeds: int, first: int, processes: int, one: int | None) -> None:
    """Fault simulation: each seed is one day of daemons, Redis, workers and a market in which everything goes wrong.

    Exit code 1 when an invariant did not hold.
    """
    console = Console(highlight=False, soft_wrap=True)
    if one is not None:
        sys.exit(_replay(one, console))
    totals = _Totals()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("seeds", total=seeds)
        for lived in _all(range(first, first + seeds), processes):
            totals.add(lived)
            if lived.finding:
                console.print(str(lived.finding), style="red", markup=False)
            progress.update(task, advance=1, description=f"{totals.failed} failed")
    console.print(totals.table())
    sys.exit(1 if totals.failed else 0)


def _replay(seed: int, console: Console) -> int:
    lived = live(seed)
    console.print(lived.plan, markup=False)
    if lived.finding is None:
        console.print(f"seed {seed}: every invariant held", style="green")
        return 0
    for line in lived.finding.journal:
        console.print(line, markup=False)
    console.print(str(lived.finding), style="red", markup=False)
    return 1


def _all(seeds: range, processes: int) -> Iterator[Lived]:
    """Every seed's day, as it ends."""
    if processes == 1:
        yield from map(live, seeds)
        return
    with ProcessPoolExecutor(processes) as pool:
        batches = [seeds[start : start + _BATCH] for start in range(0, len(seeds), _BATCH)]
        for done in as_completed([pool.submit(_batch, batch) for batch in batches]):
            yield from done.result()


def _batch(seeds: range) -> list[Lived]:
    return [live(seed) for seed in seeds]


class _Totals:
    """What was drawn, and what came of it."""

    def __init__(self) -> None:
        self.seeds = self.failed = self.served = self.rented = 0
        self._drawn: Counter[str] = Counter()

    def add(self, lived: Lived) -> None:
        """Count one seed."""
        self.seeds += 1
        self.failed += lived.finding is not None
        self.served += lived.served
        self.rented += lived.rented
        self._drawn.update(lived.plan.drawn)

    def table(self) -> Table:
        """All of it, for people."""
        title = f"{self.seeds} days, {self.failed} failed; {self.rented} machines rented, {self.served} jobs served"
        table = Table(title=title, title_justify="left")
        table.add_column("fault of the market")
        table.add_column("seeds", justify="right")
        table.add_column("blow")
        table.add_column("times", justify="right")
        blows = [(str(blow), str(self._drawn[blow])) for blow in Blow]
        for number, fault in enumerate(Fault):
            blow = blows[number] if number < len(blows) else ("", "")
            table.add_row(str(fault), str(self._drawn[fault]), *blow)
        return table


if __name__ == "__main__":
    main()
