"""Connections to Redis, in whichever way it is reached: one server, through Sentinel, or as a Cluster."""

from autoscaler.link.commands import Command, Reply
from autoscaler.link.link import RedisLink
from autoscaler.link.settings import RedisSettings, SentinelSettings, Tls

__all__ = ["Command", "RedisLink", "RedisSettings", "Reply", "SentinelSettings", "Tls"]
