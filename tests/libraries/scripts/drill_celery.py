"""Celery's app of the drills. VISIBILITY_S: after so long a task that nobody acknowledged goes to another worker."""

import os

import drill_jobs
from celery import Celery

visibility_s = float(os.environ.get("VISIBILITY_S", "3600"))
app = Celery("drill_celery", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": visibility_s,
        "unacked_restore_interval": min(10, visibility_s / 20),
    },
)
app.task(drill_jobs.work, name="work")
