"""What peers remember of the last minutes."""

from __future__ import annotations

from collections import deque


class WindowMean:
    """The mean of the samples of the last `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._samples: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, now: float, value: int) -> float:
        """Take a sample and give the mean with it."""
        samples = self._samples
        samples.append((now, value))
        self._sum += value
        while samples[0][0] <= now - self._seconds:
            self._sum -= samples.popleft()[1]
        return self._sum / len(samples)


class WindowMax:
    """The largest of the values of the last `seconds`; with 0 the last one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._falling: deque[tuple[float, int]] = deque()
        """Values that no later one exceeds."""

    def add(self, now: float, value: int) -> int:
        """Take a value and give the largest with it."""
        falling = self._falling
        while falling and falling[-1][1] <= value:
            falling.pop()
        falling.append((now, value))
        while len(falling) > 1 and falling[0][0] <= now - self._seconds:
            falling.popleft()
        return falling[0][1]
