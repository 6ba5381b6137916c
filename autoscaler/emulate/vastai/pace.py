"""The least time between two requests to one endpoint."""

from __future__ import annotations

from collections import defaultdict, deque

from autoscaler.emulate.vastai.errors import Refused, too_frequent
from autoscaler.emulate.vastai.routes import Route

_SEARCHES_PER_MINUTE = 10


class Pace:
    """When who asked for what."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], float] = {}
        self._searches: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_SEARCHES_PER_MINUTE))

    def ask(self, route: Route, key: str, now: float) -> None:
        """Take note of a request.

        Raises:
            Refused: it comes too soon after the one before it.
        """
        if route.name == "search":
            searches = self._searches[key]
            if len(searches) == _SEARCHES_PER_MINUTE and now - searches[0] < 60.0:
                raise Refused(too_frequent(60.0 / _SEARCHES_PER_MINUTE))
            searches.append(now)
            return
        last = self._last.get((route.name, key))
        if last is not None and now - last < route.threshold_s:
            raise Refused(too_frequent(route.threshold_s))
        self._last[route.name, key] = now
