"""What was agreed about a machine: what it is, what it costs, and when its provider takes it back."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from autoscaler.core.history import PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.market import Remote
from autoscaler.core.spec import Deadlines

_PRICE_SLACK, _PRICE_STEP_USD = 1.001, 0.001  # providers round, some to a tenth of a cent
_LEAST_NOTICE_S = 3600.0
_NEW = PlacementHistory()
_MEMORY = re.compile(r"\d+\s*gi?b")
_BRANDS = re.compile(r"nvidia|geforce|quadro|tesla|rtx|gtx")
_MODEL = re.compile(r"[a-z]*\d+")


def is_dearer(usd_per_hour: float, agreed: float) -> bool:
    """Whether a price is above an agreed one by more than rounding; nothing is where none was agreed."""
    return agreed > 0 and usd_per_hour > agreed * _PRICE_SLACK + _PRICE_STEP_USD


def breach(agreed: Instance, came: Remote, deadlines: Deadlines, now: float) -> str:
    """How a machine differs from what was rented, as far as both are known; empty where it does not.

    The answer to a rent tells none of this: Vast.ai makes a machine on demand of a request whose bid got lost, at a
    multiple of the price, and says `success`.
    """
    if is_dearer(came.usd_per_hour, agreed.usd_per_hour):
        return f"it costs {came.usd_per_hour:.3f} USD/h, {agreed.usd_per_hour:.3f} was agreed"
    if came.buy != agreed.buy:
        return f"it is let as {came.buy}, {agreed.buy} was agreed"
    if came.host and agreed.host and came.host != agreed.host:
        return f"it stands on host {came.host}, {agreed.host} was agreed"
    if not same_gpu(came.gpu, agreed.gpu):
        return f"it has a {came.gpu}, {agreed.gpu} was agreed"
    if ends_soon(came.ends_at, _NEW, deadlines, now):
        return f"{ending(came.ends_at)}, too soon to be of use"
    return ""


def same_gpu(one: str, other: str) -> bool:
    """Whether two names may mean one GPU: they share a model number, or one of them has none.

    Spelling is no difference: `NVIDIA GeForce RTX 4090` is `RTX_4090`, `A100-SXM4-80GB` is `A100 SXM`. Variants of one
    model pass, too: a wrong release costs more than a variant.
    """
    models, others = _models(one), _models(other)
    return not models or not others or not models.isdisjoint(others)


def _models(gpu: str) -> set[str]:
    return set(_MODEL.findall(_BRANDS.sub(" ", _MEMORY.sub(" ", gpu.lower()))))


def ends_soon(ends_at: float | None, history: PlacementHistory, deadlines: Deadlines, now: float) -> bool:
    """Whether a contract leaves a machine no more than the time to set its successor up and to let its jobs end.

    An end that has passed says nothing: the provider has stopped the machine, or the contract goes on.
    """
    return ends_within(ends_at, notice_s(history, deadlines), now)


def notice_s(history: PlacementHistory, deadlines: Deadlines) -> float:
    """Seconds before the end of its contract when a machine's successor must be ordered."""
    return max(_LEAST_NOTICE_S, history.up_in_s(resumed=False) + deadlines.draining)


def ends_within(ends_at: float | None, seconds: float, now: float) -> bool:
    """Whether a contract that has an end, and has not reached it, will within that time."""
    return ends_at is not None and now < ends_at <= now + seconds


def ending(ends_at: float | None) -> str:
    """When a machine's contract ends, in words for people."""
    return f"its contract ends at {datetime.fromtimestamp(ends_at or 0.0, UTC):%Y-%m-%d %H:%M} UTC"
