"""Settings of every kind of queue, for rules that all readers keep. Each way of reading has one."""

from __future__ import annotations

from autoscaler.queues import QueueSettings
from autoscaler.queues.arq import ArqQueue, ArqTier
from autoscaler.queues.asynq import AsynqQueue
from autoscaler.queues.band import Band
from autoscaler.queues.bull import BullQueue
from autoscaler.queues.bullmq import BullmqQueue, PriorityTier
from autoscaler.queues.celery import CeleryQueue, CeleryTier
from autoscaler.queues.docket import DocketQueue
from autoscaler.queues.dramatiq import DramatiqQueue
from autoscaler.queues.huey import HueyQueue, HueyTier
from autoscaler.queues.library import QueueTier
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.rq import RqQueue
from autoscaler.queues.saq import SaqQueue
from autoscaler.queues.sidekiq import SidekiqQueue
from autoscaler.queues.stamp import Timestamp
from autoscaler.queues.stream import StreamQueue, StreamTier
from autoscaler.queues.streaq import StreaqQueue, StreaqTier
from autoscaler.queues.taskiq import TaskiqQueue, TaskiqTier
from autoscaler.queues.zset import ZsetQueue, ZsetTier

_LISTS = (ListTier(name="a", key="l1"), ListTier(name="b", key="l2"))
_STREAMS = (StreamTier(name="a", key="s1"), StreamTier(name="b", key="s2"))
_PATH, _FIELD = Timestamp(path="a.b"), Timestamp(key="job:{id}", field="at")
_BANDS = (ZsetTier(name="a", key="z", scores=Band(0, 9)), ZsetTier(name="b", key="z", scores=Band(10, 19)))
_PRIORITIES = (
    CeleryTier(name="a", queue="q", priorities=Band(high=3)),
    CeleryTier(name="b", queue="q", priorities=Band(6)),
)
_QUEUES = (QueueTier(name="a", queue="q1"), QueueTier(name="b", queue="q2"))

_HUEY_BANDS = (
    HueyTier(name="a", queue="q", priorities=Band(10)),
    HueyTier(name="b", queue="q", priorities=Band(high=9)),
)
_OWN = (PriorityTier(name="a", queue="q1"), PriorityTier(name="b", queue="q2"))
_SHARED = (
    PriorityTier(name="a", queue="q", priorities=Band(high=9)),
    PriorityTier(name="b", queue="q", priorities=Band(10)),
)

SETTINGS: tuple[QueueSettings, ...] = (
    BullmqQueue(kind="bullmq", tiers=_OWN),
    BullmqQueue(kind="bullmq", tiers=_SHARED, prefix="{acme}"),
    BullQueue(kind="bull", tiers=_OWN),
    BullQueue(kind="bull", tiers=_SHARED, prefix="{acme}"),
    RqQueue(kind="rq", tiers=_QUEUES),
    RqQueue(kind="rq", tiers=_QUEUES, key_prefix="{acme}"),
    ArqQueue(kind="arq", tiers=(ArqTier(name="a"), ArqTier(name="b", queue="q2"))),
    DramatiqQueue(kind="dramatiq", tiers=_QUEUES),
    DramatiqQueue(kind="dramatiq", tiers=_QUEUES, namespace="{acme}"),
    HueyQueue(kind="huey", tiers=(HueyTier(name="a", queue="q1"), HueyTier(name="b", queue="q2"))),
    HueyQueue(kind="huey", tiers=_HUEY_BANDS, priority=True),
    SaqQueue(kind="saq", tiers=_QUEUES),
    StreaqQueue(kind="streaq", tiers=(StreaqTier(name="a"), StreaqTier(name="b", priority="low"))),
    DocketQueue(kind="docket", tiers=_QUEUES),
    SidekiqQueue(kind="sidekiq", tiers=_QUEUES),
    SidekiqQueue(kind="sidekiq", tiers=(QueueTier(name="a", queue="one"),), namespace="acme"),
    AsynqQueue(kind="asynq", tiers=_QUEUES),
    TaskiqQueue(kind="taskiq", broker="list", tiers=(TaskiqTier(name="a"), TaskiqTier(name="b", queue="q2"))),
    TaskiqQueue(kind="taskiq", broker="stream", tiers=(TaskiqTier(name="a"),), consumer_group_name="g"),
    ListQueue(kind="list", tiers=_LISTS, in_flight_keys=("f1", "f2")),
    ListQueue(kind="list", tiers=_LISTS, pop_side="right"),
    ListQueue(kind="list", tiers=_LISTS, timestamp=_PATH),
    ListQueue(kind="list", tiers=_LISTS, timestamp=_FIELD, pop_side="right"),
    StreamQueue(kind="stream", tiers=_STREAMS, group="g"),
    ZsetQueue(kind="zset", tiers=(ZsetTier(name="a", key="z1"),), score="time", unit="ms"),
    ZsetQueue(kind="zset", tiers=_BANDS, score="priority", timestamp=_PATH),
    ZsetQueue(kind="zset", tiers=_BANDS, score="priority", pop="highest", timestamp=_FIELD, in_flight_keys=("f",)),
    CeleryQueue(kind="celery", tiers=(CeleryTier(name="a", queue="q1"), CeleryTier(name="b", queue="q2")), events=True),
    CeleryQueue(kind="celery", tiers=_PRIORITIES, task_acks_late=True, worker_prefetch_multiplier=1),
)
