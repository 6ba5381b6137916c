"""The fault simulation can fail: a daemon with one rule taken out is caught within the suite's own seeds."""

from __future__ import annotations

import pytest

from tests.chaos.mutants import MUTANTS
from tests.chaos.run import live
from tests.chaos.test_chaos import SEEDS


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_daemon_that_lacks_one_rule_is_caught(mutant: str) -> None:
    parts, rules = MUTANTS[mutant]
    found = (lived.finding for seed in SEEDS if (lived := live(seed, parts)).finding is not None)
    assert next(found).rule in rules
