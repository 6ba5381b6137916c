"""The agent as the process that it is on a machine: real Redis, real workers, signals, the daemon's own decoding."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import redis

from autoscaler import agent, deadman, duty, machine
from autoscaler.runtime.entropy import Entropy
from autoscaler.runtime.ports import Heartbeat
from autoscaler.store.codec import decode_heartbeat
from autoscaler.store.keys import Keys
from tests.support.certificates import Authority
from tests.support.environments import PYTHON_QUEUES
from tests.support.real_time import until
from tests.support.redis_server import RedisServer, free_port

KEYS = Keys("attic")

JOBS_OF_A_LIST = """
import os, signal, sys, time
import redis
queue = redis.Redis.from_url(os.environ["REDIS_URL"])
going = True
def stop(*_):
    global going
    going = False
    open("told", "w").close()
signal.signal(signal.SIGTERM, stop)
queue.incr("starts")
while going:
    job = queue.blpop(["jobs"], timeout=0.1)
    if job:
        queue.incr("began")
        while not queue.exists("finish"):
            time.sleep(0.02)
        queue.rpush("done", job[1])
"""
LIST_WORKER = [sys.executable, "-c", JOBS_OF_A_LIST]


class Machine:
    """One rented machine: its agent, as files copied into an image, and what the daemon sees of it."""

    def __init__(self, url: str, directory: Path) -> None:
        self.client: Any = redis.Redis.from_url(url)
        self.directory = directory
        self.me = Entropy().token()
        self.memory = Path("/dev/shm", f"autoscaler-agent-{self.me}")
        self.env = {"REDIS_URL": url, "AUTOSCALER_FLEET": "attic", "AUTOSCALER_INSTANCE": self.me, "PATH": os.defpath}
        self.process: subprocess.Popen[str] | None = None
        for module in (agent, duty, machine, deadman):
            path = Path(str(module.__file__))
            (directory / path.name).write_bytes(path.read_bytes())

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> None:
        """Start the agent."""
        self.process = self.launched(*words, env=env)

    def launched(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """An agent that was started."""
        return subprocess.Popen(
            [sys.executable, str(self.directory / "agent.py"), *words],
            env={**self.env, **(env or {})},
            cwd=self.directory,
            stderr=subprocess.PIPE,
            text=True,
        )

    def beat(self) -> Heartbeat | None:
        """What the daemon reads."""
        stored = self.client.hget(KEYS.workers, self.me)
        return None if stored is None else decode_heartbeat(stored)

    def says(self, **what: Any) -> None:
        """Wait until it says this."""
        until(lambda: (beat := self.beat()) and all(getattr(beat, key) == what[key] for key in what), f"it says {what}")

    def mark(self) -> None:
        """Set the drain mark. Any signal wakes the agent, which then looks at once."""
        self.client.set(KEYS.drain(self.me), "3 machines wanted, 4 HOT")
        self.wake()

    def lift(self) -> None:
        """Take it back."""
        self.client.delete(KEYS.drain(self.me))
        self.wake()

    def wake(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCHLD)

    def soon(self, condition: Callable[[], object], what: str) -> None:
        """Wait for what a beat, or several, bring about."""

        def woken() -> bool:
            self.wake()
            return bool(condition())

        until(woken, what)

    def kill(self) -> None:
        """End it as one that runs out of memory is ended, and forget what it said."""
        assert self.process is not None
        assert self.process.stderr is not None
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.client.delete(KEYS.workers)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code and log, after a signal."""
        assert self.process is not None
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=20)
        return self.process.returncode, log


@pytest.fixture
def there(redis_url: str, tmp_path: Path) -> Iterator[Machine]:
    here = Machine(redis_url, tmp_path)
    yield here
    here.client.set("finish", 1)
    if here.process is not None and here.process.poll() is None:
        here.end()
    here.client.close()
    here.memory.unlink(missing_ok=True)


def test_a_job_that_runs_when_the_machine_is_drained_is_finished_and_then_it_says_so(there: Machine) -> None:
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


def test_an_rq_worker_finishes_its_job_and_the_machine_is_drained(there: Machine) -> None:
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


