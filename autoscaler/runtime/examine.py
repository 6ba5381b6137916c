"""Judge each tick how well the machines are, and remember which images crash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from autoscaler.core.contract import ending, ends_within, notice_s
from autoscaler.core.diagnosis import SETTLED_S, Diagnosis
from autoscaler.core.findings import health_entries
from autoscaler.core.health import is_late
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Pool
from autoscaler.runtime.fleet import Fleet
from autoscaler.runtime.observe import Observer


def examine(fleet: Fleet, observer: Observer, pools: Mapping[str, Pool], now: float) -> None:
    """Bring what records say of their machines' health up to now."""
    hot = [record for record in fleet.instances.values() if record.phase is Phase.HOT]
    rules = {name: pool.health for name, pool in pools.items()}
    soon = _ending(hot, fleet, pools, now)
    remotes = {(each.provider, each.provider_id): remote for each in hot if (remote := observer.listed(each))}
    for record in fleet.watch.look(hot, observer.signals(hot), remotes, rules, now, ending=soon):
        before = fleet.instances[record.id]
        for entry in health_entries(before, record, rules[record.pool], now, at_once=record.id in soon):
            fleet.note(entry)
        fleet.put(record, now)
    for record in [record for record in fleet.instances.values() if _newly_late(record, fleet, now)]:
        fleet.put(replace(record, diagnosis=Diagnosis.SLOW_PULL), now)
    unused = fleet.experience.images.keys() - {pool.machine.image for pool in pools.values()}
    for image in _proven(fleet, hot, now) | unused:
        fleet.experience.forget_crashes(image)


def _ending(hot: list[Instance], fleet: Fleet, pools: Mapping[str, Pool], now: float) -> dict[str, str]:
    """When contracts end that end soon, by instance."""
    notices: dict[tuple[str, str], float] = {}
    soon = {}
    for record in hot:
        if record.ends_at is None or record.pool not in pools:
            continue
        place = record.pool, record.placement
        if place not in notices:
            notices[place] = notice_s(fleet.experience.history_of(*place), pools[record.pool].deadlines)
        if ends_within(record.ends_at, notices[place], now):
            soon[record.id] = ending(record.ends_at)
    return soon


def _newly_late(record: Instance, fleet: Fleet, now: float) -> bool:
    return record.diagnosis is None and is_late(record, fleet.experience.history_of(record.pool, record.placement), now)


def _proven(fleet: Fleet, hot: list[Instance], now: float) -> set[str]:
    """Images with which a machine has started well since they last crashed. A resume proves nothing: it uses a copy."""
    images = fleet.experience.images
    return {
        record.image
        for record in hot
        if record.image in images
        and not record.resumed
        and record.phase_since > images[record.image].crashed_at
        and now - record.phase_since >= SETTLED_S
    }
