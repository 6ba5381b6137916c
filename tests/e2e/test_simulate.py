"""`autoscaler simulate` as a process: interrupted, on a terminal, and the same bytes from the same seed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import real_time
from tests.support.daemon_process import AUTOSCALER, autoscaler
from tests.support.simulating import write_config, write_trace

PEER = """
import sys
from pathlib import Path
from autoscaler.config import load_config
from autoscaler.rehearsal import scenario_of
from autoscaler.sim.baselines import BASELINES
from autoscaler.sim.files import write_books
from autoscaler.sim.run import simulate
from autoscaler.sim.summary import document, summarize
from dataclasses import replace

config, trace, out, peer = sys.argv[1:]
made = scenario_of(load_config(Path(config), {}), [trace], market=None, seed=1)
made = replace(made, peers={"images": (peer, BASELINES[peer].settings())})
books = simulate(made)
write_books(books, document(made, summarize(books), {}), Path(out))
"""


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_same_seed_gives_the_same_bytes_in_every_process_and_another_seed_others(tmp_path: Path) -> None:
    config, trace = write_config(tmp_path), write_trace(tmp_path)
    written = []
    for number, (seed, salt) in enumerate([(1, "0"), (1, "1"), (2, "0")]):
        out = tmp_path / str(number)
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        result = autoscaler("simulate", config, "--trace", trace, "--seed", str(seed), "--out", out, env=environment)
        assert result.returncode == 0, result.stderr
        written.append(contents(out))
    assert set(written[0]) >= {"jobs.csv", "phases.csv", "summary.json"}
    assert written[0] == written[1]
    assert written[0]["phases.csv"] != written[2]["phases.csv"]


@pytest.mark.parametrize("peer", ["keda-llen", "vast-serverless"])
def test_peers_give_the_same_bytes_too(peer: str, tmp_path: Path) -> None:
    config, trace = write_config(tmp_path), write_trace(tmp_path)
    written = []
    for salt in ("0", "1"):
        command = [sys.executable, "-c", PEER, str(config), str(trace), str(tmp_path / salt), peer]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": salt})
        written.append(contents(tmp_path / salt))
    assert written[0] == written[1]


def test_ctrl_c_ends_it_at_once_without_a_word_and_leaves_no_file(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    trace = write_trace(tmp_path, "t_s,user,service_s\n" + "".join(f"{600 * n},pro,30\n" for n in range(50_000)))
    out = tmp_path / "out"
    command = [AUTOSCALER, "simulate", str(config), "--trace", str(trace), "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        real_time.until(out.exists, "the simulation has begun", patience_s=20.0)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=20.0)
    assert process.returncode == 130
    assert told == ("", "")
    assert list(out.iterdir()) == []


def test_progress_is_shown_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    config, trace = write_config(tmp_path), write_trace(tmp_path)
    assert autoscaler("simulate", config, "--trace", trace).stderr == ""
    ours, theirs = pty.openpty()
    command = [AUTOSCALER, "simulate", str(config), "--trace", str(trace)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while chunk := read(ours):
            shown += chunk
        assert process.stdout is not None
        figures = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert b"simulating" in shown
    assert b"simulating" not in figures


def read(terminal: int) -> bytes:
    """What comes from a terminal next; nothing at its end, which Linux tells as an error."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