def test_a_process_that_the_worker_left_in_its_session_holds_the_drain_up_and_a_daemon_does_not(there: Machine) -> None:
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
        until(lambda: not worker_of(there), "the worker has ended")
        there.wake()
        there.says(busy=1, drained=False)
        flag.touch()
        there.soon(lambda: (there.beat() or Heartbeat(busy=9)).drained, "it has drained")
    finally:
        flag.touch()
        gone.touch()


def runs(flag: Path) -> bool:
    """Whether the process that waits for this file is there; not the one that has it among its words to start it."""
    lines = [_read(each) for each in Path("/proc").glob("[0-9]*/cmdline")]
    return any(str(flag).encode() in line and b"Popen" not in line for line in lines)


def worker_of(there: Machine) -> bool:
    """Whether the agent's own child is there."""
    assert there.process is not None
    path = Path(f"/proc/{there.process.pid}/task/{there.process.pid}/children")
    return bool(_read(path).strip())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_worker_that_crashes_is_started_again(there: Machine) -> None:
    there.start(
        "--", sys.executable, "-c", "import os, redis; redis.Redis.from_url(os.environ['REDIS_URL']).incr('n'); 1/0"
    )
    until(lambda: there.client.get("n") == b"2", "it runs again")
    there.says(busy=0, drained=False)


@pytest.mark.parametrize(
    ("script", "number", "code"),
    [
        ("sys.exit(7)", signal.SIGTERM, 7),
        ("sys.exit(7)", signal.SIGINT, 7),
        ("sys.exit(7)", signal.SIGQUIT, 7),
        ("signal.signal(number, signal.SIG_DFL); os.kill(os.getpid(), number)", signal.SIGTERM, 128 + 10),
    ],
)
def test_a_signal_that_ends_the_agent_asks_the_worker_to_end_whose_exit_code_is_the_agents(
    there: Machine, script: str, number: int, code: int
) -> None:
    """By the drain signal: to some libraries each other one means to cut their jobs off."""
    source = f"import os, signal, sys, time\ndef stop(number, _): {script}\nsignal.signal(signal.SIGUSR1, stop)\n"
    there.start(
        "--drain-signal",
        "USR1",
        "--",
        sys.executable,
        "-c",
        source + "open('ready', 'w').close()\nwhile True: time.sleep(0.05)",
    )
    until((there.directory / "ready").exists, "the worker is up")
    assert there.end(number)[0] == code


def test_other_signals_are_only_passed_on(there: Machine) -> None:
    source = "import signal, sys, time\nsignal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))\n"
    there.start("--", sys.executable, "-c", source + "open('ready', 'w').close()\ntime.sleep(1e6)")
    until((there.directory / "ready").exists, "the worker is up")
    assert there.process is not None
    there.process.send_signal(signal.SIGUSR1)
    there.says(busy=0, drained=False)
    assert there.process.poll() is None


def test_files_that_a_worker_left_behind_keep_no_machine_once_it_is_gone(there: Machine) -> None:
    (there.directory / "jobs").mkdir()
    (there.directory / "jobs" / "a").touch()
    there.start("--busy", "dir jobs", "--slots", "2", "--", "sleep", "1000")
    until(lambda: worker_of(there), "the worker is up")
    there.says(busy=1)
    there.mark()
    there.soon(lambda: (there.beat() or Heartbeat(busy=9)).drained, "it has drained")
    there.says(busy=0, drained=True)


def test_prompts_that_outlast_the_worker_which_sent_them_keep_the_machine(there: Machine) -> None:
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
        until(lambda: worker_of(there), "the worker is up")
        there.mark()
        until(lambda: not worker_of(there), "the worker has ended")
        there.wake()
        there.says(busy=1, drained=False)
        held.clear()
        there.soon(lambda: (there.beat() or Heartbeat(busy=9)).drained, "it has drained")
        server.shutdown()


def test_an_agent_that_ends_starts_no_worker_while_it_waits_for_what_the_last_one_left(there: Machine) -> None:
    flag, starts = there.directory / "flag", there.directory / "starts"
    script = f"(while [ ! -e {flag} ]; do sleep 0.02; done) & echo x >> {starts}; exec sleep 1000"
    there.start("--", "sh", "-c", script)
    until(lambda: _read(starts), "the worker is up")
    assert there.process is not None
    there.process.send_signal(signal.SIGTERM)
    until(lambda: not worker_of(there), "the worker has ended")
    looks = iter(range(20))
    there.soon(lambda: next(looks) == 19, "it has looked often")
    flag.touch()
    there.process.communicate(timeout=20)
    assert starts.read_text() == "x\n"


