"""How RunPod says no, and how it says nothing."""

from __future__ import annotations

from autoscaler.emulate.base import Dropped
from providers.mock import Fault
from providers.mock.faults import Struck

NO_INSTANCES = (
    "There are no longer any instances available with the requested specifications. Please refresh and try again."
)
NO_SPOT_INSTANCES = (
    "There are no longer any instances available with the request specifications. Please try again later."
)
HOST_FULL = "There are not enough free GPUs on the host machine to start this pod."
WENT_WRONG = "Something went wrong. Please try again later or contact support."
_RETRY_AFTER_S = 30


class Refusal(Exception):
    """An answer that is not what was asked for."""

    def __init__(
        self, status: int, detail: str, *, errors: tuple[str, ...] = (), retry_after_s: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        """The HTTP status in REST."""
        self.detail = detail
        self.errors = errors
        """What is wrong with the request's shape, one by one."""
        self.retry_after_s = retry_after_s


class Silence(Exception):
    """No answer, ever."""


def strike_before(struck: Struck) -> None:
    """End a call before it has any effect, if a fault says so.

    Raises:
        Refusal: it is refused.
        Silence: it is never answered.
        Dropped: the connection breaks off.
    """
    if Fault.HANGS in struck:
        raise Silence
    if Fault.REQUEST_LOST in struck:
        raise Dropped
    if Fault.AUTH_FAILED in struck:
        raise Refusal(401, "invalid or missing API key")
    if Fault.RATE_LIMITED in struck:
        raise Refusal(429, "rate limit exceeded for the minute window", retry_after_s=_RETRY_AFTER_S)
    if Fault.RATE_LIMITED_SILENT in struck:
        raise Refusal(429, "too many requests")
    if struck & {Fault.UNAVAILABLE, Fault.LISTING_FAILS}:
        raise Refusal(503, "service temporarily unavailable")


def strike_after(struck: Struck) -> None:
    """Withhold the answer of a call that had its effect, if a fault says so.

    Raises:
        Refusal: 500, though it was done.
        Silence: it is never answered.
    """
    if Fault.ANSWER_HANGS in struck:
        raise Silence
    if Fault.ANSWER_LOST in struck:
        raise Refusal(500, WENT_WRONG)
