"""What happened in a simulation: the books that `jobs.csv` and `phases.csv` are printed from.

They are kept to the millisecond and the millionth of a dollar, so that whoever adds up the files gets the same sums.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from autoscaler.core.journal import Entry
from autoscaler.core.spec import Pool

NEVER = math.nan
"""The time of what never happened."""
TIME_DIGITS, PRICE_DIGITS = 3, 6


class JobLog:
    """All jobs of a pool, in columns: a quarter of a million jobs take 10 MB."""

    def __init__(self, tiers: tuple[str, ...]) -> None:
        self.tiers = tiers
        self.arrived_s = array("d")
        self.tier = array("b")
        """Each job's place among the tiers."""
        self.service_s = array("d")
        """How long one slot works on it, model loads left out."""
        self.started_s = array("d")
        """Of the attempt that was finished; `NEVER` while there was none."""
        self.finished_s = array("d")
        self.machine = array("l")
        """Where it was served, as a place in `machines`; -1 for nowhere."""
        self.machines: list[str] = []
        """Instance ids."""

    def __len__(self) -> int:
        return len(self.arrived_s)

    def arrive(self, arrived_s: float, tier: int, service_s: float) -> int:
        """Take a new job, its arrival to the millisecond; gives its number."""
        self.arrived_s.append(arrived_s)
        self.tier.append(tier)
        self.service_s.append(service_s)
        self.started_s.append(NEVER)
        self.finished_s.append(NEVER)
        self.machine.append(-1)
        return len(self.arrived_s) - 1

    def start(self, number: int, started_s: float, machine: int) -> None:
        """A job starts on a machine, given as its place in `machines`."""
        self.started_s[number] = round(started_s, TIME_DIGITS)
        self.machine[number] = machine

    def interrupt(self, number: int) -> None:
        """A job's machine went away: it has to be started again."""
        self.started_s[number] = NEVER
        self.machine[number] = -1

    def finish(self, number: int, finished_s: float) -> None:
        """A job is done."""
        self.finished_s[number] = round(finished_s, TIME_DIGITS)

    def waits_s(self, tier: int) -> list[float]:
        """How long each job of a tier waited until it started; infinite for those that never did."""
        return [
            math.inf if math.isnan(started) else round(started - arrived, TIME_DIGITS)
            for arrived, started, place in zip(self.arrived_s, self.started_s, self.tier, strict=True)
            if place == tier
        ]


class PhaseRow(NamedTuple):
    """A time in which a machine kept its phase and its price. Times are seconds since the simulation began."""

    instance: str
    provider: str
    placement: str
    phase: str
    from_s: float
    to_s: float
    usd_per_hour: float

    @property
    def usd(self) -> float:
        """What it cost."""
        return (self.to_s - self.from_s) / 3600.0 * self.usd_per_hour


@dataclass(kw_only=True, slots=True)
class Books:
    """One whole simulation, as it truly was."""

    pools: dict[str, Pool]
    jobs: dict[str, JobLog]
    """By pool."""
    phases: list[PhaseRow]
    """In the order in which they ended."""
    entries: list[Entry] = field(default_factory=list)
    """The daemon's journal, decisions and all; empty for the policies of peers."""
    until_s: float
    """When it ended."""
    epoch: float
    """The clock's time when it began, in epoch seconds."""
    ticks: int = 0
    launches: int = 0
    resumes: int = 0
    refused_resumes: int = 0
    interruptions: int = 0
    """Running machines that the market took."""
    interrupted: int = 0
    """Attempts at a job that ended with them."""
    killed: int = 0
    """Attempts at a job that were cut off by an order to stop or release the machine."""
    failed_ticks: list[str] = field(default_factory=list)
    """Why ticks of the daemon could not be made."""

    def usd(self) -> float:
        """What all machines cost."""
        return math.fsum(row.usd for row in self.phases)

    def unserved(self) -> int:
        """Jobs that were not finished."""
        return sum(math.isnan(finished) for log in self.jobs.values() for finished in log.finished_s)

    def all_jobs(self) -> Iterator[tuple[str, JobLog, int]]:
        """Every job as its pool, the pool's log and its number."""
        for pool, log in self.jobs.items():
            for number in range(len(log)):
                yield pool, log, number
