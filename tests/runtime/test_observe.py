from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from autoscaler.core.demand import Pending, Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.observe import Observer
from autoscaler.runtime.ports import Heartbeat
from providers.mock import MockProvider
from tests.support.build import NOW, instance, pool, remote
from tests.support.rehearsal import Rehearsal

PATIENCE_S = 2.5


class Slow(MockProvider):
    """A provider that takes its time to answer."""

    takes_s = offers_take_s = 0.0
    asked = 0

    async def list_machines(self) -> Listing:
        self.asked += 1
        await _wait(self.takes_s)
        return Listing(asked_at=self._now(), machines=(remote(busy_slots=0),))

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        await _wait(self.offers_take_s)
        return ()


async def _wait(seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()
    except TimeoutError:
        return


class Answers:
    """A probe that says what a test tells it."""

    def __init__(self) -> None:
        self.up: set[str] = set()
        self.asked: list[str] = []

    async def ready(self, instance: Instance, check: str) -> bool:
        self.asked.append(f"{instance.id} {check}")
        return instance.id in self.up

    async def jobs(self, instance: Instance, question: str) -> int | None:
        return None


class Bench:
    """An observer of one slow provider."""

    def __init__(self, ready: str = "heartbeat") -> None:
        world = Rehearsal()
        self.clock: LoopClock = world.clock
        self.provider = Slow("mock", world.market.settings, now=self.clock.now, rng=random.Random(1))
        self.probe = Answers()
        machine = MachineSpec(image="worker:1", gpus=("RTX 4090",), ready=ready)
        self.observer = Observer(
            pools={"images": replace(pool(), machine=machine)},
            providers={"mock": self.provider},
            probe=self.probe,
            clock=self.clock,
            patience_s=PATIENCE_S,
        )

    def listing(self) -> Listing | Unknown:
        return self.observer.listings["mock"]


async def test_a_quick_answer_is_used_at_once() -> None:
    bench = Bench()
    await bench.observer.look(bench.clock.now())

    assert isinstance(bench.listing(), Listing)
    assert bench.clock.now() == NOW


async def test_a_slow_provider_holds_a_tick_up_for_a_moment_and_only_once() -> None:
    bench = Bench()
    bench.provider.takes_s = 30.0
    await bench.observer.look(bench.clock.now())
    assert bench.clock.now() == NOW + PATIENCE_S
    assert isinstance(bench.listing(), Unknown)

    await bench.observer.look(bench.clock.now())
    assert bench.clock.now() == NOW + PATIENCE_S, "its first question is still unanswered: it is not waited for again"
    assert bench.provider.asked == 1

    await bench.clock.sleep(30.0)
    assert isinstance(bench.listing(), Listing)


async def test_offers_that_are_asked_for_the_first_time_are_still_to_come_and_not_missing() -> None:
    bench = Bench()
    bench.provider.offers_take_s = 30.0
    await bench.observer.look(bench.clock.now())
    bench.observer.want_offers("images")
    await bench.observer.look(bench.clock.now())
    assert [type(offers) for offers in bench.observer.offers("images").values()] == [Pending]

    await bench.clock.sleep(30.0)
    assert [*bench.observer.offers("images").values()] == [()]


async def test_a_provider_that_never_answers_is_unknown_and_asked_again() -> None:
    bench = Bench()
    bench.provider.takes_s = float("inf")
    await bench.observer.look(bench.clock.now())
    await bench.clock.sleep(61.0)
    await bench.observer.look(bench.clock.now())

    unknown = bench.listing()
    assert isinstance(unknown, Unknown)
    assert "no answer within 60s" in unknown.reason
    assert bench.provider.asked == 2
    await bench.observer.close()


def beat(stamp: str, *, busy: int = 0, drained: bool = False) -> dict[str, Heartbeat]:
    return {"aaaa": Heartbeat(busy=busy, drained=drained, stamp=stamp)}


async def test_a_beat_found_at_the_start_may_be_of_any_age_and_proves_nothing() -> None:
    bench, booting = Bench(), instance(Phase.BOOTING, phase_since=NOW - 10)
    bench.observer.hear(beat("1"), {"aaaa"}, bench.clock.now())
    assert bench.observer.ready([booting]) == frozenset()
    assert bench.observer.busy([instance()], {}) == {}

    bench.observer.hear(beat("2"), {"aaaa"}, bench.clock.now())
    assert bench.observer.ready([booting]) == {"aaaa"}
    assert bench.observer.busy([instance()], {}) == {"aaaa": 0}


async def test_a_beat_found_with_a_machine_that_is_found_later_proves_nothing_either() -> None:
    bench = Bench()
    for _ in range(2):
        bench.observer.hear(beat("1"), (), bench.clock.now())
    bench.observer.hear(beat("1"), {"aaaa"}, bench.clock.now())
    assert bench.observer.busy([instance()], {}) == {}
    bench.observer.hear(beat("2"), {"aaaa"}, bench.clock.now())
    assert bench.observer.busy([instance()], {}) == {"aaaa": 0}


async def test_a_machine_whose_worker_fell_silent_may_be_busy() -> None:
    bench = Bench()
    bench.observer.hear({}, {"aaaa"}, bench.clock.now())
    bench.observer.hear(beat("1"), {"aaaa"}, bench.clock.now())
    await bench.clock.sleep(59.0)
    assert bench.observer.busy([instance()], {}) == {"aaaa": 0}

    await bench.clock.sleep(2.0)
    assert bench.observer.busy([instance()], {}) == {}


async def test_a_draining_machine_is_idle_only_when_its_worker_says_it_pulls_no_more() -> None:
    bench = Bench()
    bench.observer.hear({}, {"aaaa"}, bench.clock.now())
    bench.observer.hear(beat("1", drained=True), {"aaaa"}, bench.clock.now())
    await bench.clock.sleep(10.0)
    draining = instance(Phase.DRAINING, phase_since=bench.clock.now())
    assert bench.observer.busy([draining], {}) == {}, "it was said before the mark"

    bench.observer.hear(beat("1b", drained=True), {"aaaa"}, bench.clock.now())
    assert bench.observer.busy([draining], {}) == {}, "it was heard by the tick that set the mark"

    await bench.clock.sleep(1.0)
    bench.observer.hear(beat("2"), {"aaaa"}, bench.clock.now())
    assert bench.observer.busy([draining], {}) == {}, "it has not seen the mark"

    bench.observer.hear(beat("3", drained=True, busy=1), {"aaaa"}, bench.clock.now())
    assert bench.observer.busy([draining], {}) == {"aaaa": 1}

    bench.observer.hear(beat("4", drained=True), {"aaaa"}, bench.clock.now())
    assert bench.observer.busy([draining], {}) == {"aaaa": 0}


async def test_a_provider_that_knows_is_believed_only_where_no_worker_ever_beat() -> None:
    bench = Bench()
    await bench.observer.look(bench.clock.now())
    assert bench.observer.busy([instance(Phase.DRAINING)], {}) == {"aaaa": 0}
    assert bench.observer.busy([instance(Phase.DRAINING, phase_since=NOW)], {}) == {}, "it was said before the mark"

    bench.observer.hear({}, {"aaaa"}, bench.clock.now())
    bench.observer.hear(beat("1", busy=1), {"aaaa"}, bench.clock.now())
    await bench.clock.sleep(100.0)
    assert bench.observer.busy([instance(Phase.DRAINING)], {}) == {}


@pytest.mark.parametrize("check", ["http :8188/", "tcp :22"])
async def test_a_service_is_probed_in_the_background_until_it_answers(check: str) -> None:
    bench, booting = Bench(ready=check), instance(Phase.BOOTING, address="10.0.0.1")
    assert bench.observer.ready([booting]) == frozenset()
    await bench.clock.sleep(1.0)
    assert bench.observer.ready([booting]) == frozenset()

    bench.probe.up.add("aaaa")
    await bench.clock.sleep(1.0)
    assert bench.observer.ready([booting]) == {"aaaa"}
    assert set(bench.probe.asked) == {f"aaaa {check}"}


# --- what HOT machines say of themselves ------------------------------------------------------------------------------


async def test_a_worker_that_was_heard_and_no_longer_is_has_fallen_silent() -> None:
    bench = Bench(ready="running")
    bench.observer.hear({}, {"aaaa"}, bench.clock.now())
    assert not bench.observer.signals([instance()])["aaaa"].silent, "it may have no worker that beats"

    bench.observer.hear(beat("1"), {"aaaa"}, bench.clock.now())
    await bench.clock.sleep(60.0)
    assert not bench.observer.signals([instance()])["aaaa"].silent
    await bench.clock.sleep(1.0)
    assert bench.observer.signals([instance()])["aaaa"].silent


async def test_a_machine_that_is_hot_only_by_its_beats_is_silent_without_them() -> None:
    bench = Bench(ready="heartbeat")
    assert bench.observer.signals([instance()])["aaaa"].silent


async def test_what_a_worker_said_long_ago_is_not_said_any_more() -> None:
    bench = Bench()
    bench.observer.hear({}, {"aaaa"}, bench.clock.now())
    bench.observer.hear(
        {"aaaa": Heartbeat(busy=0, trouble="hot", gpu_util=0.1, stamp="1")}, {"aaaa"}, bench.clock.now()
    )
    said = bench.observer.signals([instance()])["aaaa"]
    assert (said.trouble, said.gpu_share) == ("hot", 0.1)

    await bench.clock.sleep(61.0)
    said = bench.observer.signals([instance()])["aaaa"]
    assert (said.trouble, said.gpu_share) == ("", None)


async def test_the_service_of_a_hot_machine_is_asked_once_a_minute() -> None:
    bench, hot = Bench(ready="http :8188/"), instance(address="10.0.0.1")
    bench.probe.up.add("aaaa")
    assert bench.observer.signals([hot])["aaaa"].answers is None
    await bench.clock.sleep(1.0)
    assert bench.observer.signals([hot])["aaaa"].answers is True

    bench.probe.up.clear()
    said = bench.observer.signals([hot])
    for _ in range(8):
        await bench.clock.sleep(10.0)
        said = bench.observer.signals([hot])
    assert said["aaaa"].answers is False
    assert len(bench.probe.asked) == 2
    await bench.observer.close()


async def test_what_was_heard_before_the_lead_was_taken_anew_proves_nothing() -> None:
    bench = Bench()
    now = bench.clock.now()
    drains = instance(Phase.DRAINING, phase_since=now - 10)
    bench.observer.hear({}, {"aaaa"}, now)
    bench.observer.hear({"aaaa": Heartbeat(busy=0, drained=True, stamp="2")}, {"aaaa"}, now)
    assert bench.observer.busy([drains], {}) == {"aaaa": 0}

    bench.observer.begin_anew()
    bench.observer.hear({"aaaa": Heartbeat(busy=0, drained=True, stamp="1")}, {"aaaa"}, now)
    assert bench.observer.busy([drains], {}) == {}
