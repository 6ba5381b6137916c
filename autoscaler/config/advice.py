"""What a configuration allows and its author may not have meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from autoscaler.config.schema import Config, PoolSettings
from autoscaler.config.words import either


def warnings(config: Config) -> tuple[str, ...]:
    """Warnings, one line each."""
    return (
        *(line for name, pool in config.pools.items() for line in _pool_warnings(name, pool)),
        *_shared_keys(config),
    )


def _pool_warnings(name: str, pool: PoolSettings) -> Iterator[str]:
    cap = min(placement.max_usd_per_hour for placement in pool.placements)
    floor_usd, stop = pool.limits.hot.low * cap * 24, pool.limits.usd_per_day.stop
    if floor_usd > stop:
        yield (
            f"pools.{name}.limits: {pool.limits.hot.low} running at all times, at up to {cap:g} USD per hour each, may "
            f"cost {floor_usd:.2f} USD a day, more than usd_per_day.stop ({stop:g}); the floor is kept all the same, "
            "so lower `hot` or raise `stop`"
        )


def _shared_keys(config: Config) -> Iterator[str]:
    readers: defaultdict[str, list[str]] = defaultdict(list)
    for name, pool in config.pools.items():
        for key in {tier.key for tier in pool.queue.tiers}:
            readers[key].append(f"pools.{name}")
    for key, pools in sorted(readers.items()):
        if len(pools) > 1:
            yield f"{key} is read by {either(pools).replace(' or ', ' and ')}: each counts its jobs as its own"
