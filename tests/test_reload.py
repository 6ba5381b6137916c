"""What a reload refuses, what it keeps, and what it lets go of, on the whole daemon put together as for real."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from autoscaler.app import App, build
from autoscaler.config import load_config
from autoscaler.core.errors import SettingsError
from autoscaler.core.lifecycle import Phase
from autoscaler.reload import FileChanged, Reloading
from autoscaler.runtime.clock import SystemClock
from tests.support.live import LIST, ZSET, Json, a_config, live_app

Edit = Callable[[Json], object]


class Edited:
    """A daemon, and the file that it reads again."""

    def __init__(self, app: App, config: Json, file: Path) -> None:
        self.app = app
        self._config = config
        self.file = file
        self.reloading = Reloading(app, file, SystemClock())
        self.edit(lambda _config: None)

    def edit(self, change: Edit) -> None:
        """Change the file, from what it was at the start."""
        config = json.loads(json.dumps(self._config))
        change(config)
        self.file.write_text(yaml.safe_dump(config))

    async def reload(self, change: Edit) -> tuple[str, ...]:
        """Change the file and take it; gives what it changed."""
        self.edit(change)
        return (await self.reloading.apply("alex")).lines

    async def refused(self, change: Edit) -> str:
        """Why a changed file is not taken."""
        self.edit(change)
        before = self.app.config
        with pytest.raises(SettingsError) as caught:
            await self.reloading.apply("alex")
        assert self.app.config is before
        return str(caught.value)

    def metrics(self) -> str:
        """All metrics, as they are scraped."""
        return generate_latest(self.app.registry).decode()


@asynccontextmanager
async def edited(redis_url: str, directory: Path, **settings: Any) -> AsyncIterator[Edited]:
    config = a_config(redis_url, {"images": LIST, "audio": ZSET}, machines=1, **settings)
    config["providers"]["spare"] = {"kind": "mock"}
    async with live_app(config) as app:
        yield Edited(app, config, directory / "fleet.yaml")


async def test_without_a_file_there_is_nothing_to_reload(redis_url: str) -> None:
    config = load_config(yaml.safe_dump(a_config(redis_url, {"images": LIST}, machines=1)), {})
    app = build(config, clock=SystemClock())

    with pytest.raises(SettingsError, match="started without a file"):
        await Reloading(app, None, SystemClock()).preview()
    await app.close()


async def test_the_daemon_goes_on_while_its_file_is_read(redis_url: str, tmp_path: Path) -> None:
    async with edited(redis_url, tmp_path) as daemon:
        text, turned, went_on = daemon.file.read_text(), threading.Event(), list[bool]()
        daemon.file.unlink()
        os.mkfifo(daemon.file)  # what is read out of it comes once the event loop has turned, or too late

        def write() -> None:
            went_on.append(turned.wait(5.0))
            daemon.file.write_text(text)

        asyncio.get_running_loop().call_soon(turned.set)
        writing = threading.Thread(target=write)
        writing.start()
        assert (await daemon.reloading.preview()).lines == ()
        writing.join()
        assert went_on == [True]


async def test_what_was_shown_is_what_takes_effect_or_nothing(redis_url: str, tmp_path: Path) -> None:
    async with edited(redis_url, tmp_path) as daemon:
        daemon.edit(lambda config: config.update(tick="20ms"))
        shown = await daemon.reloading.preview()
        assert (await daemon.reloading.preview()).digest == shown.digest

        daemon.edit(lambda config: config.update(tick="30ms"))
        with pytest.raises(FileChanged):
            await daemon.reloading.apply("alex", digest=shown.digest)
        daemon.edit(lambda config: config.update(tick="20ms"))
        again = await daemon.reloading.preview()
        await daemon.reloading.apply("alex", digest=again.digest)
        assert daemon.app.config.tick == 0.02
        with pytest.raises(FileChanged):
            await daemon.reloading.apply("alex", digest=again.digest)


async def test_a_provider_without_machines_may_go_and_one_with_machines_may_not(redis_url: str, tmp_path: Path) -> None:
    async with edited(redis_url, tmp_path) as daemon:

        def elsewhere(config: Json) -> None:
            del config["providers"]["mock"]
            for pool in config["pools"].values():
                pool["placements"][0]["provider"] = "spare"

        said = await daemon.refused(elsewhere)
        assert said == ("providers.mock: 2 machines of this fleet there; first: autoscaler evacuate mock FILE")
        assert await daemon.reload(lambda config: config["providers"].pop("spare")) == ("providers.spare: removed",)
        assert list(daemon.app.providers) == ["mock"]


async def test_the_machines_of_a_pool_that_goes_are_told_of_and_left_alone(redis_url: str, tmp_path: Path) -> None:
    async with edited(redis_url, tmp_path) as daemon:
        lines = await daemon.reload(lambda config: config["pools"].pop("audio"))
        report = await daemon.app.loops[0].tick()

        assert lines == (
            "pools.audio: removed",
            "pools.audio: 1 machine of it left alone for 10m, then drained, and released once idle; no job is cut off",
        )
        assert sorted(i.pool for i in report.instances.values() if i.phase is Phase.HOT) == ["audio", "images"]


async def test_the_jobs_that_wait_in_a_tier_that_goes_are_told_of(redis_url: str, tmp_path: Path) -> None:
    async with edited(redis_url, tmp_path) as daemon:
        await daemon.app.links["redis"].execute([("RPUSH", "list:free", "a", "b"), ("RPUSH", "list:pro", "c")])
        await daemon.app.tick()
        lines = await daemon.reload(lambda config: config["pools"]["images"]["queue"]["tiers"].pop())
        assert lines == (
            "pools.images.queue.tiers.free: removed",
            "pools.images.queue.tiers.free: 2 jobs wait in it now",
        )


async def test_the_series_of_a_removed_pool_disappear_and_the_others_go_on(redis_url: str, tmp_path: Path) -> None:
    async with edited(redis_url, tmp_path) as daemon:
        await daemon.app.tick()
        assert 'autoscaler_usd_total{pool="audio"}' in daemon.metrics()
        await daemon.reload(lambda config: config["pools"].pop("audio"))
        await daemon.app.tick()

        assert 'pool="audio"' not in daemon.metrics()
        assert 'autoscaler_usd_total{pool="images"}' in daemon.metrics()


async def test_a_provider_whose_settings_stay_is_not_touched(redis_url: str, tmp_path: Path) -> None:
    async with edited(redis_url, tmp_path) as daemon:
        mock, spare = (daemon.app.providers[name] for name in ("mock", "spare"))
        await daemon.reload(lambda config: config["providers"].update(spare={"kind": "mock", "setup": "1m..2m"}))

        assert daemon.app.providers["mock"] is mock
        assert daemon.app.providers["spare"] is not spare


async def test_a_redis_that_refuses_us_is_refused(redis_url: str, tmp_path: Path) -> None:
    async with edited(redis_url, tmp_path) as daemon:
        wrong = redis_url.replace("://", "://nobody:wrong-password-here@")
        said = await daemon.refused(lambda config: config["pools"]["audio"].update(redis=wrong))

        assert said.startswith("pools.audio.redis: ")
        assert "wrong-password-here" not in said


async def test_a_queue_on_another_redis_is_read_there_from_then_on(redis_url: str, tmp_path: Path) -> None:
    async with edited(redis_url, tmp_path) as daemon:
        there = {"url": redis_url, "db": 9}
        await daemon.reload(lambda config: config["pools"]["audio"].update(redis=there))
        await daemon.app.links["pools.audio.redis"].execute([("ZADD", "zset:pro", "1", "job")])
        report = await daemon.app.loops[0].tick()
        await daemon.app.links["pools.audio.redis"].execute([("DEL", "zset:pro")])

        demand = report.pools["audio"].snapshot.demand
        assert getattr(demand, "waiting", None) == 1


async def test_reloads_leave_no_task_behind(redis_url: str, tmp_path: Path) -> None:
    async with edited(redis_url, tmp_path) as daemon:
        await daemon.app.tick()
        before = len(asyncio.all_tasks())
        for seconds in range(1, 21):

            def other(config: Json, length: str = f"{seconds}s") -> None:
                config["pools"]["audio"]["redis"] = {"url": redis_url, "timeout": length}
                config["providers"]["spare"]["setup"] = f"{length}..30s"

            await daemon.reload(other)
            await daemon.app.tick()
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > before:
                await asyncio.get_running_loop().run_in_executor(None, int)


async def test_with_spread_pools_come_and_go_with_their_leases(redis_url: str, tmp_path: Path) -> None:
    config = a_config(redis_url, {"images": LIST, "audio": ZSET}, machines=1, spread=True)
    app = build(load_config(yaml.safe_dump(config), {}), clock=SystemClock())
    daemon = Edited(app, config, tmp_path / "fleet.yaml")
    await app.tick()

    gone, left = await daemon.reload(lambda file: file["pools"].pop("audio"))
    assert gone == "pools.audio: removed"
    assert " left alone for 20m 30s, then drained" in left, "another daemon's file may name it still, and take it"
    await app.tick()
    assert [loop.unit.name for loop in app.loops] == ["images"]
    assert [pool["name"] for pool in app.board.status(0.0)["pools"]] == ["images"]
    await daemon.reload(lambda _file: None)
    await app.tick()
    assert [loop.unit.name for loop in app.loops] == ["audio", "images"]
    assert app.board.error is None
    await app.stop()
    await app.close()
