"""What was learned of a placement: how long machines take, whether they come back, what is exhausted or interrupted."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from autoscaler.core.spec import Buy

_NEWEST_WEIGHT = 0.2  # the newest of many observations; about the last nine make up nine tenths of an estimate
_SETUP_S = 45 * 60.0  # until something was learned: the middle of what image pull and model load usually take,
_RESUME_S = 210.0  # and of what a resume takes
_BLOCK_FIRST_S = 300.0  # the cluster-autoscaler's back-off for an exhausted node group: 5 minutes,
_MISSES = 3  # rents in a row without capacity: so soon the next placement has its turn
_BLOCK_MOST_S = 1800.0  # doubled up to 30
_BLOCK_FADES_S = 1800.0  # one refusal is forgotten for each half hour after a block
_LEAST_SPREAD = 0.25  # of the mean: a few equal times do not make the next one certain
_LATE = 2.0  # standard deviations above the mean: nine tenths of most durations lie below, and four fifths of any
_HOT_H = 500.0  # running hours after which an interruption counts for 1/e of a new one
_QUIET_H = {"spot": 20.0, "on_demand": 500.0}  # hours to an interruption, as far as nothing was learned


@dataclass(frozen=True, slots=True)
class Estimate:
    """An exponentially decaying mean and variance of durations, in seconds."""

    mean_s: float = 0.0
    variance: float = 0.0
    count: int = 0

    def learn(self, seconds: float) -> Estimate:
        """This estimate after one more observation.

        Incremental weighted mean and variance (T. Finch, 2009): with weight a, d = x - mean,
        mean' = mean + a·d and variance' = (1 - a)·(variance + a·d²). The first observations weigh 1/n, so that the
        estimate starts as the plain mean.
        """
        weight = max(_NEWEST_WEIGHT, 1.0 / (self.count + 1))
        difference = seconds - self.mean_s
        return Estimate(
            self.mean_s + weight * difference,
            (1.0 - weight) * (self.variance + weight * difference * difference),
            self.count + 1,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacementHistory:
    """All that was learned of one placement of one pool."""

    setup: Estimate = Estimate()
    """From the rent call to HOT."""
    resume: Estimate = Estimate()
    """From the resume call to HOT."""
    resumed: float = 0.0
    """Decaying count of resumes that came up."""
    refused: float = 0.0
    """Decaying count of resumes that did not."""
    failures: int = 0
    """Refused rents in a row."""
    misses: int = 0
    """Rents in a row for which there was no capacity, since it was last blocked for that."""
    missed_at: float = 0.0
    """Epoch seconds when the last of them was refused."""
    blocked_until: float = 0.0
    """Epoch seconds; nothing is rented here before."""
    blocked_why: str = ""
    hot_h: float = 0.0
    """Decaying count of the hours that its machines were HOT."""
    interruptions: float = 0.0
    """Decaying count of the times that they were interrupted then."""

    def up_in_s(self, *, resumed: bool, elapsed_s: float = 0.0) -> float:
        """Seconds until a machine that was ordered that long ago is HOT; one that is late is taken to come soon."""
        estimate, usual_s = (self.resume, _RESUME_S) if resumed else (self.setup, _SETUP_S)
        mean_s = estimate.mean_s if estimate.count else usual_s
        return max(mean_s - elapsed_s, 0.1 * mean_s)

    def resume_time(self) -> tuple[float, float]:
        """Mean and standard deviation of the seconds from a resume call to HOT."""
        mean_s = self.resume.mean_s if self.resume.count else _RESUME_S
        return mean_s, max(math.sqrt(self.resume.variance), _LEAST_SPREAD * mean_s)

    def resume_late_s(self) -> float:
        """Seconds after its call at which a resume is late: two standard deviations above the mean.

        By Cantelli's inequality, P(T ≥ mean + k·sd) ≤ 1 / (1 + k²), at most a fifth of resumes take longer whatever
        their distribution.
        """
        mean_s, spread_s = self.resume_time()
        return mean_s + _LATE * spread_s

    def interruptions_per_hour(self, buy: Buy) -> float:
        """How often a running machine is interrupted: a Gamma prior of one interruption, then what was seen."""
        return (self.interruptions + 1.0) / (self.hot_h + _QUIET_H[buy])

    def was_hot(self, hours: float, *, interrupted: bool) -> PlacementHistory:
        """After a machine left HOT."""
        keep = math.exp(-hours / _HOT_H)
        return replace(self, hot_h=self.hot_h * keep + hours, interruptions=self.interruptions * keep + interrupted)

    def not_after(self, now: float) -> PlacementHistory:
        """This history with nothing in it later than now: for when the clock was set back."""
        return replace(self, blocked_until=min(self.blocked_until, now), missed_at=min(self.missed_at, now))

    def resume_chance(self) -> float:
        """Probability that a stopped machine comes back: Laplace's rule of succession over decaying counts."""
        return (self.resumed + 1.0) / (self.resumed + self.refused + 2.0)

    def came_up(self, seconds: float, *, resumed: bool) -> PlacementHistory:
        """After a machine got HOT that many seconds after its rent or resume call."""
        if not resumed:
            return replace(self, setup=self.setup.learn(seconds), failures=0)
        return replace(self._resumes(came_back=True), resume=self.resume.learn(seconds))

    def resume_refused(self) -> PlacementHistory:
        """After a stopped machine did not come back."""
        return self._resumes(came_back=False)

    def _resumes(self, *, came_back: bool) -> PlacementHistory:
        keep = 1.0 - _NEWEST_WEIGHT / 2.0  # the last twenty or so count
        return replace(self, resumed=self.resumed * keep + came_back, refused=self.refused * keep + (not came_back))

    def missed(self, now: float, why: str, *, planned_at: float) -> PlacementHistory:
        """After a rent for which there was no capacity: other offers are tried, and the third in a row blocks it.

        One that was planned by the time when the last was refused chose from the same offers, which were old by then.
        """
        if planned_at <= self.missed_at:
            return self
        missed = replace(self, misses=self.misses + 1, missed_at=now)
        return missed if missed.misses < _MISSES else replace(missed.blocked(now, why), misses=0)

    def blocked(self, now: float, why: str, *, seconds: float | None = None) -> PlacementHistory:
        """After a refusal: nothing is rented here for a while, twice as long each time unless `seconds` says how long.

        How often it was refused is forgotten with a success, and one refusal for each half hour without another.
        """
        faded = int(max(0.0, now - self.blocked_until) // _BLOCK_FADES_S)
        failures = max(0, self.failures - faded)
        if seconds is not None:
            return replace(self, blocked_until=now + seconds, blocked_why=why)
        pause = min(_BLOCK_MOST_S, _BLOCK_FIRST_S * 2.0**failures)
        return replace(self, failures=min(failures + 1, 8), blocked_until=now + pause, blocked_why=why)
