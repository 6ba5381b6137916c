"""The names of all our keys in Redis. The braces make a Redis Cluster keep a fleet's keys in one slot."""

from __future__ import annotations


class Keys:
    """The keys of one fleet."""

    def __init__(self, fleet: str) -> None:
        self.prefix = f"autoscaler:{{{fleet}}}:"
        self.lease = self.prefix + "lease"
        """String, expiring: who leads, as ``OWNER:FENCE``."""
        self.fence = self.prefix + "fence"
        """Counter: how often the lead was taken."""
        self.version = self.prefix + "version"
        """String: the version of all stored forms."""
        self.settings = self.prefix + "settings"
        """Hash: what version 1 had instead of orders."""
        self.orders = self.prefix + "orders"
        """Hash: order name to JSON. An operator's word needs no lease."""
        self.instances = self.prefix + "instances"
        """Hash: instance id to record."""
        self.documents = self.prefix + "documents"
        """Hash: name to JSON, such as learned times."""
        self.ledger = self.prefix + "ledger"
        """Hash: UTC day to JSON."""
        self.journal = self.prefix + "journal"
        """Stream, capped: what happened."""
        self.history = self.prefix + "history"
        """Stream, capped: a sample of each minute."""
        self.endpoints = self.prefix + "endpoints"
        """Hash for the gateway that routes jobs: instance id to address, phase, slots and the tier it is set apart
        for."""
        self.admission = self.prefix + "admission"
        """Hash, expiring, for the API that accepts jobs: ``POOL/TIER`` to whether it is accepted."""
        self.workers = self.prefix + "workers"
        """Hash that workers write: instance id to heartbeat."""

    def drain(self, instance: str) -> str:
        """String: its machine's workers must pull no more jobs; the value says why."""
        return f"{self.prefix}drain:{instance}"
