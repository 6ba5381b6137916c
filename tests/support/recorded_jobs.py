"""Jobs that write down themselves when they begin and end, for real workers of a plain list, RQ and Celery."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.daemon_process import Json
from tests.support.environments import PYTHON_QUEUES
from tests.support.library import SCRIPTS

RECORD = "record"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A queue, and the worker that serves it."""

    name: str
    queue: Json
    """As a pool's settings name it."""
    worker: str
    """The shell's words after `autoscaler agent`; DIRECTORY is the machine's own."""


LIST = Kind(
    name="list",
    queue={"kind": "list", "tiers": [{"name": "all", "key": "list-jobs"}], "in_flight_keys": ["list-jobs:leased"]},
    worker=f"--busy 'dir DIRECTORY' -- python {SCRIPTS / 'drill_list.py'} list-jobs DIRECTORY",
)
_NAMED = '--name "$(cat /proc/sys/kernel/random/uuid)@$AUTOSCALER_INSTANCE"'
_DRAINS = "--worker-class rq_drain.${RQ_CLASS:-Worker} --worker-ttl 16"
RQ = Kind(
    name="rq",
    queue={"kind": "rq", "tiers": [{"name": "all", "queue": "rq-jobs"}]},
    worker=f"-- sh -c 'exec rq worker --url \"$REDIS_URL\" {_NAMED} {_DRAINS} --quiet rq-jobs'",
)
CELERY = Kind(
    name="celery",
    queue={
        "kind": "celery",
        "tiers": [{"name": "all", "queue": "celery-jobs"}],
        "task_acks_late": True,
        "worker_prefetch_multiplier": 1,
    },
    worker="-- celery -A drill_celery worker -Q celery-jobs -c 1 --pool ${CELERY_POOL:-prefork}"
    ' -n "celery@$AUTOSCALER_INSTANCE" --loglevel ERROR',
)
KINDS = {kind.name: kind for kind in (LIST, RQ, CELERY)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of a job."""

    job: str
    machine: str
    ended: bool


class Jobs:
    """What users ask for, and what came of it."""

    def __init__(self, client: Any, redis_url: str) -> None:
        self._client = client
        self._env = {"REDIS_URL": redis_url, "PATH": os.defpath, "PYTHONPATH": str(SCRIPTS)}
        self.sent: list[str] = []

    def send(self, kind: Kind, names: Iterable[str], seconds: float | None = None) -> None:
        """Enqueue jobs that take that long; without `seconds`, until they are released."""
        jobs = [(name, seconds) for name in names]
        self.sent += [name for name, _ in jobs]
        [tier] = kind.queue["tiers"]
        if kind is LIST:
            self._client.rpush(tier["key"], *(json.dumps({"job": job, "seconds": seconds}) for job, _ in jobs))
            return
        command = PYTHON_QUEUES.command(SCRIPTS / "drill_send.py", kind.name, tier["queue"])
        subprocess.run(command, input=json.dumps(jobs).encode(), env=self._env, check=True, timeout=60)

    def release(self, name: str) -> None:
        """Let a job that is held end."""
        self._client.rpush(f"release:{name}", "go")

    def runs(self) -> list[Run]:
        """Every run there ever was, in the order of their beginnings."""
        notes: Sequence[Mapping[str, str]] = [json.loads(note) for note in self._client.lrange(RECORD, 0, -1)]
        ended = {note["run"] for note in notes if note["what"] == "ended"}
        return [
            Run(job=note["job"], machine=note["machine"], ended=note["run"] in ended)
            for note in notes
            if note["what"] == "began"
        ]

    def at_work(self) -> dict[str, str]:
        """The job that each machine has begun and not ended."""
        return {run.machine: run.job for run in self.runs() if not run.ended}

    def all_done(self) -> bool:
        """Whether every job has run to its end."""
        if self._client.llen(RECORD) < 2 * len(self.sent):  # the beginnings and the ends
            return False
        return {run.job for run in self.runs() if run.ended} >= set(self.sent)

    def repeated(self) -> dict[str, int]:
        """How often each job began that did not begin exactly once."""
        began = Counter(run.job for run in self.runs())
        return {job: began[job] for job in {*self.sent, *began} if began[job] != 1}
