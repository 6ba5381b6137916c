"""arq under a test's control: queues, what it says of each job, and workers as processes. Argument: the Redis URL."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import talk
from arq import create_pool
from arq.connections import RedisSettings
from arq.jobs import Job, JobStatus

URL = sys.argv[1]
workers = {}


async def enqueue(queue, names, due=None):
    """Enqueue jobs, at once or from `due` in epoch seconds."""
    pool = await create_pool(RedisSettings.from_dsn(URL))
    until = {} if due is None else {"_defer_until": datetime.fromtimestamp(due, UTC)}
    for name in names:
        await pool.enqueue_job("hold", name, _job_id=name, _queue_name=queue, **until)
    await pool.aclose()


async def jobs(queue):
    """The state of each job of a queue by its id, and the score that arq gave it, in epoch seconds."""
    pool = await create_pool(RedisSettings.from_dsn(URL))
    told = {}
    for job_id, score in await pool.zrange(queue, 0, -1, withscores=True):
        state = await Job(job_id.decode(), pool, _queue_name=queue).status()
        if state not in {JobStatus.complete, JobStatus.not_found}:  # it may have been done meanwhile
            told[job_id.decode()] = [state.value, score / 1000]
    await pool.aclose()
    return told


def work(name, queue, max_jobs=10, job_completion_wait=0):
    """Start a worker; gives its pid."""
    script = Path(__file__).parent / "arq_worker.py"
    workers[name] = subprocess.Popen(
        [sys.executable, script, URL, queue, str(max_jobs), str(job_completion_wait)], stdin=subprocess.DEVNULL
    )
    return workers[name].pid


def ended(name):
    """Whether a worker is no more."""
    return workers[name].poll() is not None


try:
    talk.serve({each.__name__: each for each in (enqueue, jobs, work, ended)})
finally:
    for worker in workers.values():
        worker.kill()