IMPATIENT = """
import os, signal, sys, time
import redis
client = redis.Redis.from_url(os.environ["REDIS_URL"])
def asked(*_):
    if client.incr("asked") > 1:
        os._exit(66)
signal.signal(signal.SIGTERM, asked)
client.incr("starts")
while not client.exists("finish"):
    time.sleep(0.02)
"""
"""To it, as to many libraries' workers, a second signal means to give up the job."""


def test_a_machine_that_is_stopped_while_it_drains_asks_its_worker_no_second_time(there: Machine) -> None:
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


def test_whoever_insists_gets_his_second_signal_through(there: Machine) -> None:
    there.start("--", sys.executable, "-c", IMPATIENT)
    until(lambda: there.client.exists("starts"), "the job is at work")
    assert there.process is not None
    there.process.send_signal(signal.SIGTERM)
    until(lambda: there.client.exists("asked"), "it is asked to end")
    assert there.end()[0] == 66


def test_an_agent_that_was_killed_leaves_its_worker_to_the_next_one(there: Machine) -> None:
    there.start("--", sys.executable, "-c", IMPATIENT)
    until(lambda: there.client.exists("starts"), "the job is at work")
    there.kill()

    there.start("--", sys.executable, "-c", IMPATIENT)
    there.says(busy=1, drained=False)
    there.mark()
    until(lambda: there.client.exists("asked"), "it is asked to end")
    there.says(busy=1, drained=False)
    there.kill()

    there.start("--", sys.executable, "-c", IMPATIENT)
    there.says(busy=1, drained=False)
    looks = iter(range(20))
    there.soon(lambda: next(looks) == 19, "it has looked often")
    assert (there.client.get("starts"), there.client.get("asked")) == (b"1", b"1")
    there.client.set("finish", 1)
    there.soon(lambda: (there.beat() or Heartbeat(busy=9)).drained, "it has drained")

    there.client.delete("finish", "asked")
    there.lift()
    there.soon(lambda: there.client.get("starts") == b"2", "it is started again")


def test_a_second_agent_on_the_same_machine_is_refused(there: Machine) -> None:
    there.start("--", *LIST_WORKER)
    there.says(busy=1)
    other = there.launched("--", *LIST_WORKER)
    _, log = other.communicate(timeout=20)
    assert (other.returncode, log) == (
        2,
        "agent: error: another agent of this machine runs: one speaks for all its slots\n",
    )


def test_while_another_agent_beats_for_the_same_machine_it_is_busy_and_never_drained(there: Machine) -> None:
    jobs = there.directory / "jobs"
    jobs.mkdir()
    there.client.hset(KEYS.workers, there.me, '{"busy": 1, "since": "the agent before"}')
    there.start("--busy", f"dir {jobs}", "--", "sleep", "1000")
    there.says(busy=0)
    looks = iter(range(10))
    there.soon(lambda: next(looks) == 9, "it has looked often")
    assert (there.beat() or Heartbeat(busy=9)).trouble == ""
    there.client.hset(KEYS.workers, there.me, '{"busy": 1, "since": "another"}')
    there.mark()
    there.soon(lambda: "another agent" in (there.beat() or Heartbeat(busy=9)).trouble, "it says so")
    until(lambda: not worker_of(there), "its own worker has ended")
    there.wake()
    there.says(busy=1, drained=False)


def test_a_signal_that_comes_before_there_is_a_worker_to_hear_it_is_not_lost(there: Machine) -> None:
    script = (
        "import os, signal, subprocess, sys\n"
        "import autoscaler.machine as machine\n"
        "start = subprocess.Popen\n"
        "def slow(*words, **options):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return start(*words, **options)\n"
        "machine.subprocess.Popen = slow\n"
        "from autoscaler.agent import main\n"
        "sys.exit(main(['--', 'sleep', '1000'], os.environ))\n"
    )
    process = subprocess.run([sys.executable, "-c", script], env=there.env, timeout=20, check=False)
    assert process.returncode == 128 + signal.SIGTERM


