"""What a configuration allows and its author may not have meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from autoscaler.config.schema import Config, HttpSettings, PoolSettings
from autoscaler.config.words import either
from autoscaler.core.money import caps
from autoscaler.core.spec import FleetLimits, Limits
from autoscaler.link import Command
from autoscaler.queues import counted

_PERIODS = {
    "usd_per_hour": (1, "an hour"),
    "usd_per_day": (24, "a day"),
    "usd_per_month": (24 * 31, "a month of 31 days"),
}
"""Hours and name of the period of each cap."""


_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SHOWN = 3
"""Keys to name of those that several pools read."""


def warnings(config: Config) -> tuple[str, ...]:
    """Warnings, one line each."""
    return (
        *(line for name, pool in config.pools.items() for line in _pool_warnings(name, pool)),
        *_fleet_warnings(config),
        *_shared_keys(config),
        *_open_to_others(config.http),
    )


def _pool_warnings(name: str, pool: PoolSettings) -> Iterator[str]:
    for key, usd, text in _floor_too_dear(pool.limits, _floor_usd_per_hour(pool)):
        least = min(placement.max_usd_per_hour for placement in pool.placements)
        yield (
            f"pools.{name}.limits: {pool.limits.hot.low} running at all times, at up to {least:g} USD per hour each, "
            f"may cost {text}, more than {key}.stop ({usd:g}); the floor is kept all the same, so lower `hot` or "
            "raise `stop`"
        )


def _fleet_warnings(config: Config) -> Iterator[str]:
    floors = sum(pool.limits.hot.low for pool in config.pools.values())
    usd_per_hour = sum(_floor_usd_per_hour(pool) for pool in config.pools.values())
    for key, usd, text in _floor_too_dear(config.limits, usd_per_hour):
        yield (
            f"limits: the floors of all pools, {floors} running at all times, may cost {text}, more than {key}.stop "
            f"({usd:g}); they are kept all the same, so lower `hot` of a pool or raise `stop`"
        )


def _floor_usd_per_hour(pool: PoolSettings) -> float:
    return pool.limits.hot.low * min(placement.max_usd_per_hour for placement in pool.placements)


def _floor_too_dear(limits: Limits | FleetLimits, usd_per_hour: float) -> Iterator[tuple[str, float, str]]:
    """Caps that a floor may exceed by itself: the key, its stop, and what the floor may cost."""
    for key, cap in caps(limits).items():
        hours, period = _PERIODS[key]
        if usd_per_hour * hours > cap.stop:
            yield key, cap.stop, f"{usd_per_hour * hours:.2f} USD {period}"


def _open_to_others(http: HttpSettings) -> Iterator[str]:
    host = http.listen.rpartition(":")[0].strip("[]")
    if http.token is None and host not in _LOOPBACK:
        yield (
            f"http.listen: {http.listen} is reached from other machines, and whoever reaches it reads everything; keep "
            "it on 127.0.0.1 behind a proxy that asks who it is, and set http.token if orders are to be given over HTTP"
        )


def _shared_keys(config: Config) -> Iterator[str]:
    readers: defaultdict[tuple[str, Command], list[str]] = defaultdict(list)
    for name, pool in config.pools.items():
        for jobs in counted(pool.queue):
            readers[str(pool.redis or config.redis), jobs].append(f"pools.{name}")
    shared: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for (_, jobs), names in readers.items():
        if len(names) > 1:
            shared[tuple(names)].add(str(jobs[0]))
    for pools, keys in sorted(shared.items()):
        which = ", ".join(sorted(keys)[:_SHOWN]) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
        are = "is" if len(keys) == 1 else "are"
        yield f"{which} {are} read by {either(pools).replace(' or ', ' and ')}: each counts its jobs as its own"
