"""Enqueues jobs of the drills. Arguments: rq or celery, and the queue; standard input: `[[JOB, SECONDS], …]`."""

import json
import sys

import drill_jobs

kind, queue = sys.argv[1:]
jobs = json.load(sys.stdin)
if kind == "rq":
    from rq import Queue, Retry

    to = Queue(queue, connection=drill_jobs.client)
    to.enqueue_many(
        [
            Queue.prepare_data("drill_jobs.work", args=(job, seconds), job_id=job, timeout=600, retry=Retry(max=3))
            for job, seconds in jobs
        ]
    )
else:
    from drill_celery import app

    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for job, seconds in jobs:
            app.send_task("work", args=(job, seconds), queue=queue, producer=producer)
