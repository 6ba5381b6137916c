"""Servers that all know the same thing, such as the Sentinels: any that answers will do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from autoscaler.core.errors import StoreUnavailable
from autoscaler.link.address import HostPort

T = TypeVar("T")


async def ask_in_turn(
    hosts: Sequence[HostPort], ask: Callable[[HostPort], Awaitable[T | StoreUnavailable]]
) -> dict[HostPort, T | StoreUnavailable]:
    """What the first host says, and if it fails, what each of the others says.

    The others are asked at the same time: however many hang, they take the time of one.
    """
    answers: dict[HostPort, T | StoreUnavailable] = {}
    for some in (hosts[:1], hosts[1:]):
        answers |= zip(some, await asyncio.gather(*map(ask, some)), strict=True)
        if any(not isinstance(answer, StoreUnavailable) for answer in answers.values()):
            break
    return answers


def first_good(answers: dict[HostPort, T | StoreUnavailable]) -> tuple[HostPort, T] | None:
    """The first host that did not fail, and what it said."""
    return next(((host, said) for host, said in answers.items() if not isinstance(said, StoreUnavailable)), None)
