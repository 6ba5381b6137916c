"""What the leading daemon holds in memory: records, learned times, policy states, books. The store keeps a copy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from autoscaler.core.admission import NO_NOTICE, Admission, Notice, Refused, admit, refused_by
from autoscaler.core.bills import MachineBooks
from autoscaler.core.contract import is_dearer
from autoscaler.core.decision import Action, Command, Outcome, Result
from autoscaler.core.diagnosis import Diagnosis
from autoscaler.core.findings import diagnosis_entry, given_up_entry
from autoscaler.core.health import Watch
from autoscaler.core.instance import Instance
from autoscaler.core.journal import (
    Entry,
    admission_entry,
    alarm_entry,
    clock_entry,
    dearer_entry,
    loss_entry,
    outcome_entry,
    phase_entry,
    reserve_entry,
    unreadable_entry,
)
from autoscaler.core.ledger import KEPT_DAYS, day_name
from autoscaler.core.lessons import Lesson, lesson_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.load import Finished, Load
from autoscaler.core.meter import Meter
from autoscaler.core.purposes import AtWork
from autoscaler.core.reserve import set_all_apart
from autoscaler.core.samples import Sample, Stay
from autoscaler.core.signal import Signal
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Pool
from autoscaler.core.work import in_flight, told_work, work_of
from autoscaler.runtime.accounts import Accounts
from autoscaler.runtime.documents import (
    fields_of,
    in_short,
    ledger_fields,
    read_books,
    read_load,
    read_machine_books,
    read_places,
    read_refused,
    read_signal,
)
from autoscaler.runtime.experience import Experience
from autoscaler.runtime.ports import Changes, Heartbeat, Saved
from autoscaler.runtime.report import Listener
from autoscaler.runtime.standing import StandingOrders
from autoscaler.runtime.told import Told, read_told

_MOST_UNSAVED_ENTRIES = 1000  # while the store is away, the oldest journal entries are dropped first
_CAN_WAIT = frozenset({"policy", "signal"})
"""Documents that change with each tick: written once a minute, or along with what cannot wait."""
_TURNS = 5  # every record is written again once in so many writes


@dataclass
class Fleet:
    """Mutable state of one fleet and the changes that are not stored yet."""

    listener: Listener
    meter: Meter
    instances: dict[str, Instance] = field(default_factory=dict)
    experience: Experience = field(default_factory=Experience)
    policies: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Policy states by pool and policy."""
    loads: dict[str, Load] = field(default_factory=dict)
    """By pool."""
    signals: dict[str, Signal] = field(default_factory=dict)
    """By pool."""
    wanted: dict[str, int] = field(default_factory=dict)
    """By pool: machines wanted running, as of the last decision."""
    idle_since: dict[str, float] = field(default_factory=dict)
    """By instance id of the HOT machines known to hold no job."""
    watch: Watch = field(default_factory=Watch)
    refused: dict[str, Refused] = field(default_factory=dict)
    """By pool."""
    notice: Notice = NO_NOTICE
    """What is to be published of the tiers' admission."""
    accounts: Accounts = field(default_factory=Accounts)
    orders: StandingOrders = field(default_factory=StandingOrders)
    machine_books: MachineBooks = field(default_factory=MachineBooks)
    told: tuple[Told, ...] = ()
    """What people were told of its concerns."""
    _busy: Mapping[str, int] = field(default_factory=dict)  # slots at work, as of the last tick
    _in_flight: Mapping[str, int] = field(default_factory=dict)  # jobs by pool, as of the last tick
    _published: Notice = NO_NOTICE
    _turn: int = 0
    _unsaved: dict[str, Instance] = field(default_factory=dict)
    _forgotten: list[str] = field(default_factory=list)
    _disowned: list[str] = field(default_factory=list)
    _entries: list[Entry] = field(default_factory=list)
    _samples: list[Sample] = field(default_factory=list)
    _stays: list[Stay] = field(default_factory=list)  # that ended since the last sample
    _finished: Finished = field(default_factory=Finished)
    _finished_classes: Finished = field(default_factory=Finished)
    _learned: set[tuple[str, ...]] = field(default_factory=set)
    """Documents that are not stored yet, by kind, pool and, for a policy's state, the policy."""

    @classmethod
    def restored(cls, saved: Saved, listener: Listener, meter: Meter, now: float) -> Fleet:
        """The fleet as the store remembers it.

        Raises:
            StoreUnavailable: a day's books cannot be read.
        """
        fleet = cls(listener, meter, instances={record.id: record for record in saved.instances})
        fleet.accounts = Accounts(read_books(day, saved.ledger[day]) for day in sorted(saved.ledger)[-KEPT_DAYS:])
        for name, text in saved.documents.items():
            try:
                fleet._recall(name, json.loads(text))
            except Exception as error:  # noqa: BLE001 - whatever it is: what was learned is worth no standstill
                fleet.note(unreadable_entry(name, in_short(error), now))
        return fleet

    def _recall(self, name: str, value: Any) -> None:
        """Take a document that the store kept."""
        match name.split(":"):
            case "history", pool:
                self.experience.read_history(pool, value)
            case "admission", pool:
                self.refused[pool] = read_refused(value)
            case ["bills"]:
                self.machine_books = read_machine_books(value)
            case ["told"]:
                self.told = read_told(value)
            case ["images"]:
                self.experience.read_images(value)
            case "places", provider:
                self.experience.places.take(provider, read_places(value))
            case "load", pool:
                self.loads[pool] = read_load(value)
            case "signal", pool:
                self.signals[pool] = read_signal(value)
            case "policy", pool, policy:
                self.policies.setdefault(pool, {})[policy] = dict(value)
            case _:
                pass  # a document of another version

    # --- records ------------------------------------------------------------------------------------------------------

    def put(self, record: Instance, now: float, *, ordered: bool = False) -> None:
        """Take a new or changed record; its phase change goes into the journal and into what is learned.

        One that was ordered says nothing of the machine.
        """
        old = self.instances.get(record.id)
        record = replace(record, version=record.version + 1)
        self.instances[record.id] = self._unsaved[record.id] = record
        if old is None or old.phase is not record.phase:
            self.note(phase_entry(old, record, now))
            if old:
                self._stays.append(Stay.of(old, record.phase_since))
                self._learn(old, record, now, ordered=ordered)
                self.accounts.changed(old, record, now, ordered=ordered)
            if old and not ordered and (loss := loss_entry(old, record, self._busy.get(old.id), now)):
                self.note(loss)
        elif record.alarmed and not old.alarmed:
            self.note(alarm_entry(record, now))
        elif record.tier != old.tier:
            self.note(reserve_entry(record, now))
        if old and not ordered and is_dearer(record.usd_per_hour, old.usd_per_hour):
            self.note(dearer_entry(old, record, now))
        if record.diagnosis and (old is None or old.diagnosis is not record.diagnosis):
            self._diagnosed(record, record.diagnosis, now)

    def forget(self, ids: Iterable[str]) -> None:
        """Drop tombstones."""
        for instance_id in ids:
            self.machine_books.forget(self.instances.pop(instance_id))
            self._learned.add(("bills",))
            self._unsaved.pop(instance_id, None)
            self._forgotten.append(instance_id)

    def disown(self, ids: Iterable[str]) -> None:
        """Forget records that another unit keeps by now, and nothing else of them."""
        for instance_id in ids:
            del self.instances[instance_id]
            self._unsaved.pop(instance_id, None)
            self._disowned.append(instance_id)

    def note(self, entry: Entry) -> None:
        """Add a journal entry."""
        self._entries.append(entry)
        self.listener.noted(entry)

    # --- what is learned ----------------------------------------------------------------------------------------------

    def _learn(self, old: Instance, record: Instance, now: float, *, ordered: bool) -> None:
        lesson = None if ordered else lesson_of(old, record)
        if lesson is Lesson.CAME_UP and old.ordered_at:
            self.listener.came_up(record.placement, now - old.ordered_at, resumed=old.resumed)
        self.experience.learn(old, record, lesson, now)

    def answered(self, command: Command, record: Instance, outcome: Outcome, pools: Mapping[str, Pool]) -> None:
        """Take a provider's answer: what it says of the machine, of its kind, and of the money it will cost."""
        self.note(outcome_entry(command, record, outcome))
        if outcome.result is Result.NO_CAPACITY:
            self.note(diagnosis_entry(record, Diagnosis.NO_CAPACITY, outcome.ended_at))
        if outcome.action is Action.RENT:
            self.experience.learn_rent(record, outcome, pools.values())
        if command.offer is not None and outcome.result is Result.OK and record.pool in pools:
            self.accounts.downloads(record, command.offer.usd_per_gb * pools[record.pool].machine.download_gb)

    def _diagnosed(self, record: Instance, diagnosis: Diagnosis, now: float) -> None:
        """It is known by now why a machine does not come up."""
        self.note(diagnosis_entry(record, diagnosis, now))
        if diagnosis is Diagnosis.CRASH_LOOP and record.image:
            given_up = self.experience.learn_crash(record, now)
            if given_up is not None:
                self.note(given_up_entry(record, given_up, now))

    def remember_policies(self, pool: str, states: dict[str, Mapping[str, Any]]) -> None:
        """Take the policies' new states."""
        known = self.policies.get(pool, {})
        self._learned.update(("policy", pool, name) for name, state in states.items() if known.get(name) != state)
        self.policies[pool] = states

    def remember_signal(self, pool: str, signal: Signal) -> None:
        """Take what is known by now of a queue's readings."""
        self.signals[pool] = signal
        self._learned.add(("signal", pool))

    def remember_told(self, told: tuple[Told, ...]) -> None:
        """Take what people were told of by now."""
        if told != self.told:
            self.told = told
            self._learned.add(("told",))

    def set_apart(self, pools: Iterable[Pool], now: float) -> None:
        """Give each tier of the pools the machines that it has reserved."""
        for record in set_all_apart(pools, self.instances.values()):
            self.put(record, now)

    def admit(self, snapshot: PoolSnapshot, now: float) -> tuple[Admission, ...]:
        """Decide for a pool's tiers who is let in."""
        pool = snapshot.pool.name
        refused = self.refused.get(pool, {})
        tiers = admit(snapshot, refused, now)
        for each in tiers:
            if each.accept == (each.tier in refused):
                self.note(admission_entry(each, now))
        self.refused[pool] = refused_by(tiers)
        if self.refused[pool] != refused:
            self._learned.add(("admission", pool))
        return tiers

    # --- money --------------------------------------------------------------------------------------------------------

    def book(self, now: float) -> None:
        """Bring the books up to now. Books that lie in the future tell that the clock was set back."""
        if self.accounts.set_back(now):
            self._not_after(now)
        self.accounts.book(self.instances.values(), now, AtWork(busy=self._busy, in_flight=self._in_flight))
        if self.machine_books.turn(self.instances.values(), now):
            self._learned.add(("bills",))

    def note_bill(self, provider: str, day: int, entry: Entry) -> None:
        """Add the entry of a provider's bill for a day, once."""
        if self.machine_books.compare(provider, day):
            self._learned.add(("bills",))
            self.note(entry)

    def clock_was_set(self, seconds: float, now: float) -> None:
        """Count on as if the clock, set by so many seconds or, where negative, set back, had always been there."""
        self.note(clock_entry(seconds, now))
        self.accounts.go_on(seconds, now)
        if seconds < 0.0:
            self._not_after(now)
            return
        for record in self.instances.values():
            self.instances[record.id] = self._unsaved[record.id] = record.later(seconds)
        self.idle_since = {name: since + seconds for name, since in self.idle_since.items()}

    def _not_after(self, now: float) -> None:
        """Count from now on what was counted from a moment that is now in the future."""
        for record in self.instances.values():
            self.instances[record.id] = self._unsaved[record.id] = record.not_after(now)
        self.experience.not_after(now)

    # --- the history --------------------------------------------------------------------------------------------------

    def measure(self, snapshots: Sequence[PoolSnapshot], heartbeats: Mapping[str, Heartbeat], now: float) -> None:
        """Take a tick into the history."""
        beats = {name: beat for name in self.instances if (beat := heartbeats.get(name)) is not None}
        taken = {name: beat.taken for name, beat in beats.items()}
        pools = {record.id: record.pool for record in self.instances.values()}
        self._finished.hear(pools, {name: beat.done for name, beat in beats.items()})
        self._finished_classes.hear(pools, {name: beat.classes for name, beat in beats.items() if beat.classes})
        self._in_flight = in_flight(snapshots)
        sample = self.meter.tick(snapshots, taken, now)
        if sample is None:
            return
        self._samples.append(self._filled(sample))
        for pool, measured in sample.pools.items():
            load, done = self.loads.get(pool, Load()), self._finished.take(pool)
            self.loads[pool] = load.learned(measured, done, sample.until)
            self._learned.add(("load", pool))
            classes = told_work(self._finished_classes.take(pool))
            self.accounts.worked(pool, work_of(measured, done, load), classes)

    def _filled(self, sample: Sample) -> Sample:
        """A sample with what the meter does not see: what was wanted, and what machines did until they changed."""
        stays, self._stays = tuple(self._stays), []
        pools = {pool: replace(measured, wanted=self.wanted.get(pool)) for pool, measured in sample.pools.items()}
        return replace(sample, pools=pools, stays=stays)

    def watch_idle(self, busy: Mapping[str, int], now: float) -> None:
        """Follow which machines hold jobs, and since when each HOT one is known to hold none."""
        self._busy = busy
        self.idle_since = {
            record.id: min(now, self.idle_since.get(record.id, now))
            for record in self.instances.values()
            if record.phase is Phase.HOT and busy.get(record.id) == 0
        }

    # --- the store ----------------------------------------------------------------------------------------------------

    @property
    def urgent(self) -> bool:
        """Whether records have changed that must not be lost, or what is published misleads by now."""
        return bool(self._unsaved or self._forgotten or self.orders) or self._published.misleads(self.notice)

    @property
    def worth_saving(self) -> bool:
        """Whether more is unsaved than less than a minute of books and of what policies remember."""
        learned = bool(self.experience.unsaved) or any(kind not in _CAN_WAIT for kind, *_ in self._learned)
        noted = learned or self._entries or self._samples
        return self.urgent or bool(noted) or self.accounts.overdue or self._published.is_old(self.notice)

    def take_changes(self) -> Changes:
        """Everything not stored yet, which is then taken for stored; `restore_changes` gives it back."""
        learned: dict[str, str] = {}
        for name in sorted(self._learned | self.experience.take_unsaved()):
            learned[":".join(name)] = json.dumps(self._document(*name), default=fields_of)
        dated, ended = self.orders.take_unsaved()
        changes = Changes(
            instances=tuple((self._once_more() | self._unsaved).values()),
            forgotten=tuple(self._forgotten),
            disowned=tuple(self._disowned),
            journal=tuple(self._entries),
            samples=tuple(self._samples),
            dated_orders=dated,
            ended_orders=ended,
            documents=learned,
            ledger={day_name(day.day): json.dumps(ledger_fields(day)) for day in self.accounts.take_unsaved()},
            notice=self.notice,
        )
        self._unsaved, self._forgotten, self._entries, self._samples = {}, [], [], []
        self._disowned, self._learned, self._published = [], set(), self.notice
        return changes

    def _document(self, kind: str, pool: str = "", policy: str = "") -> Any:
        if kind == "told":
            return self.told
        if kind == "bills":
            return self.machine_books
        if kind == "images":
            return self.experience.images
        if kind == "places":
            return self.experience.places.document(pool)
        if kind == "policy":
            return self.policies[pool][policy]
        by_pool: dict[str, Mapping[str, Any]] = {
            "admission": self.refused,
            "history": self.experience.history,
            "load": self.loads,
            "signal": self.signals,
        }
        return by_pool[kind][pool]

    def _once_more(self) -> dict[str, Instance]:
        """A part of the records, each in its turn: what a failover to an older store lost comes back in minutes."""
        self._turn = (self._turn + 1) % _TURNS
        return dict(islice(self.instances.items(), self._turn, None, _TURNS))

    def restore_changes(self, changes: Changes) -> None:
        """Take changes for not stored after all; records that changed since keep their newer state."""
        for record in changes.instances:
            if record.id in self.instances:
                self._unsaved.setdefault(record.id, self.instances[record.id])
        self._forgotten = [*changes.forgotten, *self._forgotten]
        self._entries = [*changes.journal, *self._entries][-_MOST_UNSAVED_ENTRIES:]
        self._samples = [*changes.samples, *self._samples]
        self.orders.not_stored(changes.dated_orders, changes.ended_orders)
        self._published = NO_NOTICE
        self._learned.update(tuple(name.split(":")) for name in changes.documents)
        self.accounts.not_stored(json.loads(text)["day"] for text in changes.ledger.values())
