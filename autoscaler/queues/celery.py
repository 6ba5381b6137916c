"""Celery with Redis as its broker."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal

from autoscaler.core.spec import SETTINGS
from autoscaler.link import Reply
from autoscaler.queues.band import Band, Scores
from autoscaler.queues.base import Jobs, Steps, literal
from autoscaler.queues.caution import Caution
from autoscaler.queues.celery_heartbeats import Heartbeats
from autoscaler.queues.celery_messages import MessageStamp
from autoscaler.queues.celery_unacked import Unacked
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.heard import Heard
from autoscaler.queues.library import Found, Keyspace, Library, QueueTier, Rights, names_in, tier_names
from autoscaler.queues.places import PartlyStampedList
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers

_STEPS = (0, 3, 6, 9)
_SEP = "\x06\x16"


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryTier(QueueTier):
    """A tier whose tasks wait in a queue of Celery's, or in some priorities of one."""

    priorities: Scores = Band()
    """The priorities of this tier's tasks where tiers share a queue, e.g. `0..2`; 0 is the most urgent. All when
    absent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryQueue:
    """Celery's queues in Redis."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["celery"]
    """Celery's queues."""
    tiers: tuple[CeleryTier, ...]
    """Most urgent first; each has a queue or a band of priorities of its own."""
    global_keyprefix: str = ""
    """As in `broker_transport_options`: what all keys begin with."""
    priority_steps: tuple[int, ...] = _STEPS
    """As in `broker_transport_options`: a queue has a list for each."""
    sep: str = _SEP
    """As in `broker_transport_options`: what stands between a queue's name and the priority step."""
    unacked_key: str = "unacked"
    """As in `broker_transport_options`."""
    unacked_index_key: str = "unacked_index"
    """As in `broker_transport_options`."""
    task_acks_late: bool = False
    """As the workers have it. Only with `true`, and a prefetch multiplier of 1, are executing tasks counted exactly."""
    worker_prefetch_multiplier: int = 4
    """As the workers have it; 1 where they run with `worker_disable_prefetch`."""
    events: bool = False
    """Listen to the workers' heartbeats: they tell which machines execute tasks, where workers run with
    `-n celery@$AUTOSCALER_INSTANCE`, and how many, where `task_acks_late` is off. Needs the right to subscribe."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [(tier.queue, str(tier.priorities)) for tier in self.tiers])
        if not self.priority_steps or any(step >= above for step, above in pairwise(self.priority_steps)):
            raise ValueError(f"priority_steps {list(self.priority_steps)} must rise, as in {list(_STEPS)}")
        for queue in dict.fromkeys(tier.queue for tier in self.tiers):
            self._check_steps(queue)

    def _check_steps(self, queue: str) -> None:
        """Each of a queue's steps belongs to exactly one tier."""
        owner: dict[int, str] = {}
        for tier in self.tiers:
            if tier.queue != queue:
                continue
            steps = self.steps_of(tier)
            if not steps:
                raise ValueError(
                    f"priorities {tier.priorities} of tier {tier.name!r} hold none of the priority_steps "
                    f"{list(self.priority_steps)}; expected a band that holds at least one"
                )
            twice = next((step for step in steps if step in owner), None)
            if twice is not None:
                raise ValueError(
                    f"tiers {owner[twice]!r} and {tier.name!r} both have step {twice} of queue {queue!r}; "
                    "their priorities must not overlap"
                )
            owner |= dict.fromkeys(steps, tier.name)
        missing = [step for step in self.priority_steps if step not in owner]
        if missing:
            raise ValueError(
                f"no tier has the priority steps {missing} of queue {queue!r}, whose tasks nobody would count; "
                "widen the priorities of one, or add a tier"
            )

    def steps_of(self, tier: CeleryTier) -> list[int]:
        """The priority steps of a tier."""
        return [step for step in self.priority_steps if tier.priorities.low <= step <= tier.priorities.high]

    def keys_of(self, tier: CeleryTier) -> list[str]:
        """The lists of a tier, one for each of its steps. Step 0 has the queue's bare name."""
        return [
            f"{self.global_keyprefix}{tier.queue}{f'{self.sep}{step}' if step else ''}" for step in self.steps_of(tier)
        ]

    def binding_keys(self) -> list[str]:
        """The sets by which kombu knows the queues, be they empty or not."""
        return list(dict.fromkeys(f"{self.global_keyprefix}_kombu.binding.{tier.queue}" for tier in self.tiers))

    def heartbeat_channel(self) -> str:
        """Where workers publish their heartbeats; `{db}` stands for the number of the database."""
        return self.global_keyprefix + "/{db}.celeryev/worker.heartbeat"

    def in_flight_keys(self) -> tuple[str, str]:
        """The hash of the tasks in flight, and the sorted set of the times at which they were delivered."""
        return self.global_keyprefix + self.unacked_key, self.global_keyprefix + self.unacked_index_key


