"""What one commit means in Redis, as plain commands. Each names one key, in its second place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from pydantic_core import to_json

from autoscaler.core.admission import Notice
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry
from autoscaler.core.lifecycle import Phase
from autoscaler.core.samples import Sample
from autoscaler.link import Command
from autoscaler.runtime.ports import Changes
from autoscaler.store.codec import encode_entry, encode_instance, encode_notice, encode_order, encode_sample
from autoscaler.store.keys import Keys
from autoscaler.store.rules import DRAIN_MARK, HISTORY_LENGTH, JOURNAL_LENGTH

_FIELDS_PER_COMMAND = 1000
"""Lua can hand over some 8,000 arguments at once."""
_ENDPOINT = frozenset({Phase.HOT, Phase.DRAINING})


def commands_for(changes: Changes, keys: Keys, *, dropped_days: Iterable[str]) -> Iterator[Command]:
    """All that a commit writes; ledger days past their time go with it."""
    forgotten = set(changes.forgotten)
    records = [record for record in changes.instances if record.id not in forgotten]
    yield from _hset(keys.instances, {record.id: encode_instance(record) for record in records})
    yield from _hdel(keys.instances, forgotten)
    yield from _hdel(keys.instances, changes.disowned)
    yield from _published(records, forgotten, keys)
    yield from _hset(keys.documents, changes.documents)
    yield from _hset(keys.ledger, changes.ledger)
    yield from _hdel(keys.ledger, dropped_days)
    for order in changes.dated_orders:
        undated = encode_order(replace(order, until=None))
        yield ("HIFEQ", keys.orders, order.name, undated, "HSET", keys.orders, order.name, encode_order(order))
    for order in changes.ended_orders:
        yield ("HIFEQ", keys.orders, order.name, encode_order(order), "HDEL", keys.orders, order.name)
    if changes.notice is not None:
        yield from _notice_commands(changes.notice, keys)
    for entry in changes.journal:
        yield journal_command(entry, keys)
    yield from _history_commands(changes.samples, keys)


def journal_command(entry: Entry, keys: Keys) -> Command:
    """One more line in the journal, which forgets its oldest."""
    return ("XADD", keys.journal, "MAXLEN", "~", JOURNAL_LENGTH, "*", "entry", encode_entry(entry))


def _history_commands(samples: Iterable[Sample], keys: Keys) -> Iterator[Command]:
    """What was written before and is written again, for the answer was lost, counts once: jobs are counted by it."""
    rest = map(encode_sample, samples)
    while batch := list(islice(rest, _FIELDS_PER_COMMAND)):
        yield ("XADDNEW", keys.history, HISTORY_LENGTH, "sample", *batch)


def _published(records: list[Instance], forgotten: set[str], keys: Keys) -> Iterator[Command]:
    """What others read of the fleet; it follows from each record's phase alone."""
    endpoints = {record.id: _endpoint(record) for record in records if record.phase in _ENDPOINT}
    marks = {record.id: record.reason or record.phase.value for record in records if record.phase in DRAIN_MARK}
    gone = {record.id for record in records if record.phase is Phase.GONE} | forgotten
    touched = [*(record.id for record in records), *forgotten]
    yield from _hset(keys.endpoints, endpoints)
    yield from _hdel(keys.endpoints, (name for name in touched if name not in endpoints))
    yield from _hdel(keys.workers, gone)
    for name in touched:
        if name in marks:
            yield ("SET", keys.drain(name), marks[name])
        else:
            yield ("DEL", keys.drain(name))


def _notice_commands(notice: Notice, keys: Keys) -> Iterator[Command]:
    """All of it anew, so that no tier stays that is no longer configured. It is gone soon after the daemon is."""
    if keys.lease != keys.whole_lease:  # other daemons write theirs beside it
        fields = (part for field in encode_notice(notice).items() for part in field)
        yield ("HSETFOR", keys.admission, keys.admission_ends, int(notice.valid_for_s * 1000), *fields)
        return
    yield ("DEL", keys.admission)
    yield from _hset(keys.admission, encode_notice(notice))
    yield ("PEXPIRE", keys.admission, int(notice.valid_for_s * 1000))


def _endpoint(record: Instance) -> bytes:
    return to_json(
        {
            "address": record.address,
            "phase": record.phase,
            "slots": record.slots,
            "tier": record.tier,
            "pool": record.pool,
            "gpu": record.gpu,
            "region": record.region,
            "provider": record.provider,
        }
    )


def _hset(key: str, values: Mapping[str, str | bytes]) -> Iterator[Command]:
    fields = iter(values.items())
    while batch := list(islice(fields, _FIELDS_PER_COMMAND)):
        yield ("HSET", key, *(part for field in batch for part in field))


def _hdel(key: str, names: Iterable[str]) -> Iterator[Command]:
    rest = iter(names)
    while batch := list(islice(rest, _FIELDS_PER_COMMAND)):
        yield ("HDEL", key, *batch)
