"""The auditor finds each fault in the books, however small."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autoscaler.sim.audit import audit

JOBS = """\
job,tier,arrived_s,started_s,finished_s,instance
images-1,pro,10.000,100.000,140.000,aa
images-2,pro,20.000,100.000,150.000,aa
images-3,free,30.000,140.000,160.000,aa
images-4,free,190.000,210.000,,bb
images-5,free,200.000,,,
"""
PHASES = """\
instance,provider,placement,phase,from_s,to_s,usd_per_hour
aa,mock,spot,booting,0.000,100.000,36.000000
aa,mock,spot,hot,100.000,150.000,36.000000
aa,mock,spot,hot,150.000,200.000,72.000000
aa,mock,spot,warm,200.000,300.000,3.600000
bb,mock,dear,booting,190.000,210.000,36.000000
bb,mock,dear,hot,210.000,300.000,36.000000
"""
SUMMARY = {
    "simulated_s": 300.0,
    "slots": {"images": 2},
    "usd": 3.7,
    "usd_by_phase": {"booting": 1.2, "hot": 2.4, "warm": 0.1},
    "usd_by_placement": {"dear": 1.1, "spot": 2.6},
    "hours_by_phase": {"booting": 120 / 3600, "hot": 190 / 3600, "warm": 100 / 3600},
    "unserved_jobs": 2,
    "tiers": {
        "images": {
            "pro": {
                "wait_target_s": 85.0,
                "jobs": 2,
                "served": 2,
                "attainment": 0.5,
                "wait_mean_s": 85.0,
                "wait_p50_s": 80.0,
                "wait_p95_s": 90.0,
                "wait_p99_s": 90.0,
                "wait_max_s": 90.0,
            },
            "free": {
                "wait_target_s": 300.0,
                "jobs": 3,
                "served": 1,
                "attainment": 2 / 3,
                "wait_mean_s": 65.0,
                "wait_p50_s": 20.0,
                "wait_p95_s": 110.0,
                "wait_p99_s": 110.0,
                "wait_max_s": 110.0,
            },
        }
    },
}


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """Books without a fault."""
    (tmp_path / "jobs.csv").write_text(JOBS)
    (tmp_path / "phases.csv").write_text(PHASES)
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY, indent=1))
    return tmp_path


def spoil(path: Path, old: str, new: str) -> None:
    """Change one line of a file."""
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def test_right_books_are_right(books: Path) -> None:
    assert audit(books) == []


SPOILT = {
    "a job that starts before it came": (
        "jobs.csv",
        "images-3,free,30.000",
        "images-3,free,140.001",
        "images-3.*order",
    ),
    "a job that ends before it starts": ("jobs.csv", "140.000,160.000", "140.000,139.000", "images-3.*order"),
    "a job that starts before its machine is up": ("jobs.csv", "10.000,100.000", "10.000,99.999", "images-1.*HOT"),
    "a job that ends after its machine went": ("jobs.csv", "140.000,160.000", "140.000,200.001", "images-3.*HOT"),
    "a job in hand on a machine that went": (
        "phases.csv",
        "bb,mock,dear,hot,210.000,300",
        "bb,mock,dear,hot,210.000,299",
        "images-4.*HOT",
    ),
    "a job on a machine that is not there": ("jobs.csv", "160.000,aa", "160.000,cc", "images-3.*HOT"),
    "a job on a machine that boots": ("phases.csv", "dear,hot", "dear,booting", "images-4.*HOT"),
    "a job on no machine": ("jobs.csv", "160.000,aa", "160.000,", "images-3.*HOT"),
    "a slot used twice": ("jobs.csv", "30.000,140.000", "30.000,139.999", "aa: 3 jobs at once on 2 slots"),
    "a job that ends without a start": ("jobs.csv", "200.000,,,", "200.000,,250.000,", "images-5.*without a start"),
    "a job placed without a start": ("jobs.csv", "200.000,,,", "200.000,,,bb", "images-5.*without a start"),
    "a job twice": ("jobs.csv", "images-5,", "images-4,", "images-4: 2 times"),
    "a job of another tier": ("jobs.csv", "images-5,free", "images-5,pro", "images/pro.*jobs 2.*3"),
    "a job of a tier that the summary has not": (
        "jobs.csv",
        "images-5,free",
        "images-5,gold",
        "images/gold.*not in the summary",
    ),
    "a job of a pool that the summary has not": (
        "jobs.csv",
        "images-4,",
        "speech-4,",
        "speech/free.*not in the summary",
    ),
    "a machine that works for two pools": (
        "jobs.csv",
        "images-3,",
        "speech-3,",
        "speech-3: on aa, which works for images",
    ),
    "a job that vanished": ("jobs.csv", "images-5,free,200.000,,,\n", "", "images/free.*jobs 3.*2"),
    "a job that was not served": ("jobs.csv", "210.000,,bb", "210.000,220.000,bb", "2 jobs were not served.*1"),
    "a longer wait": ("jobs.csv", "images-2,pro,20.000", "images-2,pro,19.999", "wait_mean_s"),
    "a phase that ends before it begins": (
        "phases.csv",
        "warm,200.000,300.000",
        "warm,200.000,199.999",
        "aa: warm ends",
    ),
    "two phases at once": ("phases.csv", "warm,200.000", "warm,199.999", "aa: warm.*overlaps"),
    "a phase after the end": (
        "phases.csv",
        "warm,200.000,300.000",
        "warm,200.000,300.001",
        "aa: warm.*longer than the simulation",
    ),
    "a price": ("phases.csv", "300.000,3.600000", "300.000,3.960000", "cost in all.*3.7000.*3.7100"),
    "a placement": ("phases.csv", "aa,mock,spot,booting", "aa,mock,dear,booting", "cost of dear"),
    "the cost": ("summary.json", '"usd": 3.7', '"usd": 3.71', "cost in all.*3.7100.*3.7000"),
    "the cost of a phase": ("summary.json", '"warm": 0.1', '"warm": 0.09', "cost of warm"),
    "the cost of a phase that never was": ("summary.json", '"warm": 0.1', '"warm": 0.1, "lost": 0.01', "cost of lost"),
    "the cost of a placement": ("summary.json", '"spot": 2.6', '"spot": 2.61', "cost of spot"),
    "hours": ("summary.json", f'"warm": {100 / 3600}', '"warm": 0.04', "hours of warm"),
    "jobs": ("summary.json", '"jobs": 2', '"jobs": 3', "images/pro.*jobs 3.*2"),
    "served jobs": ("summary.json", '"served": 1', '"served": 2', "images/free.*served 2.*1"),
    "unserved jobs": ("summary.json", '"unserved_jobs": 2', '"unserved_jobs": 1', "1 jobs were not served.*2"),
    "attainment": ("summary.json", '"attainment": 0.5', '"attainment": 0.501', "images/pro.*attainment"),
    "a mean": ("summary.json", '"wait_mean_s": 65.0', '"wait_mean_s": 65.1', "images/free.*wait_mean_s"),
    "a median": ("summary.json", '"wait_p50_s": 80.0', '"wait_p50_s": 90.0', "images/pro.*wait_p50_s"),
    "a 95th percentile": ("summary.json", '"wait_p95_s": 110.0', '"wait_p95_s": 20.0', "images/free.*wait_p95_s"),
    "a 99th percentile": ("summary.json", '"wait_p99_s": 110.0', '"wait_p99_s": null', "images/free.*wait_p99_s"),
    "the longest wait": ("summary.json", '"wait_max_s": 90.0', '"wait_max_s": 80.0', "images/pro.*wait_max_s"),
    "slots": ("summary.json", '"images": 2', '"images": 1', "aa: 2 jobs at once on 1 slots"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_each_fault_in_one_line_is_told(fault: str, books: Path) -> None:
    file, old, new, expected = SPOILT[fault]
    spoil(books / file, old, new)
    assert any(re.search(expected, problem) for problem in audit(books)), audit(books)


MALFORMED = {
    "a number that is none": ("jobs.csv", "190.000", "soon"),
    "a column that is missing": ("phases.csv", "usd_per_hour", "price"),
    "a line that is cut off": ("phases.csv", ",300.000,3.600000", ""),
    "broken JSON": ("summary.json", '"usd": 3.7,', ""),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_files_that_are_not_of_their_form_are_named(fault: str, books: Path) -> None:
    file, old, new = MALFORMED[fault]
    spoil(books / file, old, new)
    with pytest.raises(ValueError, match=re.escape(str(books / file))):
        audit(books)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autoscaler.sim.audit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_anyone_can_audit_a_directory(books: Path) -> None:
    result = run(books)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    spoil(books / "summary.json", '"usd": 3.7', '"usd": 3.8')
    result = run(books)
    assert (result.returncode, result.stdout) == (
        1,
        "cost in all: the summary says 3.800000, the phases add up to 3.700000\n",
    )


@pytest.mark.parametrize("arguments", [(), ("/nowhere",), (".", "..")])
def test_what_cannot_be_audited_is_told_in_a_line(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.returncode == 1
    assert len((result.stdout + result.stderr).splitlines()) == 1
