"""From commands to phases, and from provider answers to phases.

A phase is the intent: PLANNED owes the provider a rent, RESUMING a resume, STOPPING a stop, RELEASING a release.
`begin` moves a record into such a phase before the call, `owed` says which calls are due, `settle` takes the answer.
So a daemon that died in between finds in the records what is still to be done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from autoscaler.core.decision import Action, Command, Outcome, Result
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Pool

_RETRY_FIRST_S = 5.0
_RETRY_MOST_S = 300.0
_TOLD_MOST_S = 3600.0  # whatever a provider asks for: what cannot be stopped or released bills meanwhile
_HELPLESS_S = 600.0  # a resume that the account does not allow is not tried again before this
_REPEAT_S = 60.0  # an accepted stop or release that shows no effect is ordered again after this

_OWED = {Phase.STOPPING: Action.STOP, Phase.RESUMING: Action.RESUME, Phase.RELEASING: Action.RELEASE}
_ENTERS = {
    Action.RESUME: Phase.RESUMING,
    Action.DRAIN: Phase.DRAINING,
    Action.UNDRAIN: Phase.HOT,
    Action.STOP: Phase.STOPPING,
    Action.RELEASE: Phase.RELEASING,
}
CALLED_AT_ONCE = frozenset({Action.RENT, Action.SET_BID})
"""Actions whose call no phase owes: it is made once, with the command."""
_STAMPS = {Action.RESUME: "ordered_at", Action.DRAIN: "drained_at"}
CALLS = frozenset({*CALLED_AT_ONCE, *_OWED.values()})
"""Actions that call a provider; the others only change a record."""


def begin(command: Command, instance: Instance, now: float) -> Instance:
    """The record after a command about it was decided, before any call.

    Raises:
        InvalidTransition: the command does not fit the record's phase.
    """
    if command.action is Action.SET_BID:
        bid = command.bid_usd_per_hour or instance.usd_per_hour
        return replace(instance, usd_per_hour=max(instance.usd_per_hour, bid), called_at=now)
    changes = {_STAMPS[command.action]: now} if command.action in _STAMPS else {}
    if command.action is Action.RESUME:  # it may bill before a listing says so
        changes["burn_usd_per_hour"] = instance.usd_per_hour
    return instance.moved(_ENTERS[command.action], now, command.reason, **changes)


def begin_rent(command: Command, pool: Pool, token: str, now: float) -> Instance:
    """The record of a machine that is about to be rented: the intent.

    Raises:
        ValueError: the command names no offer.
    """
    offer = command.offer
    if offer is None or command.placement is None:
        raise ValueError("a rent needs an offer and its placement")
    return Instance(
        id=token,
        pool=pool.name,
        placement=command.placement,
        provider=offer.provider,
        phase=Phase.PLANNED,
        phase_since=now,
        created_at=now,
        booked_at=now,
        ordered_at=now,
        image=pool.machine.image,
        gpu=offer.gpu,
        region=offer.region,
        host=offer.host,
        buy=offer.buy,
        slots=pool.machine.slots,
        usd_per_hour=offer.usd_per_hour,
        disk_usd_per_hour=offer.disk_usd_per_hour,
        burn_usd_per_hour=offer.usd_per_hour,  # it may bill before the answer is here, and we may die meanwhile
        races=command.races,
        reason=command.reason,
    )


def owed(instances: Iterable[Instance], calling: frozenset[str], busy: Mapping[str, int], now: float) -> list[Command]:
    """The calls that records owe their providers now.

    A machine whose worker says that it works is not ended before it says that it does not, whatever led to the order:
    a listing may have left it out, a drain mark may be lost with the store that held it.
    """
    return [
        Command(action=_OWED[i.phase], pool=i.pool, instance=i.id, reason=i.reason)
        for i in instances
        if i.phase in _OWED
        and i.id not in calling
        and (i.phase is Phase.RESUMING or not busy.get(i.id, 0))
        and i.provider_id is not None
        and i.retry_at is not None
        and i.retry_at <= now
    ]


def settle(instance: Instance, outcome: Outcome) -> tuple[Instance, ...]:
    """The record after a provider's answer, followed by records of machines that a failed rent left behind."""
    called = replace(instance, called_at=outcome.ended_at, attempts=instance.attempts + 1)
    if instance.phase is Phase.PLANNED:
        return _settle_rent(called, outcome)
    if _OWED.get(instance.phase) is not outcome.action:
        return (called,)  # the listing was quicker: the phase has moved on
    if outcome.action is Action.RESUME:
        return (_settle_resume(called, outcome),)
    return (_settle_end(called, outcome),)


