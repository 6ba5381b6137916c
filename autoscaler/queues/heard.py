"""What was published on a channel between two readings. The shell fills it, and a reader takes from it."""

from __future__ import annotations

from collections import deque

_MAX_MESSAGES = 10_000


class Heard:
    """Messages of one channel, the last 10,000 of them."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        """`{db}` in it stands for the number of the database."""
        self.broke_off = False
        """Whether listening was refused or broke off, so that something may have been missed."""
        self._messages: deque[bytes] = deque(maxlen=_MAX_MESSAGES)

    def hear(self, message: bytes) -> None:
        """It was published."""
        self._messages.append(message)

    def take(self) -> list[bytes]:
        """What was heard since the last time."""
        messages = list(self._messages)
        self._messages.clear()
        return messages
