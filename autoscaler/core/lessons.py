"""What each change of a machine teaches of the place where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Set
from enum import StrEnum

from autoscaler.core.decision import Outcome, Result
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.trouble import GOOD, HOST, REGION, STOCK, Patience, Place, Places, Trouble, stock_of

_OF_THE_REGION = frozenset({Result.REJECTED, Result.PARTIAL, Result.TRANSIENT, Result.UNCLEAR})
"""What a rent may end in that speaks against its region. The others speak of the account, or of the stock alone."""
_OF_THE_HOST = frozenset({Result.REJECTED, Result.PARTIAL})
_OF_THE_STOCK = frozenset({Result.NO_CAPACITY, Result.REJECTED})
"""RunPod says both with the same status and a sentence; of one that is new to us nobody knows which it means."""


class Lesson(StrEnum):
    """What a change of phase that nobody ordered tells."""

    CAME_UP = "came up"
    BROKE = "broke"
    """A boot that failed, or a machine that failed or was lost."""
    INTERRUPTED = "interrupted"
    """Stopped by the market or its host."""
    REFUSED = "refused"
    """A resume that did not come up."""


def lesson_of(old: Instance, new: Instance) -> Lesson | None:
    """What the change from one record of a machine to the next teaches."""
    if new.phase is Phase.HOT and old.phase is Phase.BOOTING:
        return Lesson.CAME_UP
    if new.refusals > old.refusals:
        return Lesson.REFUSED
    if new.phase is Phase.WARM and old.phase in (Phase.HOT, Phase.DRAINING):
        return Lesson.INTERRUPTED
    if new.phase is Phase.LOST and old.phase in (Phase.BOOTING, Phase.HOT, Phase.DRAINING):
        return Lesson.BROKE
    if new.phase is Phase.RELEASING and old.phase in (Phase.RENTING, Phase.BOOTING, Phase.HOT):
        return Lesson.BROKE
    return None


class PlaceMemory:
    """The troubles of all hosts, regions and stocks of a fleet."""

    def __init__(self) -> None:
        self._hosts: dict[Place, Trouble] = {}
        self._regions: dict[Place, Trouble] = {}
        self._stocks: dict[Place, Trouble] = {}

    def learn(self, record: Instance, lesson: Lesson, now: float) -> None:
        """Take what happened to a machine."""
        host, region, stock = _places_of(record)
        if lesson is Lesson.CAME_UP:
            self._ease(self._hosts, host, now)
            self._ease(self._stocks, stock, now)
            self._set(self._regions, region, GOOD, now)
        elif lesson is Lesson.BROKE:
            why = f"{record.id}: {record.reason}"
            self._fail(self._hosts, host, now, why, HOST)
            self._fail(self._regions, region, now, why, REGION)
            if not record.host:
                self._fail(self._stocks, stock, now, why, STOCK)
        else:
            self._set(self._hosts, host, self._hosts.get(host, GOOD).noted(now), now)

    def learn_rent(self, record: Instance, outcome: Outcome) -> None:
        """Take what came of a rent."""
        now, why = outcome.ended_at, f"{outcome.result} {outcome.detail}".rstrip()
        host, region, stock = _places_of(record)
        if outcome.result is Result.OK:
            self._ease(self._stocks, stock, now)
        if outcome.result in _OF_THE_STOCK:
            self._fail(self._stocks, stock, now, why, STOCK)
        if outcome.result in _OF_THE_REGION:
            self._fail(self._regions, region, now, why, REGION)
        if outcome.result in _OF_THE_HOST:
            self._fail(self._hosts, host, now, why, HOST)

    def _fail(self, known: dict[Place, Trouble], place: Place, now: float, why: str, patience: Patience) -> None:
        self._set(known, place, known.get(place, GOOD).failed(now, why, patience), now)

    def _ease(self, known: dict[Place, Trouble], place: Place, now: float) -> None:
        self._set(known, place, known.get(place, GOOD).eased(), now)

    def _set(self, known: dict[Place, Trouble], place: Place, trouble: Trouble, now: float) -> None:
        if place[1]:  # some providers do not name their hosts
            known[place] = trouble
        for past in [place for place, trouble in known.items() if trouble.is_past(now)]:
            del known[past]

    def not_after(self, now: float) -> None:
        """Forget that anything was later than now: the clock was set back."""
        for known in self._kinds().values():
            for place, trouble in known.items():
                known[place] = trouble.not_after(now)

    def places(self, held: Set[Place], booting: Set[Place]) -> Places:
        """What a decision may know of them."""
        return Places(**self._kinds(), held=held, booting=booting)

    @property
    def providers(self) -> set[str]:
        """Those of whose places anything is known."""
        return {provider for known in self._kinds().values() for provider, _ in known}

    # --- stored, a document for each provider -------------------------------------------------------------------------

    def document(self, provider: str) -> dict[str, dict[str, Trouble]]:
        """All that is known of a provider's places."""
        return {
            name: {place: trouble for (of, place), trouble in known.items() if of == provider}
            for name, known in self._kinds().items()
        }

    def take(self, provider: str, stored: Mapping[str, Mapping[str, Trouble]]) -> None:
        """Take what `document` gave."""
        for name, known in self._kinds().items():
            known.update(((provider, place), trouble) for place, trouble in stored.get(name, {}).items())

    def _kinds(self) -> dict[str, dict[Place, Trouble]]:
        return {"hosts": self._hosts, "regions": self._regions, "stocks": self._stocks}


def _places_of(record: Instance) -> tuple[Place, Place, Place]:
    """A machine's host, region and stock."""
    names = record.host, record.region, stock_of(record)
    host, region, stock = ((record.provider, name) for name in names)
    return host, region, stock
