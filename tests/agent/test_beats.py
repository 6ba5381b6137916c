"""What the agent says to a real Redis, how it reaches it, and what it does without."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import redis

from tests.support.certificates import Authority
from tests.support.real_time import until
from tests.support.redis_server import RedisServer, free_port
from tests.support.rented_machine import KEYS, RentedMachine


def test_redis_away_leaves_the_worker_running_and_one_line_in_the_log(there: RentedMachine, tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        url = server.url
        ticks = there.directory / "ticks"
        script = f"import time\nwhile True:\n    open({str(ticks)!r}, 'a').write('x')\n    time.sleep(0.05)"
        there.start("--", sys.executable, "-c", script, env={"REDIS_URL": url})
        until(ticks.exists, "the worker is up")
        server.stop()
        written = ticks.stat().st_size
        there.soon(lambda: ticks.stat().st_size > written + 20, "the worker works on")
        server.start()
        with redis.Redis.from_url(url) as client:
            there.soon(lambda: client.hexists(KEYS.workers, there.me), "it beats again")
        _, log = there.end()
        away = [line for line in log.splitlines() if "Redis" in line]
        assert len(away) == 2
        assert "Redis does not take the beat" in away[0]
        assert away[1] == "agent: Redis takes the beats again"


@pytest.mark.parametrize("kind", ["redis", "rediss", "unix"])
def test_it_beats_with_three_rights_in_each_way_that_a_redis_of_one_server_is_reached(
    there: RentedMachine, tmp_path: Path, kind: str
) -> None:
    authority = Authority(tmp_path)
    own, tls_port, socket = authority.issue("localhost"), free_port(), tmp_path / "socket"
    tls = ("--tls-cert-file", own.cert, "--tls-key-file", own.key, "--tls-auth-clients", "no", "--tls-port", tls_port)
    rights = ("resetkeys", f"~{KEYS.prefix}*", "-@all", "+hset", "+hget", "+exists", "+select")
    server = RedisServer(
        tmp_path,
        *("--tls-ca-cert-file", str(authority.cert), *map(str, tls), "--unixsocket", str(socket)),
        *("--user", "agent", "on", ">p@ss/word", *rights),
    )
    server.start()
    ways = {
        "redis": f"redis://agent:p%40ss%2Fword@127.0.0.1:{server.port}/3",
        "rediss": f"rediss://agent:p%40ss%2Fword@localhost:{tls_port}/3?ssl_ca_certs={authority.cert}&protocol=3",
        "unix": f"unix://agent:p%40ss%2Fword@{socket}?db=3",
    }
    there.start("--", "sleep", "1000", env={"REDIS_URL": ways[kind]})
    with redis.Redis(port=server.port, db=3) as client:
        until(lambda: b'"busy": 1' in (client.hget(KEYS.workers, there.me) or b""), "it beats")
    there.end()
    server.stop()


@pytest.mark.parametrize("url", ["redis+sentinel://a:26379/mymaster", "redis+cluster://a:6379", "a:6379", ""])
def test_where_it_cannot_reach_redis_by_such_a_url_it_says_so_and_starts_nothing(
    there: RentedMachine, url: str
) -> None:
    there.start("--", "touch", "started", env={"REDIS_URL": url})
    assert there.process is not None
    _, log = there.process.communicate(timeout=20)
    assert there.process.returncode == 2
    assert "REDIS_URL: Redis URL must specify one of the following schemes" in log
    assert not (there.directory / "started").exists()


def test_a_refused_password_starts_no_worker_and_is_told_without_it(there: RentedMachine) -> None:
    url = there.env["REDIS_URL"].replace("//", "//nobody:hunter2@")
    there.start("--", "touch", "started", env={"REDIS_URL": url})
    assert there.process is not None
    assert there.process.stderr is not None
    line = there.process.stderr.readline()
    assert line.startswith("agent: Redis does not take the beat: ")
    assert "hunter2" not in line
    assert not (there.directory / "started").exists()


def test_jobs_are_counted_in_a_directory_and_the_gpus_use_is_told(there: RentedMachine) -> None:
    tool = there.directory / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 80\n")
    tool.chmod(0o755)
    jobs = there.directory / "jobs"
    jobs.mkdir()
    path = f"{there.directory}:{os.defpath}"
    there.start("--busy", f"dir {jobs}", "--slots", "2", "--", "sleep", "1000", env={"PATH": path})
    there.says(busy=0, gpu_util=0.8, slots=2)
    (jobs / "a").touch()
    there.wake()
    there.says(busy=1)
