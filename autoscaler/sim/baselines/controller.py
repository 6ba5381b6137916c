"""Runs one peer's autoscaler on one pool of a simulated world.

The peer sees the world's truth at once, and what it orders is done as it says. Beyond that it is helped where its own
rules would hurt it for reasons that are not its formula's: a machine that fell (outbid, its host offline, its boot
failed, without a GPU) is given back at the next look, so that the peer may replace it, and so is one that has not come
up by the boot deadline. What the providers refuse is not tried again until the peer asks again. Budgets do not bind it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Awaitable, Iterator
from typing import TypeVar

from autoscaler.core.errors import ProviderError
from autoscaler.core.instance import make_label, parse_label
from autoscaler.core.market import Status
from autoscaler.core.spec import Pool
from autoscaler.runtime.entropy import Entropy
from autoscaler.sim.baselines.base import Orders, Peer, PeerMachine, PeerView
from autoscaler.sim.provider import SimulatedProvider
from autoscaler.sim.world import World
from providers.mock.machine import Machine

T = TypeVar("T")

_CALL_TIMEOUT_S = 30.0
_TEND_EVERY_S = 1.0
"""How often it looks whether a machine told to end is idle, or its grace is over."""
_SAME_MOMENT_S = 1e-5


class Controller:
    """One peer at work on one pool."""

    def __init__(
        self, peer: Peer, pool: Pool, world: World, *, mean_service_s: float, boot_deadline_s: float, entropy: Entropy
    ) -> None:
        """`mean_service_s` is that of the whole trace; `boot_deadline_s` counts from the order to rent or resume."""
        self._peer = peer
        self._pool = pool
        self._world = world
        self._floor = world.floors[pool.name]
        self._mean_service_s = mean_service_s
        self._boot_deadline_s = boot_deadline_s
        self._entropy = entropy
        self._machines: tuple[PeerMachine, ...] = ()
        self._seen: tuple[int, ...] = ()
        """What the world counted when `_machines` was made; they hold while it counts the same."""
        self._overdue_s = math.inf
        """When the first of the machines that boot has had its time."""
        self._ending: dict[str, float] = {}
        """Machines told to end, and until when they may work."""
        self._suspended: set[str] = set()
        self._stopping: set[str] = set()
        """Those of them that still run."""
        self._resumed_s: dict[str, float] = {}

    async def run(self) -> None:
        """Look whenever the peer does, and tend the machines told to go; for ever."""
        look_s = self._world.now_s
        while True:
            now_s = self._world.catch_up() - self._world.epoch
            if look_s - now_s < _SAME_MOMENT_S:
                await self._obey(self._peer.step(self._view(now_s)), now_s)
                look_s = now_s + self._peer.every_s
            wake_s = look_s
            if self._ending or self._stopping:
                await self._tend(now_s)
                wake_s = min(look_s, now_s + _TEND_EVERY_S)
            await self._world.clock.sleep(wake_s - self._world.now_s)

    # --- what the peer sees -------------------------------------------------------------------------------------------

    def _view(self, now_s: float) -> PeerView:
        floor = self._floor
        waiting, running = floor.waiting, floor.in_hand
        changes = sum(provider.market.changes for provider in self._world.providers.values())
        seen = (changes, len(floor.log), waiting, running)
        if seen != self._seen or now_s >= self._overdue_s:
            self._machines = self._muster(now_s)
            self._seen = seen
        return PeerView(
            now=now_s,
            waiting=waiting,
            running=running,
            oldest_wait_s=floor.oldest_wait_s() if waiting else 0.0,
            mean_service_s=self._mean_service_s,
            machines=self._machines,
            slots=self._pool.machine.slots,
            arrived=self._arrived,
        )

    def _arrived(self, seconds: float) -> int:
        arrived_s = self._floor.log.arrived_s
        return len(arrived_s) - bisect_right(arrived_s, self._floor.now_s - seconds)

    def _muster(self, now_s: float) -> tuple[PeerMachine, ...]:
        """The machines as they are; those that fell, or take too long to boot, are told to end."""
        machines = []
        self._overdue_s = math.inf
        for token, (_, machine) in self._ours().items():
            if token in self._ending:
                continue
            created_s = machine.created_at - self._world.epoch
            station = self._floor.stations.get(token)
            overdue_s = self._resumed_s.get(token, created_s) + self._boot_deadline_s
            if token in self._suspended and machine.status is not Status.OFFLINE:
                made = PeerMachine(id=token, created_at=created_s, ready_at=None, suspended=True)
            elif station is not None:
                made = PeerMachine(
                    id=token,
                    created_at=created_s,
                    ready_at=station.ready_s,
                    busy=station.busy,
                    idle_since=None if station.busy else station.idle_since_s,
                )
            elif machine.status is Status.STARTING and now_s < overdue_s:
                made = PeerMachine(id=token, created_at=created_s, ready_at=None)
                self._overdue_s = min(self._overdue_s, overdue_s)
            else:
                self._ending[token] = now_s
                continue
            machines.append(made)
        return tuple(sorted(machines, key=lambda machine: machine.created_at))

    def _ours(self) -> dict[str, tuple[SimulatedProvider, Machine]]:
        """The pool's machines by the token in their label."""
        return dict(self._labelled())

    def _labelled(self) -> Iterator[tuple[str, tuple[SimulatedProvider, Machine]]]:
        for provider in self._world.providers.values():
            for machine in provider.market.machines.values():
                ours = parse_label(machine.label, self._world.fleet)
                if ours is not None and ours[0] == self._pool.name:
                    yield ours[1], (provider, machine)

    # --- what it orders -----------------------------------------------------------------------------------------------

    async def _obey(self, orders: Orders, now_s: float) -> None:
        if orders.end or orders.suspend:
            self._ending.update(dict.fromkeys(orders.end, now_s + self._peer.grace_s))
            self._suspended.update(orders.suspend)
            self._stopping.update(orders.suspend)
            self._seen = ()
            self._mark()
        if orders.resume:
            await self._resume(orders.resume, now_s)
        for _ in range(orders.rent):
            if not await self._rent():
                break

    async def _rent(self) -> bool:
        """Rent the cheapest offer of the first placement that has one."""
        spec = self._pool.machine
        for placement in self._pool.placements:
            provider = self._world.providers[placement.provider]
            offers = await self._answer(provider.list_offers(placement, spec))
            if offers:
                label = make_label(self._world.fleet, self._pool.name, self._entropy.token())
                return await self._answer(provider.rent(offers[0], spec, label=label)) is not None
        return False

    async def _resume(self, tokens: tuple[str, ...], now_s: float) -> None:
        ours = self._ours()
        for token in tokens:
            provider, machine = ours[token]
            await self._answer(provider.resume(machine.id))
            if machine.on_gpu:
                self._suspended.discard(token)
                self._stopping.discard(token)
                self._resumed_s[token] = now_s
        self._seen = ()
        self._mark()

    async def _tend(self, now_s: float) -> None:
        """Release what was told to end and is idle, or out of its grace; stop what was suspended and still runs."""
        ours = self._ours()
        self._ending = {token: until_s for token, until_s in self._ending.items() if token in ours}
        self._suspended.intersection_update(ours)
        self._stopping = {token for token in self._suspended.intersection(self._stopping) if ours[token][1].on_gpu}
        self._mark()
        for token, until_s in self._ending.items():
            provider, machine = ours[token]
            station = self._floor.stations.get(token)
            if station is None or not station.busy or now_s >= until_s:
                await self._answer(provider.release(machine.id))
        for token in sorted(self._stopping.difference(self._ending)):
            provider, machine = ours[token]
            await self._answer(provider.stop(machine.id))

    def _mark(self) -> None:
        """Machines told to go pull no more jobs."""
        self._floor.mark(self._suspended.union(self._ending))

    async def _answer(self, call: Awaitable[T]) -> T | None:
        """What the provider answers; None when it refuses or does not."""
        try:
            async with self._world.clock.timeout(_CALL_TIMEOUT_S):
                return await call
        except (ProviderError, TimeoutError):
            return None
