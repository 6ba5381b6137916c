"""Search for the settings of a scenario's policies that serve every tier well enough for the least cost.

The search is Optuna's (a tree-structured Parzen estimator with constraints); a study in Redis is shared by all who name
it, so that several machines search together. Trials are asked for and told in rounds of as many as run at a time, so
the same seed and number of processes give the same search.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from autoscaler.core.errors import SettingsError
from autoscaler.sim.compare import summary_of
from autoscaler.sim.scenario import PolicyChoice, Scenario
from policies import POLICIES

if TYPE_CHECKING:
    import optuna

_ATTAINMENT = "worst_attainment"
"""What a trial remembers besides its cost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    """One setting of everything that was searched, and what came of it."""

    scenario: Scenario
    usd: float
    worst_attainment: float
    """Of the tier that was served worst."""


def tune(
    scenario: Scenario,
    *,
    attainment: float,
    trials: int,
    processes: int,
    study: str,
    storage: str | None,
    done: Callable[[int], None],
) -> list[Tuned]:
    """The best settings found, best first: those that reach the attainment by cost, then the nearest.

    The scenario's own settings are the first trial. `storage` is the URL of a Redis that keeps the study; None keeps it
    in memory.

    Raises:
        SettingsError: Optuna is not installed, its storage cannot be used, or no policy has anything to search.
    """
    optuna = _optuna()
    if next(_searched(scenario), None) is None:
        raise SettingsError("none of the pools' policies has settings to search")
    search = optuna.create_study(
        study_name=study,
        storage=_storage(optuna, storage),
        load_if_exists=True,
        # With one seed, all who share a study would try the same settings.
        sampler=optuna.samplers.TPESampler(seed=scenario.seed if storage is None else None),
    )
    search.enqueue_trial(_present(scenario), skip_if_exists=True)
    with ProcessPoolExecutor(max_workers=processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for first in range(0, trials, processes):
            asked = [search.ask() for _ in range(min(processes, trials - first))]
            scenarios = [_with_settings(scenario, _suggest(scenario, trial)) for trial in asked]
            for trial, summary in zip(asked, pool.map(summary_of, scenarios), strict=True):
                trial.set_user_attr(_ATTAINMENT, summary.worst_attainment)
                trial.set_constraint("attainment", attainment - summary.worst_attainment)
                search.tell(trial, summary.usd)
            done(first + len(asked))
    return _ranked(scenario, search.trials, attainment)


def require_optuna() -> None:
    """Find out before long work, not after it.

    Raises:
        SettingsError: Optuna is not installed.
    """
    _optuna()


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise SettingsError("this needs Optuna: pip install 'gpu-autoscaler[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _storage(optuna: Any, url: str | None) -> Any:
    if url is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.JournalStorage(optuna.storages.journal.JournalRedisBackend(url))
    except Exception as error:
        raise SettingsError(f"--storage cannot be used: {error}") from error


def _searched(scenario: Scenario) -> Iterator[tuple[str, str, str, Sequence[Any]]]:
    """Everything that can be searched: pool, policy, setting and the values worth trying."""
    for each in scenario.pools:
        for policy, _ in each.policies:
            for setting, values in POLICIES[policy].search.items():
                yield each.pool.name, policy, setting, values


def _present(scenario: Scenario) -> dict[str, Any]:
    """The scenario's own settings, each moved into the range that is searched."""
    chosen = {(each.pool.name, name): settings for each in scenario.pools for name, settings in each.policies}
    return {
        f"{pool}.{policy}.{setting}": max(values[0], min(values[-1], getattr(chosen[pool, policy], setting)))
        for pool, policy, setting, values in _searched(scenario)
    }


def _suggest(scenario: Scenario, trial: optuna.Trial) -> dict[str, Any]:
    suggested: dict[str, Any] = {}
    for pool, policy, setting, values in _searched(scenario):
        name, low, high = f"{pool}.{policy}.{setting}", values[0], values[-1]
        if isinstance(low, int):
            suggested[name] = trial.suggest_int(name, low, high)
        else:
            suggested[name] = trial.suggest_float(name, low, high, log=low > 0)
    return suggested


def _with_settings(scenario: Scenario, suggested: Mapping[str, Any]) -> Scenario:
    pools = []
    for each in scenario.pools:
        policies: list[PolicyChoice] = []
        for policy, settings in each.policies:
            prefix = f"{each.pool.name}.{policy}."
            own = {
                # Whole seconds and the like: nobody writes 1834.27s.
                name.removeprefix(prefix): float(round(value)) if isinstance(value, float) and value > 10 else value
                for name, value in suggested.items()
                if name.startswith(prefix)
            }
            policies.append((policy, replace(settings, **own)))
        pools.append(replace(each, policies=tuple(policies)))
    return replace(scenario, pools=tuple(pools))


def _ranked(scenario: Scenario, trials: Sequence[optuna.trial.FrozenTrial], attainment: float) -> list[Tuned]:
    tried = [
        Tuned(
            scenario=_with_settings(scenario, trial.params),
            usd=trial.value,
            worst_attainment=trial.user_attrs[_ATTAINMENT],
        )
        for trial in trials
        if trial.value is not None
    ]
    return sorted(tried, key=lambda each: (max(0.0, attainment - each.worst_attainment), each.usd))
