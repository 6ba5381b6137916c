"""Whether a pool's queue can be believed: readings that fail, and jobs that are gone faster than they can be done.

**Readings that fail.** One that fails proves nothing, and the daemon goes on as the last good one had it. After
`fallback.after` in a row the fallback stands. Readings are counted, not seconds: a daemon that was frozen for an hour,
or whose clock was set, has failed once, not for an hour. The queue is said to be back after as many good readings in a
row, so that one that comes and goes is told once.

**Falls that nothing explains.** A primary that comes back empty, FLUSHALL or a wrong database reads as no work at all.
Then nothing is stopped for five minutes, and it is told. False alarms are worse than a late one, so a fall must be all
of this:

- the jobs waiting, delayed and in flight together: those that workers take, put back or put off are still there;
- at least 25 jobs and half of all: what expires, or is taken back one by one, is less;
- more than the machines can have done: each slot what it may hold in hand (5 jobs: itself and a worker's usual
  prefetch of 4) and ten times what it does on average. While that is not known, 10 jobs a second are believed of each.
  Worked example: 3 machines of one slot, jobs of 20 s, 10 s between the readings: 3 × (5 + 10 × 10 / 20) = 30 jobs;
- more than twice what was ever gone at once within a week. Workers that are not ours, a nightly purge, a worker that
  takes all jobs at one go: nothing tells them from a loss. So a fall holds and is told once; the next one like it, for
  a week since the last, does neither. Two servers that answer in turns make one alarm, too.

It is over sooner when half of the jobs are there again, or when the machines, at their average, can have done by then
what is gone. After readings that failed, and after a restart, the last good one is what counts.

**Rises** hold nothing: limits, pace and budget bound what is started, and jobs that wait for nothing are worse than a
machine too many. One to over 100,000 jobs and 100 times as many as before is told, at most once a day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.load import Load
from autoscaler.core.spec import Fallback
from autoscaler.core.units import format_duration

HOLD_S = 300.0
"""How long nothing is stopped after a fall that nothing explains."""
_FEW = 25
_SHARE = 0.5
_IN_HAND = 5.0
_GENEROUS = 10.0
_UNKNOWN_SERVICE_S = 1.0
_USUAL_S = 7 * 86400.0
_RISE_TOLD_S = 86400.0
_MANY = 100_000
_STEEP = 100
_MAY_WORK = frozenset({Phase.BOOTING, Phase.HOT, Phase.DRAINING, Phase.STOPPING, Phase.LOST})
"""A worker may begin before its machine is known to be HOT."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A good reading, as far as later ones are compared with it."""

    at: float
    """Epoch seconds."""
    jobs: int
    """Waiting, delayed and in flight, as far as the queue tells."""
    parts: str
    """Which of them it told; empty where the number is no more than a lower bound. Others cannot be compared."""
    slots: int
    """Slots that may have worked then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fall:
    """Jobs that were gone faster than they can have been done."""

    at: float
    """Epoch seconds when it was seen."""
    within_s: float
    before: int
    after: int
    most: int
    """Jobs that the machines can have done in that time."""
    slots: int

    @property
    def text(self) -> str:
        """What was seen."""
        within = f"within {format_duration(max(1.0, self.within_s))}"
        slots = "1 slot" if self.slots == 1 else f"{self.slots} slots"
        could = f"{slots} can have done at most {self.most:,}" if self.slots else "no machine of ours was there to work"
        return f"jobs in the queue fell from {self.before:,} to {self.after:,} {within}; {could}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """What is known of a pool's readings. It is stored; an older record lacks what has a default."""

    failures: int = 0
    """Readings in a row that failed."""
    successes: int = 0
    """Good readings in a row, counted up to what it takes to say that the queue is back."""
    failing_since: float | None = None
    """Epoch seconds of the first failure; None once the queue is said to be back."""
    away_s: float = 0.0
    """How long it was away, once it can be read again."""
    told: bool = False
    """The alarm was raised that it cannot be read."""
    wanted: int | None = None
    """Machines that the last good reading led to."""
    good: Reading | None = None
    """The last good reading."""
    fall: Fall | None = None
    """The fall that holds."""
    rise_told_until: float = 0.0
    """Epoch seconds until when no further rise is told."""
    usual: int = 0
    """The most jobs that were gone at once, of the falls that were told and are over."""
    usual_until: float = 0.0
    """Epoch seconds until when that counts."""

    def not_after(self, now: float) -> Signal:
        """This signal with nothing in it later than now: for when the clock was set back.

        What was read then is too old or too new to be compared with; nobody knows which.
        """
        late = self.good is not None and self.good.at > now
        return replace(
            self,
            failing_since=None if self.failing_since is None else min(self.failing_since, now),
            good=None if late else self.good,
            fall=None if self.fall is None else replace(self.fall, at=min(self.fall.at, now)),
            rise_told_until=min(self.rise_told_until, now + _RISE_TOLD_S),
            usual_until=min(self.usual_until, now + _USUAL_S),
        )


