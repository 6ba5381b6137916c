"""RunPod's rate limit: so many requests a minute, an hour and a day, counted in windows that begin on the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoscaler.emulate.runpod.refusals import Refusal

_WINDOWS = {"minute": (240, 60), "hour": (10_000, 3600), "day": (100_000, 86_400)}
"""Requests, and seconds. RunPod does not publish its quotas; a sample of a live answer shows figures as large."""


@dataclass(slots=True)
class Quota:
    """What a customer has used of each window."""

    _used: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By window: which one since the epoch, and the requests in it."""

    def take(self, now: float) -> None:
        """Count one request.

        Raises:
            Refusal: 429, and it does not count.
        """
        for name, (quota, length) in _WINDOWS.items():
            if self._in(name, now) >= quota:
                wait = length - int(now) % length
                raise Refusal(429, f"rate limit exceeded for the {name} window", retry_after_s=wait)
        for name, (_, length) in _WINDOWS.items():
            self._used[name] = (int(now) // length, self._in(name, now) + 1)

    def headers(self, now: float) -> Mapping[str, str]:
        """RateLimit and RateLimit-Policy."""
        state = [
            f'"{name}";r={quota - self._in(name, now)};t={length - int(now) % length}'
            for name, (quota, length) in _WINDOWS.items()
        ]
        policy = [f'"{name}";q={quota};w={length}' for name, (quota, length) in _WINDOWS.items()]
        return {"ratelimit": ", ".join(state), "ratelimit-policy": ", ".join(policy)}

    def _in(self, name: str, now: float) -> int:
        """Requests so far in the window of this moment."""
        window, used = self._used.get(name, (0, 0))
        return used if window == int(now) // _WINDOWS[name][1] else 0
