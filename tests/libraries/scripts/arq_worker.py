"""A worker of arq as a user would start one. Arguments: the Redis URL, its queue, `max_jobs`, `job_completion_wait`."""

import sys

from arq import Retry, run_worker
from arq.connections import RedisSettings

_, URL, QUEUE, MAX_JOBS, JOB_COMPLETION_WAIT = sys.argv


async def hold(ctx, name):
    """Add NAME to the set `begun`, and work until the list `release:NAME` has something: `retry` is for in a minute."""
    await ctx["redis"].sadd("begun", name)
    said = await ctx["redis"].blpop([f"release:{name}"], timeout=30)
    if said is not None and said[1] == b"retry":
        raise Retry(defer=60)


class WorkerSettings:
    functions = [hold]  # noqa: RUF012 - as arq has it
    redis_settings = RedisSettings.from_dsn(URL)
    queue_name = QUEUE
    max_jobs = int(MAX_JOBS)
    job_completion_wait = int(JOB_COMPLETION_WAIT)
    poll_delay = 0.05


run_worker(WorkerSettings)