def celery_reader(queue: CeleryQueue) -> PoolReader:
    """The reader of Celery's queues."""
    heard = Heard(queue.heartbeat_channel()) if queue.events else None
    return PoolReader(
        [TierReader(tier.name, *(Sublist(key) for key in queue.keys_of(tier))) for tier in queue.tiers],
        Unacked(
            *queue.in_flight_keys(),
            queues={tier.queue for tier in queue.tiers},
            acks_late=queue.task_acks_late,
            prefetches=queue.worker_prefetch_multiplier != 1,
            heartbeats=None if heard is None else Heartbeats(heard),
        ),
        probe=[("EXISTS", key) for key in queue.binding_keys()],
        heard=heard,
    )


class Sublist:
    """One list of a queue. Producers push at its left, workers pop at its right.

    A task's age is that of its producer's stamp, else it is estimated. Tasks with an ETA lie among the others until a
    worker takes them, so that the number of those delayed is not known.
    """

    def __init__(self, key: str) -> None:
        self._list = PartlyStampedList(key, "right", MessageStamp())

    def read(self, now: float) -> Steps[Jobs]:
        """Its length, its next task and its newest."""
        return replace((yield from self._list.read(now)), delayed=None)


def _rights(queue: CeleryQueue) -> Rights:
    lists = [key for tier in queue.tiers for key in queue.keys_of(tier)]
    return Rights(
        keys=tuple(map(literal, (*lists, *queue.in_flight_keys(), *queue.binding_keys()))),
        commands=frozenset({"EXISTS", "TYPE", "LLEN", "LINDEX", "LPOS", "HLEN", "HGET", "HSTRLEN", "ZRANGE"}),
        channels=(literal(queue.heartbeat_channel()).replace("{db}", "*"),) if queue.events else (),
    )


_FANOUT = re.compile(r"celeryev|(?:.*\.)?celery\.pidbox", re.DOTALL)
"""Exchanges by which workers are told things and tell them."""
_OWN = r"_kombu\.(?:binding|binding_permanent)\..+|_kombu\.binding_deadlines|unacked_mutex"


def _find(keyspace: Keyspace) -> Steps[list[Found[CeleryQueue]]]:
    """Queues by kombu's bindings, whose members name them, and by lists with the default separator in their names."""
    bindings = [
        (match[0], match["prefix"], match["exchange"])
        for match in keyspace.of_type("set", r"(?P<prefix>.*?)_kombu\.binding\.(?P<exchange>.+)")
        if not _FANOUT.fullmatch(match["exchange"])
    ]
    members = (yield [("SMEMBERS", key) for key, _, _ in bindings]) if bindings else ()
    queues = defaultdict[tuple[str, str], set[str]](set)
    for (_, prefix, exchange), reply in zip(bindings, members, strict=True):
        for queue, sep in _bound(exchange, reply):
            queues[prefix, sep].add(queue)
    prefixes = {prefix for prefix, _ in queues} | set(_holding(keyspace)) | {""}
    for match in keyspace.of_type("list", rf"(?P<queue>.+){_SEP}\d+"):
        prefix = max((each for each in prefixes if match["queue"].startswith(each)), key=len)
        queues[prefix, _SEP].add(match["queue"][len(prefix) :])
    return [_found(keyspace, prefix, sep, names) for (prefix, sep), names in sorted(queues.items())]


