"""Bring records in line with what providers list. Mirrors reality and touches nothing.

What counts as evidence:

* A listing says nothing about a machine whose last call ended after the listing was asked for, or that was HOT by its
  own word by then.
* Absence counts only when complete listings, some time apart, agree on it (`ABSENCE_S`).
* A machine whose worker beats is there, whatever the listings say.
* A listing that failed is no evidence at all; then only alarms may follow from a deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from autoscaler.core.adopt import adopt
from autoscaler.core.contract import breach, is_dearer
from autoscaler.core.demand import Unknown
from autoscaler.core.diagnosis import MOST_RESTARTS, SETTLED_S, Diagnosis
from autoscaler.core.evidence import Evidence, index, with_facts
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import ESCALATIONS, Escalation, Phase, deadline_s
from autoscaler.core.market import Listing, Remote, Status
from autoscaler.core.spec import Deadlines
from autoscaler.core.units import format_duration
from autoscaler.core.utilisation import Use

ABSENCE_S = 20.0
"""Complete listings that span this long prove that a machine is not there."""
UNCLEAR_S = 120.0
"""After a rent without a clear answer, they must span this long: a new machine may be listed late."""
TOMBSTONE_S = 3600.0
"""How long the record of a machine that is gone is kept, so that a late listing is not taken for a stranger."""
_DISK_SLACK = 1.001  # what a stopped machine costs beyond its disk and rounding is its GPU
_SCHEDULING_S = 60.0  # a start that was just accepted may look queued: at Vast.ai that ends in seconds, or never
_OUTBID_PAUSE_S = 300.0  # whoever took a spot machine's GPU has it now: another machine is tried before this one

_NOT_ORDERED: Mapping[str, float] = {"ordered_at": 0.0, "drained_at": 0.0}
"""Of a machine that began by itself: how long that took teaches nothing, and an earlier drain says nothing of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Synced:
    """What mirroring changed."""

    changed: tuple[Instance, ...] = ()
    forgotten: tuple[str, ...] = ()
    """Tombstones whose time is over."""


def sync(instances: Mapping[str, Instance], evidence: Evidence) -> Synced:
    """Records changed by the evidence; machines of our label without a record become records."""
    by_id, by_token = index(evidence)
    changed: list[Instance] = []
    forgotten: list[str] = []
    claimed: set[tuple[str, str]] = set()
    for old in instances.values():
        if old.phase is Phase.GONE and evidence.now - old.phase_since > TOMBSTONE_S:
            forgotten.append(old.id)
            continue
        if old.provider_id is not None:
            remote = by_id.get((old.provider, old.provider_id))
        else:
            remote = by_token.get((old.provider, old.id))
        if remote is not None:
            claimed.add((old.provider, remote.provider_id))
        new = _mirror(old, remote, evidence)
        if new is not old:
            changed.append(new)
    strays = [(key, remote) for key, remote in by_id.items() if key not in claimed]
    changed += adopt(strays, instances, evidence)
    return Synced(changed=tuple(changed), forgotten=tuple(forgotten))


def _mirror(old: Instance, remote: Remote | None, evidence: Evidence) -> Instance:
    if old.id in evidence.calling:
        return old
    new = old
    if old.phase is Phase.PLANNED:
        text = "the answer to the rent call was lost: looking for its token in the listing"
        new = old.moved(Phase.RENTING, evidence.now, text, called_at=evidence.now, burn_usd_per_hour=old.usd_per_hour)
    if new.phase is Phase.BOOTING and new.id in evidence.ready:
        new = _at_full_price(_hot(new, evidence.now), evidence.now)
    if new.phase is Phase.LOST and new.id in evidence.beating:
        new = _back(new, evidence.now, "its worker beats: it is there")
    listing = evidence.listings.get(old.provider)
    if listing is None or isinstance(listing, Unknown):
        unseen = _at_full_price(new, evidence.now) if new.phase is Phase.BOOTING else new
        return _overdue(unseen, None, evidence, listed=False)
    if listing.asked_at < new.called_at or _is_older(listing, new):
        return _overdue(new, None, evidence, listed=False)
    new = _absent(new, listing.asked_at, evidence) if remote is None else _present(new, remote, evidence)
    return _overdue(new, remote, evidence, listed=True)


