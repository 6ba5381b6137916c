"""From a configuration to what is simulated: the composition root of `simulate`, `compare` and `tune`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from autoscaler.config import Config
from autoscaler.core.errors import SettingsError
from autoscaler.sim.market import read_market
from autoscaler.sim.scenario import PoolScenario, Scenario


def scenario_of(config: Config, traces: Iterable[str], *, market: Path | None, seed: int) -> Scenario:
    """A configuration's fleet, with the jobs of traces named `FILE` or `POOL=FILE`.

    Raises:
        SettingsError: a trace is for no pool, or for one that has another; or the market's file is bad.
    """
    by_pool = _by_pool(config, traces)
    markets = {name: config.market(name) for name in config.providers}
    stock = [kind for settings in markets.values() for kind in settings.stock]
    return Scenario(
        fleet=config.fleet,
        pools=tuple(
            PoolScenario(
                pool=settings.pool(name),
                policies=tuple((choice.name, choice.settings) for choice in settings.policies),
                workload=settings.workload,
                trace=by_pool.get(name),
            )
            for name, settings in config.pools.items()
        ),
        providers=markets,
        market=read_market(market, stock) if market else (),
        limits=config.limits,
        tick_s=config.tick,
        seed=seed,
    )


def _by_pool(config: Config, traces: Iterable[str]) -> dict[str, Path]:
    by_pool: dict[str, Path] = {}
    problems: list[str] = []
    for trace in traces:
        pool, named, path = trace.partition("=")
        if not named or Path(trace).exists():
            pool, path = (next(iter(config.pools)) if len(config.pools) == 1 else ""), trace
        if pool not in config.pools:
            problems.append(f"--trace {trace}: expected POOL=FILE with one of the pools {', '.join(config.pools)}")
        elif pool in by_pool:
            problems.append(f"--trace {trace}: the pool {pool} already has {by_pool[pool]}")
        else:
            by_pool[pool] = Path(path)
    if problems:
        raise SettingsError(*problems)
    return by_pool
