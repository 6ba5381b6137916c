"""When a service's own word proves its machine busy or idle: on virtual time, question by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import MachineSpec
from autoscaler.runtime.inside import AGAIN_S, SETTLE_S
from autoscaler.runtime.observe import Observer
from autoscaler.runtime.ports import Heartbeat
from tests.support.build import NOW, instance, pool
from tests.support.settable_clock import SettableClock

pytestmark = pytest.mark.looptime

TICK_S = 10.0
COMFY = replace(pool(), machine=MachineSpec(image="comfy:1", gpus=("RTX 4090",), busy="comfyui :8188"))


class Service:
    """A service that holds as many jobs as a test says, or does not answer."""

    def __init__(self) -> None:
        self.holds: int | None = 0
        self.takes_s = 0.0
        self.asked: list[str] = []
        self.clock = SettableClock(epoch=NOW)
        self.clock.now()

    async def ready(self, instance: Instance, check: str) -> bool:
        return True

    async def jobs(self, instance: Instance, question: str) -> int | None:
        self.asked.append(f"{instance.address} {question}")
        await self.clock.sleep(self.takes_s)
        return self.holds


class Bench:
    """An observer of one ComfyUI, which looks each tick."""

    def __init__(self) -> None:
        self.service = Service()
        self.clock = self.service.clock
        self.observer = Observer(
            pools={"images": COMFY}, providers={}, probe=self.service, clock=self.clock, patience_s=1.0
        )

    def machine(self, phase: Phase = Phase.HOT, **changes: Any) -> Instance:
        return instance(phase, **({"address": "10.0.0.1:40001", "phase_since": self.clock.now()} | changes))

    async def tick(self, machine: Instance, at_least: dict[str, int] | None = None) -> int | None:
        """What is known of the machine's jobs, a tick later."""
        await self.clock.sleep(TICK_S - 1.0)
        known = self.observer.busy([machine], at_least or {}).get(machine.id)
        await self.clock.sleep(1.0)  # the service answers what it was just asked
        return known

    async def drained(self, answers: Sequence[int | None]) -> list[int | None]:
        """What is known, tick by tick, of a machine that drains while its service answers so."""
        machine = self.machine(Phase.DRAINING)
        known = []
        for answer in answers:
            self.service.holds = answer
            known.append(await self.tick(machine))
        return known


async def test_a_hot_machine_is_as_busy_as_its_service_says() -> None:
    bench = Bench()
    machine = bench.machine()
    assert await bench.tick(machine) is None, "it is asked in the background"
    assert await bench.tick(machine) == 0
    bench.service.holds = 3
    assert [await bench.tick(machine), await bench.tick(machine)] == [0, 3]
    assert set(bench.service.asked) == {"10.0.0.1:40001 comfyui :8188"}


async def test_a_question_that_fails_leaves_it_unknown() -> None:
    bench = Bench()
    machine = bench.machine()
    await bench.tick(machine)
    bench.service.holds = None
    assert [await bench.tick(machine), await bench.tick(machine)] == [0, None]


async def test_an_answer_that_is_old_says_nothing() -> None:
    bench = Bench()
    machine = bench.machine()
    await bench.tick(machine)
    bench.service.takes_s = 1e9
    known = [await bench.tick(machine) for _ in range(8)]
    assert known[:2] == [0, 0]
    assert known[-1] is None
    await bench.observer.close()


async def test_a_draining_machine_is_idle_after_two_empty_answers_to_questions_of_some_time_after_the_mark() -> None:
    """Found draining at 0 s, and asked each 10 s from then on: the questions of 20 s and 30 s are those that count."""
    assert SETTLE_S == 15.0
    assert AGAIN_S == 5.0
    assert await Bench().drained([0] * 6) == [None, None, None, None, 0, 0]


