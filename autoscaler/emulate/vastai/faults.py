"""The market's faults of the line between customer and vendor, in Vast.ai's HTTP."""

from __future__ import annotations

from collections.abc import Collection

from autoscaler.emulate.base import Dropped, never
from autoscaler.emulate.vastai.errors import RETRY_AFTER_S, Refused, page, refusal, too_frequent
from autoscaler.emulate.vastai.settings import Quirk
from providers.http import json_answer
from providers.mock import Fault, Operation
from providers.mock.faults import Struck

_THRESHOLD_S = 4.5


async def strike_before(operation: Operation, struck: Struck, quirks: Collection[Quirk]) -> None:
    """End the request before it has any effect, if a fault says so.

    Raises:
        Refused: with a status.
        Dropped: without one.
    """
    if Fault.HANGS in struck:
        await never()
    if Fault.AUTH_FAILED in struck:
        raise refusal(404 if operation is Operation.OFFERS else 401, "auth_error", "Invalid user key")
    if Fault.RATE_LIMITED in struck:
        told = {"error": "rate_limit_exceeded", "msg": "API requests too frequent"}
        if Quirk.RETRY_AFTER_IN_BODY in quirks:
            raise Refused(json_answer(429, {**told, "retry_after": RETRY_AFTER_S}))
        raise Refused(json_answer(429, told, retry_after=str(RETRY_AFTER_S)))
    if Fault.RATE_LIMITED_SILENT in struck:
        raise Refused(too_frequent(_THRESHOLD_S))
    if Fault.UNAVAILABLE in struck:
        raise Refused(page(503, "Service Temporarily Unavailable"))
    if Fault.REQUEST_LOST in struck:
        raise lost(quirks)


async def strike_after(struck: Struck, quirks: Collection[Quirk]) -> None:
    """Withhold the answer to a request that had its effect, if a fault says so.

    Raises:
        Refused: with a status.
        Dropped: without one.
    """
    if Fault.ANSWER_HANGS in struck:
        await never()
    if Fault.ANSWER_LOST in struck:
        raise lost(quirks)


def lost(quirks: Collection[Quirk]) -> Exception:
    """How an answer is missing."""
    return Refused(page(504, "Gateway Time-out")) if Quirk.GATEWAY_TIMES_OUT in quirks else Dropped()
