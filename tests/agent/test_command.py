"""The agent's command and what it makes of what it sees on its machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest
from click.testing import CliRunner

from autoscaler import agent, deadman, duty, machine
from autoscaler.agent import split
from autoscaler.cli import main
from autoscaler.machine import jobs_in, prompts_at, read_gpu, source
from tests.support.imports import imported_by
from tests.support.real_time import sleep

# --- what it sees -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text", "use", "trouble"),
    [
        (0, "37\n", 0.37, ""),
        (0, "100\n50\n", 0.75, ""),
        (0, "[N/A]\n", None, ""),
        (0, "[Not Supported]\n40\n", 0.4, ""),
        (0, "", None, ""),
        (0, "12\n[GPU is lost]\n", None, "nvidia-smi: [GPU is lost]"),
        (0, "[Unknown Error]\n", None, "nvidia-smi: [Unknown Error]"),
        (9, "NVIDIA-SMI has failed\nbecause\n", None, "nvidia-smi: NVIDIA-SMI has failed"),
        (255, "", None, "nvidia-smi: ended with 255"),
    ],
)
def test_what_nvidia_smi_says(code: int, text: str, use: float | None, trouble: str) -> None:
    assert read_gpu(code, text) == (use, trouble)


def test_a_directory_has_a_file_for_each_job(tmp_path: Path) -> None:
    tell, outlasts = source(f"dir {tmp_path}")
    assert (tell(), outlasts) == (0, False)
    for name in ("a", "b", ".hidden"):
        (tmp_path / name).touch()
    assert tell() == 2
    assert jobs_in(str(tmp_path / "missing")) is None


@pytest.mark.parametrize(
    ("body", "status", "jobs"),
    [
        ('{"queue_running": [[0, "a"]], "queue_pending": [[1, "b"], [2, "c"]]}', 200, 3),
        ('{"queue_running": [], "queue_pending": []}', 200, 0),
        ('{"queue_running": [], "queue_pending": []}', 500, None),
        ('{"queue_running": 1, "queue_pending": []}', 200, None),
        ('{"queue_running": "", "queue_pending": {}}', 200, None),
        ("[" * 100_000, 200, None),
        ('{"queue_running": []', 200, None),
        ("[]", 200, None),
    ],
)
def test_comfyui_says_what_runs_and_what_waits(body: str, status: int, jobs: int | None) -> None:
    class Queue(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/queue" else 404)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """No line for each."""

    with HTTPServer(("127.0.0.1", 0), Queue) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        assert prompts_at(server.server_port) == jobs
        thread.join()
        server.server_close()
        assert prompts_at(server.server_port) is None


def test_a_comfyui_that_answers_byte_by_byte_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PATIENCE_S", 0.2)

    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for letter in '{"queue_running": [], "queue_pending": []}':
                    self.wfile.write(letter.encode())
                    sleep(0.02)

        def log_message(self, *_: object) -> None:
            """No line for each."""

    with HTTPServer(("127.0.0.1", 0), Dripping) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        assert prompts_at(server.server_port) is None
        thread.join()


def test_a_process_that_ended_and_was_not_collected_is_not_left() -> None:
    process = subprocess.Popen(["true"], start_new_session=True)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process.pid not in machine._sessions()
    process.wait()


@pytest.mark.parametrize("how", ["", "dir", "dir ", "comfyui", "comfyui 8188", "comfyui :0", "comfyui :99999", "x :1"])
def test_a_source_is_one_of_two(how: str) -> None:
    with pytest.raises(ValueError, match="expected dir PATH"):
        source(how)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "own", "command"),
    [
        ("--slots 2 -- rq worker -- x", ["--slots", "2"], ["rq", "worker", "--", "x"]),
        ("--busy x", ["--busy", "x"], []),
        ("-- --help", [], ["--help"]),
    ],
)
def test_what_follows_the_dashes_is_the_workers(words: str, own: list[str], command: list[str]) -> None:
    assert split(words.split()) == (own, command)


def test_everything_that_is_wrong_is_told_at_once_and_no_value_of_the_environment_is_repeated() -> None:
    told = CliRunner().invoke(
        main,
        ["agent", "--slots", "0", "--drain-signal", "SIGTERM", "--busy", "perhaps"],
        env={
            "AUTOSCALER_DEAD_MAN_S": "soon",
            "AUTOSCALER_FLEET": None,
            "AUTOSCALER_INSTANCE": None,
            "REDIS_URL": "http://:hunter2@queue",
        },
    )
    assert told.exit_code == 2
    assert [line.partition(":")[2].split(":")[1].split()[0] for line in told.stderr.splitlines()] == [
        *("--drain-signal", "--slots", "--busy", "AUTOSCALER_FLEET", "AUTOSCALER_INSTANCE"),
        *("AUTOSCALER_DEAD_MAN_S", "AUTOSCALER_REDIS_URL"),
    ]
    assert "hunter2" not in told.stderr


@pytest.mark.parametrize("name", ["KILL", "STOP"])
def test_a_signal_that_leaves_a_worker_no_choice_does_not_drain_it(name: str) -> None:
    told = CliRunner().invoke(main, ["agent", "--drain-signal", name, "--", "true"])
    assert told.exit_code == 2
    assert f"--drain-signal {name}: expected a signal that a worker can obey" in told.stderr


@pytest.mark.parametrize("words", [[], ["--drain-signal", "none", "--", "python", "main.py"]])
def test_an_agent_that_could_never_say_that_its_machine_is_idle_is_refused(words: list[str]) -> None:
    told = CliRunner().invoke(main, ["agent", *words])
    assert told.exit_code == 2
    assert "nothing would tell when the machine is idle" in told.stderr


@pytest.mark.parametrize(
    ("module", "besides"),
    [(agent, {"redis", "deadman", "duty", "machine", "autoscaler"}), (duty, set()), (machine, set()), (deadman, set())],
)
def test_it_is_a_few_files_that_an_old_python_can_run_alone(module: ModuleType, besides: set[str]) -> None:
    assert imported_by(module) - sys.stdlib_module_names <= besides
