"""A pool's queue and its workers in simulated time.

Nothing here waits: the floor is told how far time went and plays every arrival, start and end up to there, in order.
So jobs cost microseconds, and the daemon sees at each tick exactly what it would have seen in life.

A job goes to the slot that was at work last: machines that are needed least stay idle, which is best for whoever stops
idle machines, ours or a peer's. A machine set apart for a tier takes no jobs but that tier's and more urgent ones, and
those before other machines do. An interrupted job goes back to its place in its queue.
"""

from __future__ import annotations

import heapq
import math
from bisect import insort
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Literal

from autoscaler.core.demand import AgeSource, Demand, InFlightKind, TierDemand
from autoscaler.core.spec import Pool
from autoscaler.runtime.ports import Heartbeat
from autoscaler.sim.books import JobLog
from autoscaler.sim.workload import Job

_BEAT_EVERY_S = 10.0


class Station:
    """A machine since its latest start, and its workers."""

    __slots__ = (
        "busy",
        "done",
        "idle_since_s",
        "instance",
        "least",
        "marked",
        "model",
        "number",
        "ready_s",
        "said",
        "slots",
        "taken",
    )

    def __init__(self, instance: str, number: int, slots: int, least: int, now_s: float) -> None:
        self.instance = instance
        self.number = number
        """Its machine's place in the log."""
        self.slots = slots
        self.ready_s = self.idle_since_s = now_s
        self.busy = 0
        self.marked = False
        """Its workers pull no more jobs."""
        self.least = least
        """The place of the least urgent tier whose jobs its workers pull."""
        self.model: str | None = None
        """What the last job needed loaded."""
        self.taken: dict[str, int] = {}
        """Jobs that its workers took, by tier."""
        self.done: dict[str, tuple[int, float]] = {}
        """Jobs that they finished and how long those took, by tier."""
        self.said: tuple[tuple[float, int, bool], Heartbeat] | None = None
        """Its worker's last heartbeat, and what it was made of."""


