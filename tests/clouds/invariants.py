"""What must be true of any day on any cloud, whatever the vendor did."""

from __future__ import annotations

from enum import StrEnum, auto

from tests.support.cloud import Cloud

_CENT = 0.01
UNKNOWN_S = 30.0
"""How long a machine of ours may be there without a record: until two looks at the listing, ten seconds apart."""


class Rule(StrEnum):
    """One of them."""

    NOTHING_LEFT = auto()
    """At the end no machine is let to us, and no record speaks of one."""
    NOTHING_UNKNOWN = auto()
    """No machine was there, and nothing was billed, of which the daemon did not know."""
    ONE_A_TOKEN = auto()
    """No label was on two machines at a time."""
    BOOKS_HOLD = auto()
    """The books say no less than the bill, or else no budget would hold."""
    COST_BOUND = auto()
    """It cost no more than it may."""
    SERVED = auto()
    """Machines served while jobs waited: to rent nothing is cheap, and of no use."""
    FOREIGN_WHOLE = auto()
    """What others have in the account is as it was."""


def broken(cloud: Cloud, *, most_usd: float, least_served_s: float) -> frozenset[Rule]:
    """The rules that a day broke."""
    held = {
        Rule.NOTHING_LEFT: not cloud.let_to_us() and not cloud.live_records(),
        Rule.NOTHING_UNKNOWN: cloud.unknown_usd < _CENT and cloud.unknown_s <= UNKNOWN_S,
        Rule.ONE_A_TOKEN: cloud.most_per_token <= 1,
        Rule.BOOKS_HOLD: cloud.booked() >= cloud.billed() - _CENT,
        Rule.COST_BOUND: cloud.billed() <= most_usd + _CENT,
        Rule.SERVED: cloud.served_s >= least_served_s,
        Rule.FOREIGN_WHOLE: cloud.foreign_is_whole,
    }
    return frozenset(rule for rule, holds in held.items() if not holds)
