"""The world behind the market: machines, hosts and the account as they truly are, and what happens to them by itself.

Nothing runs in the background. Each call first lets happen, in its order, what lay between the last call and `now`;
so the same settings, the same generator and the same calls at the same times give the same world.

Billing: the running price from the start of a boot until a stop takes effect, failed boots included; the disk price
while stopped or queued, and by some terms in a boot; nothing while the host is offline or after the release.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from autoscaler.core.errors import InsufficientFunds, SettingsError
from autoscaler.core.market import Remote, Status
from autoscaler.core.spec import Buy
from autoscaler.core.units import DurationRange
from providers.mock.faults import NOTHING, Fault, Struck
from providers.mock.hosts import Host, open_hosts
from providers.mock.machine import Event, Machine, foreign_machine
from providers.mock.scenario import FaultPlan, Step
from providers.mock.series import Quote, Series, Tape
from providers.mock.settings import MockSettings
from providers.mock.terms import Terms

_SLOW_PULL_FACTOR = 3.0
_CRASHES_AFTER = 0.1
"""The share of its boot after which a crash loop shows."""
_QUEUE_LOOKS_AGAIN_S = 300.0
_NEAR_CERTAIN = 0.999999
"""A chance per hour of 1 has no rate."""
_STATE_VERSION = 1


class World:
    """Machines, hosts and the account."""

    def __init__(
        self,
        settings: MockSettings,
        scenario: Sequence[Step],
        rng: random.Random,
        series: Sequence[Series],
        terms: Terms,
    ) -> None:
        self.settings, self.terms = settings, terms
        self.plan = FaultPlan(settings.faults, scenario, rng)
        self.machines: dict[str, Machine] = {}
        """All machines that exist, listed or not, by provider id; foreign ones included."""
        self.released: dict[str, float] = {}
        """What each machine cost that is gone, in USD."""
        self.lingering: dict[str, tuple[float, Remote]] = {}
        """Machines that are gone and still listed, and until when."""
        self.tape = Tape(settings.stock, series)
        self.hosts = open_hosts(settings, self.tape)
        self.rented = 0
        """Machines rented so far."""
        self.opened_at: float | None = None
        """When the first call came."""
        self.broke = False
        """The account is empty: nothing starts."""
        self.clock = -math.inf
        """The moment this world stands at."""
        self.due = -math.inf
        """When something happens next by itself."""
        self.changes = 0
        """Rises with every change, so that a simulator need not compare machines."""
        self.metered: Callable[[Machine, float, float], None] | None = None
        """Is told of each machine's every interval without a change of state or price, when it ends: the machine as it
        was in it, from when, to when. Intervals of no length are left out."""
        self._rng = rng
        self._rows: tuple[Remote, ...] | None = None
        self._emptied_until: float | None = None

    def running(self, now: float) -> tuple[Machine, ...]:
        """Machines that are up, with a GPU and the model loaded: a simulated worker serves on these."""
        self.settle(now)
        return tuple(machine for machine in self.machines.values() if machine.serves)

    def set_busy(self, provider_id: str, slots: int) -> None:
        """A simulated worker's word: so many slots of this machine are at work. One that is down has no word."""
        machine = self.machines.get(provider_id)
        if machine is not None and machine.serves:
            machine.set_busy(slots)
            self._rows = None

    def billed_usd(self, now: float) -> dict[str, float]:
        """What each machine there ever was has cost up to now, in USD, by provider id."""
        self.settle(now)
        return self.released | {machine.id: machine.cost_usd(self.clock) for machine in self.machines.values()}

    def close_meters(self, now: float) -> None:
        """End every machine's interval, so that `metered` has been told of all that was billed up to now."""
        self.settle(now)
        for machine in self.machines.values():
            self.bill(machine)

    def balance_usd(self, now: float) -> float | None:
        """Money left in the account, negative where disks billed on; None when it never runs out."""
        self.settle(now)
        if self._emptied_until is not None:
            return 0.0
        return self._left_usd()

    # What happens by itself

    def settle(self, now: float) -> None:
        """Let happen what lies up to now. Time that goes backwards stands still."""
        if self.opened_at is None:
            self._open(now)
        while self.due <= now:
            self.clock, happen = self._upcoming()
            happen()
            self.changed()
        self.clock = max(self.clock, now)

    def changed(self) -> None:
        """Look anew at what comes next; called after every change."""
        self.due = self._upcoming()[0]
        self.changes += 1
        self._rows = None

    def _open(self, now: float) -> None:
        self.opened_at = self.clock = now
        for number, label in enumerate(self.settings.foreign, start=1):
            machine = foreign_machine(self.terms.name(f"foreign-{number}"), label, now)
            self.machines[machine.id] = machine
        self.changed()

    def _upcoming(self) -> tuple[float, Callable[[], None]]:
        """What happens next, and when; never before the present."""
        due: list[tuple[float, Callable[[], None]]] = [(self._at(self.tape.next_s), self._follow_series)]
        due += [
            (coming[0], partial(self._happen, machine, coming[1]))
            for machine in self.machines.values()
            if (coming := machine.next_event()) is not None
        ]
        for index in self.plan.by_time():
            step = self.plan.scenario[index]
            if step.fault is Fault.BALANCE_SPENT or self._victim(step) is not None:
                due.append((self._at(step.at), partial(self._strike_by_time, index)))
        if self._emptied_until is not None:
            due.append((self._emptied_until, self._refill))
        left = self._left_usd()
        if left is not None and not self.broke:
            burn = sum(machine.burn_usd_per_hour for machine in self.machines.values())
            due.append((self.clock + max(0.0, left) / burn * 3600.0 if burn else math.inf, self._go_broke))
        at, happen = min(due, key=lambda item: item[0])
        return max(at, self.clock), happen

    def _happen(self, machine: Machine, event: Event) -> None:
        machine.ahead.pop(event)
        match event:
            case Event.LISTED:
                machine.listed = True
            case Event.READY:
                self.become(machine, Status.RUNNING)
            case Event.FAILS:
                self.become(machine, Status.FAILED, "OCI runtime create failed: the container exits at once")
            case Event.STOPS:
                self.halt(machine, "stopped by user")
            case Event.STARTS:
                self._start_when_free(machine)
            case Event.OUTBID:
                self._outbid(machine)
            case Event.GOES_OFFLINE:
                self._go_offline(machine, self.clock + self.draw(self.settings.offline))
            case Event.COMES_BACK:
                self._come_back(machine)
            case Event.VANISHES:
                self.remove(machine)

    def _start_when_free(self, machine: Machine) -> None:
        if self.broke or machine.barred:
            self.halt(machine, machine.detail)
        elif self.has_free_gpu(self.hosts.get(machine.host), machine.buy):
            self.start(machine, self.settings.resume)
        else:
            machine.ahead[Event.STARTS] = self.clock + _QUEUE_LOOKS_AGAIN_S

    def _outbid(self, machine: Machine) -> None:
        back_at = self.clock + self.draw(self.settings.let_to_others)
        if (host := self.hosts.get(machine.host)) is not None:
            host.taken_until = max(host.taken_until, back_at)
        self.halt(machine, "outbid")
        if self._rng.random() < self.settings.outbid_returns:
            machine.ahead[Event.STARTS] = back_at

    def _go_offline(self, machine: Machine, back_at: float) -> None:
        machine.runs_after_outage = machine.holds_gpu and Event.STOPS not in machine.ahead
        machine.call_off()
        self.become(machine, Status.OFFLINE, "the host does not answer")
        machine.ahead[Event.COMES_BACK] = back_at

    def _come_back(self, machine: Machine) -> None:
        if machine.runs_after_outage:
            self.start(machine, self.settings.resume)
        else:
            self.halt(machine, "the host is back")
        self.add_hazard(machine, Fault.HOST_OFFLINE, Event.GOES_OFFLINE)

    def _follow_series(self) -> None:
        """Let what was recorded come; what we hold as spot beyond what is then available is outbid, newest first."""
        for quote in self.tape.advance():
            held = [machine for machine in self._held(quote) if machine.buy == "spot"]
            for machine in held[int(min(quote.available, len(held))) :]:
                if machine.on_gpu:
                    self._outbid(machine)
                else:  # its host is offline, and will come back without room for it
                    machine.runs_after_outage = False

    # The account

    def require_funds(self) -> None:
        """Refuse what an empty account cannot pay.

        Raises:
            InsufficientFunds: it is empty.
        """
        if self.broke:
            raise InsufficientFunds("insufficient_credit: the balance is spent")

    def _left_usd(self) -> float | None:
        if self.settings.balance_usd is None:
            return None
        living = sum(machine.cost_usd(self.clock) for machine in self.machines.values())
        return self.settings.balance_usd - sum(self.released.values()) - living

    def _go_broke(self) -> None:
        self.broke = True
        for machine in self.machines.values():
            machine.runs_after_outage = False
            if machine.on_gpu or machine.status is Status.QUEUED:
                self.halt(machine, "account out of credit")

    def _refill(self) -> None:
        self._emptied_until = None
        self.broke = False

    # Faults struck by time

    def add_hazard(self, machine: Machine, fault: Fault, event: Event) -> None:
        """Draw when a fault whose chance is per hour will strike this machine."""
        chance = self.plan.odds.get(fault, 0.0)
        if chance:
            per_hour = -math.log1p(-min(chance, _NEAR_CERTAIN))
            machine.ahead[event] = self.clock + self._rng.expovariate(per_hour) * 3600.0

    def _victim(self, step: Step) -> Machine | None:
        for machine in self.machines.values():
            if (
                machine.number == (step.machine or machine.number)
                and machine.number
                and _can_strike(step.fault, machine)
            ):
                return machine
        return None

    def _strike_by_time(self, index: int) -> None:
        step = self.plan.scenario[index]
        self.plan.seen[index] = 1
        machine = self._victim(step)
        if step.fault is Fault.BALANCE_SPENT:
            self._emptied_until = self._at(math.inf if step.until is None else step.until)
            self._go_broke()
        elif machine is None:
            return
        elif step.fault is Fault.OUTBID:
            self._outbid(machine)
        elif step.fault is Fault.HOST_OFFLINE:
            lasting = self.draw(self.settings.offline)
            self._go_offline(machine, self.clock + lasting if step.until is None else self._at(step.until))
        else:
            self.remove(machine)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the opening."""
        return 0.0 if self.opened_at is None else self.clock - self.opened_at

    def _at(self, elapsed_s: float) -> float:
        return math.inf if self.opened_at is None else self.opened_at + elapsed_s

    # What the calls are made of

    def start(self, machine: Machine, lasting: DurationRange, struck: Struck = NOTHING) -> None:
        """Begin a boot."""
        boot_s = self.draw(lasting) * (_SLOW_PULL_FACTOR if Fault.SLOW_PULL in struck else 1.0)
        machine.call_off()
        self.become(machine, Status.STARTING, "loading")
        machine.starts += 1
        machine.gpu_count = 0 if Fault.ZERO_GPU in struck else 1
        if Fault.CRASH_LOOP in struck:
            machine.ahead[Event.FAILS] = self.clock + boot_s * _CRASHES_AFTER
        elif Fault.BOOT_HANGS not in struck:
            machine.ahead[Event.READY] = self.clock + boot_s
        if machine.buy == "spot":
            self.add_hazard(machine, Fault.OUTBID, Event.OUTBID)

    def become(self, machine: Machine, status: Status, detail: str = "") -> None:
        """Change a machine's state."""
        self.bill(machine)
        machine.become(status, detail)

    def bill(self, machine: Machine) -> None:
        """Close a machine's meter up to the present, before its price or state changes."""
        if self.metered is not None and self.clock > machine.billed_to:
            self.metered(machine, machine.billed_to, self.clock)
        machine.bill(self.clock)

    def halt(self, machine: Machine, detail: str) -> None:
        """Make a machine stopped, at once."""
        machine.call_off()
        self.become(machine, Status.STOPPED, detail)

    def remove(self, machine: Machine) -> None:
        """Make a machine gone, at once."""
        self.bill(machine)
        self.released[machine.id] = machine.billed_usd
        del self.machines[machine.id]

    def has_free_gpu(self, host: Host | None, buy: Buy) -> bool:
        """Whether a machine could start on this host now; a foreign machine's host always has room."""
        if host is None:
            return True
        return self.free_gpus(host) > 0 and self.is_available(host.quotes[buy])

    def free_gpus(self, host: Host) -> int:
        """GPUs of this host that could be let now."""
        if self.clock < host.taken_until:
            return 0
        held = sum(1 for machine in self.machines.values() if machine.host == host.id and machine.holds_gpu)
        return host.stock.gpus_per_host - held

    def is_available(self, quote: Quote) -> bool:
        """Whether what was recorded leaves us one more GPU."""
        return math.isinf(quote.available) or len(self._held(quote)) < quote.available

    def _held(self, quote: Quote) -> list[Machine]:
        """The machines that hold the GPUs a quote is about, in the order of renting."""
        return [
            machine
            for machine in self.machines.values()
            if machine.holds_gpu
            and (host := self.hosts.get(machine.host)) is not None
            and host.quotes[machine.buy] is quote
        ]

    def draw(self, lasting: DurationRange) -> float:
        """Seconds drawn evenly from a range."""
        return lasting.at(self._rng.random())

    # What outlives the process

    def dump(self) -> dict[str, Any]:
        """This world as JSON can hold it."""
        return {
            "version": _STATE_VERSION,
            "opened_at": self.opened_at,
            "clock": self.clock,
            "rented": self.rented,
            "broke": self.broke,
            "emptied_until": self._emptied_until,
            "released": self.released,
            "machines": [machine.dump() for machine in self.machines.values()],
            "hosts": {host.id: [host.lets, host.taken_until] for host in self.hosts.values() if host.lets},
            "seen": self.plan.seen,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Become the world that `dump` described; hosts and steps that the settings no longer name are dropped.

        Raises:
            SettingsError: it was written by another version.
        """
        if state["version"] != _STATE_VERSION:
            raise SettingsError(f"version {state['version']} is not known; expected {_STATE_VERSION}")
        self.opened_at, self.clock = state["opened_at"], state["clock"]
        self.rented, self.released = state["rented"], dict(state["released"])
        self.broke, self._emptied_until = state["broke"], state["emptied_until"]
        self.machines = {row["id"]: Machine.load(row) for row in state["machines"]}
        for name, (lets, taken_until) in state["hosts"].items():
            if name in self.hosts:
                self.hosts[name].lets, self.hosts[name].taken_until = lets, taken_until
        if len(state["seen"]) == len(self.plan.seen):
            self.plan.seen = list(state["seen"])
        while self._at(self.tape.next_s) <= self.clock:
            self.tape.advance()
        self.changed()


def _can_strike(fault: Fault, machine: Machine) -> bool:
    if fault is Fault.OUTBID:
        return machine.buy == "spot" and machine.on_gpu
    return machine.status is not Status.OFFLINE