@dataclass(frozen=True, slots=True)
class Heard:
    """A signal after one more reading, and what there is to tell of it."""

    signal: Signal
    alarms: tuple[str, ...] = ()
    """What is wrong from now on."""
    relief: tuple[str, ...] = ()
    """What is over."""


def hear(
    before: Signal,
    demand: Demand | Unknown,
    *,
    machines: Iterable[Instance],
    load: Load,
    fallback: Fallback,
    now: float,
) -> Heard:
    """Take one reading of a pool's queue; what comes of those that fail, its fallback says."""
    before = before.not_after(now)
    if isinstance(demand, Unknown):
        return _failed(before, demand, fallback, now)
    reading = _reading(demand, machines, now)
    back = _read(before, fallback.after, now)
    judged = _judged(back.signal, reading, load, now)
    return Heard(replace(judged.signal, good=reading), judged.alarms, back.relief + judged.relief)


def latest(signal: Signal) -> tuple[float, int]:
    """What tells which of two signals of a pool is the newer one: when it was last read, and how often not since."""
    return (signal.good.at if signal.good else float("-inf"), signal.failures)


# --- readings that fail -----------------------------------------------------------------------------------------------


def _failed(before: Signal, demand: Unknown, fallback: Fallback, now: float) -> Heard:
    since = now if before.failing_since is None else before.failing_since
    signal = replace(before, failures=before.failures + 1, successes=0, failing_since=since)
    if signal.told or signal.failures < fallback.after:
        return Heard(signal)
    readings = "1 reading" if signal.failures == 1 else f"{signal.failures} readings in a row"
    text = f"the queue cannot be read ({demand.reason}): {readings} failed, {last_good(signal, now)}"
    return Heard(replace(signal, told=True), alarms=(f"{text}; {fallback.words}",))


def last_good(signal: Signal, now: float) -> str:
    """When the queue was last read, and what was in it."""
    if signal.good is None:
        return "it was never read"
    jobs = "1 job" if signal.good.jobs == 1 else f"{signal.good.jobs:,} jobs"
    return f"last read {format_duration(now - signal.good.at)} ago with {jobs}"


def _read(before: Signal, after: int, now: float) -> Heard:
    """The queue could be read; it is said to be back once that was so as often as it took to give it up."""
    if before.failing_since is None:
        return Heard(before)
    away_s = before.away_s if before.successes else now - before.failing_since
    signal = replace(before, failures=0, successes=before.successes + 1, away_s=away_s)
    if signal.told and signal.successes < after:
        return Heard(signal)
    over = replace(signal, successes=0, failing_since=None, away_s=0.0, told=False)
    relief = f"the queue can be read again, after {format_duration(away_s)}"
    return Heard(over, relief=(relief,) if signal.told else ())


# --- falls and rises --------------------------------------------------------------------------------------------------


