"""Readers of job queues in Redis, one module for each kind. A queue is only ever read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from autoscaler.link import Command
from autoscaler.queues import (
    arq,
    asynq,
    bull,
    bullmq,
    celery,
    docket,
    dramatiq,
    huey,
    rq,
    saq,
    sidekiq,
    stream,
    streaq,
    taskiq,
    zset,
)
from autoscaler.queues import list as plain_list
from autoscaler.queues.arq import ArqQueue
from autoscaler.queues.asynq import AsynqQueue
from autoscaler.queues.bull import BullQueue
from autoscaler.queues.bullmq import BullmqQueue
from autoscaler.queues.caution import ADVICE
from autoscaler.queues.celery import CeleryQueue
from autoscaler.queues.docket import DocketQueue
from autoscaler.queues.dramatiq import DramatiqQueue
from autoscaler.queues.huey import HueyQueue
from autoscaler.queues.library import Library
from autoscaler.queues.list import ListQueue
from autoscaler.queues.pool import PoolReader
from autoscaler.queues.rq import RqQueue
from autoscaler.queues.saq import SaqQueue
from autoscaler.queues.sidekiq import SidekiqQueue
from autoscaler.queues.stream import StreamQueue
from autoscaler.queues.streaq import StreaqQueue
from autoscaler.queues.taskiq import TaskiqQueue
from autoscaler.queues.zset import ZsetQueue

QueueSettings = Annotated[
    # The libraries.
    CeleryQueue
    | BullmqQueue
    | BullQueue
    | RqQueue
    | ArqQueue
    | DramatiqQueue
    | HueyQueue
    | SaqQueue
    | StreaqQueue
    | DocketQueue
    | SidekiqQueue
    | AsynqQueue
    | TaskiqQueue
    # The generic kinds.
    | ListQueue
    | StreamQueue
    | ZsetQueue,
    Field(discriminator="kind"),
]
"""The settings of a queue; `kind` tells which."""

LIBRARIES: dict[str, Library[Any]] = {
    each.kind: each
    for each in (
        celery.LIBRARY,
        bullmq.LIBRARY,
        bull.LIBRARY,
        rq.LIBRARY,
        arq.LIBRARY,
        dramatiq.LIBRARY,
        huey.LIBRARY,
        saq.LIBRARY,
        streaq.LIBRARY,
        docket.LIBRARY,
        sidekiq.LIBRARY,
        asynq.LIBRARY,
        taskiq.LIBRARY,
        # The generic kinds come last: a key that no library knows may be anybody's.
        plain_list.LIBRARY,
        stream.LIBRARY,
        zset.LIBRARY,
    )
}
"""By kind; in this order keys are recognised."""


def make_reader(settings: QueueSettings) -> PoolReader:
    """The reader of a queue, with its library's advice."""
    library = LIBRARIES[settings.kind]
    reader = library.reader(settings)
    reader.advice = {**ADVICE, **library.advice}
    return reader


_COUNTS = frozenset({"LLEN", "HLEN", "SCARD", "ZCARD", "ZCOUNT", "XLEN"})


def counted(settings: QueueSettings) -> frozenset[Command]:
    """What a queue's numbers are made of: each key whose jobs are counted, with the band of scores where it has one."""
    return frozenset(command[1:] for command in next(make_reader(settings).read(0.0)) if command[0] in _COUNTS)
