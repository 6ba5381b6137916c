"""From a Redis with a real library's jobs to machines for them, by the commands that a newcomer types."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.support.daemon_process import StartDaemon, autoscaler
from tests.support.environments import PYTHON_QUEUES
from tests.support.real_time import until
from tests.support.redis_server import free_port

ENQUEUE = """
import sys
from redis import Redis
from rq import Queue

for _ in range(3):
    Queue("gpu", connection=Redis.from_url(sys.argv[1])).enqueue("time.sleep", 1)
"""


async def test_jobs_of_rq_are_found_and_a_machine_comes_for_them(
    redis_url: str, tmp_path: Path, start_daemon: StartDaemon
) -> None:
    enqueued = await PYTHON_QUEUES.run("python", "-c", ENQUEUE, redis_url, env={})
    assert enqueued.code == 0, enqueued.err
    file = tmp_path / "fleet.yaml"

    found = autoscaler("init", "--redis", redis_url, "--yes", "--output", file)
    assert found.returncode == 0, found.stderr
    checked = autoscaler("check", file)
    assert checked.returncode == 0, checked.stderr
    shown = autoscaler("queue", file)
    assert shown.returncode == 0, shown.stderr
    assert "gpu" in shown.stdout
    assert " 3 " in shown.stdout

    config = yaml.safe_load(file.read_text()) | {"http": {"listen": f"127.0.0.1:{free_port()}"}}
    config["providers"]["mock"] = {"setup": "2m..3m"}
    daemon = start_daemon(config, "--speed", "60")
    daemon.wait_ready()
    until(lambda: daemon.pool()["phases"]["hot"] >= 1, "a machine was HOT for them", patience_s=60.0)
    assert daemon.pool()["demand"]["waiting"] == 3
