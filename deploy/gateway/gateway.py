"""A gateway in one process: takes jobs over HTTP while their tier is let in, and sends each to a machine that is HOT.

    pip install aiohttp redis
    REDIS_URL=redis://localhost AUTOSCALER_FLEET=llamasketch python gateway.py

docs/gateway.md says what it relies on. The queue is a Redis list for each tier, as in `queue: {kind: list}`.
"""

import asyncio
import json
import os
import time

import aiohttp
from aiohttp import web
from redis import asyncio as redis

FLEET = f"autoscaler:{{{os.environ['AUTOSCALER_FLEET']}}}:"
POOL = os.environ.get("POOL", "images")
TIERS = os.environ.get("TIERS", "pro premium free").split()  # most urgent first
MACHINE_URL = os.environ.get("MACHINE_URL", "http://{address}/jobs")  # where a machine takes a job, until it is done
PORT = int(os.environ.get("PORT", "8000"))

client = redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
at_work: dict[str, int] = {}  # jobs on each machine; only this process sends any


def taken(tier: str) -> str:
    """The list of jobs that are at work: `in_flight_keys` in the daemon's configuration."""
    return f"jobs:{tier}:taken"


async def accept(request: web.Request) -> web.Response:
    """`POST /jobs/TIER`: into the queue, unless the daemon says that the tier is to be refused."""
    tier = request.match_info["tier"]
    if tier not in TIERS:
        raise web.HTTPNotFound
    word = json.loads(await client.hget(FLEET + "admission", f"{POOL}/{tier}") or '{"accept": true}')
    if not word["accept"]:
        wait = {"Retry-After": str(word["retry_after_s"] or 60)}
        return web.json_response({"error": word["message"]}, status=503, headers=wait)
    await client.rpush(f"jobs:{tier}", await request.text())
    return web.json_response({"expected_wait_s": word.get("expected_wait_s")}, status=202)


async def machines() -> dict[str, dict]:
    """The pool's machines, and by beats what this gateway does on each; one that drains has seen its last job."""
    every = {name: json.loads(text) for name, text in (await client.hgetall(FLEET + "endpoints")).items()}
    ours = {name: each for name, each in every.items() if each["pool"] == POOL}
    for name, each in ours.items():
        busy = at_work.get(name, 0)
        drained = each["phase"] == "draining" and not busy
        beat = {"busy": busy, "drained": drained, "at": time.time()}
        await client.hset(FLEET + "workers", name, json.dumps(beat))
    return ours


def free_for(tier: str, known: dict[str, dict]) -> str | None:
    """The least busy machine with a free slot that may serve a tier; those set apart for it go first."""
    able = [
        (each["tier"] != tier, at_work.get(name, 0) / each["slots"], name)
        for name, each in known.items()
        if each["phase"] == "hot" and each["tier"] in (None, tier) and at_work.get(name, 0) < each["slots"]
    ]
    return min(able)[2] if able else None


async def send(job: str, tier: str, name: str, address: str, session: aiohttp.ClientSession) -> None:
    """Have a machine do a job; one that could not be done goes back to the head of its queue."""
    try:
        async with session.post(MACHINE_URL.format(address=address), data=job) as answer:
            answer.raise_for_status()
    except (aiohttp.ClientError, TimeoutError):
        await asyncio.sleep(1)
        await client.lpush(f"jobs:{tier}", job)
    finally:
        at_work[name] -= 1
        await client.lrem(taken(tier), 1, job)


async def dispatch() -> None:
    """Send jobs to machines, the most urgent first, and only to a free slot: what waits is what the daemon goes by."""
    for tier in TIERS:  # what this gateway had sent when it ended the last time
        while await client.lmove(taken(tier), f"jobs:{tier}", "RIGHT", "LEFT"):
            pass
    running, known, looked_at = set(), {}, 0.0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as session:
        while True:
            if time.monotonic() - looked_at > 2:  # a machine that drains has to be known within 15 seconds
                known, looked_at = await machines(), time.monotonic()
            sent = False
            for tier in TIERS:
                name = free_for(tier, known)
                if name and (job := await client.lmove(f"jobs:{tier}", taken(tier), "LEFT", "RIGHT")):
                    at_work[name] = at_work.get(name, 0) + 1
                    task = asyncio.create_task(send(job, tier, name, known[name]["address"], session))
                    running.add(task)
                    task.add_done_callback(running.discard)
                    sent = True
                    break
            if not sent:
                await asyncio.sleep(0.1)


async def background(_app: web.Application):
    """The dispatcher lives as long as the server."""
    task = asyncio.create_task(dispatch())
    task.add_done_callback(lambda ended: ended.cancelled() or os._exit(1))  # whoever runs it starts it again
    yield
    task.cancel()


app = web.Application()
app.add_routes([web.post("/jobs/{tier}", accept)])
app.cleanup_ctx.append(background)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=PORT)
