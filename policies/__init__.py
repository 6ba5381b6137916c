"""Pure policies: what turns a snapshot into the number of machines wanted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from policies import forecast, priority, retention, schedule, thresholds, wait_target
from policies.base import Policy

POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "forecast": forecast.POLICY,
        "priority": priority.POLICY,
        "retention": retention.POLICY,
        "schedule": schedule.POLICY,
        "thresholds": thresholds.POLICY,
        "wait_target": wait_target.POLICY,
    }
)
"""Every policy by the name under which a configuration asks for it."""

RECOMMENDED = ("wait_target", "retention", "forecast")
"""What a pool has that names none."""
