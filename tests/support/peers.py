"""What a peer's autoscaler sees, made by hand."""

from __future__ import annotations

from collections.abc import Sequence

from autoscaler.core.units import Span
from autoscaler.sim.baselines import BASELINES
from autoscaler.sim.baselines.base import Orders, Peer, PeerMachine, PeerView

_ANY = Span(0, 100)


def peer(name: str, limits: Span = _ANY, **settings: object) -> Peer:
    """A peer with its own defaults, but for the settings given."""
    baseline = BASELINES[name]
    return baseline.make(baseline.settings(**settings), limits)


def booting(name: str, *, created_at: float = 0.0) -> PeerMachine:
    return PeerMachine(id=name, created_at=created_at, ready_at=None)


def asleep(name: str) -> PeerMachine:
    return PeerMachine(id=name, created_at=0.0, ready_at=None, suspended=True)


def at_work(name: str, *, busy: int = 1, created_at: float = 0.0, ready_at: float = 0.0) -> PeerMachine:
    return PeerMachine(id=name, created_at=created_at, ready_at=ready_at, busy=busy)


def idle(name: str, *, since: float = 0.0, created_at: float = 0.0, ready_at: float | None = None) -> PeerMachine:
    ready = since if ready_at is None else ready_at
    return PeerMachine(id=name, created_at=created_at, ready_at=ready, idle_since=since)


def workers(count: int) -> tuple[PeerMachine, ...]:
    """So many machines at work, oldest first."""
    return tuple(at_work(f"m{n}", created_at=float(n), ready_at=float(n)) for n in range(count))


def view(
    now: float = 0.0,
    machines: Sequence[PeerMachine] = (),
    *,
    waiting: int = 0,
    running: int | None = None,
    oldest_wait_s: float = 0.0,
    mean_service_s: float = 60.0,
    slots: int = 1,
    per_s: float = 0.0,
) -> PeerView:
    """`per_s` is the rate at which jobs came; running jobs are those on the machines unless told."""
    return PeerView(
        now=now,
        waiting=waiting,
        running=sum(machine.busy for machine in machines) if running is None else running,
        oldest_wait_s=oldest_wait_s,
        mean_service_s=mean_service_s,
        machines=tuple(machines),
        arrived=lambda seconds: round(per_s * seconds),
        slots=slots,
    )


class Obeyed:
    """Looks of a peer one after the other on machines that obey at once: they come up, work and go as told."""

    def __init__(self, looker: Peer, *, now: float = 0.0) -> None:
        self.peer = looker
        self.now = now
        self.count = 0

    def look(self, jobs: int = 0, **more: object) -> int:
        """Look once, as many machines at work as jobs allow and the rest idle; gives the machines there are then."""
        running = min(jobs, self.count)
        machines = [at_work(f"m{n}") for n in range(running)]
        machines += [idle(f"m{n}", since=-1e9) for n in range(running, self.count)]
        seen = view(self.now, machines, waiting=jobs - running, **more)  # type: ignore[arg-type]
        orders: Orders = self.peer.step(seen)
        self.now += self.peer.every_s
        self.count += orders.rent - len(orders.end)
        return self.count

    def looks(self, times: int, jobs: int = 0, **more: object) -> list[int]:
        """The machines there are after each of so many looks."""
        return [self.look(jobs, **more) for _ in range(times)]
