# ruff: noqa: E501 - a problem is one line
"""What is wrong with policies for the pool they are for is told with everything else, in one go."""

from __future__ import annotations

import pytest
import yaml

from autoscaler.config import full_yaml, load_config
from autoscaler.core.errors import SettingsError
from tests.support.config import GOOD


def with_policies(text: str) -> str:
    return GOOD.replace("    limits: {hot: 1..6}", f"    limits: {{hot: 1..6}}\n    policies:\n{text.rstrip()}")


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        load_config(text, {})
    return list(refusal.value.problems)


def test_all_mistakes_of_policies_come_together_each_with_what_would_resolve_it() -> None:
    text = """\
      - schedule:
          windows:
            - {cron: 0 25 * * *, lasts: 10h, zone: Europe/Berln, floor: 2}
            - {cron: 0 8 * * *, lasts: 0s, floor: 2}
            - {cron: 0 8 * * *, lasts: 1h, ceiling: 0}
            - {cron: 0 20 * * *, lasts: 3h, floor: 5}
            - {cron: 0 22 * * *, lasts: 3h, ceiling: 3}
      - priority: {rent_above: {gold: 30s}, resume_above: {pro: 2m}}
      - thresholds: {resume_depth: many}
"""
    found = problems(with_policies(text))

    assert [problem.removeprefix("pools.images.policies") for problem in found] == [
        "[0].schedule.windows[0].cron: 0 25 * * * - bad hour; expected minute, hour, day of the month, month and day of the week, such as 0 8 * * 1-5 (line 13)",
        '[0].schedule.windows[0].zone: Europe/Berln - there is no such time zone; did you mean "Europe/Berlin"? (line 13)',
        "[0].schedule.windows[1].lasts: 0s - expected more than 0s and at most 31d (line 14)",
        "[0].schedule.windows[2].ceiling: 0 - below limits.hot (1..6); raise it, or lower the limit and keep it with a floor (line 15)",
        "[0].schedule.windows[3].floor: 5 - above the ceiling (3) of windows[4], which is open at the same time, as on Fri 01 Jan 22:00; the ceiling would stand, so raise it or part the two (line 16)",
        "[1].priority.rent_above.gold: 30s - this pool has no such tier; its tiers: pro (line 18)",
        "[2].thresholds.resume_depth: many - expected a whole number (line 19)",
    ]


def test_a_policy_is_not_held_against_a_pool_that_is_faulty_itself() -> None:
    text = with_policies("      - priority: {rent_above: {gold: 30s}}").replace("key: jobs:pro", "ky: jobs:pro")

    assert not any("gold" in problem for problem in problems(text))


def test_an_entry_that_is_no_policy_does_not_hide_the_mistakes_of_the_others() -> None:
    found = problems(with_policies("      - nothing\n      - priority: {idle_for: 0s}"))

    assert [problem.split(" - ")[0] for problem in found] == [
        "pools.images.policies[0]: nothing",
        "pools.images.policies[1].priority.idle_for: 0s",
    ]


def test_durations_by_tier_are_written_out_as_durations() -> None:
    config = load_config(with_policies("      - priority"), {})
    full = yaml.safe_load(full_yaml(config))

    assert full["pools"]["images"]["policies"][0]["priority"]["resume_above"] == {"premium": "2m"}
    assert load_config(full_yaml(config), {}) == config
