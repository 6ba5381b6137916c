"""The people of the fault simulation: they order and withdraw what comes to mind, and change the configuration."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autoscaler.config import Config
from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.orders import Order, OrderKind
from autoscaler.queues.list import ListQueue
from autoscaler.store.redis import RedisStore
from providers.mock import MockSettings
from tests.chaos.plan import draw_limits, draw_policy, draw_pool
from tests.chaos.ports import Ground, Way, link
from tests.chaos.process import Process
from tests.support.build import FLEET

_NAMES = ("images", "texts")
_POOLS = (*_NAMES, "no-such-pool")


class Operators:
    """Whoever gives orders; none of them looks at the state of the fleet first."""

    def __init__(self, ground: Ground, process: Process, rng: random.Random) -> None:
        way = Way("operators", process, ground, dict)
        self._store = RedisStore(link(way), FLEET, "operators")
        self._ground = ground
        self._rng = rng
        self._given = 0

    def draw(self, machines: Sequence[str], for_s: float, now: float) -> Order:
        """Any order, about any of these machines where it is about one."""
        rng = self._rng
        kind: OrderKind = rng.choice([*OrderKind])
        self._given += 1
        known = [*machines, "no-such-machine"]
        names, fields = [""], dict[str, Any]()
        match kind:
            case OrderKind.PAUSE:
                names = ["", *_POOLS]
            case OrderKind.FLOOR | OrderKind.CEILING:
                names, fields = ["", *_POOLS], {"count": rng.choice((0, 1, 2, 5, 50))}
            case OrderKind.DRAIN:
                names = known
            case OrderKind.RELEASE:
                names, fields = known, {"lose_jobs": rng.random() < 0.3}
            case OrderKind.EVACUATE:
                names = ["mock", "mock", "no-such-provider"]
            case OrderKind.ADOPT:
                names = ["mock/foreign-1", "mock/foreign-2", "mock/m1", "mock/no-such-machine"]
                fields = {"pool": rng.choice(_POOLS)}
        return Order(
            kind=kind,
            subject=rng.choice(names),
            by="somebody",
            why=f"no. {self._given}",
            at=now,
            for_s=rng.choice((None, for_s + 60.0)),
            **fields,
        )

    async def give(self, order: Order) -> None:
        """Give an order, or fail to."""
        try:
            await self._store.give(order)
        except StoreUnavailable:
            return

    async def withdraw(self, name: str) -> None:
        """Withdraw an order, or fail to."""
        try:
            await self._store.withdraw(name, by="somebody else")
        except StoreUnavailable:
            return

    async def withdraw_all(self) -> None:
        """Withdraw whatever stands."""
        for name in [*self._ground.redis.orders]:
            await self._store.withdraw(name, by="somebody else")


def changed(config: Config, rng: random.Random) -> Config:
    """A configuration that differs from that one in one thing that a running daemon can follow."""
    name = rng.choice([*config.pools])
    pool = config.pools[name]
    match rng.choice(("limits", "policy", "pool", "provider", "tick", "queue")):
        case "limits":
            pool = replace(pool, limits=draw_limits(rng))
        case "policy":
            pool = replace(pool, policies=(draw_policy(rng),))
        case "queue":
            assert isinstance(pool.queue, ListQueue)
            tiers = tuple(replace(tier, key=f"{tier.key}+") for tier in pool.queue.tiers)
            pool = replace(pool, queue=replace(pool.queue, tiers=tiers))
        case "pool":
            return replace(config, pools=_other_pools(config, rng))
        case "provider":
            market = config.providers["mock"]
            assert isinstance(market, MockSettings)
            return replace(config, providers={"mock": replace(market, seed=market.seed + 1)})
        case _:
            return replace(config, tick=config.lease / rng.choice((3, 3, 6)))
    return replace(config, pools={**config.pools, name: pool})


def _other_pools(config: Config, rng: random.Random) -> dict[str, Any]:
    missing = [name for name in _NAMES if name not in config.pools]
    if missing:
        return {**config.pools, missing[0]: draw_pool(missing[0], rng)}
    gone = rng.choice(_NAMES)
    return {name: pool for name, pool in config.pools.items() if name != gone}
