"""A plan is read as the configuration is: every problem at once, each with its place, value and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.core.errors import SettingsError
from autoscaler.economics.read import read_plan


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        read_plan(text, {})
    return str(raised.value).splitlines()


def test_every_value_that_makes_no_sense_is_told_at_once() -> None:
    text = """
machines:
  gpu: {usd_per_hour: cheap, jobs_per_hour: 0, slots: none, gpus: 3}
scenarios:
  small: {machine: gpu, hot: -1}
loads: [120%, x]
plans:
  starter: {usd_per_month: 5..9}
job_classes:
  prompt: {llm_usd: -1, machine_time: {machine: gpu, time: 5, utilisation: 140%}}
margin: 100%
stated: {a.b.c: roughly}
currency: EUR
"""
    amount = "expected a number: 0, or from 1e-12 to 1e+15, or a range such as 200..400"
    assert problems(text) == [
        f"machines.gpu.usd_per_hour: cheap - {amount} (line 3)",
        "machines.gpu.jobs_per_hour: 0 - expected more than 0 (line 3)",
        "machines.gpu.slots: none - expected a whole number (line 3)",
        (
            "machines.gpu.gpus: unknown key - expected usd_per_hour, stopped_usd_per_hour, jobs_per_hour, job_time, "
            "slots, ram_gb or reserved_ram_gb (line 3)"
        ),
        "scenarios.small.hot: -1 - expected 0 or more (line 5)",
        (
            "loads[0]: 120% - expected at most 100%; what is beyond the capacity is written in jobs a month, "
            "such as 45000 (line 6)"
        ),
        "loads[1]: x - expected a share of the capacity such as 30%, or jobs a month such as 45000 (line 6)",
        "plans.starter.usd_per_month: 5..9 - expected a number: 0, or from 1e-12 to 1e+15 (line 8)",
        (
            "job_classes.prompt.machine_time.time: 5 - expected a range of durations such as 30m..60m, one duration "
            "for exactly that, or measured ones such as [95s, 2m, 400s] (line 10)"
        ),
        "job_classes.prompt.machine_time.utilisation: 140% - expected at most 100% (line 10)",
        f"job_classes.prompt.llm_usd: -1 - {amount} (line 10)",
        "margin: 100% - expected less than 100%: at that margin nothing may be left for the cost (line 11)",
        "stated['a.b.c']: roughly - expected a figure such as 290, ~290, 43%, 350..400, 1000.. or ..0 (line 12)",
        (
            "currency: unknown key - expected hours_per_month, machines, tenant_ram_gb, scenarios, loads, serving, "
            "fixed_usd_per_month, per_user_usd_per_month, plans, scales, base_rate_usd, token_usd, job_classes, "
            "margin or stated (line 13)"
        ),
    ]


def test_every_value_that_does_not_fit_to_another_is_told_at_once() -> None:
    text = """
machines:
  gpu: {usd_per_hour: 1, jobs_per_hour: 5, job_time: 3s, ram_gb: 4, reserved_ram_gb: 4}
  slow: {usd_per_hour: 1, job_time: 0s..3s}
scenarios:
  lost:  {machine: gpi, hot: 1}
  both:  {machine: gpu, usd_per_month: 5, jobs_per_month: 5}
  empty: {}
  counted: {usd_per_month: 5, hot: 1}
serving: {scenario: small, load: 50%}
plans:
  p: {included_jobs: 5, jobs_per_user: 6}
token_usd: [1]
job_classes:
  a: {multiplier: 5, price_usd: 5, variants: {mean: 1}}
  b: {machine_time: {machine: cpu, time: 5s, utilisation: 0%}}
"""
    assert problems(text) == [
        "machines.gpu.job_time: 3s - jobs_per_hour says the same; expected one of the two (line 3)",
        "machines.gpu.ram_gb: 4 - expected more than reserved_ram_gb, 4 (line 3)",
        "machines.slow.job_time: 0s..3s - expected more than 0s (line 4)",
        'scenarios.lost.machine: gpi - there is none of that name; did you mean "gpu"? (line 6)',
        "scenarios.both.usd_per_month: 5 - follows from `machine`; expected one of the two (line 7)",
        "scenarios.both.jobs_per_month: 5 - follows from `machine`; expected one of the two (line 7)",
        "scenarios.empty: expected `machine` with `hot` and `warm`, or `usd_per_month` (line 8)",
        "scenarios.counted.machine: missing - expected the kind of machine that `hot` and `warm` count (line 9)",
        "serving.scenario: small - there is none of that name; expected lost, both, empty or counted (line 10)",
        (
            "plans.p.jobs_per_user: 6 - expected at most included_jobs, 5, or a price for more in usd_per_extra_job "
            "(line 12)"
        ),
        "token_usd: expected base_rate_usd, too, which is told in tokens (line 13)",
        "job_classes.a.multiplier: 5 - expected base_rate_usd at the top of the file, which it multiplies (line 15)",
        "job_classes.a.price_usd: 5 - follows from `multiplier`; expected one of the two (line 15)",
        "job_classes.a.variants.mean: 1 - that name is taken by what is computed; expected another one (line 15)",
        'job_classes.b.machine_time.machine: cpu - there is none of that name; did you mean "gpu"? (line 16)',
        "job_classes.b.machine_time.utilisation: 0% - expected more than 0%: idle machines do no job (line 16)",
    ]


def test_a_stated_figure_that_there_is_not_is_told_with_the_nearest() -> None:
    text = """
scenarios: {small: {usd_per_month: 290, jobs_per_month: 1000}}
stated: {scenarios.small.usd_per_mont: 290, fleets.small: 5}
"""
    assert problems(text) == [
        (
            "stated['scenarios.small.usd_per_mont']: unknown figure - "
            'did you mean "scenarios.small.usd_per_month"? (line 3)'
        ),
        "stated['fleets.small']: unknown figure - expected scenarios (line 3)",
    ]


def test_a_plan_without_anything_to_compute_is_read() -> None:
    assert read_plan("hours_per_month: 730", {}).machines == {}


def test_a_value_may_come_from_the_environment() -> None:
    assert read_plan("hours_per_month: ${HOURS}", {"HOURS": "730"}).hours_per_month == 730.0


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_plan(tmp_path / "plan.yaml", {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty; deploy/economics/template.yaml shows what belongs there"),
        ("- 1", "the file: a list - expected a mapping of keys and values (line 1)"),
        ("just text", "the file: just text - expected a mapping of keys and values (line 1)"),
        ("plans: 5", "plans: 5 - expected a mapping of keys and values (line 1)"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, said: str) -> None:
    assert problems(text) == [said]


def test_a_month_has_hours() -> None:
    assert problems("hours_per_month: 0") == ["hours_per_month: 0 - expected more than 0 (line 1)"]


def test_a_strangers_plan_is_told_off_without_what_it_had_read(tmp_path: Path) -> None:
    (secret := tmp_path / "key").write_text("a-secret-of-somebody")
    plan = f"hours_per_month: ${{file:{secret}}}\nserving: {{scenario: '${{KEY}}', load: '${{KEY}}'}}\n"
    with pytest.raises(SettingsError) as refused:
        read_plan(plan, {"KEY": "a-secret-of-somebody"})
    assert "load: ${KEY} - expected" in str(refused.value)
    assert "a-secret-of-somebody" not in str(refused.value)
