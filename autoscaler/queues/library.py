"""What each kind of queue brings: settings, a reader, the rights it needs, and how its keys are recognised."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from autoscaler.core.spec import Tier
from autoscaler.link import Reply
from autoscaler.queues.base import Steps
from autoscaler.queues.caution import Caution
from autoscaler.queues.pool import PoolReader

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueTier(Tier):
    """A tier that has a queue of its own."""

    queue: str
    """The queue, as the library calls it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rights:
    """The least that a Redis user needs to read a queue."""

    keys: tuple[str, ...]
    """Patterns of keys as Redis' ACL takes them; `literal` makes one of a name."""
    commands: frozenset[str]
    """Upper case, of `autoscaler.queues.base.READ_ONLY`."""
    channels: tuple[str, ...] = ()
    """Patterns of channels to subscribe to, in the same way."""


@dataclass(frozen=True, slots=True)
class Keyspace:
    """What a look into a Redis found."""

    types: Mapping[str, str]
    """The type of each key, as TYPE names it."""

    def of_type(self, kind: str, pattern: str) -> Iterator[re.Match[str]]:
        """The keys of one type that match a regular expression as a whole, in alphabetical order."""
        named = re.compile(pattern, re.DOTALL)
        matches = (named.fullmatch(key) for key, its_kind in self.types.items() if its_kind == kind)
        yield from sorted((match for match in matches if match), key=lambda match: match[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class Found(Generic[S]):
    """A queue that was recognised."""

    settings: S
    """How to read it; tiers are named after the queues, most urgent first where that is known."""
    keys: frozenset[str]
    """The keys that are the library's, so that no other kind takes them for its own."""
    notes: tuple[str, ...] = ()
    """What was guessed, for a person to look at before it is relied upon; one line each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Library(Generic[S]):
    """One kind of queue."""

    kind: str
    title: str
    """What people call it, e.g. `Celery`."""
    settings: type[S]
    reader: Callable[[S], PoolReader]
    rights: Callable[[S], Rights]
    find: Callable[[Keyspace], Steps[list[Found[S]]]]
    """Recognise its queues among keys; it may ask in at most two steps. Never raises."""
    advice: Mapping[Caution, str] = field(default_factory=dict)
    """What resolves a caution where this library has its own way, above all the one setting that makes a number exact;
    else `autoscaler.queues.caution.ADVICE` stands."""


def tier_name(queue: str, taken: Collection[str] = ()) -> str:
    """A queue's name made fit for a tier, and different from those that are taken."""
    name = re.sub(r"[^a-z0-9]+", "-", queue.lower())[:20].strip("-") or "jobs"
    others = (f"{name}-{number}" for number in count(2))
    return name if name not in taken else next(other for other in others if other not in taken)


def tier_names(queues: Iterable[str]) -> dict[str, str]:
    """A tier's name for each queue, all different; those queues first whose names sound most urgent."""
    named: dict[str, str] = {}
    for queue in sorted(queues, key=urgency):
        named[queue] = tier_name(queue, tuple(named.values()))
    return named


_RANKS: tuple[frozenset[str], ...] = (
    frozenset({"critical", "urgent", "realtime", "interactive", "enterprise", "vip"}),
    frozenset({"high", "fast", "pro", "paid"}),
    frozenset({"premium", "plus"}),
    frozenset({"default", "normal", "medium", "standard", "basic"}),
    frozenset({"low", "slow", "free", "trial"}),
    frozenset({"bulk", "batch", "background", "lowest"}),
)


def urgency(queue: str) -> tuple[int, str]:
    """A key to sort queues by, those first whose names sound most urgent; a name that says nothing is an ordinary one.

    The order is a guess for `find`, which a person looks at.
    """
    words = set(re.split(r"[^a-z]+", queue.lower()))
    ordinary = next(number for number, rank in enumerate(_RANKS) if "default" in rank)
    return next((number for number, rank in enumerate(_RANKS) if words & rank), ordinary), queue


def workload(queue: str) -> str:
    """What a queue's name says besides its urgency: `jobs` of `pro-jobs` and of `jobs:free`."""
    urgent = frozenset[str]().union(*_RANKS)
    return " ".join(word for word in re.split(r"[^a-z0-9]+", queue.lower()) if word not in urgent)


def queue_tiers(queues: Collection[str]) -> tuple[QueueTier, ...]:
    """A tier for each of these queues, those first whose names sound most urgent."""
    return tuple(QueueTier(name=name, queue=queue) for queue, name in tier_names(queues).items())


def names_in(reply: Reply) -> list[str]:
    """The members of a set of names, as SMEMBERS gives them; none where the reply makes no sense."""
    members = reply if isinstance(reply, list) else []
    return [each.decode(errors="replace") for each in members if isinstance(each, bytes)]
