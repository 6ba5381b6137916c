"""What RQ's workers do in the tests; they import it by its name."""

import os

import redis


def hold(name):
    """Work until somebody pushes something to the list `release:NAME`; raise what it says, if that is `fail`."""
    with redis.from_url(os.environ["REDIS_URL"], socket_timeout=None) as client:
        said = client.blpop([f"release:{name}"], timeout=30)
    if said is None or said[1] == b"fail":
        raise RuntimeError(name)
