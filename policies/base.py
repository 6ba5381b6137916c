"""What a policy is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.core.decision import Decision
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Pool

State = Mapping[str, Any]
"""What a policy remembers from tick to tick, as JSON values; it is stored, and empty on the first tick."""

Decide = Callable[[PoolSnapshot, State, float, Any], tuple[Decision, State]]
"""From a snapshot, the policy's state, the time (epoch seconds) and its settings to a decision and the new state.

Of a queue that is Unknown a policy wants no machine started and none stopped, and remembers what it wanted; what a
person asked for by the clock it wants all the same.
"""

Finding = tuple[tuple[str | int, ...], str]
"""Where, below a policy's settings, and what is wrong there, with what was expected or would resolve it."""

Check = Callable[[Any, Pool], Iterable[Finding]]
"""From settings and the pool that they are for to all that is wrong with them."""


def _nothing_wrong(_settings: Any, _pool: Pool) -> Iterable[Finding]:
    return ()


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy as the registry holds it."""

    settings: type[Any]
    """Its settings: a frozen dataclass; each field's docstring is the reference."""
    decide: Decide
    window_s: Callable[[Any], float]
    """How much history it needs before it may ask for fewer machines, given its settings."""
    search: Mapping[str, tuple[Any, ...]]
    """Settings worth searching, each with values to try, smallest first. The first of them trades cost against waiting
    most: `compare` tries its values; `tune` searches all of them between the smallest and the largest. Empty where a
    person alone knows what to set, as the hours of a schedule."""
    alone: bool = True
    """Whether it makes sense as a pool's only policy; else it adds to what others want."""
    check: Check = _nothing_wrong
    """What is wrong with its settings beyond their types, alone or for the pool they are for."""
