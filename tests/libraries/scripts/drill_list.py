"""A worker that serves a Redis list, as a user would write one, to be run under the agent. Arguments: KEY DIRECTORY.

A job in hand is leased: it lies in the sorted set `KEY:leased` until the time when its lease ends, which is put off
while it is at work. A job whose worker is dead goes back into the list by any other worker that idles. For the agent,
there is a file in the directory for each job at work.
"""

import json
import signal
import sys
import threading
import time
from pathlib import Path

import drill_jobs

KEY, AT_WORK = sys.argv[1], Path(sys.argv[2])
LEASED, LEASE_S = f"{KEY}:leased", 3.0
TAKE = """
    local now = tonumber(redis.call('TIME')[1])
    for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
        redis.call('ZREM', KEYS[2], job)
        redis.call('LPUSH', KEYS[1], job)
    end
    local job = redis.call('LPOP', KEYS[1])
    if job then redis.call('ZADD', KEYS[2], now + ARGV[1], job) end
    return job
"""
take = drill_jobs.client.register_script(TAKE)
ending = threading.Event()
in_hand = []


def keep():
    """Put the end of the lease off."""
    while True:
        time.sleep(LEASE_S / 4)  # noqa: TID251 - a worker's time is real
        for job in tuple(in_hand):
            drill_jobs.client.zadd(LEASED, {job: drill_jobs.client.time()[0] + LEASE_S}, xx=True)


def serve(job):
    """Work on one job."""
    in_hand.append(job)
    while drill_jobs.client.exists("slow-hands"):  # it was taken, and nothing outside of Redis tells so yet
        time.sleep(0.02)  # noqa: TID251 - a worker's time is real
    wanted = json.loads(job)
    note = AT_WORK / wanted["job"]
    note.touch()
    drill_jobs.work(wanted["job"], wanted["seconds"])
    in_hand.remove(job)
    drill_jobs.client.zrem(LEASED, job)
    note.unlink()


AT_WORK.mkdir(exist_ok=True)
for left in AT_WORK.iterdir():
    left.unlink()
signal.signal(signal.SIGTERM, lambda *_: ending.set())
threading.Thread(target=keep, daemon=True).start()
while not ending.is_set():
    job = take(keys=[KEY, LEASED], args=[LEASE_S])
    if job is None:
        ending.wait(0.05)
    else:
        serve(job)