def _reading(demand: Demand, machines: Iterable[Instance], now: float) -> Reading:
    delayed = [tier.delayed for tier in demand.tiers if tier.delayed is not None]
    jobs = {"waiting": demand.waiting}
    if len(delayed) == len(demand.tiers):
        jobs["delayed"] = sum(delayed)
    if demand.in_flight is not None:
        jobs["in flight"] = demand.in_flight
    exact = not any(tier.waiting_is_lower_bound for tier in demand.tiers)
    return Reading(
        at=now,
        jobs=sum(jobs.values()),
        parts=", ".join(jobs) if exact else "",
        slots=sum(machine.slots for machine in machines if machine.phase in _MAY_WORK),
    )


def _judged(signal: Signal, reading: Reading, load: Load, now: float) -> Heard:
    """The signal with what a good reading says of the one before it."""
    good, fall = signal.good, signal.fall
    if fall is not None and now - fall.at >= HOLD_S:
        return _still(signal, fall, reading, load, now)  # over, whether or not the readings can be compared
    if good is None or not reading.parts or good.parts != reading.parts:
        return Heard(signal)
    if fall is not None:
        return _still(signal, fall, reading, load, now)
    if reading.jobs > max(_MANY, _STEEP * good.jobs):
        return _rose(signal, good, reading, now)
    gone, within_s = good.jobs - reading.jobs, now - good.at
    slots = max(good.slots, reading.slots)
    most = _most(slots, load, within_s)
    if gone < max(_FEW, _SHARE * good.jobs) or gone <= most:
        return Heard(signal)
    if now < signal.usual_until and gone <= 2 * signal.usual:
        return Heard(_grown_used(signal, gone, now))
    fall = Fall(at=now, within_s=within_s, before=good.jobs, after=reading.jobs, most=most, slots=slots)
    return Heard(replace(signal, fall=fall), alarms=(fall.text,))


def _rose(signal: Signal, good: Reading, reading: Reading, now: float) -> Heard:
    if now < signal.rise_told_until:
        return Heard(signal)
    rose = f"jobs in the queue rose from {good.jobs:,} to {reading.jobs:,} within {format_duration(now - good.at)}"
    text = f"{rose}; limits and budget bound what is started for them"
    return Heard(replace(signal, rise_told_until=now + _RISE_TOLD_S), alarms=(text,))


def _still(signal: Signal, fall: Fall, reading: Reading, load: Load, now: float) -> Heard:
    """Whether a fall still holds."""
    age_s, gone = now - fall.at, fall.before - reading.jobs
    if gone < _SHARE * fall.before:
        text = f"{reading.jobs:,} jobs are in the queue again"
    elif gone <= _most(fall.slots, load, fall.within_s + age_s, pace=1.0):
        text = f"by now the machines can have done the {gone:,} jobs that are gone"
    elif age_s >= HOLD_S:
        text = f"{gone:,} jobs stay gone and are held for done"
    else:
        return Heard(signal)
    over = _grown_used(replace(signal, fall=None), fall.before - fall.after, now)
    return Heard(
        over, relief=(f"{text}, {format_duration(age_s)} after they fell from {fall.before:,} to {fall.after:,}",)
    )


def _grown_used(signal: Signal, gone: int, now: float) -> Signal:
    """The signal of a queue that has lost so many jobs at once, and may do so again."""
    usual = max(gone, signal.usual) if now < signal.usual_until else gone
    return replace(signal, usual=usual, usual_until=now + _USUAL_S)


def _most(slots: int, load: Load, within_s: float, *, pace: float = _GENEROUS) -> int:
    """Jobs that so many slots can have done at `pace` times their average."""
    shortest_s = min((load.service_s(tier, _UNKNOWN_SERVICE_S) for tier in load.tiers), default=_UNKNOWN_SERVICE_S)
    return int(slots * (_IN_HAND + pace * within_s / max(1e-3, shortest_s)))
