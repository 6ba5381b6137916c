"""`autoscaler emulate` from the outside."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from autoscaler.cli import main
from autoscaler.emulate.runpod import Quirk as RunpodQuirk
from autoscaler.emulate.vastai import Quirk as VastQuirk
from providers.mock import Fault
from tests.support.daemon_process import AUTOSCALER


@pytest.mark.parametrize(("vendor", "quirks"), [("vastai", VastQuirk), ("runpod", RunpodQuirk)])
def test_help_names_every_quirk_and_fault_with_a_word_on_it(vendor: str, quirks: type[VastQuirk]) -> None:
    shown = CliRunner().invoke(main, ["emulate", vendor, "--help"]).output
    assert [name for name in [*quirks, *Fault] if f"  {name}: " not in shown] == []


def test_a_faulty_scenario_ends_with_2_and_every_mistake(tmp_path: Path) -> None:
    scenario = tmp_path / "bad.yaml"
    scenario.write_text("quirks: [frosen]\nmarket: {setup: soon}", encoding="utf-8")
    ended = CliRunner().invoke(main, ["emulate", "vastai", "--scenario", str(scenario)])
    assert ended.exit_code == 2
    assert ended.stderr.count("error: ") == 2
    assert "did you mean frozen?" in ended.stderr


def test_a_taken_port_is_one_line_and_ends_with_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = CliRunner().invoke(main, ["emulate", "vastai", "--port", port])
    assert (ended.exit_code, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert f"port {port} on 127.0.0.1 is not to be had" in ended.stderr


@pytest.mark.parametrize("vendor", ["vastai", "runpod"])
async def test_it_says_where_it_is_tells_each_request_and_ends_when_told_to(vendor: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(AUTOSCALER, "emulate", vendor, "--port", "0"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    first = (await process.stdout.readline()).decode()
    url = first.split(" is at ")[1].split(",")[0]
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v0/teapots/") as response:
        assert response.status == 404 or vendor == "runpod"
    process.send_signal(signal.SIGTERM)
    out, err = await process.communicate()
    assert process.returncode == 0
    assert url in out.decode()
    assert "/api/v0/teapots/" in err.decode()
