"""The page of one simulation."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.core.units import format_duration
from autoscaler.sim.books import Books
from autoscaler.sim.report.events import events_chart
from autoscaler.sim.report.figures import figures
from autoscaler.sim.report.machines import machines_chart
from autoscaler.sim.report.money import phase_chart, placement_chart
from autoscaler.sim.report.page import Section, page
from autoscaler.sim.report.queue import queue_chart
from autoscaler.sim.report.waits import spread_chart, waits_chart
from autoscaler.sim.scenario import PoolScenario, Scenario
from autoscaler.sim.summary import Summary


def simulation_page(scenario: Scenario, books: Books, summary: Summary) -> str:
    """What happened and why, as the text of an HTML file; the same simulation gives the same text."""
    return page(f"{scenario.fleet}: a rehearsal", _subtitle(scenario, books), _sections(books, summary))


def _subtitle(scenario: Scenario, books: Books) -> str:
    pools = (
        f"{each.pool.name}: {each.trace.name if each.trace else 'no jobs'} under {_controller(scenario, each)}"
        for each in scenario.pools
    )
    return f"{'; '.join(pools)} · {format_duration(books.until_s)} · seed {scenario.seed}"


def _controller(scenario: Scenario, pool: PoolScenario) -> str:
    name = pool.pool.name
    return scenario.peers[name][0] if name in scenario.peers else " + ".join(policy for policy, _ in pool.policies)


def _sections(books: Books, summary: Summary) -> Iterator[Section]:
    yield Section(title="", charts=(), html=figures(summary))
    of = {name: f" of {name}" if len(books.pools) > 1 else "" for name in books.pools}
    served = {name: pool for name, pool in books.pools.items() if books.jobs[name]}
    for name, pool in served.items():
        log = books.jobs[name]
        charts = (waits_chart(pool, log, books.until_s), queue_chart(pool, log, books.until_s))
        yield Section(title=f"Jobs{of[name]}", charts=charts)
    decided = events_chart(books)
    yield Section(title="Machines", charts=(machines_chart(books), *((decided,) if decided else ())))
    yield Section(title="Money", charts=(placement_chart(books), phase_chart(books)))
    for name, pool in served.items():
        yield Section(title=f"All waits{of[name]}", charts=(spread_chart(pool, books.jobs[name]),))
