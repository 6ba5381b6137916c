"""10,000 jobs by real workers while machines come and go: every job is done, none twice, none is cut off.

Plain lists, RQ and Celery, a pool each in one daemon. The jobs come in waves, so that machines are rented, drained,
stopped, resumed and given back all the while; each wave ends with jobs that last, so that the drains meet them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from autoscaler.core.lifecycle import Phase
from tests.support.daemon_process import Json
from tests.support.recorded_jobs import KINDS
from tests.support.work_site import Site, a_site

WAVES = 4
PATIENCE_S = 120.0
QUICK = {"list": 2060, "rq": 220, "celery": 220}
"""Jobs of a wave that take next to no time, by pool."""
QUICK_S, LASTS_S, LASTING = 0.004, 1.5, 3
WORKERS = {"RQ_CLASS": "SimpleWorker", "CELERY_POOL": "solo"}
"""Without a process for each job, and none beside the worker's own."""
GROW = {"list": 200, "rq": 40, "celery": 40}
"""More jobs than that take another machine."""


def a_pool(name: str) -> Json:
    """A machine or more; one may stand by."""
    thresholds = {"resume_depth": GROW[name], "rent_depth": GROW[name], "idle_depth": LASTING + 1, "idle_for": "10s"}
    limits = {"hot": "1..3" if name == "list" else "1..2", "warm": "0..1"}
    return {"limits": limits, "policies": [{"thresholds": thresholds}]}


def send(site: Site, wave: int) -> None:
    """One wave of jobs for each pool."""
    for name, number in QUICK.items():
        site.jobs.send(KINDS[name], [f"{name}-{wave}-{each}" for each in range(number)], QUICK_S)
        site.jobs.send(KINDS[name], [f"{name}-{wave}-lasting-{each}" for each in range(LASTING)], LASTS_S)


def calm(site: Site) -> bool:
    """Whether each pool is down to its last machine."""
    phases = Counter(record.pool for record in site.records(*(set(Phase) - {Phase.WARM, Phase.RELEASING})))
    return set(phases.values()) == {1}


@pytest.mark.timeout(2 * WAVES * PATIENCE_S)
def test_every_job_is_done_none_twice_and_none_is_cut_off(redis_url: str, tmp_path: Path) -> None:
    with a_site(tmp_path, redis_url, {name: a_pool(name) for name in QUICK}, env=WORKERS) as site:
        for wave in range(WAVES):
            send(site, wave)
            site.crew.until(site.jobs.all_done, f"wave {wave} was done", patience_s=PATIENCE_S)
            site.crew.until(lambda: calm(site), f"machines went after wave {wave}", patience_s=PATIENCE_S)

        assert len(site.jobs.sent) >= 10_000
        assert site.jobs.repeated() == {}
        assert all(run.ended for run in site.jobs.runs())
        assert site.journal("loss") == []
        orders = {(entry["pool"], entry["action"]) for entry in site.journal("command")}
        assert orders >= {(name, action) for name in QUICK for action in ("rent", "drain", "stop")}, (
            "machines came and went"
        )
