"""A machine that drains, with the agent as the process that it is there: real Redis, real workers, real signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from autoscaler.runtime.ports import Heartbeat
from tests.support.environments import PYTHON_QUEUES
from tests.support.real_time import until
from tests.support.rented_machine import IMPATIENT, KEYS, LIST_WORKER, RentedMachine, read_bytes


def runs(flag: Path) -> bool:
    """Whether the process that waits for this file is there; not the one that has it among its words to start it."""
    lines = [read_bytes(each) for each in Path("/proc").glob("[0-9]*/cmdline")]
    return any(str(flag).encode() in line and b"Popen" not in line for line in lines)


def test_a_job_that_runs_when_the_machine_is_drained_is_finished_and_then_it_says_so(there: RentedMachine) -> None:
    there.start("--", *LIST_WORKER)
    there.client.rpush("jobs", "a")
    until(lambda: there.client.get("began") == b"1", "the job is at work")
    there.says(busy=1, drained=False)

    there.client.rpush("jobs", "b")
    there.mark()
    until((there.directory / "told").exists, "the worker was told to pull no more")
    there.wake()
    there.says(busy=1, drained=False)
    assert not there.client.exists("done"), "the job is at work still"
    there.client.set("finish", 1)
    there.says(busy=0, drained=True)
    assert there.client.lrange("done", 0, -1) == [b"a"]
    assert there.client.lrange("jobs", 0, -1) == [b"b"], "it pulled no more"

    there.lift()
    there.soon(lambda: there.client.get("starts") == b"2", "the worker is back")
    there.says(busy=1, drained=False)
    until(lambda: there.client.lrange("done", 0, -1) == [b"a", b"b"], "it works again")
    code, log = there.end()
    assert code == 0
    assert log.splitlines() == ["agent: draining", "agent: the worker has drained, and ended with 0"]


def test_an_rq_worker_finishes_its_job_and_the_machine_is_drained(there: RentedMachine) -> None:
    PYTHON_QUEUES.require()
    rq = str(PYTHON_QUEUES.home / "bin" / "rq")
    (there.directory / "work.py").write_text(
        "import time, redis, os\n"
        "def work():\n"
        "    client = redis.Redis.from_url(os.environ['REDIS_URL'])\n"
        "    client.incr('began')\n"
        "    while not client.exists('finish'):\n"
        "        time.sleep(0.02)\n"
    )
    enqueue = (
        "import os, redis, rq; queue = rq.Queue('gpu', connection=redis.Redis.from_url(os.environ['REDIS_URL']))\n"
        "[queue.enqueue('work.work') for _ in range(2)]"
    )
    environment = {"PYTHONPATH": str(there.directory)}
    python = str(PYTHON_QUEUES.home / "bin" / "python")
    subprocess.run([python, "-c", enqueue], env={**there.env, **environment}, check=True, timeout=30)
    there.start("--", rq, "worker", "gpu", "--url", there.env["REDIS_URL"], "--quiet", env=environment)
    until(lambda: there.client.get("began") == b"1", "the job is at work", patience_s=30.0)
    there.mark()
    [worker] = there.client.smembers("rq:workers")
    until(lambda: there.client.hexists(worker, "shutdown_requested_date"), "the worker was told to pull no more")
    there.says(busy=1, drained=False)
    there.client.set("finish", 1)
    there.says(busy=0, drained=True)
    assert there.client.llen("rq:queue:gpu") == 1, "it pulled no more"
    assert there.client.zcard("rq:finished:gpu") == 1


def test_a_process_that_the_worker_left_in_its_session_holds_the_drain_up_and_a_daemon_does_not(
    there: RentedMachine,
) -> None:
    """As RQ does with a job's process: a process group of its own, in the worker's session."""
    gone, flag = there.directory / "gone", there.directory / "flag"
    hold = "[sys.executable, '-c', \"import os, time\\nwhile not os.path.exists('{}'): time.sleep(0.02)\"]"
    in_session = f"subprocess.Popen({hold.format(flag)}, process_group=0)"
    daemon = f"subprocess.Popen({hold.format(gone)}, start_new_session=True)"
    script = f"import subprocess, sys, time\n{in_session}\n{daemon}\ntime.sleep(1000)"
    there.start("--", sys.executable, "-c", script)
    try:
        there.says(busy=1, drained=False)
        until(lambda: runs(flag) and runs(gone), "both are there")
        there.mark()
        there.outlasts_its_worker()
        flag.touch()
        there.until_drained()
    finally:
        flag.touch()
        gone.touch()


def test_files_that_a_worker_left_behind_keep_no_machine_once_it_is_gone(there: RentedMachine) -> None:
    (there.directory / "jobs").mkdir()
    (there.directory / "jobs" / "a").touch()
    there.start("--busy", "dir jobs", "--slots", "2", "--", "sleep", "1000")
    until(there.has_worker, "the worker is up")
    there.says(busy=1)
    there.mark()
    there.until_drained()
    there.says(busy=0, drained=True)


def test_prompts_that_outlast_the_worker_which_sent_them_keep_the_machine(there: RentedMachine) -> None:
    held = [[0, "a"]]

    class Queue(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"queue_running": held, "queue_pending": []}).encode())

        def log_message(self, *_: object) -> None:
            """No line for each."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Queue) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        there.start("--busy", f"comfyui :{server.server_port}", "--", "sleep", "1000")
        until(there.has_worker, "the worker is up")
        there.mark()
        there.outlasts_its_worker()
        held.clear()
        there.until_drained()
        server.shutdown()


