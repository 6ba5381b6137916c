"""A machine that dies under a job is booked as lost capacity, and its job shows again by the queue's own means.

What went is in the journal, with what it held, how long it had served and what that cost; and in a metric. Where no
machine is left and jobs are in flight only, one machine comes, and the worker on it takes them back.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import real_time
from tests.support.daemon_process import Json
from tests.support.recorded_jobs import KINDS, Kind
from tests.support.work_site import Site, a_site

BACK_SOON = {"VISIBILITY_S": "3"}
"""When Celery takes back what a dead worker held: usually an hour later."""
ONE_STAYS: Json = {"limits": {"hot": "1..1", "warm": "0..1"}, "policies": [{"thresholds": {}}]}
NONE_STAYS: Json = {
    "limits": {"hot": "0..1", "warm": "0..0"},
    "policies": [{"priority": {"rent_above": {"all": "2m"}, "idle_for": "1m"}}],
}
"""A pool that has a machine only for jobs that have waited, and while they are at work."""


def let_heartbeats_run_out(client: Any) -> None:
    """Of RQ's dead workers, which takes up to 90 seconds: only then are their jobs taken back."""
    for job in client.zrange("rq:wip:rq-jobs", 0, -1):
        client.zadd("rq:wip:rq-jobs", {job: 1.0}, xx=True)


def takes_up_again(site: Site) -> None:
    """Wait until a worker has the held job again, and let it end."""
    site.crew.until(lambda: len(site.jobs.runs()) == 2, "another worker took the job up")
    cut_off, again = site.jobs.runs()
    assert (cut_off.job, cut_off.ended, again.job) == ("held", False, "held")
    site.jobs.release("held")
    site.crew.until(site.jobs.all_done, "the job was done")
    assert site.jobs.repeated() == {"held": 2}


@pytest.mark.parametrize(("kind", "becomes"), [("list", "warm"), ("rq", "lost"), ("celery", "warm")])
def test_a_machine_that_dies_under_a_job_is_booked_and_the_job_is_done_by_another(
    kind: str, becomes: str, redis_url: str, tmp_path: Path
) -> None:
    with a_site(tmp_path, redis_url, {kind: ONE_STAYS}, env=BACK_SOON) as site:
        site.jobs.send(KINDS[kind], ["held"])
        site.crew.until(site.jobs.at_work, "a worker was at the job", patience_s=60.0)
        [machine] = site.jobs.at_work()
        site.live(10.0)
        {"warm": site.stop_at_vendor, "lost": site.destroy_at_vendor}[becomes](machine)
        site.crew.until(lambda: not site.runs(machine), "it ran no more")
        let_heartbeats_run_out(site.client)

        [loss] = site.crew.until(lambda: site.journal("loss"), "the loss was booked")
        assert (loss["instance"], loss["pool"], loss["result"]) == (machine, kind, becomes)
        assert re.search(
            r"went while it was hot \(.+\): 1 of its 1 slots held a job; hot for .+ at 0\.\d+ USD/h, 0\.\d\d USD$",
            loss["text"],
        ), loss["text"]
        assert site.metric("autoscaler_lost_machines_total") == {f'{{pool="{kind}",provider="vastai"}}': 1.0}
        takes_up_again(site)


@pytest.mark.parametrize("kind", KINDS)
def test_for_jobs_in_flight_that_no_machine_holds_one_machine_comes_and_goes(
    kind: str, redis_url: str, tmp_path: Path
) -> None:
    with a_site(tmp_path, redis_url, {kind: NONE_STAYS}, env=BACK_SOON) as site:
        strand("held", KINDS[kind], site)
        [record] = site.crew.until(lambda: site.daemon.records(site.client), "a machine was ordered")
        rules = {reason["rule"] for decision in site.journal("decision") for reason in decision["why"]}
        assert "stranded" in rules
        let_heartbeats_run_out(site.client)
        takes_up_again(site)
        site.crew.until(lambda: not site.runs(record.id), "nobody needed it any more")
        assert site.journal("loss") == []


def strand(job: str, kind: Kind, site: Site) -> None:
    """Leave a job in flight whose worker is dead: one of a machine that is no part of the fleet."""
    site.crew.start("elsewhere", kind.name)
    site.jobs.send(kind, [job])
    real_time.until(lambda: job in site.jobs.at_work().values(), "a worker was at the job", patience_s=60.0)
    site.crew.end("elsewhere")
