"""How the agent, its worker and those that were there before begin and end: real processes and signals."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.real_time import until
from tests.support.rented_machine import IMPATIENT, LIST_WORKER, RentedMachine, read_bytes


def test_a_worker_that_crashes_is_started_again(there: RentedMachine) -> None:
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
    there: RentedMachine, script: str, number: int, code: int
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


def test_other_signals_are_only_passed_on(there: RentedMachine) -> None:
    source = "import signal, sys, time\nsignal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))\n"
    there.start("--", sys.executable, "-c", source + "open('ready', 'w').close()\ntime.sleep(1e6)")
    until((there.directory / "ready").exists, "the worker is up")
    assert there.process is not None
    there.process.send_signal(signal.SIGUSR1)
    there.says(busy=0, drained=False)
    assert there.process.poll() is None


def test_an_agent_that_ends_starts_no_worker_while_it_waits_for_what_the_last_one_left(there: RentedMachine) -> None:
    flag, starts = there.directory / "flag", there.directory / "starts"
    script = f"(while [ ! -e {flag} ]; do sleep 0.02; done) & echo x >> {starts}; exec sleep 1000"
    there.start("--", "sh", "-c", script)
    until(lambda: read_bytes(starts), "the worker is up")
    assert there.process is not None
    there.process.send_signal(signal.SIGTERM)
    there.until_worker_ended()
    there.look(20)
    flag.touch()
    there.process.communicate(timeout=20)
    assert starts.read_text() == "x\n"


def test_whoever_insists_gets_his_second_signal_through(there: RentedMachine) -> None:
    there.start("--", sys.executable, "-c", IMPATIENT)
    until(lambda: there.client.exists("starts"), "the job is at work")
    assert there.process is not None
    there.process.send_signal(signal.SIGTERM)
    until(lambda: there.client.exists("asked"), "it is asked to end")
    assert there.end()[0] == 66


def test_an_agent_that_was_killed_leaves_its_worker_to_the_next_one(there: RentedMachine) -> None:
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
    there.look(20)
    assert (there.client.get("starts"), there.client.get("asked")) == (b"1", b"1")
    there.client.set("finish", 1)
    there.until_drained()

    there.client.delete("finish", "asked")
    there.lift()
    there.soon(lambda: there.client.get("starts") == b"2", "it is started again")


def test_a_second_agent_on_the_same_machine_is_refused(there: RentedMachine) -> None:
    there.start("--", *LIST_WORKER)
    there.says(busy=1)
    other = there.launched("--", *LIST_WORKER)
    _, log = other.communicate(timeout=20)
    assert (other.returncode, log) == (
        2,
        "agent: error: another agent of this machine runs: one speaks for all its slots\n",
    )


def test_a_signal_that_comes_before_there_is_a_worker_to_hear_it_is_not_lost(there: RentedMachine) -> None:
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


def test_a_worker_that_cannot_be_started_again_has_crashed_and_is_not_the_agents_end(there: RentedMachine) -> None:
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


def test_a_command_that_is_not_there_ends_the_agent_as_it_ends_a_shell(there: RentedMachine) -> None:
    there.start("--", "no-such-worker")
    assert there.process is not None
    _, log = there.process.communicate(timeout=20)
    assert there.process.returncode == 127
    assert "no-such-worker" in log


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
