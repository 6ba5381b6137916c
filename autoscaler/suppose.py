"""What a person supposes of pools, as `plan --what-if` takes it: `depth.pro=40`, `hot=2`, `POOL.wait.pro=35s`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from autoscaler.config.words import one_line, suggest
from autoscaler.core.errors import SettingsError
from autoscaler.core.spec import Pool
from autoscaler.core.units import parse_duration


@dataclass(frozen=True, kw_only=True, slots=True)
class Supposed:
    """One pool as it is supposed to be; what nobody spoke of is nothing."""

    depth: Mapping[str, int]
    """Jobs waiting, by tier."""
    wait: Mapping[str, float]
    """Seconds that the oldest of them has waited, by tier."""
    rate: Mapping[str, float]
    """Jobs that arrive in a minute, by tier."""
    service: Mapping[str, float]
    """Seconds that a slot works on a job, by tier."""
    hot: int
    warm: int
    busy: int
    """Slots at work."""
    spent: float
    """USD that the pool has cost today."""


def _count(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII):
        raise ValueError("expected a whole number from 0 to 99999, such as 40")
    return int(text)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0.0 <= amount < math.inf:
        raise ValueError("expected a number from 0 up, such as 12.5")
    return amount


def _some_time(text: str) -> float:
    seconds = parse_duration(text)
    if not seconds:
        raise ValueError("expected more than 0s")
    return seconds


_BY_TIER: Mapping[str, Callable[[str], float]] = MappingProxyType(
    {"depth": _count, "wait": parse_duration, "rate": _amount, "service": _some_time}
)
_OF_POOL: Mapping[str, Callable[[str], float]] = MappingProxyType(
    {"hot": _count, "warm": _count, "busy": _count, "spent": _amount}
)


def suppose(pools: Mapping[str, Pool], texts: Iterable[str]) -> dict[str, Supposed]:
    """Each pool as texts of the form `KEY=VALUE` suppose it; with several pools `POOL.KEY=VALUE`.

    Raises:
        SettingsError: every text that has no sense, with what was expected.
    """
    values: dict[tuple[str, str, str], Any] = {}
    problems = []
    for text in texts:
        try:
            where, value = _read(text, pools)
            if where in values:
                raise ValueError("given twice")
            values[where] = value
        except ValueError as error:
            problems.append(f"--what-if {one_line(text)}: {error}")
    supposed = {name: _supposed(name, values) for name in pools}
    problems += [f"--what-if: {text}" for name, pool in pools.items() for text in _contradictions(pool, supposed[name])]
    if problems:
        raise SettingsError(*problems)
    return supposed


def _read(text: str, pools: Mapping[str, Pool]) -> tuple[tuple[str, str, str], float]:
    key, equals, written = text.partition("=")
    if not equals:
        raise ValueError("expected KEY=VALUE, such as depth.pro=40")
    pool, kind, tier = _split(key, pools)
    parse = _BY_TIER[kind] if tier else _OF_POOL[kind]
    return (pool, kind, tier), parse(written)


def _split(key: str, pools: Mapping[str, Pool]) -> tuple[str, str, str]:
    """Pool, kind and tier of a key; no tier for what is said of a whole pool."""
    pool, *rest = key.split(".")
    if pool not in pools:
        if len(pools) > 1:
            raise ValueError(f"expected POOL.KEY=VALUE with one of the pools; {suggest(pool, pools)}")
        (pool,), rest = pools, [pool, *rest]
    kind, tiers = rest[0] if rest else "", rest[1:]
    if kind not in _BY_TIER and kind not in _OF_POOL:
        raise ValueError(f"unknown key; {suggest(kind, (*_BY_TIER, *_OF_POOL))}")
    if kind in _OF_POOL and not tiers:
        return pool, kind, ""
    if kind in _OF_POOL or len(tiers) != 1:
        raise ValueError(f"expected {kind}{'.TIER' if kind in _BY_TIER else ''}=VALUE")
    known = [tier.name for tier in pools[pool].tiers]
    if tiers[0] not in known:
        raise ValueError(f"the pool {pool} has no such tier; {suggest(tiers[0], known)}")
    return pool, kind, tiers[0]


def _supposed(name: str, values: Mapping[tuple[str, str, str], Any]) -> Supposed:
    own = {(kind, tier): value for (pool, kind, tier), value in values.items() if pool == name}
    by_tier = {kind: {tier: value for (said, tier), value in own.items() if said == kind} for kind in _BY_TIER}
    return Supposed(
        depth=dict.fromkeys(by_tier["wait"], 1) | by_tier["depth"],  # a job that waits is there
        wait=by_tier["wait"],
        rate=by_tier["rate"],
        service=by_tier["service"],
        hot=own.get(("hot", ""), 0),
        warm=own.get(("warm", ""), 0),
        busy=own.get(("busy", ""), 0),
        spent=own.get(("spent", ""), 0.0),
    )


def _contradictions(pool: Pool, supposed: Supposed) -> Iterator[str]:
    for tier, wait_s in supposed.wait.items():
        if wait_s and not supposed.depth[tier]:
            yield f"{pool.name}: no {tier} job waits, so none has waited for {wait_s:g}s; raise depth.{tier}"
    slots = supposed.hot * pool.machine.slots
    if supposed.busy > slots:
        yield f"{pool.name}: {supposed.busy} slots at work, but {supposed.hot} HOT machines have {slots}; raise hot"