async def test_a_prompt_that_a_gateway_sent_before_it_saw_the_mark_keeps_the_machine_until_it_is_done() -> None:
    """An answer is used in the tick after it was asked for; a job in between begins the proof anew."""
    known = await Bench().drained([0, 0, 0, 1, 1, 0, 0, 0, 0])
    assert known == [None, None, None, None, 1, 1, None, 0, 0]


async def test_a_failed_question_between_two_empty_answers_begins_the_proof_anew() -> None:
    assert await Bench().drained([0, 0, 0, None, 0, 0, 0]) == [None, None, None, None, None, None, 0]


async def test_idleness_from_before_the_mark_proves_nothing() -> None:
    bench = Bench()
    hot = bench.machine()
    for _ in range(10):
        await bench.tick(hot)
    assert (await bench.drained([0] * 5))[:4] == [None] * 4


async def test_a_machine_taken_back_and_drained_again_is_proved_idle_anew() -> None:
    bench = Bench()
    assert (await bench.drained([0] * 5))[-1] == 0
    assert await bench.tick(bench.machine()) == 0
    assert (await bench.drained([0] * 5))[:4] == [None] * 4


async def test_a_clock_that_was_set_back_begins_the_proof_anew() -> None:
    bench = Bench()
    machine = bench.machine(Phase.DRAINING)
    for _ in range(3):
        await bench.tick(machine)
    bench.clock.ahead_s -= 3600.0
    assert [await bench.tick(machine) for _ in range(5)] == [None, None, None, None, 0]


async def test_a_machine_that_drains_while_the_lead_is_taken_anew_is_proved_idle_anew() -> None:
    """Another daemon may have taken it back and drained it again."""
    bench = Bench()
    machine = bench.machine(Phase.DRAINING)
    assert [await bench.tick(machine) for _ in range(5)][-1] == 0
    bench.observer.begin_anew()
    assert [await bench.tick(machine) for _ in range(5)] == [None, None, None, None, 0]


async def test_the_service_that_answered_at_another_address_is_not_believed() -> None:
    bench = Bench()
    await bench.drained([0] * 5)
    assert await bench.tick(bench.machine(Phase.DRAINING, address="10.0.0.2:40001")) is None


async def test_where_a_worker_beats_too_both_must_say_that_it_is_idle() -> None:
    bench = Bench()
    machine = bench.machine()
    bench.observer.hear({}, {"aaaa"}, bench.clock.now())
    for stamp, beaten, held, known in [(1, 0, 0, 0), (2, 1, 0, 1), (3, 0, 2, 2), (4, 0, None, None)]:
        bench.service.holds = held
        await bench.tick(machine)
        bench.observer.hear({"aaaa": Heartbeat(busy=beaten, stamp=str(stamp))}, {"aaaa"}, bench.clock.now())
        assert await bench.tick(machine) == known


# --- what the queue's own workers tell --------------------------------------------------------------------------------


async def test_a_library_that_names_a_machine_proves_it_busy() -> None:
    bench = Bench()
    machine = bench.machine()
    await bench.tick(machine)
    assert await bench.tick(machine, {"aaaa": 2}) == 2
    assert await bench.tick(machine, {"bbbb": 2}) == 0


async def test_a_machine_of_which_nothing_else_is_known_counts_as_full_then() -> None:
    bench = Bench()
    machine = bench.machine(slots=4)
    bench.service.holds = None
    assert await bench.tick(machine, {"aaaa": 1}) == 4


async def test_a_library_never_proves_a_machine_idle() -> None:
    bench = Bench()
    bench.service.holds = None
    assert await bench.tick(bench.machine(), {"aaaa": 0}) is None


async def test_a_draining_machine_that_says_it_is_idle_is_not_while_the_library_says_it_works() -> None:
    bench = Bench()
    machine = bench.machine(Phase.DRAINING)
    for _ in range(5):
        await bench.tick(machine, {"aaaa": 1})
    assert await bench.tick(machine, {"aaaa": 1}) == 1
    assert await bench.tick(machine) == 0
