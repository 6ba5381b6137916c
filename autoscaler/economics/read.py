"""Reading a business plan: every problem at once, as in the daemon's own configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from autoscaler.config.document import Problem
from autoscaler.config.load import load_settings
from autoscaler.config.words import suggest
from autoscaler.economics.compute import compute
from autoscaler.economics.jobs import VARIANT_NAMES_TAKEN
from autoscaler.economics.plan import BusinessPlan, JobClass, Machine, Plan, Scenario
from autoscaler.economics.tables import figures_of


def read_plan(source: Path | str, env: Mapping[str, str]) -> BusinessPlan:
    """The plan in a file, or in YAML text.

    Raises:
        SettingsError: the file cannot be read, or something in it is wrong: one line for each problem.
    """
    example = "deploy/economics/template.yaml"
    return load_settings(BusinessPlan, source, env, disagreements=_disagreements, example=example)


def _disagreements(plan: BusinessPlan) -> Iterator[Problem]:
    found = [*_inner_disagreements(plan)]
    yield from found
    if not found:
        figures = figures_of(compute(plan))
        for name in plan.stated:
            if name not in figures:
                yield Problem(("stated", name), _no_figure(name, figures), "unknown figure")


def _inner_disagreements(plan: BusinessPlan) -> Iterator[Problem]:
    for name, machine in plan.machines.items():
        yield from _of_machine(machine, ("machines", name))
    for name, scenario in plan.scenarios.items():
        yield from _of_scenario(scenario, plan, ("scenarios", name))
    if plan.serving is not None:
        yield from _known(plan.serving.scenario, plan.scenarios, ("serving", "scenario"))
    if plan.token_usd and plan.base_rate_usd is None:
        yield Problem(("token_usd",), "expected base_rate_usd, too, which is told in tokens", "")
    for name, offer in plan.plans.items():
        yield from _of_offer(offer, ("plans", name))
    for name, job in plan.job_classes.items():
        yield from _of_job(job, plan, ("job_classes", name))


def _known(name: str, known: Mapping[str, object], path: tuple[str, ...]) -> Iterator[Problem]:
    if name not in known:
        yield Problem(path, f"there is none of that name; {suggest(name, known)}")


def _of_machine(machine: Machine, path: tuple[str, ...]) -> Iterator[Problem]:
    if machine.jobs_per_hour is not None and machine.job_time is not None:
        yield Problem((*path, "job_time"), "jobs_per_hour says the same; expected one of the two")
    if machine.job_time is not None and machine.job_time.low <= 0.0:
        yield Problem((*path, "job_time"), "expected more than 0s")
    if machine.ram_gb is not None and machine.reserved_ram_gb >= machine.ram_gb:
        yield Problem((*path, "ram_gb"), f"expected more than reserved_ram_gb, {machine.reserved_ram_gb:g}")


def _of_scenario(scenario: Scenario, plan: BusinessPlan, path: tuple[str, ...]) -> Iterator[Problem]:
    if scenario.machine is None:
        if scenario.usd_per_month is None:
            yield Problem(path, "expected `machine` with `hot` and `warm`, or `usd_per_month`", "")
        if scenario.hot or scenario.warm:
            yield Problem((*path, "machine"), "expected the kind of machine that `hot` and `warm` count", "missing")
        return
    yield from _known(scenario.machine, plan.machines, (*path, "machine"))
    for name in ("usd_per_month", "jobs_per_month"):
        if getattr(scenario, name) is not None:
            yield Problem((*path, name), "follows from `machine`; expected one of the two")


def _of_offer(offer: Plan, path: tuple[str, ...]) -> Iterator[Problem]:
    if offer.usd_per_extra_job is None and offer.jobs > offer.included_jobs:
        text = f"expected at most included_jobs, {offer.included_jobs:g}, or a price for more in usd_per_extra_job"
        yield Problem((*path, "jobs_per_user"), text)


def _of_job(job: JobClass, plan: BusinessPlan, path: tuple[str, ...]) -> Iterator[Problem]:
    if job.multiplier is not None and plan.base_rate_usd is None:
        yield Problem((*path, "multiplier"), "expected base_rate_usd at the top of the file, which it multiplies")
    if job.multiplier is not None and job.price_usd is not None:
        yield Problem((*path, "price_usd"), "follows from `multiplier`; expected one of the two")
    if job.machine_time is not None:
        yield from _known(job.machine_time.machine, plan.machines, (*path, "machine_time", "machine"))
        if job.machine_time.utilisation == 0.0:
            yield Problem((*path, "machine_time", "utilisation"), "expected more than 0%: idle machines do no job")
    for name in VARIANT_NAMES_TAKEN & set(job.variants):
        yield Problem((*path, "variants", name), "that name is taken by what is computed; expected another one")


def _no_figure(name: str, figures: Mapping[str, object]) -> str:
    """What there is instead: in the same table, or else which tables there are."""
    table = name.partition(".")[0]
    near = [figure for figure in figures if figure.partition(".")[0] == table]
    return suggest(name, near or dict.fromkeys(figure.partition(".")[0] for figure in figures))