def _at_full_price(machine: Instance, now: float) -> Instance:
    """The record of a machine that may be billed as running by now, while no listing says so."""
    if machine.burn_usd_per_hour >= machine.usd_per_hour:
        return machine
    return replace(machine.booked(now), burn_usd_per_hour=machine.usd_per_hour)


def _is_older(listing: Listing, machine: Instance) -> bool:
    """Whether a listing was asked for before a machine was HOT: that it starts is no news, and no restart."""
    return machine.phase is Phase.HOT and listing.asked_at <= machine.phase_since


def _hot(instance: Instance, now: float) -> Instance:
    since = f", {format_duration(now - instance.ordered_at)} after it was ordered" if instance.ordered_at else ""
    well: dict[str, Any] = {"refusals": 0, "diagnosis": None, "ailment": "", "gpu_use": Use.NORMAL}
    return instance.moved(Phase.HOT, now, f"ready{since}", **well)


# --- what the listing shows -------------------------------------------------------------------------------------------


def _present(old: Instance, remote: Remote, evidence: Evidence) -> Instance:
    """The record of a machine that is listed."""
    new = with_facts(old, remote, evidence.now)
    if old.phase is Phase.GONE:
        return new.moved(Phase.RELEASING, evidence.now, "listed again although it was gone: releasing it again")
    if is_dearer(remote.usd_per_hour, old.usd_per_hour) and old.phase is not Phase.RENTING:
        new = replace(new, usd_per_hour=remote.usd_per_hour)
    step = _STEPS.get((new.phase, remote.status))
    if step is _listed and (differs := breach(old, remote, _deadlines(old, evidence), evidence.now)):
        return new.moved(Phase.RELEASING, evidence.now, f"not what was rented: {differs}; releasing it")
    if remote.status is Status.RUNNING and remote.gpu_count == 0 and new.phase in (Phase.BOOTING, Phase.RESUMING):
        step = _no_gpu
    return step(new, remote, evidence) if step else new


Step = Callable[[Instance, Remote, Evidence], Instance]


def _listed(old: Instance, remote: Remote, evidence: Evidence) -> Instance:
    booting = old.moved(Phase.BOOTING, evidence.now, f"listed as {remote.status}", resumed=False)
    return _running(booting, remote, evidence) if remote.status is Status.RUNNING else booting


def _running(old: Instance, _remote: Remote, evidence: Evidence) -> Instance:
    """A booting machine that runs is HOT at once only where the provider's word is enough."""
    pool = evidence.pools.get(old.pool)
    if pool is None or pool.machine.ready == "running":
        return _hot(old, evidence.now)
    return old


def _restarted(old: Instance, remote: Remote, evidence: Evidence) -> Instance:
    if old.id in evidence.beating:
        return old  # the provider's word lags behind its worker's
    restarts = 1 if _settled(old, evidence.now) else old.restarts + 1
    text = f"the provider says {remote.status}: it restarts"
    booting = old.moved(Phase.BOOTING, evidence.now, text, **_NOT_ORDERED, restarts=restarts)
    if restarts < MOST_RESTARTS:
        return booting
    text = f"restarted {restarts} times, each within {format_duration(SETTLED_S)} of being ready: releasing it"
    return booting.moved(Phase.RELEASING, evidence.now, text, diagnosis=Diagnosis.CRASH_LOOP)


def _settled(old: Instance, now: float) -> bool:
    """Whether a machine has been HOT for so long that what happens to it is not its start any more."""
    return old.phase is Phase.HOT and now - old.phase_since >= SETTLED_S


def _started(old: Instance, remote: Remote, evidence: Evidence) -> Instance:
    if old.phase is Phase.LOST:
        booting = _back(old, evidence.now, "listed again and running")
    elif old.phase is Phase.WARM:
        text = "the provider started it unasked; it bills"
        booting = old.moved(Phase.BOOTING, evidence.now, text, resumed=True, **_NOT_ORDERED)
    else:
        booting = old.moved(Phase.BOOTING, evidence.now, "resumed: the provider has started it", resumed=True)
    return _running(booting, remote, evidence) if remote.status is Status.RUNNING else booting


