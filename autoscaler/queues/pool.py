"""A pool's queue put together from its tiers and its jobs in flight; the same for every kind of queue."""

from __future__ import annotations

from collections.abc import Sequence

from autoscaler.core.demand import Demand, InFlightKind, Unknown
from autoscaler.core.spec import Tier
from autoscaler.link import Command
from autoscaler.queues.base import Answers, InFlight, Reader, TierReading


class PoolReader:
    """Reads a whole queue.

    One tier whose jobs cannot be counted makes the queue Unknown, since its demand may be anything. An age or an
    in-flight number that cannot be read is None, with a caution.
    """

    def __init__(self, tiers: Sequence[Reader[TierReading]], in_flight: Reader[InFlight]) -> None:
        self._tiers = tuple(tiers)
        self._in_flight = in_flight
        self._seen = False

    def first(self, now: float) -> list[Command]:
        """What tiers and in-flight readers ask on each tick."""
        return [command for part in (*self._tiers, self._in_flight) for command in part.first(now)]

    def second(self, answers: Answers, now: float) -> list[Command]:
        """What they ask in addition."""
        return [command for part in (*self._tiers, self._in_flight) for command in part.second(answers, now)]

    def parse(self, answers: Answers, now: float) -> Demand | Unknown:
        """The pool's demand. `seen` stays true once any of its keys has existed."""
        in_flight = self._in_flight.parse(answers, now)
        if isinstance(in_flight, Unknown):
            return in_flight
        tiers: list[TierReading] = []
        for tier in self._tiers:
            reading = tier.parse(answers, now)
            if isinstance(reading, Unknown):
                return reading
            tiers.append(reading)
        self._seen = self._seen or in_flight.seen or any(reading.seen for reading in tiers)
        cautions = in_flight.cautions.union(*(reading.cautions for reading in tiers))
        return Demand(
            taken_at=now,
            tiers=tuple(reading.demand for reading in tiers),
            in_flight=in_flight.count,
            in_flight_kind=InFlightKind.HIDDEN if in_flight.count is None else InFlightKind.DELIVERED,
            oldest_in_flight_at=in_flight.oldest_at,
            seen=self._seen,
            warnings=tuple(sorted(cautions)),
        )


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
