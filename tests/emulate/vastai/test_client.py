"""The vendor's own command line client against the emulator on a port; the market is asked what came of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.market import Status
from autoscaler.emulate.serve import served
from providers.http import Answer, Request
from providers.mock import Fault, Operation
from tests.emulate.vastai.desk import GPU, Desk, step
from tests.support.environments import VASTAI


class Client:
    """`vastai` with settings of its own, and what it asked for."""

    def __init__(self, desk: Desk, home: Path) -> None:
        self.desk = desk
        self.asked: list[str] = []
        self._home = home
        self._url = ""

    async def serve(self) -> AsyncIterator[Client]:
        async with served(self.desk.emulator, tell=self._tell) as url:
            self._url = url
            yield self

    def _tell(self, request: Request, answer: Answer | None) -> None:
        self.asked.append(f"{request.method} {request.path} {answer.status if answer else 'no answer'}")

    async def __call__(self, *words: str) -> str:
        """What it prints; it ends with 0 whatever the vendor answers."""
        env = {
            "HOME": str(self._home),
            "XDG_CONFIG_HOME": str(self._home),
            "VAST_URL": self._url,
            "VAST_API_KEY": "any",
            "VASTAI_NO_UPDATE_CHECK": "1",
        }
        ran = await VASTAI.run("vastai", "--retry", "1", *words, env=env)
        assert ran.code == 0, ran.err
        return ran.out + ran.err

    async def raw(self, *words: str) -> Any:
        """The JSON that it prints."""
        return json.loads(await self(*words, "--raw"))


@pytest.fixture
async def vastai(desk: Desk, tmp_path: Path) -> AsyncIterator[Client]:
    VASTAI.require()
    async for client in Client(desk, tmp_path).serve():
        yield client


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_the_life_of_an_instance(vastai: Client, desk: Desk) -> None:
    query = "gpu_name=RTX_4090 num_gpus=1 gpu_ram>=20 dph_total<=2 reliability>0.5 duration>=1"
    (offer, *_) = await vastai.raw("search", "offers", query, "-o", "dph_total", "--limit", "3", "--storage", "40")
    order = ("--image", "ubuntu:24.04", "--disk", "40", "--label", "w1", "--env", "-e A=b -p 8000:8000")
    made = await vastai.raw("create", "instance", str(offer["id"]), *order, "--cancel-unavail")
    instance_id = str(made["new_contract"])
    machine = desk.market.machines[instance_id]
    assert (machine.gpu, machine.buy, machine.label, machine.image) == (GPU, "on_demand", "w1", "ubuntu:24.04")
    desk.now += 61.0
    (row,) = await vastai.raw("show", "instances")
    assert (row["id"], row["actual_status"]) == (int(instance_id), "running")
    assert row["extra_env"] == {"A": "b", "-p 8000:8000": "1"}

    assert "stopping" in await vastai("stop", "instance", instance_id)
    desk.now += 11.0
    assert desk.market.running(desk.now) == ()
    shown = await vastai.raw("show", "instance", instance_id)
    assert shown["cur_state"] == "stopped"
    await vastai("start", "instance", instance_id)
    desk.now += 31.0
    assert len(desk.market.running(desk.now)) == 1

    await vastai("label", "instance", instance_id, "w2")
    assert machine.label == "w2"
    await vastai("destroy", "instance", instance_id, "-y")
    assert not desk.market.machines
    assert await vastai.raw("show", "instance", instance_id) == {"instances": None}
    charged = await vastai.raw(
        "show", "invoices-v1", "--charges", "--start-date", "2026-11-01", "--end-date", "2026-12-31"
    )
    assert f"instance-{instance_id}" in json.dumps(charged)


async def test_an_interruptible_instance_and_its_bid(vastai: Client, desk: Desk) -> None:
    (offer, *_) = await vastai.raw("search", "offers", "geolocation in [DE]", "--type", "bid", "--new")
    command = ("--image", "acme/worker:1", "--bid_price", "0.5", "--raw", "--args", "--port", "8000")
    made = json.loads(await vastai("create", "instance", str(offer["id"]), *command))
    machine = desk.market.machines[str(made["new_contract"])]
    assert (machine.buy, machine.region) == ("spot", "DE")
    assert (await desk.row(made["new_contract"]))["image_args"] == ["--port", "8000"]
    await vastai("change", "bid", machine.id, "--price", "0.75")
    assert machine.usd_per_hour - machine.disk_usd_per_hour == pytest.approx(0.75)


async def test_many_instances_are_listed_by_all_their_pages(vastai: Client, desk: Desk) -> None:
    for _ in range(6):
        await desk.rent(label="w1")
    rows = await vastai.raw("show", "instances", "--label", "w1", "--limit", "4")
    assert len(rows) == 6


async def test_what_it_prints_for_people(vastai: Client, desk: Desk) -> None:
    await desk.rent(label="w1")
    assert "RTX_4090" in await vastai("search", "offers", "num_gpus=1")
    assert "w1" in await vastai("show", "instances")
    assert "100.0" in await vastai("show", "user")
    assert not [asked for asked in vastai.asked if not asked.endswith(" 200")]


class TestRefusals:
    @pytest.fixture
    def desk(self) -> Desk:
        return Desk(scenario=step(Fault.RESUME_REFUSED) + step(Fault.ANSWER_LOST, call=Operation.RENT, nth=2))

    async def test_a_queued_start_is_told_and_a_lost_create_is_an_instance_nobody_knows_of(
        self, vastai: Client, desk: Desk
    ) -> None:
        instance_id = await desk.stopped()
        assert "state change queued" in await vastai("start", "instance", str(instance_id))
        assert desk.machine(instance_id).status is Status.QUEUED
        (offer, *_) = await desk.offers(gpu_name={"eq": "RTX 3090"})
        with pytest.raises(AssertionError):  # it ends with 1, for want of an answer
            await vastai("create", "instance", str(offer["id"]), "--image", "ubuntu:24.04")
        assert len(desk.market.machines) == 2
