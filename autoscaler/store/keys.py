"""The names of all our keys in Redis. The braces make a Redis Cluster keep a fleet's keys in one slot.

With `spread` each pool has a lease and records of its own; what others read or write is the same for all pools.
"""

from __future__ import annotations


class Keys:
    """The keys of one fleet, as the one lease of all pools has them, or that of one pool."""

    def __init__(self, fleet: str, pool: str = "") -> None:
        self.prefix = f"autoscaler:{{{fleet}}}:"
        own = f"{self.prefix}pool:{pool}:" if pool else self.prefix
        self.pool = pool
        """Empty: all pools."""
        self.whole_lease = self.prefix + "lease"
        """String, expiring: who leads all pools; ``spread:0`` while they are led one by one."""
        self.daemons = self.prefix + ("pools:daemons" if pool else "daemons")
        """Sorted set: the daemons that live, by when each was last heard, in milliseconds. Those that lead pools one by
        one are counted apart: between the two ways there is nothing to share."""
        self.pools = self.prefix + "pools"
        """Sorted set: the pools that are or were led one by one, by when each lease ends, in milliseconds."""
        self.lease = own + "lease"
        """String, expiring: who leads, as ``OWNER:FENCE``."""
        self.fence = own + "fence"
        """Counter: how often the lead was taken."""
        self.ask = own + "ask"
        """String, expiring: the daemon that asks whoever leads this pool for it, and for whom it is kept then."""
        self.version = self.prefix + "version"
        """String: the version of all stored forms."""
        self.settings = self.prefix + "settings"
        """Hash: what version 1 had instead of orders."""
        self.orders = self.prefix + "orders"
        """Hash: order name to JSON. An operator's word needs no lease."""
        self.instances = own + "instances"
        """Hash: instance id to record."""
        self.documents = own + "documents"
        """Hash: name to JSON, such as learned times."""
        self.ledger = own + "ledger"
        """Hash: UTC day to JSON."""
        self.journal = self.prefix + "journal"
        """Stream, capped: what happened."""
        self.history = own + "history"
        """Stream, capped: a sample of each minute."""
        self.endpoints = self.prefix + "endpoints"
        """Hash for the gateway that routes jobs: instance id to address, phase, slots and the tier it is set apart
        for."""
        self.admission = self.prefix + "admission"
        """Hash, expiring, for the API that accepts jobs: ``POOL/TIER`` to whether it is accepted."""
        self.admission_ends = self.prefix + "admission:ends"
        """Sorted set: when the word on each tier ends, in milliseconds, where several daemons write them."""
        self.workers = self.prefix + "workers"
        """Hash that workers write: instance id to heartbeat."""

    def drain(self, instance: str) -> str:
        """String: its machine's workers must pull no more jobs; the value says why."""
        return f"{self.prefix}drain:{instance}"
