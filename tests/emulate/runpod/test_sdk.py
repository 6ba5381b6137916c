"""RunPod's own Python SDKs, old and new, drive the emulator over a socket."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass
from typing import Any

import pytest

from autoscaler.core.market import Status
from autoscaler.emulate.runpod import Emulation, Quirk, make
from autoscaler.emulate.serve import served
from tests.emulate.runpod.desk import GPU, MARKET, START
from tests.support.environments import RUNPOD, RUNPOD_NEXT, Environment

_PREAMBLE = """
import json, sys
import runpod
runpod.api_key = "rpa_test"

def told(call, *arguments, **named):
    try:
        print(json.dumps(call(*arguments, **named)))
    except Exception as error:
        print(json.dumps({"error": type(error).__name__, "says": str(error)}))
"""


@dataclass
class Run:
    """What came of a script."""

    gave: list[Any]
    """By call."""
    truth: list[Status | None]
    """The state of the first machine after each request; None where there is none."""


async def drive(vendor: Environment, script: str, *quirks: Quirk) -> Run:
    """Run a script with a vendor's SDK; at least a minute goes by with each of its requests."""
    clock = itertools.count(START, 60.0)
    emulator = make(Emulation(market=MARKET, quirks=quirks), now=lambda: next(clock), rng=random.Random(7))
    truth: list[Status | None] = []

    def look(*_: object) -> None:
        machine = emulator.market.machines.get("m1")
        truth.append(machine.status if machine else None)

    async with served(emulator, tell=look) as url:
        env = {"RUNPOD_API_BASE_URL": url, "HOME": "/nonexistent"}
        ran = await vendor.run("python", "-c", _PREAMBLE + script, env=env)
    assert ran.code == 0, ran.err
    return Run(gave=[json.loads(line) for line in ran.out.splitlines()], truth=truth)


async def test_the_old_sdk_lives_through_a_pods_whole_life() -> None:
    run = await drive(
        RUNPOD,
        f"""
told(runpod.get_gpus)
told(runpod.get_gpu, "{GPU}")
told(runpod.create_pod, "w1", "img:1", "{GPU}", volume_in_gb=20, ports="22/tcp", env={{"A": "b"}})
told(runpod.get_pods)
told(runpod.get_pod, "m1")
told(runpod.stop_pod, "m1")
told(runpod.resume_pod, "m1", 1)
told(runpod.terminate_pod, "m1")
told(runpod.get_pod, "m1")
told(runpod.get_user)
""",
    )
    gpus, gpu, created, pods, pod, stopped, resumed, terminated, gone, user = run.gave
    assert {"id": GPU, "displayName": "RTX 4090", "memoryInGb": 24} in gpus
    assert gpu["lowestPrice"]["uninterruptablePrice"] == gpu["securePrice"] > gpu["secureSpotPrice"]
    assert created["id"] == "m1"
    assert created["env"] == ["A=b"]
    assert [row["id"] for row in pods] == ["m1"]
    assert (pod["desiredStatus"], pod["volumeInGb"], pod["runtime"]["ports"][0]["privatePort"]) == ("RUNNING", 20, 22)
    assert stopped == {"id": "m1", "desiredStatus": "EXITED"}
    assert (resumed["id"], resumed["desiredStatus"]) == ("m1", "RUNNING")
    assert terminated is None
    assert gone is None
    assert user["networkVolumes"] == []
    assert run.truth[3:] == [
        Status.RUNNING,  # created: a minute later, when the test looks
        Status.RUNNING,
        Status.RUNNING,
        Status.STOPPED,
        Status.RUNNING,
        None,
        None,
        None,
    ]


async def test_the_new_sdk_lives_through_a_pods_whole_life() -> None:
    run = await drive(
        RUNPOD_NEXT,
        f"""
told(runpod.get_gpus)
told(runpod.get_gpu, "{GPU}")
told(runpod.create_pod, "w1", "img:1", "{GPU}", volume_in_gb=20, ports="22/tcp", data_center_id="US-KS-2",
     env={{"Q": 'he said "x"'}})
told(runpod.get_pods)
told(runpod.get_pod, "m1")
told(runpod.stop_pod, "m1")
told(runpod.stop_pod, "m1")
told(runpod.resume_pod, "m1")
told(runpod.terminate_pod, "m1")
told(runpod.get_pod, "m1")
told(runpod.terminate_pod, "m1")
told(runpod.get_user)
""",
    )
    gpus, gpu, created, pods, pod, stopped, again, resumed, terminated, gone, missing, user = run.gave
    assert GPU in [row["id"] for row in gpus]
    assert gpu["availability"] == "HIGH"
    assert (created["id"], created["status"], created["dataCenterId"]) == ("m1", "PROVISIONING", "US-KS-2")
    assert created["env"] == {"Q": 'he said "x"'}
    assert [row["id"] for row in pods] == ["m1"]
    assert (pod["status"], pod["runtime"]["ports"][0]["private"]) == ("RUNNING", 22)
    assert stopped["id"] == "m1"
    assert again == {"error": "QueryError", "says": "cannot stop a pod that is EXITED"}
    assert resumed["status"] == "PROVISIONING"
    assert terminated is None
    assert gone is None
    assert missing == {"error": "QueryError", "says": "pod not found"}
    assert user["id"] == "user_emulated"
    assert run.truth[2:] == [
        Status.RUNNING,
        Status.RUNNING,
        Status.RUNNING,
        Status.STOPPED,
        Status.STOPPED,
        Status.RUNNING,
        None,
        None,
        None,
        None,
    ]


async def test_the_old_sdk_understands_how_it_is_refused() -> None:
    run = await drive(
        RUNPOD,
        f"""
told(runpod.create_pod, "w1", "img:1", "{GPU}", env={{"Q": 'he said "x"'}})
told(runpod.create_pod, "w1", "img:1", "{GPU}", data_center_id="EU-SE-1")
told(runpod.create_pod, "w1", "img:1", instance_id="cpu3c-2-4")
told(runpod.terminate_pod, "none")
told(runpod.stop_pod, "none")
""",
    )
    assert [gave["error"] for gave in run.gave] == ["QueryError"] * 5
    unescaped, elsewhere, processors, terminated, stopped = [gave["says"] for gave in run.gave]
    assert unescaped.startswith("Syntax Error")
    assert elsewhere.startswith("There are no longer any instances available with the requested specifications.")
    assert processors == elsewhere
    assert terminated == "pod not found to terminate"
    assert stopped == "pod not found"
    assert set(run.truth) == {None}


async def test_the_new_sdk_ignores_that_there_are_more_pages() -> None:
    creates = "\n".join(f'told(runpod.create_pod, "w{number}", "img:1", "{GPU}")' for number in range(3))
    run = await drive(RUNPOD_NEXT, f"{creates}\ntold(runpod.get_pods)", Quirk.SHORT_PAGES)
    assert [pod["id"] for pod in run.gave[-1]] == ["m3", "m2"]


@pytest.mark.parametrize("vendor", [RUNPOD, RUNPOD_NEXT], ids=["old", "new"])
async def test_either_sdk_is_at_a_loss_when_graphql_is_gone(vendor: Environment) -> None:
    run = await drive(vendor, "told(runpod.get_user)", Quirk.GRAPHQL_GONE)
    assert "error" in run.gave[0]
