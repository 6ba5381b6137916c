"""What people were told of, as the store keeps it, so that whoever leads next tells nothing twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autoscaler.runtime.concerns import Severity


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One concern that was told and is not over yet."""

    name: str
    pool: str
    subject: str
    severity: Severity
    """The worst that was told."""
    text: str
    """As it was told last."""
    since: float
    """Epoch seconds."""
    at: float
    """When it was told last, epoch seconds."""
    usd: float | None = None
    """What its machine, pool or fleet had cost when it began; None where that is not counted."""

    @property
    def key(self) -> tuple[str, str, str]:
        """That of the concern."""
        return (self.name, self.pool, self.subject)


def read_told(stored: list[dict[str, Any]]) -> tuple[Told, ...]:
    """From JSON."""
    return tuple(Told(**{**each, "severity": Severity(each["severity"])}) for each in stored)
