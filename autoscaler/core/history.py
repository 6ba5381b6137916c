"""What was learned of a placement: how long machines take, whether stopped ones come back, what is exhausted."""

from __future__ import annotations

from dataclasses import dataclass, replace

_NEWEST_WEIGHT = 0.2  # the newest of many observations; about the last nine make up nine tenths of an estimate
_SETUP_S = 45 * 60.0  # until something was learned: the middle of what image pull and model load usually take,
_RESUME_S = 210.0  # and of what a resume takes
_BLOCK_FIRST_S = 300.0  # the cluster-autoscaler's back-off for an exhausted node group: 5 minutes,
_BLOCK_MOST_S = 1800.0  # doubled up to 30


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
    blocked_until: float = 0.0
    """Epoch seconds; nothing is rented here before."""
    blocked_why: str = ""

    def up_in_s(self, *, resumed: bool, elapsed_s: float = 0.0) -> float:
        """Seconds until a machine that was ordered that long ago is HOT; one that is late is taken to come soon."""
        estimate, usual_s = (self.resume, _RESUME_S) if resumed else (self.setup, _SETUP_S)
        mean_s = estimate.mean_s if estimate.count else usual_s
        return max(mean_s - elapsed_s, 0.1 * mean_s)

    def not_after(self, now: float) -> PlacementHistory:
        """This history with nothing in it later than now: for when the clock was set back."""
        return replace(self, blocked_until=min(self.blocked_until, now))

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

    def blocked(self, now: float, why: str, *, seconds: float | None = None) -> PlacementHistory:
        """After a refusal: nothing is rented here for a while, twice as long each time."""
        pause = min(_BLOCK_MOST_S, _BLOCK_FIRST_S * 2.0**self.failures) if seconds is None else seconds
        return replace(self, failures=min(self.failures + 1, 8), blocked_until=now + pause, blocked_why=why)
