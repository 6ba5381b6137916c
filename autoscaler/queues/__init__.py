"""Readers of job queues in Redis, one module for each kind. A queue is only ever read."""

from __future__ import annotations

from typing import Annotated, assert_never

from pydantic import Field

from autoscaler.core.demand import Demand
from autoscaler.queues.base import Reader
from autoscaler.queues.list import ListQueue, list_reader
from autoscaler.queues.stream import StreamQueue, stream_reader
from autoscaler.queues.zset import ZsetQueue, zset_reader

QueueSettings = Annotated[ListQueue | StreamQueue | ZsetQueue, Field(discriminator="kind")]
"""The settings of a queue; `kind` tells which."""


def make_reader(settings: QueueSettings) -> Reader[Demand]:
    """The reader of a queue."""
    match settings:
        case ListQueue():
            return list_reader(settings)
        case StreamQueue():
            return stream_reader(settings)
        case ZsetQueue():
            return zset_reader(settings)
        case _:
            assert_never(settings)
