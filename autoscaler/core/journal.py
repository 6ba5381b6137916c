"""The journal: what happened, in one stable form that the CLI, the API and the dashboard all show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from autoscaler.core.admission import Admission
from autoscaler.core.decision import Command, Decision, Outcome, Reason
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Order, OrderKind
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.units import format_duration


class Kind(StrEnum):
    """What a journal entry tells of."""

    DECISION = "decision"
    """How many machines a pool wants from now on, why, and why not more or fewer."""
    COMMAND = "command"
    """What is to be done to a machine, before it is done."""
    OUTCOME = "outcome"
    """What a provider answered."""
    PHASE = "phase"
    """A machine is in another phase."""
    ALARM = "alarm"
    """It needs a person."""
    NOTICE = "notice"
    """A provider wants its customer to decide something."""
    ACCOUNT = "account"
    """Of our account with a provider: its bill for a day, or that it serves us again."""
    HEALTH = "health"
    """A running machine is degraded or well again, or its GPU is used too little."""
    DIAGNOSIS = "diagnosis"
    """Why a machine does not come up."""
    OPERATOR = "operator"
    """A person's hand: an order given, withdrawn, over or fulfilled."""
    LOSS = "loss"
    """Capacity was lost: a machine that served went unasked, with the jobs that it held."""
    ADMISSION = "admission"
    """A tier is refused, or taken again."""
    SIGNAL = "signal"
    """A pool's queue can be believed again."""
    RESERVE = "reserve"
    """A machine is set apart for a tier, or takes all jobs again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing that happened."""

    at: float
    """Epoch seconds."""
    kind: Kind
    text: str
    """One line that an operator understands at night: what, why, at what cost."""
    pool: str = ""
    instance: str = ""
    action: str = ""
    """Of commands and outcomes; of operators' entries: an `OrderKind`, or `reload`."""
    result: str = ""
    """Of outcomes: a `Result`; of phase changes and losses: the new phase; of health: a `Condition`, or a `Use` of the
    GPU; of diagnoses: a `Diagnosis`."""
    hot: int | None = None
    """Of decisions: machines wanted running."""
    warm: int | None = None
    """Of decisions: stopped machines to keep."""
    why: tuple[Reason, ...] = ()
    why_not: tuple[Reason, ...] = ()


def order_entry(order: Order, became: str, now: float) -> Entry:
    """The entry of an operator's order, and what became of it: given, withdrawn, over, fulfilled."""
    pool = order.pool or (order.subject if order.kind in (OrderKind.PAUSE, OrderKind.FLOOR, OrderKind.CEILING) else "")
    instance = order.subject if order.kind in (OrderKind.DRAIN, OrderKind.RELEASE) else ""
    return Entry(
        at=now,
        kind=Kind.OPERATOR,
        action=order.kind,
        pool=pool,
        instance=instance,
        text=f"order {became}: {order.text}",
    )


def withdrawal_entry(order: Order, by: str, why: str, now: float) -> Entry:
    """The entry of an order that is taken back."""
    return order_entry(order, f"withdrawn by {by}{f' ({why})' if why else ''}", now)


def returned_entry(order: Order, now: float) -> Entry:
    """The alarm that an order stands again that had been done with, as a store does that was restored."""
    text = f"{order.text} stands again, though it was withdrawn or over: the store came back as it was a while ago"
    to_end = f"if it is not wanted: autoscaler withdraw {order.name} FILE"
    return replace(order_entry(order, "", now), kind=Kind.ALARM, text=f"{text}; {to_end}")


def decision_entry(snapshot: PoolSnapshot, decision: Decision, now: float) -> Entry:
    """The entry of a new decision."""
    reasons = "; ".join(reason.text for reason in decision.why)
    return Entry(
        at=now,
        kind=Kind.DECISION,
        pool=snapshot.pool.name,
        hot=decision.hot,
        warm=decision.warm,
        why=decision.why,
        why_not=decision.why_not,
        text=f"{snapshot.pool.name}: {decision.hot} HOT wanted, {snapshot.up} up: {reasons}",
    )


def command_entry(command: Command, now: float) -> Entry:
    """The entry of a command, before it is carried out."""
    about = command.instance or f"a machine at {command.placement}"
    return Entry(
        at=now,
        kind=Kind.COMMAND,
        pool=command.pool,
        instance=command.instance or "",
        action=command.action,
        text=f"{command.action} {about}: {command.reason}",
    )


def outcome_entry(command: Command, record: Instance, outcome: Outcome) -> Entry:
    """The entry of a provider's answer."""
    detail = f" ({outcome.detail})" if outcome.detail else ""
    return Entry(
        at=outcome.ended_at,
        kind=Kind.OUTCOME,
        pool=command.pool,
        instance=record.id,
        action=command.action,
        result=outcome.result,
        text=f"{command.action} {record.id}: {outcome.result}{detail}",
    )


