"""Jobs that are sold by the piece: a price list by multipliers, what each class leaves, and quotes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from autoscaler.economics.format import format_figure, format_loss
from autoscaler.economics.interval import ONE, Interval, exactly, margin, ratio, total
from autoscaler.economics.plan import BusinessPlan, JobClass
from autoscaler.economics.tables import Row, Table, Unit

_MEANS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "geometric-mean": lambda values: math.prod(value ** (1.0 / len(values)) for value in values),
    "median": statistics.median,
}


def infra_usd(plan: BusinessPlan, job: JobClass) -> Interval | None:
    """What a job costs in infrastructure: its own figure, and price per hour × hours ÷ slots ÷ utilisation.

    None where nothing is said of it.
    """
    used = job.machine_time
    if used is None:
        return job.infra_usd
    machine, hours = plan.machines[used.machine], Interval(used.time.low, used.time.high) / exactly(3600.0)
    machines = machine.usd_per_hour * hours / exactly(machine.slots * used.utilisation)
    return machines if job.infra_usd is None else job.infra_usd + machines


def price_usd(plan: BusinessPlan, job: JobClass) -> Interval | None:
    """What a job is sold for: multiplier × base rate; None where neither that nor a price is given."""
    if job.multiplier is None:
        return job.price_usd
    return exactly(job.multiplier * (plan.base_rate_usd or 0.0))


def cost_usd(plan: BusinessPlan, job: JobClass) -> Interval | None:
    """All that one job costs; None where nothing is said of it, for that is not nothing."""
    parts = [part for part in (infra_usd(plan, job), job.llm_usd) if part is not None]
    return total(parts) if parts else None


def _as_multiplier(plan: BusinessPlan, usd: Interval | None) -> Interval | None:
    """An amount as a multiple of the base rate; None without one."""
    return None if usd is None or not plan.base_rate_usd else ratio(usd, exactly(plan.base_rate_usd))


def classes(plan: BusinessPlan) -> Table:
    """What each class is sold for, costs and leaves, by the job, and the multiplier at which it leaves nothing."""
    rows, said = [], []
    for name, job in plan.job_classes.items():
        price, cost = price_usd(plan, job), cost_usd(plan, job)
        costs = (infra_usd(plan, job), job.llm_usd)
        if price is None or cost is None:
            rows.append(Row(name, (price, *costs, None, None, _as_multiplier(plan, cost))))
            continue
        profit = price - cost
        rows.append(Row(name, (price, *costs, profit, margin(cost, price), _as_multiplier(plan, cost))))
        if profit.low < 0.0:
            said.append(_loss(plan, name, job, profit, cost))
    columns = {"price_usd": Unit.USD, "infra_usd": Unit.USD, "llm_usd": Unit.USD, "profit_usd": Unit.USD}
    columns |= {"margin": Unit.SHARE, "break_even_multiplier": Unit.NUMBER}
    return Table("classes", "Job classes, per job", columns, tuple(rows), tuple(said))


def _loss(plan: BusinessPlan, name: str, job: JobClass, profit: Interval, cost: Interval) -> str:
    text, lost = format_loss(name, profit)
    text += " a job"
    if job.jobs_per_month:
        text += f", {format_figure(lost * exactly(job.jobs_per_month), Unit.USD)} USD a month"
    text += f": it breaks even at a price of {format_figure(cost, Unit.USD)} USD"
    even = _as_multiplier(plan, cost)
    return text if even is None else f"{text}, a multiplier of {format_figure(even, Unit.NUMBER)}"


def volumes(plan: BusinessPlan) -> Table:
    """What each class that is sold leaves in a month."""
    rows = []
    for name, job in plan.job_classes.items():
        price = price_usd(plan, job)
        cost = cost_usd(plan, job)
        if job.jobs_per_month is None or price is None or cost is None:
            continue
        jobs = exactly(job.jobs_per_month)
        infra, llm = (None if each is None else jobs * each for each in (infra_usd(plan, job), job.llm_usd))
        rows.append(Row(name, (jobs, jobs * price, infra, llm, jobs * (price - cost), margin(cost, price))))
    columns = {"jobs": Unit.COUNT, "revenue_usd": Unit.USD, "infra_usd": Unit.USD, "llm_usd": Unit.USD}
    columns |= {"net_usd": Unit.USD, "margin": Unit.SHARE}
    return Table("volumes", "Job classes, per month", columns, tuple(rows))


def base_rates(plan: BusinessPlan) -> Table:
    """The base rate in tokens, for each price of a token."""
    rows, said = [], []
    for token_usd in plan.token_usd:
        tokens = ratio(exactly(plan.base_rate_usd or 0.0), exactly(token_usd))
        rows.append(Row(f"{token_usd:g}", (tokens,)))
        if tokens is None:
            said.append("a token that is worth nothing buys nothing: there is no base rate in it")
    return Table("base_rates", "Base rate by the price of a token", {"tokens": Unit.NUMBER}, tuple(rows), tuple(said))


def variants(plan: BusinessPlan) -> Table:
    """What a job costs with each variant, and with the mean of them, against the price it is sold for."""
    rows = []
    for name, job in plan.job_classes.items():
        price = price_usd(plan, job)
        for variant, usd in {**job.variants, **_means(job)}.items():
            rows.append(Row(f"{name}.{variant}", (usd, _as_multiplier(plan, usd), price and margin(usd, price))))
    columns = {"cost_usd": Unit.USD, "break_even_multiplier": Unit.NUMBER, "margin": Unit.SHARE}
    return Table("variants", "Job classes by variant, per job", columns, tuple(rows))


def _means(job: JobClass) -> dict[str, Interval]:
    if len(job.variants) < 2:
        return {}
    lows, highs = [each.low for each in job.variants.values()], [each.high for each in job.variants.values()]
    return {name: Interval(mean(lows), mean(highs)) for name, mean in _MEANS.items()}


VARIANT_NAMES_TAKEN = frozenset(_MEANS)
"""What no variant may be called."""


def quotes(plan: BusinessPlan, only: str | None = None) -> Table:
    """The price of each class, and of its variants, that leaves the margin of the plan: cost ÷ (1 − margin).

    Beside it stands what the same percentage gives when it is put on top of the cost, cost × (1 + percentage), for the
    two are often taken for each other: 40 % on top is a margin of 28.6 %.
    """
    rows = []
    if plan.margin is not None:
        rate = exactly(plan.margin)
        for name, job in plan.job_classes.items():
            if only not in (None, name):
                continue
            own = cost_usd(plan, job)
            every = {} if own is None else {name: own}
            for each, cost in (every | {f"{name}.{each}": usd for each, usd in job.variants.items()}).items():
                price = cost / (ONE - rate)
                on_top = cost * (ONE + rate)
                rows.append(Row(each, (cost, price, _as_multiplier(plan, price), on_top, price_usd(plan, job))))
    columns = {"cost_usd": Unit.USD, "usd_at_margin": Unit.USD, "multiplier": Unit.NUMBER, "usd_on_top": Unit.USD}
    share = "" if plan.margin is None else f" with a margin of {100.0 * plan.margin:g} %"
    return Table("quotes", f"Quotes{share}, per job", columns | {"price_usd": Unit.USD}, tuple(rows))