class Floor:
    """Jobs that wait, jobs in hand and the stations that work on them."""

    def __init__(
        self, pool: Pool, jobs: Iterator[Job], *, order: Literal["priority", "fifo"], model_load_s: float
    ) -> None:
        self.log = JobLog(tuple(tier.name for tier in pool.tiers))
        self.now_s = 0.0
        self.stations: dict[str, Station] = {}
        """By instance id."""
        self.changed: set[Station] = set()
        """Stations whose number of busy slots has changed; whoever reads it empties it."""
        self._fifo = order == "fifo"
        self._model_load_s = model_load_s
        self._jobs = jobs
        self._models: dict[int, str] = {}
        self._next = next(jobs, None)
        self._waiting: tuple[deque[int], ...] = tuple(deque() for _ in pool.tiers)
        self._places = {tier.name: place for place, tier in enumerate(pool.tiers)}
        self._last = len(pool.tiers) - 1
        self._empty = tuple(TierDemand(tier=tier.name, waiting=0) for tier in pool.tiers)
        self._in_hand: list[tuple[float, int, Station]] = []
        """A heap of when a job ends, its number and where."""
        self._free: list[Station] = []
        """The station of each free slot that pulls jobs of all tiers, the one at work last at the end."""
        self._set_apart: list[Station] = []
        """The station of each free slot that pulls jobs of some tiers."""
        self._marked: frozenset[str] = frozenset()
        self._least: Mapping[str, int] = {}
        self._numbers: dict[str, int] = {}

    @property
    def arrivals_over(self) -> bool:
        """Whether no more jobs will come."""
        return self._next is None

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return sum(map(len, self._waiting))

    @property
    def in_hand(self) -> int:
        """Jobs in progress."""
        return len(self._in_hand)

    def oldest_wait_s(self) -> float:
        """How long the job that came first among those that wait has waited; 0 when none waits."""
        firsts = [self.log.arrived_s[queue[0]] for queue in self._waiting if queue]
        return self.now_s - min(firsts) if firsts else 0.0

    # --- time ---------------------------------------------------------------------------------------------------------

    def advance(self, to_s: float) -> None:
        """Let everything happen up to this time."""
        in_hand = self._in_hand
        while True:
            end_s = in_hand[0][0] if in_hand else math.inf
            job = self._next
            if job is not None and job.arrived_s < end_s and job.arrived_s <= to_s:
                self.now_s = job.arrived_s
                self._arrive(job)
            elif end_s <= to_s:
                self.now_s = end_s
                self._finish()
            else:
                break
        self.now_s = to_s

    def _arrive(self, job: Job) -> None:
        number = self.log.arrive(job.arrived_s, job.tier, job.service_s)
        if job.model is not None and self._model_load_s:
            self._models[number] = job.model
        self._next = next(self._jobs, None)
        self._waiting[job.tier].append(number)
        self._start_waiting()

    def _finish(self) -> None:
        end_s, number, station = heapq.heappop(self._in_hand)
        log, tier = self.log, self.log.tiers[self.log.tier[number]]
        jobs, work_s = station.done.get(tier, (0, 0.0))
        station.done[tier] = (jobs + 1, work_s + end_s - log.started_s[number])
        log.finish(number, end_s)
        self._models.pop(number, None)
        station.busy -= 1
        self.changed.add(station)
        if not station.busy:
            station.idle_since_s = end_s
        if not station.marked:
            self._slots_like(station).append(station)
            self._start_waiting()

    def _slots_like(self, station: Station) -> list[Station]:
        """The free slots among which a station's own are."""
        return self._free if station.least == self._last else self._set_apart

    def _start_waiting(self) -> None:
        if self._set_apart:
            self._start_set_apart()
        while self._free and (number := self._pop(self._waiting)) is not None:
            self._start(number, self._free.pop())

    def _start_set_apart(self) -> None:
        """Let those that may take least choose first: so the most jobs start."""
        left = []
        for station in sorted(self._set_apart, key=attrgetter("least")):
            number = self._pop(self._waiting[: station.least + 1])
            if number is None:
                left.append(station)
            else:
                self._start(number, station)
        self._set_apart = left

    def _pop(self, queues: Sequence[deque[int]]) -> int | None:
        """The next job that waits in these queues, taken out of its own."""
        queues = [queue for queue in queues if queue]
        if not queues:
            return None
        return (min(queues, key=lambda queue: queue[0]) if self._fifo else queues[0]).popleft()

    def _start(self, number: int, station: Station) -> None:
        log, now_s = self.log, self.now_s
        lasts_s = log.service_s[number]
        if self._model_load_s and (model := self._models.get(number)) is not None and model != station.model:
            lasts_s += self._model_load_s
            station.model = model
        log.start(number, now_s, station.number)
        tier = log.tiers[log.tier[number]]
        station.taken[tier] = station.taken.get(tier, 0) + 1
        station.busy += 1
        self.changed.add(station)
        heapq.heappush(self._in_hand, (now_s + lasts_s, number, station))

    # --- machines -----------------------------------------------------------------------------------------------------

    def man(self, instance: str, slots: int) -> None:
        """A machine came up, now."""
        number = self._numbers.setdefault(instance, len(self._numbers))
        if number == len(self.log.machines):
            self.log.machines.append(instance)
        station = self.stations[instance] = Station(
            instance, number, slots, self._least.get(instance, self._last), self.now_s
        )
        station.marked = instance in self._marked
        if not station.marked:
            self._slots_like(station)[:0] = [station] * slots
            self._start_waiting()

    def abandon(self, instance: str) -> int:
        """A machine went down, now; gives how many jobs it had in hand, which go back to their places in the queues."""
        station = self.stations.pop(instance)
        self._take_slots(station)
        lost = [number for _, number, at in self._in_hand if at is station]
        if lost:
            self._in_hand = [work for work in self._in_hand if work[2] is not station]
            heapq.heapify(self._in_hand)
        for number in lost:
            self.log.interrupt(number)
            insort(self._waiting[self.log.tier[number]], number)
        self._start_waiting()
        return len(lost)

    def mark(self, instances: Iterable[str]) -> None:
        """Exactly these machines are marked to pull no more jobs, now; a mark outlives the machine's restart."""
        self._marked = frozenset(instances)
        for station in self.stations.values():
            is_marked = station.instance in self._marked
            if is_marked == station.marked:
                continue
            station.marked = is_marked
            self._take_slots(station)
            self._give_slots(station)
        self._start_waiting()

    def set_apart(self, tiers: Mapping[str, str]) -> None:
        """Exactly these machines pull, from now on, only jobs of their tier and of more urgent ones."""
        self._least = {instance: self._places[tier] for instance, tier in tiers.items() if tier in self._places}
        for station in self.stations.values():
            least = self._least.get(station.instance, self._last)
            if least != station.least:
                self._take_slots(station)
                station.least = least
                self._give_slots(station)
        self._start_waiting()

    def _take_slots(self, station: Station) -> None:
        """A station's free slots pull no jobs."""
        slots = self._slots_like(station)
        slots[:] = [free for free in slots if free is not station]

    def _give_slots(self, station: Station) -> None:
        """A station's free slots pull jobs, unless it is marked."""
        if not station.marked:
            self._slots_like(station).extend([station] * (station.slots - station.busy))

    # --- what others see ----------------------------------------------------------------------------------------------

    def demand(self, now: float) -> Demand:
        """The queue as its reader reports it; `now` is this moment in epoch seconds."""
        tiers = []
        for empty, queue in zip(self._empty, self._waiting, strict=True):
            if queue:
                wait_s = self.now_s - self.log.arrived_s[queue[0]]
                tiers.append(
                    TierDemand(
                        tier=empty.tier,
                        waiting=len(queue),
                        oldest_enqueued_at=now - wait_s,
                        oldest_wait_s=wait_s,
                        age_source=AgeSource.EXACT,
                    )
                )
            else:
                tiers.append(empty)
        return Demand(
            taken_at=now, tiers=tuple(tiers), in_flight=len(self._in_hand), in_flight_kind=InFlightKind.EXECUTING
        )

    def heartbeats(self) -> Iterator[tuple[str, Heartbeat]]:
        """What each station's worker last said, by instance id."""
        beat = self.now_s // _BEAT_EVERY_S
        for station in self.stations.values():
            state = (beat, station.busy, station.marked)
            if station.said is None or station.said[0] != state:
                stamp = f"{station.ready_s}/{beat}"
                said = Heartbeat(
                    busy=station.busy,
                    drained=station.marked,
                    slots=station.slots,
                    taken=dict(station.taken),
                    done=dict(station.done),
                    stamp=stamp,
                )
                station.said = (state, said)
            yield station.instance, station.said[1]
