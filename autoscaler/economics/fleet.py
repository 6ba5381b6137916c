"""Machines: what scenarios cost and can do, what a job costs at each load, how many tenants a machine takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from autoscaler.economics.interval import Interval, exactly, over, ratio
from autoscaler.economics.plan import BusinessPlan, Load, Machine
from autoscaler.economics.tables import Row, Table, Unit


@dataclass(frozen=True, slots=True)
class Kept:
    """A scenario as it is in a month."""

    usd: Interval
    jobs: Interval | None
    """Its capacity; None where nothing is said of jobs."""
    burst_jobs: Interval | None
    """The capacity once everything that stands by runs, too."""


@dataclass(frozen=True, slots=True)
class AtLoad:
    """A scenario at a load, in a month."""

    jobs: Interval
    times: Interval
    """How many of the scenario it takes."""
    usd: Interval
    usd_per_job: Interval | None
    """None where there are no jobs."""


def kept(plan: BusinessPlan, name: str) -> Kept:
    """A scenario: cost = (hot × hourly price + warm × stopped price) × hours, capacity = hot × jobs an hour × hours."""
    scenario = plan.scenarios[name]
    if scenario.machine is None:
        return Kept(scenario.usd_per_month or exactly(0.0), scenario.jobs_per_month, scenario.jobs_per_month)
    machine, hours = plan.machines[scenario.machine], exactly(plan.hours_per_month)
    hot, warm = exactly(scenario.hot), exactly(scenario.warm)
    usd = (hot * machine.usd_per_hour + warm * machine.stopped_usd_per_hour) * hours
    if machine.capacity is None:
        return Kept(usd, None, None)
    return Kept(usd, hot * machine.capacity * hours, (hot + warm) * machine.capacity * hours)


def at_load(scenario: Kept, load: Load) -> AtLoad | None:
    """What jobs cost at a load: the scenario's price, as often as its capacity needs, ÷ jobs. None without capacity."""
    capacity = scenario.jobs
    if capacity is None or capacity.low <= 0.0:
        return None
    if load.jobs is not None:
        wanted = load.jobs
        jobs, times = exactly(wanted), over(lambda can: max(1.0, math.ceil(wanted / can - 1e-9)), capacity)
    else:
        jobs, times = capacity * exactly(load.share or 0.0), exactly(1.0)
    usd = scenario.usd * times
    return AtLoad(jobs, times, usd, ratio(usd, jobs))


def scenarios(plan: BusinessPlan) -> Table:
    """What each scenario costs and can do in a month."""
    rows = []
    for name in plan.scenarios:
        month = kept(plan, name)
        rows.append(Row(name, (month.usd, month.jobs, month.burst_jobs, month.jobs and ratio(month.usd, month.jobs))))
    columns = {"usd_per_month": Unit.USD, "jobs_per_month": Unit.COUNT, "burst_jobs_per_month": Unit.COUNT}
    return Table("scenarios", "Scenarios", columns | {"usd_per_job_full": Unit.USD}, tuple(rows))


def loads(plan: BusinessPlan) -> Table:
    """What a job costs in each scenario at each load."""
    rows, said = [], []
    for name in plan.scenarios:
        month = kept(plan, name)
        for load in plan.loads:
            found = at_load(month, load)
            if found is None:
                continue
            rows.append(Row(f"{name}.{load.text}", (found.jobs, found.times, found.usd, found.usd_per_job)))
            if found.usd_per_job is None:
                said.append(
                    f"{name} at {load.text} does no jobs: there is no cost per job, its price is paid for nothing"
                )
    columns = {"jobs": Unit.COUNT, "times": Unit.COUNT, "usd_per_month": Unit.USD, "usd_per_job": Unit.USD}
    return Table("loads", "Cost per job by load", columns, tuple(rows), tuple(said))


def machines(plan: BusinessPlan) -> Table:
    """What a machine can do in an hour, and what a job on it costs when it always has one."""
    rows = [
        Row(name, (machine.capacity, ratio(machine.usd_per_hour, machine.capacity)))
        for name, machine in plan.machines.items()
        if machine.capacity is not None
    ]
    return Table("machines", "Machines", {"jobs_per_hour": Unit.COUNT, "usd_per_job_full": Unit.USD}, tuple(rows))


def tenants(machine: Machine, ram_gb: float) -> int:
    """How many tenants fit into a machine's memory: ⌊(RAM − reserved) ÷ RAM of one⌋."""
    free_gb = (machine.ram_gb or 0.0) - machine.reserved_ram_gb
    count = max(0, int(free_gb / ram_gb))
    while count and count * ram_gb > free_gb:  # the quotient of floats may have been rounded up
        count -= 1
    return count


def packing(plan: BusinessPlan) -> Table:
    """How many tenants each machine takes, and what one costs in a month: price per hour × hours ÷ tenants."""
    rows, said = [], []
    for name, machine, tenant, ram_gb in _packed(plan):
        fit = over(lambda gb, m=machine: float(tenants(m, gb)), ram_gb)
        usd = ratio(machine.usd_per_hour * exactly(plan.hours_per_month), fit)
        rows.append(Row(f"{name}.{tenant}", (fit, usd)))
        if usd is None:
            said.append(f"{tenant} may not fit into {name} at all: it has no cost per tenant")
    columns = {"tenants": Unit.COUNT, "usd_per_tenant": Unit.USD}
    return Table("packing", "Tenants per machine, by memory", columns, tuple(rows), tuple(said))


def _packed(plan: BusinessPlan) -> Iterator[tuple[str, Machine, str, Interval]]:
    for name, machine in plan.machines.items():
        if machine.ram_gb is not None:
            for tenant, ram_gb in plan.tenant_ram_gb.items():
                yield name, machine, tenant, ram_gb
