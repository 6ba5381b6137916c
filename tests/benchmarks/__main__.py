"""The command ``python -m tests.benchmarks [PART-OF-A-NAME]``: one line a figure; exit code 1 if a target is missed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Mapping

from rich.console import Console

from autoscaler.telemetry.logging import configure_logging
from tests.benchmarks import (
    api,
    bounds,
    forecast,
    large_fleet,
    long_life,
    process,
    providers,
    queues,
    rehearsal,
    simulation,
    small_fleet,
    soak,
    spread,
    terminal,
)
from tests.benchmarks.figures import Figure

BENCHMARKS: Mapping[str, Callable[[], Iterable[Figure]]] = {
    "small-fleet": small_fleet.tick,
    "large-fleet-core": large_fleet.core,
    "large-fleet-tick": large_fleet.tick,
    "api": api.load,
    "queues-hundred": queues.hundred,
    "queues-million": queues.millions,
    "start": process.start,
    "restart": process.restart,
    "memory": process.memory,
    "rehearsal": rehearsal.tick,
    "providers": providers.beside,
    "forecast": forecast.policy,
    "bounds": bounds.busy_day,
    "simulation": simulation.traces,
    "simulation-linear": simulation.linear,
    "terminal": terminal.large_fleet,
    "long-life": long_life.ticks,
    "spread": spread.large_fleet,
    "soak": soak.hour,
}

LONG = frozenset({"long-life", "soak", "spread"})
"""Those that take up to an hour and are run by name alone."""


def main(part: str = "") -> int:
    """Run the benchmarks whose name holds the part, without one all that end within minutes; gives the exit code."""
    chosen = {n: benchmark for n, benchmark in BENCHMARKS.items() if (part in n if part else n not in LONG)}
    console = Console(highlight=False, width=120)
    if not chosen:
        console.print(f"no benchmark has {part!r} in its name; there are {', '.join(BENCHMARKS)}", markup=False)
        return 2
    configure_logging("json", "error")
    gc.freeze()  # as the daemon does when it has started
    console.print(f"{'benchmark':18}{'figure':72}{'measured':>10}{'at most':>9}", style="bold")
    missed = 0
    for name, benchmark in chosen.items():
        for figure in benchmark():
            console.print(_line(name, figure), style="" if figure.met else "red", markup=False)
            missed += not figure.met
    console.print(f"{missed} missed" if missed else "all targets met", style="red" if missed else "green")
    return 1 if missed else 0


def _line(name: str, figure: Figure) -> str:
    measured = f"{figure.value:,.4g} {figure.unit}"
    if figure.target is None:
        return f"{name:18}{figure.what:72}{measured:>10}"
    verdict = "pass" if figure.met else "FAIL"
    return f"{name:18}{figure.what:72}{measured:>10}{f'{figure.target:g} {figure.unit}':>9}  {verdict}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