def phase_entry(old: Instance | None, record: Instance, now: float) -> Entry:
    """The entry of a record's new phase."""
    came_from = f"{old.phase} → " if old else ""
    text = f"{record.id} {came_from}{record.phase}: {record.reason}"
    if record.phase is Phase.GONE and record.usd_spent > 0:
        text += f"; it has cost {record.usd_spent:.2f} USD"
    return Entry(at=now, kind=Kind.PHASE, pool=record.pool, instance=record.id, result=record.phase, text=text)


def alarm_entry(record: Instance, now: float) -> Entry:
    """The entry of a record that has outlived its phase's deadline."""
    text = f"{record.id} {record.reason}; it has cost {record.cost_usd(now):.2f} USD so far"
    return Entry(at=now, kind=Kind.ALARM, pool=record.pool, instance=record.id, text=text)


def loss_entry(old: Instance, record: Instance, at_work: int | None, now: float) -> Entry | None:
    """The entry of a machine that served and went unasked; `at_work` of its slots held a job, where that is known.

    None of one that did not serve, or had drained. The time and the money are those since it was HOT, or was told to
    drain: what its jobs took of them is to be done again.
    """
    if old.phase is not Phase.HOT and (old.phase is not Phase.DRAINING or at_work == 0):
        return None
    held = "nobody said whether it held jobs" if at_work is None else f"{at_work} of its {old.slots} slots held a job"
    served_s = now - old.phase_since
    text = (
        f"{record.id} went while it was {old.phase} ({record.reason}): {held}; {old.phase} for"
        f" {format_duration(served_s)} at {old.usd_per_hour:.3f} USD/h, {old.usd_per_hour * served_s / 3600.0:.2f} USD"
    )
    return Entry(at=now, kind=Kind.LOSS, pool=record.pool, instance=record.id, result=record.phase, text=text)


def dearer_entry(old: Instance, record: Instance, now: float) -> Entry:
    """The alarm that a provider asks more for a machine than was agreed, though nobody here raised a bid."""
    text = (
        f"{record.id} costs {record.usd_per_hour:.3f} USD/h now, {old.usd_per_hour:.3f} was agreed: {record.provider} "
        "raised the price, or somebody accepted a higher one; limits and budgets count the new price"
    )
    return Entry(at=now, kind=Kind.ALARM, pool=record.pool, instance=record.id, text=text)


def signal_entry(snapshot: PoolSnapshot, text: str, now: float) -> Entry:
    """The alarm that a pool's queue cannot be believed, with what is held meanwhile at what cost."""
    pool, usd_per_hour = snapshot.pool.name, sum(machine.burn_usd_per_hour for machine in snapshot.instances)
    held = f"no machine is stopped for it; {snapshot.up} up, {usd_per_hour:.2f} USD/h"
    return Entry(at=now, kind=Kind.ALARM, pool=pool, text=f"{pool}: {text}; {held}")


def relief_entry(pool: str, text: str, now: float) -> Entry:
    """The entry of a queue that can be believed again."""
    return Entry(at=now, kind=Kind.SIGNAL, pool=pool, text=f"{pool}: {text}")


def clock_entry(seconds: float, now: float) -> Entry:
    """The alarm that the computer's clock was set by so many seconds, negative for back."""
    way = f"{format_duration(abs(seconds))} {'forward' if seconds > 0 else 'back'}"
    text = f"this computer's clock was set {way}: nothing is booked for that, and nothing is stopped for a while"
    return Entry(at=now, kind=Kind.ALARM, text=text)


def unreadable_entry(document: str, why: str, now: float) -> Entry:
    """The alarm that something learned lies in the store as what nobody can read; nothing else is lost."""
    text = f"what was learned in {document} cannot be read ({why}) and is learned anew"
    return Entry(at=now, kind=Kind.ALARM, text=text)


def admission_entry(admission: Admission, now: float) -> Entry:
    """The entry of a tier that is refused from now on, or taken again."""
    turned = "taken again" if admission.accept else "refused"
    text = f"new jobs of {admission.tier} are {turned}: {admission.why}"
    return Entry(at=now, kind=Kind.ADMISSION, pool=admission.pool, text=f"{admission.pool}: {text}")


def reserve_entry(record: Instance, now: float) -> Entry:
    """The entry of a machine that is set apart from now on, or no longer."""
    takes = f"jobs of {record.tier} and more urgent ones" if record.tier else "jobs of all tiers again"
    return Entry(
        at=now, kind=Kind.RESERVE, pool=record.pool, instance=record.id, text=f"{record.id} takes {takes} from now on"
    )
