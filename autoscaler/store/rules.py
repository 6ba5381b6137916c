"""What both stores hold to."""

from __future__ import annotations

from collections.abc import Collection

from autoscaler.core.lifecycle import Phase

LEASE_S = 30.0
"""How long a daemon leads after its last tick."""
JOURNAL_LENGTH = 10_000
"""Journal entries kept, about."""
HISTORY_LENGTH = 31 * 24 * 60
"""Samples kept, about: one a minute for 31 days."""
LEDGER_DAYS = 400
"""Days of ledger kept, at most."""
DRAIN_MARK = frozenset({Phase.DRAINING, Phase.STOPPING, Phase.RELEASING, Phase.GONE})
"""Phases whose machines carry a drain mark. RELEASING and GONE too: listings may have lied, and workers that still run
must not pull a job that would be cut off when the machine is listed, and released, again."""


def old_days(days: Collection[str]) -> list[str]:
    """The days that a ledger has no more room for, oldest first."""
    return sorted(days)[: len(days) - LEDGER_DAYS] if len(days) > LEDGER_DAYS else []
