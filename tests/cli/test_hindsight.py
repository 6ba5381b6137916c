"""`autoscaler hindsight` as a user calls it, on the history in a real Redis."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli import main
from tests.support.config import GOOD
from tests.support.history import keep, minutes


@pytest.fixture
def config(tmp_path: Path, redis_url: str) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(f"redis: {redis_url}\n{GOOD.replace('[g]', '[RTX 3090]')}")
    return path


def hindsight(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["hindsight", str(config), "--trials=1", "--processes=1", *arguments])


def test_it_sets_the_books_beside_what_was_possible(config: Path, redis_url: str) -> None:
    keep(redis_url, minutes(180))

    result = hindsight(config, "--last=2h", "--attainment=0.1")

    assert (result.exit_code, result.stderr) == (0, "")
    first, again, best, least, *_ = result.stdout.splitlines()
    assert first == "2h, 240 jobs: 1.20 USD by the books"
    assert re.match(r"  played again as it is +\d+\.\d\d USD, \d+\.\d% in time where it was worst", again)
    assert re.match(r"  best of 1 settings +\d+\.\d\d USD", best)
    assert re.match(r"  the least possible +\d+\.\d\d USD for 10% in every tier", least)
    assert "policies:" in result.stdout


def test_it_says_when_nobody_could_have_served_so_well(config: Path, redis_url: str) -> None:
    config.write_text(config.read_text().replace("hot: 1..6", "hot: 1..1"))  # 80 s of work come in each minute
    keep(redis_url, minutes(120))

    result = hindsight(config, "--attainment=1")

    assert "nobody could have started 100% of every tier in time within these limits" in result.stdout


def test_without_a_history_it_says_what_makes_one(config: Path) -> None:
    result = hindsight(config)

    assert result.exit_code == 2
    assert "error: nothing was recorded yet; a running daemon adds a sample each minute" in result.stderr


def test_hours_without_jobs_are_no_ground_for_a_verdict(config: Path, redis_url: str) -> None:
    keep(redis_url, minutes(60, arrived=0))

    result = hindsight(config)

    assert result.exit_code == 2
    assert "no jobs came in that time" in result.stderr
