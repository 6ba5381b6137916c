"""Celery's messages, as kombu writes them into Redis: JSON around a body that is never looked into."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autoscaler.core.demand import AgeSource
from autoscaler.link import Reply
from autoscaler.queues.age import UNKNOWN_AGE, Age, age_since, epoch_seconds, unreadable
from autoscaler.queues.base import Steps
from autoscaler.queues.caution import Caution


@dataclass(frozen=True, slots=True)
class Message:
    """What a task's message says of its times and its way."""

    enqueued_at: float | None = None
    """Epoch seconds, as a producer's hook wrote it; Celery itself writes none."""
    eta: float | None = None
    """Epoch seconds from which the task may start: of `countdown`, `eta`, and most retries."""
    queue: str | None = None
    """The queue it was sent to, where it went by the default exchange, as tasks do."""


def parse_message(reply: Reply) -> Message | None:
    """A message in a queue's list; None where it is none."""
    return _message(_json(reply))


def parse_unacked(reply: Reply) -> Message | None:
    """A message that a worker holds: a value of the hash `unacked`."""
    held = _json(reply)
    return _message(held[0]) if isinstance(held, list) and held else None


class MessageStamp:
    """The age of a task since its producer's stamp, or since its ETA: until then it did not wait."""

    def read(self, head: Reply, now: float) -> Steps[Age]:
        """Nothing to ask."""
        yield from ()
        if head is None:
            return UNKNOWN_AGE
        message = parse_message(head) or Message()
        if message.eta is not None and message.eta > now:
            return Age(
                enqueued_at=now, wait_s=0.0, source=AgeSource.EXACT, cautions=frozenset({Caution.DELAYED_UNKNOWN})
            )
        if message.eta is not None:
            return age_since(message.eta, now, AgeSource.EXACT)
        return unreadable() if message.enqueued_at is None else age_since(message.enqueued_at, now, AgeSource.EXACT)


def _message(document: object) -> Message | None:
    if not isinstance(document, dict):
        return None
    headers, properties = _mapping(document, "headers"), _mapping(document, "properties")
    delivery = _mapping(properties, "delivery_info")
    stamps = (headers.get("enqueued_at"), headers.get("timestamp"), properties.get("timestamp"))
    direct = delivery.get("exchange") == "" and isinstance(delivery.get("routing_key"), str)
    return Message(
        enqueued_at=next(_times(*stamps), None),
        eta=epoch_seconds(headers.get("eta"), "auto"),
        queue=delivery["routing_key"] if direct else None,
    )


def _times(*values: object) -> Iterator[float]:
    return (at for value in values if (at := epoch_seconds(value, "auto")) is not None)


def _mapping(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _json(reply: Reply) -> Any:
    try:
        return json.loads(reply) if isinstance(reply, bytes) else None
    except (ValueError, RecursionError):
        return None
