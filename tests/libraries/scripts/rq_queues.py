"""RQ under a test's control: queues, the library's own counters, and workers as processes. Argument: the Redis URL."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import redis
import rq.suspension
import talk
from rq import Queue, Retry

URL = sys.argv[1]
HERE = Path(__file__).parent
client = redis.from_url(URL)
names, workers = [], {}


def enqueue(queue, name, due=None, retries=0, after=None, **options):
    """Enqueue a job, at once or from `due` in epoch seconds."""
    names.append(name)
    at = Queue(queue, connection=client)
    options |= {"job_id": name, "args": (name,)}
    options |= {"retry": Retry(max=retries)} if retries else {}
    options |= {"depends_on": after} if after else {}
    if due is None:
        at.enqueue("rq_jobs.hold", **options)
    else:
        at.enqueue_at(datetime.fromtimestamp(due, UTC), "rq_jobs.hold", **options)


def counts(queue):
    """What RQ itself counts."""
    at = Queue(queue, connection=client)
    return {
        "queued": at.count,
        "started": at.started_job_registry.count,
        "scheduled": at.scheduled_job_registry.count,
        "deferred": at.deferred_job_registry.count,
    }


def job(queue, name):
    """A job's state and the time when it was enqueued, in epoch seconds."""
    found = Queue(queue, connection=client).fetch_job(name)
    at = found.enqueued_at
    return [found.get_status(), at and at.replace(tzinfo=UTC).timestamp()]


def work(name, *, queues, options=()):
    """Start a worker of that name; gives its pid."""
    program = Path(sys.executable).parent / "rq"
    workers[name] = subprocess.Popen(
        [program, "worker", "--url", URL, "--name", name, "--quiet", *options, *queues],
        stdin=subprocess.DEVNULL,
        env={
            **os.environ,
            "REDIS_URL": URL,
            "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[2] / 'deploy' / 'workers'}",
        },
    )
    return workers[name].pid


def ended(name):
    """The exit code of a worker, or None while it runs."""
    return workers[name].poll()


def suspend(*, resume=False):
    """Let all workers pause, or resume."""
    (rq.suspension.resume if resume else rq.suspension.suspend)(client)


try:
    talk.serve({each.__name__: each for each in (enqueue, counts, job, work, ended, suspend)})
finally:
    for worker in workers.values():
        worker.kill()
    for name in names:  # ends the processes that workers left behind
        client.rpush(f"release:{name}", "done")
