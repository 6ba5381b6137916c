"""What machines have taught of the placements, hosts, regions and images that they were rented with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from autoscaler.core.decision import Outcome, Result
from autoscaler.core.diagnosis import ImageHistory
from autoscaler.core.history import PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.lessons import Lesson, PlaceMemory
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Pool
from autoscaler.runtime.documents import read_histories, read_images

_BLOCKING = {
    # result of a rent: how long its placement is left alone, in seconds; None: longer with each refusal
    Result.REJECTED: None,
    Result.PARTIAL: None,
    Result.TRANSIENT: 30.0,
    Result.RATE_LIMITED: 60.0,
    Result.AUTH_FAILED: 600.0,
    Result.INSUFFICIENT_FUNDS: 600.0,
}

_OF_THE_ACCOUNT = frozenset({Result.RATE_LIMITED, Result.AUTH_FAILED, Result.INSUFFICIENT_FUNDS})
"""What a rent may end in that would meet any other rent at that provider, too."""


class Experience:
    """What is known by now, and which documents of it are not stored yet."""

    def __init__(self) -> None:
        self.history: dict[str, dict[str, PlacementHistory]] = {}
        """By pool and placement label."""
        self.places = PlaceMemory()
        self.images: dict[str, ImageHistory] = {}
        """By name, those that crashed of late."""
        self.unsaved: set[tuple[str, ...]] = set()
        """Documents by kind and, of a placement's history or a place, by pool or provider."""

    # --- documents ----------------------------------------------------------------------------------------------------

    def read_history(self, pool: str, value: Any) -> None:
        """Take the document of a pool's placements."""
        self.history[pool] = read_histories(value)

    def read_images(self, value: Any) -> None:
        """Take the document of the images."""
        self.images = read_images(value)

    def take_unsaved(self) -> set[tuple[str, ...]]:
        """The documents that are not stored yet; they are taken for stored then."""
        unsaved, self.unsaved = self.unsaved, set()
        return unsaved

    def not_after(self, now: float) -> None:
        """Count from now on what was counted from a moment that is now in the future."""
        for pool, learned in self.history.items():
            self.history[pool] = {label: history.not_after(now) for label, history in learned.items()}
        self.places.not_after(now)
        self.images = {image: history.not_after(now) for image, history in self.images.items()}
        self.unsaved |= {("history", pool) for pool in self.history} | {("images",)}
        self.unsaved |= {("places", provider) for provider in self.places.providers}

    # --- placements, hosts and regions --------------------------------------------------------------------------------

    def history_of(self, pool: str, placement: str) -> PlacementHistory:
        """What was learned of a placement so far."""
        return self.history.get(pool, {}).get(placement, PlacementHistory())

    def _remember(self, pool: str, placement: str, history: PlacementHistory) -> None:
        self.history.setdefault(pool, {})[placement] = history
        self.unsaved.add(("history", pool))

    def learn(self, old: Instance, record: Instance, lesson: Lesson | None, now: float) -> None:
        """Learn from a machine's new phase; one that was ordered has no lesson and tells only how long it served."""
        history = before = self.history_of(record.pool, record.placement)
        if lesson is Lesson.CAME_UP and old.ordered_at:
            history = history.came_up(now - old.ordered_at, resumed=old.resumed)
        elif lesson is Lesson.REFUSED:
            history = history.resume_refused()
        if old.phase in (Phase.HOT, Phase.DRAINING):
            interrupted = lesson in (Lesson.INTERRUPTED, Lesson.BROKE)
            history = history.was_hot((now - old.phase_since) / 3600.0, interrupted=interrupted)
        if lesson is Lesson.BROKE and old.phase is Phase.RENTING:
            history = history.blocked(now, record.reason)  # else the next one comes like it
        if history != before:
            self._remember(record.pool, record.placement, history)
        if lesson is not None:
            self.places.learn(record, lesson, now)
            self.unsaved.add(("places", record.provider))

    def learn_rent(self, record: Instance, outcome: Outcome, pools: Iterable[Pool]) -> None:
        """A refused rent blocks its placement for a while, and may speak against its host, region and stock.

        One for which there was no capacity blocks it only when others before it found none, either.
        One that is refused for the account blocks all placements of the provider, whichever pool's.
        """
        self.places.learn_rent(record, outcome)
        self.unsaved.add(("places", record.provider))
        history, why = self.history_of(record.pool, record.placement), f"{outcome.result} {outcome.detail}".rstrip()
        if outcome.result is Result.OK and history.misses:
            self._remember(record.pool, record.placement, replace(history, misses=0))
        elif outcome.result is Result.NO_CAPACITY:
            missed = history.missed(outcome.ended_at, why, planned_at=record.created_at)
            self._remember(record.pool, record.placement, missed)
        elif outcome.result in _BLOCKING:
            seconds = _BLOCKING[outcome.result] if outcome.retry_after_s is None else outcome.retry_after_s
            blocked = {(record.pool, record.placement)}
            if outcome.result in _OF_THE_ACCOUNT:
                places = [(pool.name, place) for pool in pools for place in pool.placements]
                blocked |= {(pool, place.label) for pool, place in places if place.provider == record.provider}
            for pool, placement in sorted(blocked):
                history = self.history_of(pool, placement)
                self._remember(pool, placement, history.blocked(outcome.ended_at, why, seconds=seconds))

    # --- images -------------------------------------------------------------------------------------------------------

    def learn_crash(self, record: Instance, now: float) -> ImageHistory | None:
        """A machine's image crashes in a loop; gives what is known of it where it is given up by that."""
        before = self.images.get(record.image, ImageHistory())
        after = self.images[record.image] = before.after_crash(record.host or record.id, now)
        self.unsaved.add(("images",))
        return after if after.given_up and not before.given_up else None

    def forget_crashes(self, image: str) -> None:
        """An image starts well by now, or is used no more."""
        del self.images[image]
        self.unsaved.add(("images",))
