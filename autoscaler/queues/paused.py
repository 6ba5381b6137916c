"""Queues that their library itself holds back."""

from __future__ import annotations

from collections.abc import Sequence

from autoscaler.link import Command
from autoscaler.queues.base import Rest, Steps, count
from autoscaler.queues.caution import Caution


class Paused:
    """Whether all queues of a pool are paused, as commands tell that give 1 for a queue that is.

    Where only some are, their jobs count all the same, though none starts: a queue may be resumed at any moment.
    """

    def __init__(self, commands: Sequence[Command]) -> None:
        self._commands = commands

    def read(self, _now: float) -> Steps[Rest]:
        """Ask for each queue."""
        paused = [bool(count(reply)) for reply in (yield self._commands)]
        partly = any(paused) and not all(paused)
        return Rest(paused=all(paused), cautions=frozenset({Caution.PARTLY_PAUSED}) if partly else frozenset())
