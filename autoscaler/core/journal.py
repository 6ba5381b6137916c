"""The journal: what happened, in one stable form that the CLI, the API and the dashboard all show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from autoscaler.core.decision import Reason


class Kind(StrEnum):
    """What a journal entry tells of."""

    DECISION = "decision"
    COMMAND = "command"
    OUTCOME = "outcome"
    PHASE = "phase"
    ALARM = "alarm"
    OPERATOR = "operator"
    """A person's hand: pause, unpause."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing that happened."""

    at: float
    """Epoch seconds."""
    kind: Kind
    text: str
    """One line that an operator understands at night: what, why, at what cost."""
    pool: str = ""
    instance: str = ""
    action: str = ""
    """Of commands and outcomes."""
    result: str = ""
    """Of outcomes: a `Result`; of phase changes: the new phase."""
    hot: int | None = None
    """Of decisions: machines wanted running."""
    warm: int | None = None
    """Of decisions: stopped machines to keep."""
    why: tuple[Reason, ...] = ()
    why_not: tuple[Reason, ...] = ()