def test_a_machine_that_is_stopped_while_it_drains_asks_its_worker_no_second_time(there: RentedMachine) -> None:
    there.start("--", sys.executable, "-c", IMPATIENT)
    until(lambda: there.client.exists("starts"), "the job is at work")
    there.mark()
    until(lambda: there.client.exists("asked"), "it is asked to end")
    assert there.process is not None
    there.process.send_signal(signal.SIGTERM)
    there.soon(lambda: (there.beat() or Heartbeat(busy=0)).busy, "the agent goes on")
    there.client.set("finish", 1)
    there.process.communicate(timeout=20)
    assert (there.process.returncode, there.client.get("asked")) == (0, b"1")


def test_while_another_agent_beats_for_the_same_machine_it_is_busy_and_never_drained(there: RentedMachine) -> None:
    jobs = there.directory / "jobs"
    jobs.mkdir()
    there.client.hset(KEYS.workers, there.me, '{"busy": 1, "since": "the agent before"}')
    there.start("--busy", f"dir {jobs}", "--", "sleep", "1000")
    there.says(busy=0)
    there.look(10)
    assert (there.beat() or Heartbeat(busy=9)).trouble == ""
    there.client.hset(KEYS.workers, there.me, '{"busy": 1, "since": "another"}')
    there.mark()
    there.soon(lambda: "another agent" in (there.beat() or Heartbeat(busy=9)).trouble, "it says so")
    there.outlasts_its_worker()


def test_an_agent_whose_log_nobody_reads_any_more_works_on(there: RentedMachine) -> None:
    there.start("--", *LIST_WORKER)
    there.client.rpush("jobs", "a")
    until(lambda: there.client.get("began") == b"1", "the job is at work")
    assert there.process is not None
    assert there.process.stderr is not None
    there.process.stderr.close()
    there.mark()
    there.client.set("finish", 1)
    there.until_drained()
    there.process.kill()
    there.process.wait()


def test_a_machine_whose_daemon_is_gone_finishes_its_job_and_then_asks_for_its_own_end(there: RentedMachine) -> None:
    """A worker that counts as busy as long as it runs would keep its machine for ever: so it is drained first."""
    asked: list[tuple[str, int]] = []

    class Vendor(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            asked.append((self.path, there.client.llen("done")))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """No line for each."""

    there.client.set(KEYS.lease, "daemon:1")
    there.client.rpush("jobs", "a", "b")
    with ThreadingHTTPServer(("127.0.0.1", 0), Vendor) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        vendor = {"VAST_URL": f"http://127.0.0.1:{server.server_port}", "CONTAINER_ID": "7", "CONTAINER_API_KEY": "k"}
        there.start("--", *LIST_WORKER, env={**vendor, "AUTOSCALER_DEAD_MAN_S": "0.5"})
        until(lambda: there.client.get("began") == b"1", "the job is at work")
        there.look(40)

        there.client.delete(KEYS.lease)
        there.look(40)
        until((there.directory / "told").exists, "the worker was told to pull no more")
        there.says(busy=1, drained=False)
        there.client.set("finish", 1)
        there.soon(lambda: asked, "it asks for its end")
        server.shutdown()
    assert asked[0] == ("/api/v0/instances/7/", 1)
    assert there.client.llen("jobs") == 1, "it pulled no more"