def _no_gpu(old: Instance, _remote: Remote, evidence: Evidence) -> Instance:
    if old.resumed or old.phase is Phase.RESUMING:
        text = "it came back without a GPU: stopping it"
        return old.moved(Phase.STOPPING, evidence.now, text, refusals=old.refusals + 1)
    return old.moved(Phase.RELEASING, evidence.now, "it came up without a GPU: releasing it")


def _stopped_early(old: Instance, remote: Remote, evidence: Evidence) -> Instance:
    if old.phase is Phase.BOOTING and old.resumed:
        return old.moved(Phase.WARM, evidence.now, "stopped again before it was ready", refusals=old.refusals + 1)
    text = f"{remote.status} before it was ever ready{_said(remote)}: releasing it"
    return old.moved(Phase.RELEASING, evidence.now, text)


def _stopped(old: Instance, remote: Remote, evidence: Evidence) -> Instance:
    text = {
        Phase.HOT: "interrupted by the market or its host",
        Phase.DRAINING: "interrupted while draining",
        Phase.STOPPING: "it has stopped",
        Phase.LOST: "listed again, stopped",
    }[old.phase]
    outbid = old.buy == "spot" and old.phase in (Phase.HOT, Phase.DRAINING)
    retry_at = evidence.now + _OUTBID_PAUSE_S if outbid else 0.0
    return old.moved(Phase.WARM, evidence.now, f"{text}{_said(remote)}", retry_at=retry_at)


def _said(remote: Remote) -> str:
    """The provider's own words, for people."""
    return f" ({remote.detail})" if remote.detail else ""


def _queued(old: Instance, _remote: Remote, evidence: Evidence) -> Instance:
    if old.phase is Phase.RESUMING and evidence.now - max(old.phase_since, old.called_at) < _SCHEDULING_S:
        return old
    text = "its start is queued and would bill at any time: cancelling it"
    return old.moved(Phase.STOPPING, evidence.now, text, refusals=old.refusals + (old.phase is Phase.RESUMING))


def _bills_on(old: Instance, remote: Remote, evidence: Evidence) -> Instance:
    """A stopped machine in a state that nobody knows is stopped again, if its GPU bills: WARM has no deadline."""
    if remote.burn_usd_per_hour <= _DISK_SLACK * old.disk_usd_per_hour:
        return old
    text = f"its provider says {remote.status}, and it bills {remote.burn_usd_per_hour:.3f} USD/h: stopping it again"
    return old.moved(Phase.STOPPING, evidence.now, text)


def _failed(old: Instance, remote: Remote, evidence: Evidence) -> Instance:
    text = f"failed: {remote.detail or 'no reason given'}; releasing it"
    starting = old.phase in _STARTING and not _settled(old, evidence.now)
    diagnosis = Diagnosis.CRASH_LOOP if starting else old.diagnosis
    return old.moved(Phase.RELEASING, evidence.now, text, diagnosis=diagnosis)


_STARTING = frozenset({Phase.RENTING, Phase.BOOTING, Phase.RESUMING, Phase.HOT})


def _offline(old: Instance, _remote: Remote, evidence: Evidence) -> Instance:
    if old.id in evidence.beating:
        return old
    return _lost(old, evidence.now, "its host is offline")


def _steps(phases: Iterable[Phase], statuses: Iterable[Status], step: Step) -> dict[tuple[Phase, Status], Step]:
    return {(phase, status): step for phase in phases for status in statuses}