def _holding(keyspace: Keyspace) -> Iterator[str]:
    """The prefixes under which workers hold tasks."""
    indices = {match["prefix"] for match in keyspace.of_type("zset", r"(?P<prefix>.*)unacked_index")}
    return (m["prefix"] for m in keyspace.of_type("hash", r"(?P<prefix>.*)unacked") if m["prefix"] in indices)


def _bound(exchange: str, members: Reply) -> Iterator[tuple[str, str]]:
    """The queues bound to an exchange, each with the separator: a member is routing key, pattern and queue, joined."""
    for text in names_in(members):
        parts = text.split(_SEP)
        twice = text[len(exchange) : -len(exchange)]
        if len(parts) == 3:
            yield parts[2], _SEP
        elif text == exchange + twice + exchange and twice and twice[: len(twice) // 2] * 2 == twice:
            yield exchange, twice[: len(twice) // 2]


def _found(keyspace: Keyspace, prefix: str, sep: str, names: set[str]) -> Found[CeleryQueue]:
    queues = tier_names(names)
    of_queues = "|".join(map(re.escape, queues))
    lists = rf"{re.escape(prefix)}(?:{of_queues})(?:{re.escape(sep)}(?P<step>\d{{1,3}}))?"
    matches = list(keyspace.of_type("list", lists))
    steps = {int(match["step"]) for match in matches if match["step"]}
    usual = steps <= set(_STEPS)
    settings = CeleryQueue(
        kind="celery",
        tiers=tuple(CeleryTier(name=name, queue=queue) for queue, name in queues.items()),
        global_keyprefix=prefix,
        sep=sep,
        priority_steps=_STEPS if usual else tuple(range(max(steps | {9}) + 1)),
    )
    notes = ["task_acks_late and worker_prefetch_multiplier are Celery's defaults: write what your workers run with"]
    if not usual:
        notes.append("priority_steps are guessed from the lists that are there")
    if len(queues) > 1:
        notes.append(ORDER_GUESSED)
    own = {key for key in keyspace.types if re.fullmatch(re.escape(prefix) + rf"(?:{_OWN})", key, re.DOTALL)}
    return Found(
        settings=settings,
        keys=frozenset({*own, *settings.in_flight_keys(), *(match[0] for match in matches)}),
        notes=tuple(notes),
    )


_STAMP_THEM = "let producers stamp their tasks: docs/queues/celery.md has the hook"

LIBRARY = Library(
    kind="celery",
    title="Celery",
    settings=CeleryQueue,
    reader=celery_reader,
    rights=_rights,
    find=_find,
    advice={
        Caution.ABSURD_TIMESTAMP: "let producers stamp their tasks by `time.time()`, and keep their time by NTP",
        **dict.fromkeys((Caution.AGE_LOWER_BOUND, Caution.AGE_UPPER_BOUND), _STAMP_THEM),
        Caution.IN_FLIGHT_SHARED: "set `global_keyprefix` in broker_transport_options, another for each pool",
        Caution.PREFETCH_HIDES_BACKLOG: "set `worker_prefetch_multiplier = 1` in Celery, and the same here",
        Caution.EXECUTING_HIDDEN: "set `task_acks_late = True` in Celery, and `task_acks_late: true` here",
        Caution.WORKERS_UNREAD: "`autoscaler queue FILE --acl` prints the rights that are needed to hear the workers",
        Caution.DELAYED_UNKNOWN: "let a scheduler such as Celery beat send tasks once due, without `countdown`",
    },
)
