"""The rights that `autoscaler queue FILE --acl` prints, where a connection needs more than to a single server."""

from __future__ import annotations

from typing import Any

from autoscaler import acl
from autoscaler.core.demand import Demand
from autoscaler.link import RedisLink, RedisSettings
from autoscaler.queues import LIBRARIES, make_reader
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.source import QueueDemand
from tests.support.fleet_store import keeps_a_fleet
from tests.support.queues import NOW
from tests.support.redis_cluster import RedisCluster
from tests.support.stores import FLEET

QUEUE = ListQueue(kind="list", tiers=(ListTier(name="a", key="jobs:a"), ListTier(name="b", key="jobs:b")))


async def test_on_a_cluster_they_let_a_daemon_read_and_keep_its_records(cluster: RedisCluster) -> None:
    line = acl.line(RedisSettings(url=cluster.url), FLEET, [LIBRARIES["list"].rights(QUEUE)])
    for node in cluster.nodes:
        node.do(*line.replace(acl.PASSWORD, "pw").split(" "))
        node.do("ACL", "LOG", "RESET")
    link = RedisLink(cluster.url.replace("://", "://autoscaler:pw@"))
    try:
        reading = (await QueueDemand({"pool": (link, make_reader(QUEUE))}).read(NOW))["pool"]
        assert isinstance(reading, Demand), reading
        await keeps_a_fleet(link)
    finally:
        await link.close()
        for node in cluster.nodes:
            node.do("ACL", "DELUSER", "autoscaler")
    logs: list[Any] = [node.do("ACL", "LOG") for node in cluster.nodes]
    assert {entry["object"] for log in logs for entry in log} <= {"client|setinfo"}
