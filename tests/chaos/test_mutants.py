"""The fault simulation can fail: a daemon that lacks one rule is caught within the suite's own seeds."""

from __future__ import annotations

import pytest

from tests.chaos.mutants import MUTANTS, SHOWN_BY
from tests.chaos.plan import FROZEN, SUITE, draw
from tests.chaos.run import live

_QUICK = [plan for seed in (*SUITE, *FROZEN) if (plan := draw(seed)).tick_s == 60.0]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_daemon_that_lacks_one_rule_is_caught(mutant: str) -> None:
    parts, rules = MUTANTS[mutant]
    plans = sorted(_QUICK, key=SHOWN_BY.get(mutant, lambda _: 0.0), reverse=True)
    found = next((lived.finding for plan in plans if (lived := live(plan.seed, parts)).finding), None)
    assert found is not None
    assert found.rule in rules
