"""Celery under a test's control: a producer, workers, and what the library itself counts.

Run with the broker's URL and what else configures the app, as JSON; with a worker's arguments after them, as that
worker.
"""

import atexit
import json
import signal
import subprocess
import sys
import time

from celery import Celery
from celery.signals import before_task_publish, worker_shutting_down
from redis import Redis
from talk import serve

URL, CONF, *WORKER = sys.argv[1:]
app = Celery("celery_app", broker=URL)
app.conf.update(json.loads(CONF), broker_connection_retry_on_startup=True)
stamps = []
workers = {}


@before_task_publish.connect
def stamp(headers=None, **_kwargs):
    """The hook that the documentation gives to producers, at a time of the test's choice."""
    headers.update(stamps)


@app.task(name="work")
def work(_payload=""):
    """A job that is done when the test says so."""
    Redis.from_url(URL).blpop("test:done", timeout=30)


@worker_shutting_down.connect
def let_go(**_kwargs):
    """Whatever a worker works on is done once it is told to end."""
    Redis.from_url(URL).rpush("test:done", "x")


@app.task(name="fail", bind=True)
def fail(self):
    """A job that asks to be tried again in half a minute."""
    raise self.retry(countdown=30)


def send(queue, task="work", at=None, times=1, headers=None, **options):
    """Enqueue, with the hook's stamp where a time is given."""
    stamps[:] = [] if at is None else [("enqueued_at", at)]
    for _ in range(times):
        app.send_task(task, queue=queue, headers=headers, **options)


def start(queue, name="w@machine-1", conf=None, pool="threads"):
    """A worker; gives its process."""
    arguments = ["-Q", queue, "-n", name, "-c", "1", "--pool", pool, "--loglevel", "ERROR"]
    merged = json.dumps(json.loads(CONF) | (conf or {}))
    command = [
        sys.executable,
        __file__,
        URL,
        merged,
        *arguments,
        "--without-mingle",
        "--without-gossip",
        "--heartbeat-interval",
        "1",
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    workers[process.pid] = process
    return process.pid


def end(pid, how):
    """End a worker by a signal, and wait until it has."""
    workers[pid].send_signal(getattr(signal, how))
    workers[pid].wait(15)


def counts(queue):
    """What the library counts: tasks in a queue by kombu, tasks of workers by what they say."""
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        waiting, unacked = channel._size(queue), channel.client.hlen(channel.unacked_key)
    live = [process for process in workers.values() if process.poll() is None]
    inspect = app.control.inspect(timeout=2.0, limit=len(live)) if live else None
    return {
        "waiting": waiting,
        "unacked": unacked,
        **{
            what: sum(map(len, (getattr(inspect, what)() or {}).values())) if inspect else 0
            for what in ("active", "reserved", "scheduled")
        },
    }


def now():
    """The time as Celery takes it."""
    return time.time()  # noqa: TID251 - a library's own processes know no other


def stop_all():
    """Leave no worker behind."""
    for process in workers.values():
        process.kill()


if WORKER:
    app.worker_main(["worker", *WORKER])
else:
    atexit.register(stop_all)
    serve({"send": send, "start": start, "end": end, "counts": counts, "now": now})
