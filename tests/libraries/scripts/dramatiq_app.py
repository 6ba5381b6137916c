"""Dramatiq under a test's control: a producer, workers, and what the library itself counts.

Run with the Redis URL, the namespace and the encoder; its own workers import it as their module.
"""

import os
import sys
import time

import dramatiq
import processes
import redis
from dramatiq.brokers.redis import RedisBroker
from talk import serve

if __name__ == "__main__":
    os.environ["URL"], os.environ["NAMESPACE"], os.environ["ENCODER"] = sys.argv[1:]

URL = os.environ["URL"]
dramatiq.set_encoder({"json": dramatiq.JSONEncoder, "pickle": dramatiq.PickleEncoder}[os.environ["ENCODER"]]())


class Witness(dramatiq.Middleware):
    """Lets the test know when a worker takes no more messages."""

    def before_worker_shutdown(self, broker, worker):
        redis.from_url(URL).set("test:stopping", 1)


broker = RedisBroker(url=URL, namespace=os.environ["NAMESPACE"])
broker.add_middleware(Witness())
dramatiq.set_broker(broker)


@dramatiq.actor(max_retries=1, min_backoff=30_000)
def work(_payload=""):
    """A message that is done when the test says how: `done`, or `fail`."""
    said = redis.from_url(URL).blpop("test:say", timeout=60)
    if said[1] == b"fail":
        raise RuntimeError("as the test said")


def send(queue, delay=None, size=0, times=1):
    """Send messages, `delay` in seconds; gives the time of the first, in epoch seconds."""
    sent = []
    for _ in range(times):
        message = work.message("x" * size).copy(queue_name=queue)
        broker.declare_queue(queue)
        sent.append(broker.enqueue(message, delay=None if delay is None else int(delay * 1000)))
    return [sent[0].message_timestamp / 1000, (sent[0].options.get("eta") or 0) / 1000]


def start(queue, threads=1, prefetch=0):
    """A worker; gives its process."""
    broker.declare_queue(queue)
    arguments = ["-p", 1, "-t", threads, "-Q", queue, "--skip-logging"]
    return processes.start("dramatiq", "dramatiq_app", *arguments, QUEUE=queue, dramatiq_queue_prefetch=str(prefetch))


def count(queue):
    """What the library counts: the messages of a queue and of its delayed ones, not yet acknowledged."""
    return broker.do_qsize(queue)


def now():
    """The time as Dramatiq takes it."""
    return time.time()  # noqa: TID251 - a library's own processes know no other


if __name__ == "__main__":
    deeds = (send, start, count, now, processes.tell, processes.ended)
    serve({each.__name__: each for each in deeds})
else:
    broker.declare_queue(os.environ["QUEUE"])
