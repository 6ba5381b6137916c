"""A hundred days of a daemon in which everything goes wrong that may."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from providers.mock import Fault
from tests.chaos.plan import FROZEN, MORTAL, SUITE, Blow, draw
from tests.chaos.run import live

_GROUP = 10


@pytest.mark.parametrize("seeds", [SUITE[first : first + _GROUP] for first in range(0, len(SUITE), _GROUP)], ids=str)
def test_a_day_of_faults_breaks_no_invariant(seeds: Sequence[int]) -> None:
    findings = [str(lived.finding) for seed in seeds if (lived := live(seed)).finding]
    assert not findings


def test_no_invariant_breaks_in_a_day_on_which_some_daemon_dies_every_few_minutes() -> None:
    findings = [str(lived.finding) for seed in MORTAL if (lived := live(seed)).finding]
    assert not findings


def test_no_invariant_breaks_where_a_daemon_freezes_in_a_tick_and_wakes_up_after_another_has_taken_over() -> None:
    findings = [str(lived.finding) for seed in FROZEN if (lived := live(seed)).finding]
    assert not findings


def test_every_fault_of_the_market_and_every_blow_is_drawn_by_some_seed() -> None:
    drawn = {name for seed in SUITE for name in draw(seed).drawn}
    assert drawn == {*Fault, *Blow}


def test_the_same_seed_gives_the_same_day_in_any_process_after_whatever_other_day() -> None:
    code = "import sys; from tests.chaos.run import live; print(*(live(int(seed)).digest for seed in sys.argv[1:]))"

    def digests(salt: str, *seeds: str) -> dict[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", code, *seeds],
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": salt},
            capture_output=True,
            check=True,
            text=True,
        )
        return dict(zip(seeds, done.stdout.split(), strict=True))

    assert digests("1", "5", "27") == digests("2", "27", "5")
