"""A lease is freed before its time only where its owner is known to be dead: a process of this machine that ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoscaler.store import owner
from autoscaler.store.owner import is_dead, name_of_this_run
from tests.support.cloud_processes import ROOT
from tests.support.stores import RedisBackend

_NAMED = (
    "import sys; from autoscaler.store.owner import name_of_this_run as name; print(name('t'), flush=True); input()"
)
OTHER_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")


@contextmanager
def a_process(*within: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that lives, and the name that it would give a lease."""
    command = [*within, sys.executable, "-c", _NAMED]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if not (name := process.stdout.readline().strip()):
            pytest.skip(f"{within[0]} is not allowed here")
        yield process, name
        process.kill()


@pytest.fixture
def dead() -> str:
    """The name of a process that has ended."""
    with a_process() as (process, name):
        process.kill()
        process.wait()
        return name


def changed(name: str, part: int, to: str) -> str:
    """A name of which one part is another."""
    parts = name.split(":")
    parts[part] = to
    return ":".join(parts)


def test_a_process_that_has_ended_is_dead(dead: str) -> None:
    assert is_dead(dead)


def test_one_that_lives_is_not_however_still_it_stands() -> None:
    with a_process() as (process, name):
        assert not is_dead(name)
        process.send_signal(signal.SIGSTOP)
        assert not is_dead(name)
    assert not is_dead(name_of_this_run("two in one process"))


def test_one_whose_number_another_process_has_by_now_is_dead(dead: str) -> None:
    """As in a container, where the daemon is number 1 each time."""
    assert is_dead(changed(dead, 1, str(os.getpid())))


def test_one_that_has_just_ended_and_may_still_be_looked_at_counts_as_living() -> None:
    with a_process() as (process, name):
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_dead(name)


def test_of_one_elsewhere_nobody_can_tell(dead: str) -> None:
    assert not is_dead(changed(dead, 3, "another-machine"))
    with a_process(*OTHER_NAMESPACE) as (_, name):
        assert name.split(":")[1] == "1"
        assert name.split(":")[3] not in ("", dead.split(":")[3])
        assert not is_dead(name)


@pytest.mark.parametrize("name", ["", "b", "host:1", "host:1:token", "host:x:token:y:z", f"host:{'9' * 40}:t:y:z"])
def test_of_names_without_a_proof_nobody_can_tell(name: str) -> None:
    assert not is_dead(name)


def test_of_one_on_a_clone_of_this_machine_nobody_can_tell(dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both went on from one image: what the kernel tells of its start is the same."""
    monkeypatch.setattr(socket, "gethostname", lambda: "clone")
    assert not is_dead(dead)


def test_a_number_beyond_all_is_no_error(dead: str) -> None:
    assert not is_dead(changed(dead, 1, "9" * 40))


@pytest.mark.parametrize("lacking", ["sys/kernel/random/boot_id", "self/ns/pid", "self/ns/time", "self"])
def test_where_the_system_does_not_tell_no_name_proves_anything(
    lacking: str, dead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sys/kernel/random/boot_id", "self/ns/pid", "self/ns/time", "self/stat"):
        path = tmp_path / str(os.getpid()) / name.removeprefix("self/") if "self" in name else tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(f"/proc/{name}")
    (tmp_path / "self").symlink_to(str(os.getpid()))
    monkeypatch.setattr(owner, "_PROC", tmp_path)
    assert name_of_this_run("t").count(":") == 4
    (tmp_path / lacking).unlink()
    assert name_of_this_run("t").count(":") == 2
    assert not is_dead(dead)


async def test_the_lease_of_a_dead_process_is_taken_at_once(redis_url: str, dead: str) -> None:
    backend = RedisBackend(redis_url)
    await backend.open(dead).read()
    control = await backend.open(name_of_this_run("t")).read()
    assert control.leads
    assert await backend.client.zrange(backend.keys.daemons, 0, -1) == [control.leader], "the dead one counts no more"
    await backend.close()


async def test_the_lease_of_a_process_that_lives_is_left_alone(redis_url: str) -> None:
    backend = RedisBackend(redis_url)
    with a_process() as (_, name):
        await backend.open(name).read()
        control = await backend.open(name_of_this_run("t")).read()
        assert (control.leads, control.leader) == (False, name)
    await backend.close()


async def test_of_several_that_find_the_owner_dead_at_once_one_leads_and_goes_on(redis_url: str, dead: str) -> None:
    backend = RedisBackend(redis_url)
    await backend.open(dead).read()
    stores = [backend.open(f"{number}") for number in range(5)]
    first = [control.leads for control in await asyncio.gather(*(store.read() for store in stores))]
    again = [control.leads for control in await asyncio.gather(*(store.read() for store in stores))]
    assert sum(first) == 1
    assert again == first
    await backend.close()
