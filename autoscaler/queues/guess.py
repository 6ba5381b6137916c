"""Guesses at keys that no library knows: which are queues, which belong together, when their jobs were enqueued."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from autoscaler.link import Reply
from autoscaler.queues.age import epoch_seconds
from autoscaler.queues.library import Keyspace, tier_name, urgency

_QUEUE = re.compile(r"queues?|jobs?|tasks?|pending|todo|work|waiting|inbox|requests?|prompts?")
_OTHER = re.compile(
    r"caches?|cached|locks?|logs?|history|recent|latest|sessions?|timeline|feed|results?|done|completed|finished|"
    r"succeeded|failed|failures?|errors?|dead|dlq|archived?|stats|metrics|leaderboard|ranking|notifications|messages|"
    r"scheduled?|delayed|retry|retries"
)
_AT_WORK = r"processing|in[_-]?flight|running|active|working|wip|doing"
_AT_WORK_KEY = re.compile(rf"(?P<queue>.+)[:./|_-](?:{_AT_WORK})|(?:{_AT_WORK})[:./|_-](?P<last>.+)", re.IGNORECASE)
_PREFIX = re.compile(r"(.+)[:./|_-][^:./|_-]+", re.DOTALL)
_ID = re.compile(r"\d{3,}|(?=[a-f]*\d)[0-9a-f]{8,}")
_MAX_TIERS = 8
"""More keys of one prefix are rather one for each user or day."""
_MAX_FAMILIES = 20

_STAMPS = (
    *("enqueuedat", "queuedat", "submittedat", "createdat", "enqueued", "queued", "submitted", "created"),
    *("timestamp", "time", "ts", "at"),
)


ORDER_GUESSED = "the order of the tiers, most urgent first, is guessed from their names"


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Keys of one prefix, such as ``jobs:pro`` and ``jobs:free``: the tiers of one queue."""

    keys: tuple[str, ...]
    """Those first that sound most urgent."""
    in_flight: tuple[str, ...]
    """Keys whose names say that they hold the jobs being worked on."""

    def tier_names(self) -> Mapping[str, str]:
        """What the tier of each key may be called: what its key says beyond the others'."""
        named: dict[str, str] = {}
        for key in self.keys:
            match = _PREFIX.fullmatch(key) if len(self.keys) > 1 else None
            named[key] = tier_name(key if match is None else key[len(match[1]) :], tuple(named.values()))
        return named

    def doubts(self) -> tuple[str, ...]:
        """What was guessed of any such queue."""
        unseen = "jobs at work are not seen: name the keys that hold them in in_flight_keys, or let workers beat"
        return (*([ORDER_GUESSED] if len(self.keys) > 1 else []), *([] if self.in_flight else [unseen]))


def families(keyspace: Keyspace, kind: str, *, only_if_named: bool = False) -> list[Family]:
    """The keys of one type whose names do not speak against a queue; with `only_if_named`, speak for one."""
    at_work = _at_work(keyspace)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for key in sorted(key for key, its_kind in keyspace.types.items() if its_kind == kind):
        words = set(re.split(r"[^a-z0-9]+", key.lower()))
        speaks_for = not only_if_named or any(map(_QUEUE.fullmatch, words))
        speaks_against = key in at_work or any(_OTHER.fullmatch(word) or _ID.fullmatch(word) for word in words)
        if speaks_for and not speaks_against:
            prefix = _PREFIX.fullmatch(key)
            found[prefix[1] if prefix else key].append(key)
    fit = [(prefix, keys) for prefix, keys in found.items() if len(keys) <= _MAX_TIERS]
    return [
        Family(
            keys=tuple(sorted(keys, key=urgency)),
            in_flight=tuple(key for key, queue in at_work.items() if queue == prefix or queue in keys),
        )
        for prefix, keys in fit[:_MAX_FAMILIES]
    ]


def _at_work(keyspace: Keyspace) -> dict[str, str]:
    """Keys that say they hold the jobs being worked on, and of which queue."""
    countable = (key for key, kind in keyspace.types.items() if kind in {"list", "set", "zset", "hash"})
    matches = {key: match for key in countable if (match := _AT_WORK_KEY.fullmatch(key))}
    return {key: match["queue"] or match["last"] for key, match in sorted(matches.items())}


def stamp_of(job: Reply) -> tuple[str, float] | None:
    """The path of the field that tells when a job in JSON was enqueued, and that time; None where none does."""
    try:
        document = json.loads(job) if isinstance(job, bytes) else None
    except (ValueError, RecursionError):
        return None
    told = {path: at for path, value in _fields(document) if (at := _plausible(value)) is not None}
    plain = {path: re.sub(r"[^a-z]", "", path.rpartition(".")[2].lower()) for path in told}
    known = [path for path in told if plain[path] in _STAMPS]
    path = min(known, key=lambda path: (_STAMPS.index(plain[path]), path.count(".")), default=None)
    return None if path is None else (path, told[path])


def _fields(document: object) -> Iterator[tuple[str, object]]:
    """The fields of a document, and those one level below."""
    for name, value in document.items() if isinstance(document, dict) else ():
        if "." in name:
            continue
        yield name, value
        if isinstance(value, dict):
            yield from ((f"{name}.{below}", inner) for below, inner in value.items() if "." not in below)


def _plausible(value: object) -> float | None:
    at = epoch_seconds(value, "auto")
    return at if at is not None and is_plausible(at) else None


def is_plausible(at: float) -> bool:
    """Whether epoch seconds may be the time of a job, rather than any other number."""
    return 1.5e9 <= at <= 4e9
