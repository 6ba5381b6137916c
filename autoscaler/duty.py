"""What the agent of a rented machine says of its worker, and when it starts and drains it: decided here, without IO.

It stands alone with ``agent.py``: a Python of 3.8 or later is all it needs.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # so that older Pythons can run this
    from collections.abc import Callable

    Say = Callable[[str], None]

SETTLE_S, AGAIN_S = 15.0, 5.0
"""From the drain mark to the first look that counts of a service that is sent its jobs, and to the second."""
STEADY_S = 60.0
"""A worker that ended by itself sooner, and badly, has crashed."""
CRASHES = 3
"""So many in a row are trouble."""
LONGEST_PAUSE_S = 60.0


class Act(Enum):
    """What the worker needs."""

    NOTHING = "nothing"
    START = "start"
    DRAIN = "the drain signal"


class Look(NamedTuple):
    """What is seen of the machine at one moment."""

    runs: bool = True
    """The worker's process is there; of an agent that runs none, always."""
    left: bool = True
    """It, or another process of its session, is there."""
    asked: bool = False
    """It was asked to end."""
    jobs: int | None = None
    """As its source says; None when there is none, or it does not say."""
    gpu_util: float | None = None
    trouble: str = ""


class Duty:
    """Decides what is said of the worker, and when it is started and drained.

    It says `drained` only of what it knows: that no process of the worker is left and no job, or, where the worker is
    not ended (`ends` is false) because it is sent its jobs, that it held none at two looks, some time after the drain
    mark. A worker is only started when Redis has just taken a beat that does not say `drained`: the daemon may act on
    that word, and an agent before this one may have said it.
    """

    def __init__(self, slots: int, *, ends: bool, say: Say) -> None:
        self._slots = slots
        self._ends = ends
        self._say = say
        self._draining = False
        self._since = self._idle_at = 0.0
        self.drained = False
        """Whether the last beat said so."""
        self.start_at = float("-inf")
        """Not before this is the worker started again."""
        self._began_at = float("-inf")
        self._crashes, self._code = 0, 0

    def beat(self, now: float, look: Look) -> dict[str, Any]:
        """What to say now. `now` is monotonic."""
        if look.runs and now - self._began_at >= STEADY_S:
            self._crashes = 0
        jobs = look.jobs if look.left else look.jobs or 0
        over = not (look.left or jobs) if self._ends else self._quiet(now, jobs)
        self.drained = self._draining and over
        least = int(look.left and self._draining and not self.drained)
        said: dict[str, Any] = {
            "busy": self._slots if jobs is None else max(jobs, least),
            "drained": self.drained,
            "slots": self._slots,
        }
        if look.gpu_util is not None:
            said["gpu_util"] = look.gpu_util
        crashing = f"the worker ended with {self._code}, {self._crashes} times in a row"
        trouble = [crashing] * (self._crashes >= CRASHES) + [look.trouble] * bool(look.trouble)
        if trouble:
            said["trouble"] = "; ".join(trouble)
        return said

    def _quiet(self, now: float, jobs: int | None) -> bool:
        """Whether a service that is sent its jobs has none, and will get none any more."""
        if jobs != 0 or now < self._since + SETTLE_S:
            self._idle_at = float("inf")
            return False
        self._idle_at = min(self._idle_at, now)
        return now >= self._idle_at + AGAIN_S

    def act(self, now: float, marked: bool | None, look: Look, *, silent: bool = False) -> Act:
        """What the worker needs, after the last beat: `marked` is the answer to it, None where there was none.

        `silent`: the machine is to end itself, as its daemon is gone.
        """
        draining = silent or (self._draining if marked is None else marked)
        if draining and not self._draining:
            self._say("draining" + (": the daemon is gone" if silent else ""))
            self._since, self._idle_at = now, float("inf")
        self._draining = draining
        if look.runs:
            if draining and self._ends and not look.asked:
                return Act.DRAIN
        elif marked is not None and not draining and not self.drained and now >= self.start_at:
            self._began_at = now
            return Act.START
        return Act.NOTHING

    def ended(self, now: float, code: int, *, asked: bool) -> None:
        """The worker's process ended, as it was asked to or by itself."""
        lasted_s = now - self._began_at
        if asked:
            self._crashes, self.start_at = 0, now
            self._say(f"the worker has drained, and ended with {code}")
            return
        self._crashes = self._crashes + 1 if code and lasted_s < STEADY_S else int(code != 0)
        self._code = code
        pause_s = min(2.0 ** min(max(0, self._crashes - 1), 10), LONGEST_PAUSE_S)  # no float holds 2.0 ** 1024
        self.start_at = now + pause_s
        self._say(f"the worker ended by itself with {code}; it is started again in {pause_s:.0f}s")
