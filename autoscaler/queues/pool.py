"""A pool's queue put together from its tiers, its jobs in flight and whatever else its library tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoPermissionError

from autoscaler.core.demand import Demand, InFlightKind, TierDemand, Unknown
from autoscaler.core.spec import Tier
from autoscaler.link import Command
from autoscaler.queues.base import InFlight, Jobs, Reader, Refused, Rest, Steps, Unreadable, count, together
from autoscaler.queues.caution import ADVICE, Caution
from autoscaler.queues.heard import Heard


@dataclass(frozen=True, slots=True)
class TierReading:
    """One tier, and what only the whole pool can tell."""

    demand: TierDemand
    at_work: int
    """Jobs in flight that still lie in the tier's places."""
    cautions: frozenset[Caution]


class TierReader:
    """Reads one tier: the jobs of all its places, e.g. of a list, and of a sorted set of those delayed."""

    def __init__(self, name: str, *places: Reader[Jobs]) -> None:
        self._name = name
        self._places = places

    def read(self, now: float) -> Steps[TierReading]:
        """The sum of the places, and the longest wait that is known."""
        jobs = yield from together([place.read(now) for place in self._places])
        age = max((each.age for each in jobs), key=lambda age: -1.0 if age.wait_s is None else age.wait_s)
        delayed = [each.delayed for each in jobs if each.delayed is not None]
        demand = TierDemand(
            tier=self._name,
            waiting=sum(each.waiting for each in jobs),
            waiting_is_lower_bound=any(each.is_lower_bound for each in jobs),
            delayed=sum(delayed) if len(delayed) == len(jobs) else None,
            next_due_at=min((each.next_due_at for each in jobs if each.next_due_at is not None), default=None),
            oldest_enqueued_at=age.enqueued_at,
            oldest_wait_s=age.wait_s,
            age_source=age.source,
        )
        return TierReading(
            demand,
            sum(each.at_work for each in jobs),
            frozenset[Caution]().union(*(each.cautions | each.age.cautions for each in jobs)),
        )


class Probe:
    """Asks, until one of them says yes, for keys that exist if the queue does, be it empty or not."""

    def __init__(self, *commands: Command) -> None:
        self._commands = commands
        self._seen = not commands

    def read(self, _now: float) -> Steps[bool]:
        """Whether the queue was ever there."""
        if not self._seen:
            self._seen = any(count(reply) for reply in (yield self._commands))
        return self._seen

    def saw(self) -> None:
        """The queue is there: no need to ask."""
        self._seen = True


class Nothing:
    """A library that tells nothing else."""

    def read(self, _now: float) -> Steps[Rest]:
        """Nothing to ask."""
        yield from ()
        return Rest()


class PoolReader:
    """Reads a whole queue.

    One tier whose jobs cannot be counted makes the queue Unknown, since its demand may be anything. An age or an
    in-flight number that cannot be read is None, with a caution.
    """

    def __init__(
        self,
        tiers: Sequence[TierReader],
        in_flight: Reader[InFlight],
        *,
        probe: Sequence[Command],
        rest: Reader[Rest] | None = None,
        heard: Heard | None = None,
    ) -> None:
        self._tiers = tuple(tiers)
        self._in_flight = in_flight
        self._probe = Probe(*probe)
        self._rest = rest or Nothing()
        self.heard = heard
        """What is to be listened to between readings, and was heard."""
        self.advice: Mapping[Caution, str] = ADVICE
        """What to do about each caution."""

    def read(self, now: float) -> Steps[Demand | Unknown]:
        """The pool's demand, in at most two steps. `seen` stays true once any of its keys has existed.

        A key that became one of another type between the two takes a third, which asks what it is.
        """
        parts: list[Steps[Any]] = [
            *(tier.read(now) for tier in self._tiers),
            *(part.read(now) for part in (self._in_flight, self._rest, self._probe)),
        ]
        try:
            *tiers, in_flight, rest, seen = yield from together(parts)
        except Refused as error:
            refused = error
        except Unreadable as error:
            return Unknown(str(error), now)
        else:
            demands = tuple(tier.demand for tier in tiers)
            at_work = sum(tier.at_work for tier in tiers)
            in_flight_count = None if in_flight.count is None else in_flight.count + at_work
            if any(tier.waiting or tier.delayed for tier in demands) or in_flight_count:
                self._probe.saw()
                seen = True
            cautions = rest.cautions.union(in_flight.cautions, *(tier.cautions for tier in tiers))
            return Demand(
                taken_at=now,
                tiers=demands,
                in_flight=in_flight_count,
                in_flight_kind=InFlightKind.HIDDEN if in_flight_count is None else in_flight.kind,
                oldest_in_flight_at=in_flight.oldest_at,
                paused=rest.paused,
                busy={**in_flight.busy, **rest.busy},
                seen=seen,
                advice={caution.value: self.advice[caution] for caution in sorted(cautions)},
            )
        return (yield from _explained(refused, now))


def _explained(refused: Refused, now: float) -> Steps[Unknown]:
    """Why a key could not be read: what was found, what was expected."""
    name = str(refused.command[0])
    key = refused.command[2 if name == "XINFO" else 1]
    which = repr(key.decode(errors="replace") if isinstance(key, bytes) else key)
    reply = refused.reply
    if isinstance(reply, NoPermissionError):
        return Unknown(f"queue key {which} may not be read: {reply}; the user needs +@read on this key", now)
    if isinstance(reply, Exception) and str(reply).startswith("WRONGTYPE"):
        [found] = yield [("TYPE", key)]
        if isinstance(found, bytes) and found != b"none":
            it_is = found.decode(errors="replace")
            return Unknown(f"queue key {which} holds a {it_is}; expected a {refused.expected}", now)
    if isinstance(reply, Exception):
        return Unknown(f"queue key {which} cannot be read: {name} failed: {reply}", now)
    return Unknown(f"queue key {which} cannot be read: {name} gave a reply that makes no sense", now)


def check_tiers(tiers: Sequence[Tier], places: Sequence[object]) -> None:
    """Refuse tiers of which jobs would be counted twice, or that cannot be told apart.

    Raises:
        ValueError: no tier, two of one name, or two that read the same place.
    """
    if not tiers:
        raise ValueError("expected at least one tier")
    for what, values in (("name", [tier.name for tier in tiers]), ("key", places)):
        twice = next((value for index, value in enumerate(values) if value in values[:index]), None)
        if twice is not None:
            raise ValueError(f"two tiers have the {what} {twice!r}; each needs its own")
