"""What the journal says of machines that are not well, or do not come up."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.core.diagnosis import Diagnosis, ImageHistory
from autoscaler.core.health import Condition, condition
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Health
from autoscaler.core.units import format_duration
from autoscaler.core.utilisation import Use

_USES = {
    Use.NORMAL: "its GPU is used well enough again",
    Use.LOW: "its GPU worked less than {low}",
    Use.IDLE: "its GPU worked less than {idle}: of the machines that can go it is among the first",
}


def health_entries(
    old: Instance, record: Instance, rules: Health, now: float, *, at_once: bool = False
) -> Iterator[Entry]:
    """What there is to tell of a running machine that was judged anew; `at_once` where nothing had to last for it."""
    found: dict[Condition | Use, str] = {}
    if record.ailment != old.ailment:
        lasted = "" if at_once else f", for {format_duration(rules.degraded_after)} now"
        ails = f"{record.ailment}{lasted}: it is to be replaced, then drained"
        found[condition(record)] = ails if record.ailment else "it is well again"
    if record.gpu_use is not old.gpu_use:
        found[record.gpu_use] = _USES[record.gpu_use].format(
            low=f"{rules.low_gpu:.0%} of its time for {format_duration(rules.low_gpu_for)}",
            idle=f"{rules.idle_gpu:.0%} of its time for {format_duration(rules.idle_gpu_for)}",
        )
    for result, text in found.items():
        said = f"{record.id}: {text}"
        yield Entry(at=now, kind=Kind.HEALTH, pool=record.pool, instance=record.id, result=result, text=said)


def diagnosis_entry(record: Instance, diagnosis: Diagnosis, now: float) -> Entry:
    """Why a machine does not come up, and what is done."""
    match diagnosis:
        case Diagnosis.NO_CAPACITY:
            text = f"no capacity at {record.placement}: the next placement, or this one later"
        case Diagnosis.CRASH_LOOP:
            text = f"a crash loop on {_host(record)}: {record.reason}"
        case Diagnosis.SLOW_PULL if record.phase is Phase.BOOTING:
            text = f"it boots far longer than usual on {_host(record)}: another machine is tried beside it"
        case Diagnosis.SLOW_PULL:
            text = f"it did not come up on {_host(record)}: {record.reason}"
    text = f"{record.id}: {text}"
    return Entry(at=now, kind=Kind.DIAGNOSIS, pool=record.pool, instance=record.id, result=diagnosis, text=text)


def given_up_entry(record: Instance, history: ImageHistory, now: float) -> Entry:
    """The alarm that an image is rented no more."""
    text = (
        f"{record.image} crashed in a loop on {len(history.crashed)} hosts ({', '.join(sorted(history.crashed))}):"
        " no pool rents it any more. Look at the worker's log, mend the image, name the new tag under `machine.image`"
    )
    return Entry(at=now, kind=Kind.ALARM, pool=record.pool, instance=record.id, text=text)


def _host(record: Instance) -> str:
    return f"host {record.host}" if record.host else record.placement
