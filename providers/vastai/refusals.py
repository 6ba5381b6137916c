"""What Vast.ai's refusals mean.

They come as any mixture of an HTTP status, a code and a sentence; some are plain text, some have no body at all, some
are an HTTP 200. So codes are looked for in the whole text of what was refused, and in nothing else: an answer that is
no refusal holds labels and messages of strangers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.core.errors import (
    AuthFailed,
    InsufficientFunds,
    NoCapacity,
    NotFound,
    PartialLaunch,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
    UnclearOutcome,
)
from providers import told
from providers.http import Answer

_SEARCH_QUOTA = "search_quota_exceeded"
_NO_KEY = ("auth_error", "invalid user key")
_NO_MONEY = ("insufficient_credit", "spend_rate_limit", "missing_billing")
_OFFER_GONE = ("no_such_ask", "no longer available")
_NO_INSTANCE = ("no_such_instance", "not_found")
_GPU_TAKEN = ("queued", "resources", "unavailable", "not available", "no longer available")
_MADE = re.compile(r"new_contract\W{1,8}(\d+)")
"""As JSON, or quoted in the text of an error: with its quotation marks escaped, or as Python writes them."""
_DAY_S = 86400.0
_CLOCKS_DIFFER_S = 900.0
_LONGEST = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer, read as far as it can be."""

    answer: Answer
    body: Mapping[str, Any] | None
    """None where it is no JSON object."""
    said: str
    """For people, without secrets."""

    @property
    def refused(self) -> bool:
        """Whether it says no, be it under a 200."""
        return self.answer.status >= 300 or (self.body is not None and self.body.get("success") is False)

    @property
    def is_broken(self) -> bool:
        """Whether the vendor, or something before it, failed rather than refused."""
        return self.answer.status >= 500

    def holds(self, words: tuple[str, ...]) -> bool:
        """Whether one of these is anywhere in its text."""
        text = self.answer.text.lower()
        return any(word in text for word in words)


def read(answer: Answer, quiet: Callable[[str], str]) -> Reply:
    """An answer as far as it can be read; `quiet` takes secrets out of a text."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = None
    told_as = [body[key] for key in ("error", "msg", "message", "detail") if body.get(key)] if body else []
    said = ": ".join(map(str, told_as)) or answer.text
    return Reply(answer=answer, body=body, said=f"{answer.status}: {quiet(said)[:_LONGEST] or 'nothing was said'}")


def what_was_read(reply: Reply, now: float) -> Mapping[str, Any]:
    """The body of an answer to a request that changes nothing.

    Raises:
        ProviderError: it was refused, or holds no JSON object.
    """
    if reply.refused:
        if (error := _whatever_was_asked(reply, now)) is not None:
            raise error
        if reply.answer.status == 404:
            raise NotFound(reply.said)
        raise Transient(reply.said) if reply.is_broken or reply.answer.status < 300 else Rejected(reply.said)
    if reply.body is None:
        raise Transient(f"no JSON: {reply.said}")
    return reply.body


def check_done(reply: Reply, now: float, *, starts: bool = False) -> None:
    """Let an answer pass that accepts an order about a machine that there is.

    A no under a 200 that names no rule may be a yes later, so that a machine which cannot be stopped at once is not
    given up for it. But a start is: it might be queued, and whoever is told of a refusal cancels it.

    Raises:
        NoCapacity: a start was refused for want of its GPU; it may be queued all the same.
        NotFound: there is no such machine.
        Transient: not now.
        UnclearOutcome: it may have been done.
        ProviderError: it was refused.
    """
    if not reply.refused:
        if reply.body is None:
            raise UnclearOutcome(f"no JSON: {reply.said}")
        return
    if (error := _whatever_was_asked(reply, now)) is not None:
        raise error
    if reply.is_broken:
        raise UnclearOutcome(reply.said)
    if reply.answer.status == 404 or reply.holds(_NO_INSTANCE):
        raise NotFound(reply.said)
    if starts and reply.holds(_GPU_TAKEN):
        raise NoCapacity(reply.said)
    if reply.answer.status < 300 and not starts:
        raise Transient(reply.said)
    raise Rejected(reply.said) if reply.body else UnclearOutcome(reply.said)


def made(reply: Reply, now: float) -> str:
    """The id of a machine that was made.

    Raises:
        PartialLaunch: it was refused, and yet there is a machine: it is stopped, and its disk bills.
        NoCapacity: the offer is gone.
        UnclearOutcome: it may have been made.
        ProviderError: it was refused.
    """
    contract = _MADE.search(reply.answer.text)
    if not reply.refused:
        if contract is None:
            raise UnclearOutcome(f"no id: {reply.said}")
        return contract[1]
    if contract is not None:
        raise PartialLaunch(reply.said, provider_ids=(contract[1],))
    if reply.holds(_OFFER_GONE):
        raise NoCapacity(reply.said)
    if (error := _whatever_was_asked(reply, now)) is not None:
        raise error
    definite = 400 <= reply.answer.status < 500 and reply.body
    raise Rejected(reply.said) if definite else UnclearOutcome(reply.said)


def _whatever_was_asked(reply: Reply, now: float) -> ProviderError | None:
    """What a refusal means that has nothing to do with the request. A limit on spending is no pace, be it a 429."""
    if reply.holds(_NO_MONEY):
        return InsufficientFunds(reply.said)
    if reply.answer.status == 429:
        return RateLimited(reply.said, retry_after_s=_wait_s(reply, now))
    if reply.answer.status in (401, 403) or reply.holds(_NO_KEY):
        return AuthFailed(reply.said)
    return None


def _wait_s(reply: Reply, now: float) -> float | None:
    """How long to wait after a 429, in seconds. None where that is not said."""
    return search_quota_s(reply, now) or told.wait_s(reply.answer, now)


def search_quota_s(reply: Reply, now: float) -> float:
    """Seconds until the daily quota of searches is full again, at midnight UTC unless it is said; 0 unless spent.

    What is refused shortly after midnight by our clock is asked for again soon: it may not be midnight yet by the
    vendor's, and the next one is a day away.
    """
    if reply.answer.status != 429 or not reply.holds((_SEARCH_QUOTA,)):
        return 0.0
    if now % _DAY_S < _CLOCKS_DIFFER_S:
        return _CLOCKS_DIFFER_S
    return told.wait_s(reply.answer, now) or _DAY_S - now % _DAY_S