def _settle_rent(called: Instance, outcome: Outcome) -> tuple[Instance, ...]:
    now = outcome.ended_at
    if outcome.result is Result.OK:
        text = f"rented at {called.usd_per_hour:.3f} USD/h"
        accepted = {"provider_id": outcome.provider_id, "burn_usd_per_hour": called.usd_per_hour}
        return (called.moved(Phase.RENTING, now, text, **accepted),)
    if outcome.result is Result.UNCLEAR:
        text = f"no clear answer to the rent call ({outcome.detail}): looking for its token in the listing"
        return (called.moved(Phase.RENTING, now, text, burn_usd_per_hour=called.usd_per_hour),)
    if outcome.result is Result.PARTIAL and outcome.stray_ids:
        text = f"the rent failed and yet made a machine ({outcome.detail}): releasing it"
        strays = [
            replace(called, id=called.id if n == 0 else f"{called.id}-{provider_id}", provider_id=provider_id)
            for n, provider_id in enumerate(outcome.stray_ids)
        ]
        return tuple(s.moved(Phase.RELEASING, now, text, burn_usd_per_hour=called.usd_per_hour) for s in strays)
    return (called.moved(Phase.GONE, now, f"not rented: {outcome.result} {outcome.detail}".rstrip()),)


def _settle_resume(called: Instance, outcome: Outcome) -> Instance:
    now = outcome.ended_at
    if outcome.result is Result.OK:
        return replace(called, retry_at=None)
    if outcome.result in (Result.NO_CAPACITY, Result.REJECTED):
        # Some providers queue what they refuse and bill it later; a stop cancels that and harms nobody.
        text = f"resume refused ({outcome.detail}): cancelling the order"
        return called.moved(Phase.STOPPING, now, text, refusals=called.refusals + 1)
    if outcome.result is Result.NOT_FOUND:
        return called.moved(Phase.LOST, now, "the provider knows it no more")
    if outcome.result in (Result.AUTH_FAILED, Result.INSUFFICIENT_FUNDS):
        text = f"not resumed: {outcome.result} {outcome.detail}".rstrip()
        return called.moved(Phase.WARM, now, text, retry_at=now + _HELPLESS_S)
    return _again(called, outcome)


def _settle_end(called: Instance, outcome: Outcome) -> Instance:
    now = outcome.ended_at
    if outcome.result is Result.OK:
        return replace(called, retry_at=now + _REPEAT_S)
    if outcome.result is Result.NOT_FOUND:
        if outcome.action is Action.RELEASE:
            return replace(called, retry_at=now + _REPEAT_S)
        return called.moved(Phase.LOST, now, "the provider knows it no more")
    if outcome.result is Result.REJECTED and outcome.action is Action.STOP:
        return called.moved(Phase.RELEASING, now, f"it cannot be stopped ({outcome.detail}): releasing it")
    return _again(called, outcome)


def _again(called: Instance, outcome: Outcome) -> Instance:
    pause = min(_RETRY_MOST_S, _RETRY_FIRST_S * 2.0 ** (called.attempts - 1))
    wait = max(pause, min(outcome.retry_after_s or 0.0, _TOLD_MOST_S))
    return replace(called, retry_at=outcome.ended_at + wait)
