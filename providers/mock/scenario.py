"""When things go wrong: steps written down in a scenario, and faults drawn by chance."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds
from providers.mock.faults import MARKET_ODDS, NOTHING, STRIKES, Fault, Operation, Struck
from providers.mock.read import read_yaml, validated

AtLeastOne = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing that goes wrong at a moment that was written down."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    fault: Fault
    """What goes wrong."""
    call: Operation | None = None
    """The call it strikes; any that the fault can strike when absent."""
    at: Seconds = 0.0
    """Time since the market opened; calls before it are not counted."""
    nth: AtLeastOne = 1
    """Which of those calls is the first to be struck."""
    times: AtLeastOne | None = None
    """How many calls in a row are struck; when absent one, or all up to `until`."""
    until: Seconds | None = None
    """Time since the market opened when it is over; for `host_offline` and `balance_spent`, when all is well again."""
    machine: AtLeastOne | None = None
    """For faults struck by time: the machine, counted in the order of renting; the oldest it can strike when absent."""

    def __post_init__(self) -> None:
        calls = STRIKES[self.fault]
        if self.call is not None and self.call not in calls:
            expected = ", ".join(sorted(calls)) or "no call: it is struck by time, with `at`"
            raise ValueError(f"{self.fault} cannot strike {self.call}; expected {expected}")
        if calls and self.machine is not None:
            raise ValueError(f"{self.fault} strikes calls; expected `call` and `nth` in place of `machine`")
        if not calls and (self.nth, self.times) != (1, None):
            raise ValueError(f"{self.fault} is struck by time; expected `at` in place of `nth` and `times`")
        if self.until is not None and self.until <= self.at:
            raise ValueError("`until` is not after `at`; expected a later time")

    @property
    def calls(self) -> frozenset[Operation]:
        """The calls it may strike; none when it is struck by time."""
        return STRIKES[self.fault] if self.call is None else frozenset({self.call})

    def strikes(self, count: int, elapsed_s: float) -> bool:
        """Whether it strikes the `count`-th call since `at`, made `elapsed_s` seconds after the opening."""
        if self.until is not None and elapsed_s >= self.until:
            return False
        times = 1 if self.times is None and self.until is None else self.times
        return self.nth <= count and (times is None or count < self.nth + times)


class FaultPlan:
    """Which faults strike which call: first those of the scenario, then those drawn by chance."""

    def __init__(self, odds: Mapping[Fault, float], scenario: Sequence[Step], rng: random.Random) -> None:
        self.odds = {**MARKET_ODDS, **odds}
        self.scenario = tuple(scenario)
        self.seen = [0] * len(self.scenario)
        """Per step, the calls it has looked at, or 1 once a step by time has struck."""
        self._rng = rng
        self._drawn = {
            call: [(fault, self.odds[fault]) for fault in Fault if call in STRIKES[fault] and self.odds.get(fault)]
            for call in Operation
        }
        self._scripted = {
            call: [index for index, step in enumerate(self.scenario) if call in step.calls] for call in Operation
        }

    def strike(self, call: Operation, elapsed_s: float) -> Struck:
        """The faults of this call, `elapsed_s` seconds after the market opened. Each call is asked about once."""
        drawn, scripted = self._drawn[call], self._scripted[call]
        if not drawn and not scripted:
            return NOTHING
        struck = {fault for fault, chance in drawn if self._rng.random() < chance}
        for index in scripted:
            step = self.scenario[index]
            if step.at <= elapsed_s:
                self.seen[index] += 1
                if step.strikes(self.seen[index], elapsed_s):
                    struck.add(step.fault)
        return frozenset(struck)

    def by_time(self) -> list[int]:
        """The steps struck by time that have not struck yet."""
        return [index for index, step in enumerate(self.scenario) if not step.calls and not self.seen[index]]


def read_scenario(path: Path) -> tuple[Step, ...]:
    """The steps of a scenario file.

    Raises:
        SettingsError: it cannot be read, or a step is wrong; every problem with its key, value and what was expected.
    """
    rows = read_yaml(path)
    return validated(tuple[Step, ...], [] if rows is None else rows, path, whole="scenario")