def test_a_worker_that_cannot_be_started_again_has_crashed_and_is_not_the_agents_end(there: Machine) -> None:
    command, script = there.directory / "worker", "#!/bin/sh\nrm worker\n"
    command.write_text(script)
    command.chmod(0o755)
    there.start("--", str(command))
    assert there.process is not None
    assert there.process.stderr is not None
    until(lambda: not command.exists(), "it ran once")
    log = [there.process.stderr.readline() for _ in range(3)]
    assert "ended by itself with 0" in log[0]
    assert "No such file" in log[1]
    assert "ended by itself with 127" in log[2]
    assert there.process.poll() is None


def test_an_agent_whose_log_nobody_reads_any_more_works_on(there: Machine) -> None:
    there.start("--", *LIST_WORKER)
    there.client.rpush("jobs", "a")
    until(lambda: there.client.get("began") == b"1", "the job is at work")
    assert there.process is not None
    assert there.process.stderr is not None
    there.process.stderr.close()
    there.mark()
    there.client.set("finish", 1)
    there.soon(lambda: (there.beat() or Heartbeat(busy=9)).drained, "it has drained")
    there.process.kill()
    there.process.wait()


def test_a_command_that_is_not_there_ends_the_agent_as_it_ends_a_shell(there: Machine) -> None:
    there.start("--", "no-such-worker")
    assert there.process is not None
    _, log = there.process.communicate(timeout=20)
    assert there.process.returncode == 127
    assert "no-such-worker" in log


def test_jobs_are_counted_in_a_directory_and_the_gpus_use_is_told(there: Machine) -> None:
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


def test_redis_away_leaves_the_worker_running_and_one_line_in_the_log(there: Machine, tmp_path: Path) -> None:
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


def test_orphans_are_collected() -> None:
    """In a container the agent may be the first process, which inherits them; here it is told to, by a prctl."""
    script = (
        "import ctypes, os, subprocess, sys\n"
        "from autoscaler.machine import collect_orphans\n"
        "ctypes.CDLL(None).prctl(36, 1)\n"
        "ours = subprocess.Popen(['false'])\n"
        "subprocess.run(['sh', '-c', 'sleep 0.05 & sleep 0.06 &'])\n"
        "os.waitid(os.P_PID, ours.pid, os.WEXITED | os.WNOWAIT)\n"
        "collect_orphans({ours.pid})\n"
        "if ours.wait() == 0: sys.exit('another was told how ours ended')\n"
        "while open(f'/proc/self/task/{os.getpid()}/children').read(): collect_orphans(set())\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_machine_whose_daemon_is_gone_finishes_its_job_and_then_asks_for_its_own_end(there: Machine) -> None:
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
        looks = iter(range(40))
        there.soon(lambda: next(looks) == 39, "it has looked often while a daemon leads")

        there.client.delete(KEYS.lease)
        looks = iter(range(40))
        there.soon(lambda: next(looks) == 39, "it has looked often while none does")
        until((there.directory / "told").exists, "the worker was told to pull no more")
        there.says(busy=1, drained=False)
        there.client.set("finish", 1)
        there.soon(lambda: asked, "it asks for its end")
        server.shutdown()
    assert asked[0] == ("/api/v0/instances/7/", 1)
    assert there.client.llen("jobs") == 1, "it pulled no more"


@pytest.mark.parametrize("kind", ["redis", "rediss", "unix"])
def test_it_beats_with_three_rights_in_each_way_that_a_redis_of_one_server_is_reached(
    there: Machine, tmp_path: Path, kind: str
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
def test_where_it_cannot_reach_redis_by_such_a_url_it_says_so_and_starts_nothing(there: Machine, url: str) -> None:
    there.start("--", "touch", "started", env={"REDIS_URL": url})
    assert there.process is not None
    _, log = there.process.communicate(timeout=20)
    assert there.process.returncode == 2
    assert "REDIS_URL: Redis URL must specify one of the following schemes" in log
    assert not (there.directory / "started").exists()


def test_a_refused_password_starts_no_worker_and_is_told_without_it(there: Machine) -> None:
    url = there.env["REDIS_URL"].replace("//", "//nobody:hunter2@")
    there.start("--", "touch", "started", env={"REDIS_URL": url})
    assert there.process is not None
    assert there.process.stderr is not None
    line = there.process.stderr.readline()
    assert line.startswith("agent: Redis does not take the beat: ")
    assert "hunter2" not in line
    assert not (there.directory / "started").exists()
