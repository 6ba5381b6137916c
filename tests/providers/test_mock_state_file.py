"""The machines outlive the process."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.core.errors import NoCapacity, SettingsError, UnclearOutcome
from autoscaler.core.market import Status
from providers.mock import Fault, Operation, Step
from providers.mock.state import StateFile
from tests.support.market import CALM, HOUR, MACHINE, SPOT, Bench

CHILD = """
import asyncio, os, random, signal, sys
from dataclasses import replace
from tests.support.market import CALM, Bench

async def main():
    bench = Bench(replace(CALM, state_file=sys.argv[1]))
    await bench.rent()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_a_killed_process_leaves_its_machine_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "market.json"
    root = Path(__file__).parents[2]
    child = subprocess.run([sys.executable, "-c", CHILD, str(file)], cwd=root, check=False)
    assert child.returncode == -signal.SIGKILL
    bench = Bench(replace(CALM, state_file=str(file)))
    bench.now += HOUR
    [remote] = asyncio.run(bench.listed()).values()
    assert (remote.label, remote.status) == ("ours-1", Status.RUNNING)


async def test_a_new_provider_on_the_same_file_goes_on_exactly_as_the_old_one(tmp_path: Path) -> None:
    settings = replace(CALM, foreign=("notebook",), balance_usd=30.0, state_file=str(tmp_path / "market.json"))
    old = Bench(settings)
    await old.rent_stopped(SPOT)
    gone = await old.rent_running()
    await old.provider.release(gone)
    await old.rent()
    await old.provider.stop("m1")

    new = Bench(settings)
    for _ in range(3):
        old.now += 600.0
        new.now = old.now
        assert await new.listed() == await old.listed()
        assert new.market.billed_usd(new.now) == old.market.billed_usd(old.now)
        assert await new.provider.balance_usd() == await old.provider.balance_usd()
    assert await new.rent() == "m4", "ids are never given twice"


async def test_a_spent_offer_stays_spent_and_a_played_step_stays_played(tmp_path: Path) -> None:
    steps = (Step(fault=Fault.OFFER_GONE), Step(fault=Fault.VANISHES, at=HOUR), Step(fault=Fault.BALANCE_SPENT, at=9e9))
    settings = replace(CALM, scenario=steps, state_file=str(tmp_path / "market.json"))
    old = Bench(settings)
    with pytest.raises(NoCapacity):
        await old.rent()
    offer = await old.offer()
    await old.rent()
    await old.rent()
    await old.advance(2 * HOUR)
    await old.provider.stop("m2")

    new = Bench(settings)
    new.now = old.now
    assert list(await new.listed()) == ["m2"]
    await new.rent()
    assert offer.offer_id not in {o.offer_id for o in await new.provider.list_offers(SPOT, MACHINE)}


async def test_it_is_written_before_an_answer_that_is_then_lost(tmp_path: Path) -> None:
    settings = replace(
        CALM,
        scenario=(Step(fault=Fault.ANSWER_LOST, call=Operation.RENT),),
        state_file=str(tmp_path / "market.json"),
    )
    with pytest.raises(UnclearOutcome):
        await Bench(settings).rent()
    assert len(await Bench(settings).listed()) == 1


async def test_many_calls_at_once_leave_the_last_state(tmp_path: Path) -> None:
    settings = replace(CALM, state_file=str(tmp_path / "market.json"))
    bench = Bench(settings)
    offers = await bench.provider.list_offers(SPOT, MACHINE)
    await asyncio.gather(*(bench.provider.rent(o, MACHINE, label=o.host) for o in offers[:8]))
    assert await Bench(settings).listed() == await bench.listed()


def test_a_slow_writer_does_not_replace_a_later_state(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "market.json")
    file.write(2, '{"version": 1, "later": true}')
    file.write(1, '{"version": 1, "later": false}')
    assert file.read() == {"version": 1, "later": True}


async def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "market.json"
    await Bench(replace(CALM, state_file=str(file))).rent()
    assert file.stat().st_mode & 0o077 == 0


async def test_a_file_that_cannot_be_written_makes_the_outcome_unclear(tmp_path: Path) -> None:
    file = tmp_path / "market.json"
    bench = Bench(replace(CALM, state_file=str(file)))
    file.with_name("market.json.new").mkdir()
    with pytest.raises(UnclearOutcome, match="state file"):
        await bench.rent()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "remove it to start anew"),
        ("[]", "not a state file"),
        ("{}", "not a state file"),
        ('{"version": 99}', "99"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "market.json"
    file.write_text(text)
    with pytest.raises(SettingsError, match=rf"^providers\.mock\.state_file: .*{expected}"):
        Bench(replace(CALM, state_file=str(file)))


def test_a_directory_that_does_not_exist_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^providers\.mock\.state_file: .* is no directory"):
        Bench(replace(CALM, state_file=str(tmp_path / "nowhere" / "market.json")))
