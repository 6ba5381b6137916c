"""What RunPod's refusals mean for whoever asked.

RunPod has no machine-readable reasons: no stock and a broken rule are both a 400 with a sentence. So the sentences are
matched here; those that are known come from RunPod's documents, its clients and their users' reports.

=====================  =========================================================  ======================================
Status                 What RunPod means                                          What we raise
=====================  =========================================================  ======================================
any but 429            a sentence of no stock, a full host, too low a bid         NoCapacity; not for a 5xx on a create
any but 429            a sentence of too little money                             InsufficientFunds; likewise
any but 429            "pod not found"; a create is not about a pod               NotFound
400, 404               nothing, or that "something went wrong"                    as a 5xx
400, 405, 413, 422     a rule, a schema, a limit on size                          Rejected
401                    the key is bad                                             AuthFailed
403                    on a create: no access to that pool of machines            Rejected: the next candidate may do
403                    else: the key lacks a right                                AuthFailed
402                    too little money                                           InsufficientFunds
404                    on a create: the request names what there is not           Rejected
404                    else: there is no such pod                                 NotFound
409                    not in this status; the client looks again first           Transient, or Rejected for good
429                    a window of the rate limit is used up                      RateLimited, with the longest wait
408, 5xx, all else     anything may have happened                                 Transient on a read; UnclearOutcome
=====================  =========================================================  ======================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import Enum, auto
from typing import TypeVar

from autoscaler.core.errors import (
    AuthFailed,
    InsufficientFunds,
    NoCapacity,
    NotFound,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
    UnclearOutcome,
)
from providers import told
from providers.http import Answer
from providers.runpod.wire import Complaint, complaint


class Call(Enum):
    """What was asked, as far as it matters for what a refusal means."""

    READ = auto()
    CREATE = auto()
    CHANGE = auto()
    """Of a pod that there is: a start, a stop, a deletion."""


_NO_CAPACITY = re.compile(
    r"no longer any instances available|not enough free gpus|does not have the resources to deploy", re.IGNORECASE
)
_NO_FUNDS = re.compile(r"you need at least \$|insufficient (?:balance|funds|credit)", re.IGNORECASE)
_NO_POD = re.compile(r"\bpod not found\b", re.IGNORECASE)
_NO_REASON = re.compile(
    r"an empty body|a page of html|no reason given|bad request|something went wrong\b.*", re.IGNORECASE | re.DOTALL
)
_NO_SUCH_SCHEMA = re.compile(r"cannot query field|unknown (?:type|argument)|is not defined by type", re.IGNORECASE)
_NO_RIGHT = re.compile(r"unauthori[sz]ed|not authori[sz]ed|permission|forbidden", re.IGNORECASE)
_NO_RIGHT_CODES = frozenset({"UNAUTHENTICATED", "FORBIDDEN"})
_USER_ERRORS = frozenset({"BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"})

_LEAST_SECRET = 8  # shorter values are no secrets, and may be part of a word
_CLIPPED = 300

Quiet = Callable[[str], str]
"""Makes a vendor's words one short line without our secrets."""

S = TypeVar("S")
T = TypeVar("T")


def quiet_of(*secrets: str) -> Quiet:
    """A `Quiet` that knows these secrets; they may come back as they were sent or escaped as in JSON."""
    forms = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1]) if len(secret) >= _LEAST_SECRET}
    longest_first = sorted(forms, key=len, reverse=True)

    def quiet(text: str) -> str:
        for form in longest_first:
            text = text.replace(form, "***")
        return " ".join(text.split())[:_CLIPPED]

    return quiet


def understood(read: Callable[[S], T], source: S, call: Call) -> T:
    """What a reader of ``wire`` makes of what a call gave.

    Raises:
        Transient: it has not the expected form, and the call was a read.
        UnclearOutcome: it has not, and something was asked to be done.
    """
    try:
        return read(source)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        text = f"RunPod's answer has not the form that was expected ({type(error).__name__}: {error})"
        raise (Transient if call is Call.READ else UnclearOutcome)(text) from None


def refusal(answer: Answer, call: Call, quiet: Quiet, now: float) -> ProviderError:
    """The error that an answer of REST v2, or of a proxy before it, stands for; see the table above."""
    status = answer.status
    said = complaint(answer)
    text = f"RunPod answers {status}: {quiet(said)}"
    if status == 429:
        return RateLimited(text, retry_after_s=told.wait_s(answer, now))
    silent = status in (400, 404) and _NO_REASON.fullmatch(said) is not None
    unclear = silent or status == 408 or not 400 <= status < 500
    meant = None if unclear and call is Call.CREATE else _meant(said, call)
    if meant is not None:
        return meant(text)
    if unclear:
        return Transient(text) if call is Call.READ else UnclearOutcome(text)
    return _by_status(status, call)(text)


def _by_status(status: int, call: Call) -> type[ProviderError]:
    if status == 401 or (status == 403 and call is not Call.CREATE):
        return AuthFailed
    if status == 402:
        return InsufficientFunds
    if status == 404 and call is not Call.CREATE:
        return NotFound
    return Rejected


def _meant(said: str, call: Call) -> type[ProviderError] | None:
    """What a sentence that we know stands for, whatever its status."""
    if _NO_CAPACITY.search(said):
        return NoCapacity
    if _NO_FUNDS.search(said):
        return InsufficientFunds
    return NotFound if call is not Call.CREATE and _NO_POD.search(said) else None


def graphql_refusal(found: Complaint, call: Call, quiet: Quiet) -> ProviderError:
    """The error that a GraphQL error stands for; its status is 200."""
    text = f"RunPod's GraphQL answers: {quiet(found.message)}"
    meant = _meant(found.message, call)
    if meant is not None:
        return meant(text)
    if found.code in _USER_ERRORS:
        return Rejected(text)
    return Transient(text) if call is Call.READ else UnclearOutcome(text)


def has_gone(found: Complaint) -> bool:
    """Whether a GraphQL error says that what we ask for exists no more, or not for this key."""
    by_word = _NO_SUCH_SCHEMA.search(found.message) or _NO_RIGHT.search(found.message)
    return by_word is not None or found.code in _NO_RIGHT_CODES
