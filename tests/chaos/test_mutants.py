"""The fault simulation can fail: a daemon that lacks one rule is caught within the suite's own seeds."""

from __future__ import annotations

import pytest

from tests.chaos.mutants import MUTANTS
from tests.chaos.plan import SUITE, draw
from tests.chaos.run import live

_QUICK = [seed for seed in SUITE if draw(seed).tick_s == 60.0]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_daemon_that_lacks_one_rule_is_caught(mutant: str) -> None:
    parts, rules = MUTANTS[mutant]
    found = next((lived.finding for seed in _QUICK if (lived := live(seed, parts)).finding), None)
    assert found is not None
    assert found.rule in rules
