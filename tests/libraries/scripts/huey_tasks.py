"""The Huey that a test has, and its task; both the producer and the consumers import it."""

import os

import huey as huey_package
import redis

URL = os.environ["URL"]
huey = getattr(huey_package, os.environ["CLASS"])(os.environ["NAME"], url=URL, utc=os.environ["KEEP"] == "utc")


@huey.task()
def work(_payload=""):
    """A task that is done when the test says how: `done`, or `fail`."""
    said = redis.from_url(URL).blpop("test:say", timeout=60)
    if said[1] == b"fail":
        raise RuntimeError("as the test said")


@huey.pre_execute()
def witness(_task):
    """Let the test know."""
    redis.from_url(URL).incr("test:begun")
