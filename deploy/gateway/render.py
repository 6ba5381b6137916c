"""Keeps a proxy's list of machines: nginx upstreams, or Traefik's dynamic configuration, out of the hash `endpoints`.

    pip install redis
    python render.py nginx /etc/nginx/autoscaler/upstreams.conf --then "nginx -s reload"
    python render.py traefik /etc/traefik/dynamic/autoscaler.yml

Writes the file when something has changed, in one step, and then runs the command; looks every 5 seconds, for ever.
REDIS_URL and AUTOSCALER_FLEET say where. docs/gateway.md says when a proxy is the right thing.
"""

import argparse
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import redis

ADDRESS = re.compile(r"[\w.:\[\]-]+", re.ASCII)  # a vendor's word comes into a file of ours


def machines(client: redis.Redis, fleet: str) -> dict[str, list[tuple[str, int]]]:
    """Address and slots of each HOT machine, by pool; one that is set apart for a tier is not everybody's."""
    endpoints = map(json.loads, client.hgetall(f"autoscaler:{{{fleet}}}:endpoints").values())
    free = [each for each in endpoints if each["phase"] == "hot" and each["tier"] is None]
    usable = [each for each in free if ADDRESS.fullmatch(each["address"] or "")]
    usable.sort(key=lambda each: (each["pool"], each["address"]))
    grouped = itertools.groupby(usable, key=lambda each: each["pool"])
    return {pool: [(each["address"], each["slots"]) for each in group] for pool, group in grouped}


def nginx(found: dict[str, list[tuple[str, int]]], pools: list[str]) -> str:
    """One upstream a pool; a server takes as many requests as its machine has slots."""
    text = ""
    for pool in pools:
        servers = [f"    server {address} max_conns={slots};\n" for address, slots in found.get(pool, [])]
        servers = servers or ["    server 127.0.0.1:9 down;\n"]  # nginx wants one
        text += f"upstream {pool} {{\n    least_conn;\n{''.join(servers)}}}\n"
    return text


def traefik(found: dict[str, list[tuple[str, int]]], pools: list[str]) -> str:
    """One service and one router a pool, as JSON, which is YAML."""
    services = {
        pool: {"loadBalancer": {"servers": [{"url": f"http://{address}"} for address, _ in found.get(pool, [])]}}
        for pool in pools
    }
    routers = {pool: {"rule": f"PathPrefix(`/{pool}`)", "service": pool, "middlewares": ["strip"]} for pool in pools}
    strip = {"strip": {"stripPrefix": {"prefixes": [f"/{pool}" for pool in pools]}}}
    return json.dumps({"http": {"services": services, "routers": routers, "middlewares": strip}}, indent=2) + "\n"


def main() -> None:
    """Look, write, run; what Redis or the command refuses is told, and tried again."""
    parser = argparse.ArgumentParser()
    parser.add_argument("format", choices=("nginx", "traefik"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--pools", default="images", help="separated by commas; each has an upstream, be it empty")
    parser.add_argument("--then", help="a command to run after each change")
    given = parser.parse_args()
    render = {"nginx": nginx, "traefik": traefik}[given.format]
    client = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    while True:
        try:
            text = render(machines(client, os.environ["AUTOSCALER_FLEET"]), given.pools.split(","))
            if not given.file.exists() or given.file.read_text() != text:
                new = given.file.with_suffix(".new")
                new.write_text(text)
                new.replace(given.file)
                if given.then:
                    subprocess.run(shlex.split(given.then), check=True)
        except (redis.RedisError, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)  # the list stays as it is: machines serve on without Redis
        time.sleep(5)


if __name__ == "__main__":
    main()
