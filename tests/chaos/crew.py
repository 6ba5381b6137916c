"""The workers of the fault simulation: real jobs in hand, so that a machine that is ended too early loses some."""

from __future__ import annotations

import random

from autoscaler.core.instance import parse_label
from autoscaler.runtime.ports import Heartbeat
from providers.mock import Market
from providers.mock.machine import Machine
from tests.chaos.ports import Ground
from tests.support.build import FLEET


class Crew:
    """All workers at once: each step they finish jobs, beat, look for their drain mark and pull, in this order."""

    def __init__(self, market: Market, ground: Ground, rng: random.Random, longest_job_s: float) -> None:
        self.silent = False
        self.served = 0
        self._market = market
        self._ground = ground
        self._rng = rng
        self._longest_job_s = longest_job_s
        self._in_hand: dict[tuple[str, int], list[float]] = {}
        """When the jobs in hand end, by machine and its start."""

    def work(self, now: float) -> None:
        """Let them work up to now."""
        in_hand = {}
        for machine in self._market.running(now):
            instance = machine.env.get("AUTOSCALER_INSTANCE")
            if instance is None:
                continue
            jobs = self._in_hand.get((machine.id, machine.starts), [])
            left = [ends_at for ends_at in jobs if ends_at > now]
            self.served += len(jobs) - len(left)
            if self._ground.redis_up and not self.silent:
                self._beat(instance, machine, left, now)
            in_hand[machine.id, machine.starts] = left
            self._market.set_busy(machine.id, len(left))
        self._in_hand = in_hand

    def _beat(self, instance: str, machine: Machine, jobs: list[float], now: float) -> None:
        redis, waiting = self._ground.redis, self._ground.waiting
        marked = redis.is_marked(instance)
        pool, _ = parse_label(machine.label, FLEET) or ("", "")
        if not marked:
            for _ in range(min(machine.slots - len(jobs), waiting.get(pool, 0))):
                waiting[pool] -= 1
                jobs.append(now + self._rng.uniform(5.0, self._longest_job_s))
        stamp = f"{machine.starts}/{now:.3f}"
        redis.beat(instance, Heartbeat(busy=len(jobs), drained=marked, slots=machine.slots, stamp=stamp))