_STEPS: Mapping[tuple[Phase, Status], Step] = {
    **_steps([Phase.RENTING], [Status.STARTING, Status.RUNNING, Status.OFFLINE, Status.UNKNOWN], _listed),
    **_steps([Phase.RENTING, Phase.BOOTING], [Status.STOPPED, Status.QUEUED], _stopped_early),
    **_steps([Phase.BOOTING], [Status.RUNNING], _running),
    **_steps([Phase.HOT], [Status.STARTING], _restarted),
    **_steps([Phase.HOT, Phase.DRAINING, Phase.LOST], [Status.STOPPED, Status.QUEUED], _stopped),
    **_steps([Phase.STOPPING], [Status.STOPPED], _stopped),
    **_steps([Phase.WARM, Phase.RESUMING, Phase.LOST], [Status.STARTING, Status.RUNNING], _started),
    **_steps([Phase.WARM, Phase.RESUMING], [Status.QUEUED], _queued),
    **_steps([Phase.WARM], [Status.UNKNOWN], _bills_on),
    **_steps(set(Phase) - {Phase.PLANNED, Phase.RELEASING, Phase.GONE}, [Status.FAILED], _failed),
    **_steps(
        [Phase.BOOTING, Phase.HOT, Phase.DRAINING, Phase.STOPPING, Phase.WARM, Phase.RESUMING],
        [Status.OFFLINE],
        _offline,
    ),
}
"""What a status means in a phase. A pair that is not here changes nothing: wait, with the phase's deadline."""


# --- what the listing does not show -----------------------------------------------------------------------------------


def _absent(old: Instance, asked_at: float, evidence: Evidence) -> Instance:
    """The record of a machine that a complete listing does not show."""
    if old.phase is Phase.GONE or (old.phase is Phase.RENTING and old.provider_id is not None):
        return old
    if old.absent_since is None:
        return replace(old, absent_since=asked_at)
    missing_s = asked_at - old.absent_since
    if old.phase is Phase.RELEASING:
        answered = old.called_at >= old.phase_since or old.provider_id is None
        return _gone(old, evidence.now, "proven gone") if answered and missing_s >= ABSENCE_S else old
    if old.phase is Phase.RENTING:
        text = "its token never showed: it was not made"
        return _gone(old, evidence.now, text) if missing_s >= UNCLEAR_S else old
    if old.phase is not Phase.LOST and missing_s >= ABSENCE_S and old.id not in evidence.beating:
        return _lost(old, evidence.now, "missing from the provider's complete listing")
    return old


def _lost(old: Instance, now: float, reason: str) -> Instance:
    boot_since = old.phase_since if old.phase is Phase.BOOTING else None
    return old.moved(Phase.LOST, now, reason, boot_since=boot_since)


def _back(old: Instance, now: float, reason: str) -> Instance:
    """A lost machine that runs. A boot that was under way goes on: one that comes and goes is no new boot each time."""
    since = now if old.boot_since is None else old.boot_since
    return old.moved(Phase.BOOTING, now, reason, resumed=True, **_NOT_ORDERED, phase_since=since)


def _gone(old: Instance, now: float, reason: str) -> Instance:
    return old.moved(Phase.GONE, now, reason)


# --- deadlines --------------------------------------------------------------------------------------------------------


def _overdue(old: Instance, remote: Remote | None, evidence: Evidence, *, listed: bool) -> Instance:
    """The record after its phase's escalation, if its deadline has passed and the evidence allows it."""
    limit = deadline_s(old.phase, _deadlines(old, evidence))
    if limit is None or evidence.now - old.phase_since <= limit:
        return old
    escalation = ESCALATIONS[old.phase]
    if not listed or (old.phase is Phase.RENTING and old.provider_id is None):
        escalation = Escalation.ALARM
    over = f"still {old.phase} after {format_duration(limit)}"
    if escalation is Escalation.RELEASE:
        diagnosis = _never_ready(remote) if old.phase is Phase.BOOTING and remote else old.diagnosis
        return old.moved(Phase.RELEASING, evidence.now, f"{over}: releasing it", diagnosis=diagnosis)
    if escalation is Escalation.CANCEL:
        text = f"{over}: cancelling the order"
        return old.moved(Phase.STOPPING, evidence.now, text, refusals=old.refusals + 1)
    return old if old.alarmed else replace(old, alarmed=True, reason=over)


def _deadlines(record: Instance, evidence: Evidence) -> Deadlines:
    pool = evidence.pools.get(record.pool)
    return pool.deadlines if pool else Deadlines()


def _never_ready(remote: Remote) -> Diagnosis:
    """What a boot suffers from that does not end: its container runs and is of no use, or never began to run."""
    return Diagnosis.CRASH_LOOP if remote.status is Status.RUNNING else Diagnosis.SLOW_PULL
