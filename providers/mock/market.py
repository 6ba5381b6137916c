"""What a customer can ask of the market and order from it, with the faults that strike each call."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from autoscaler.core.errors import InsufficientFunds, NoCapacity, NotFound, PartialLaunch, Rejected, Transient
from autoscaler.core.market import Offer, Remote, Status
from autoscaler.core.spec import MachineSpec, Placement
from providers.mock.faults import NOTHING, Fault, Operation, Struck
from providers.mock.hosts import disk_usd_per_hour
from providers.mock.machine import Event, Machine
from providers.mock.scenario import Step
from providers.mock.series import Series
from providers.mock.settings import MockSettings
from providers.mock.terms import MOCK_TERMS, Terms
from providers.mock.world import World

_DEARER_FACTOR = 1.25


class Market(World):
    """The truth behind the provider; tests, simulators and emulators look at it and call it directly.

    `struck` is what `strike` gave for the call; without it nothing goes wrong.
    """

    def __init__(
        self,
        name: str,
        settings: MockSettings,
        scenario: Sequence[Step],
        rng: random.Random,
        series: Sequence[Series] = (),
        *,
        terms: Terms = MOCK_TERMS,
    ) -> None:
        super().__init__(settings, scenario, rng, series, terms)
        self._name = name

    def strike(self, call: Operation, now: float) -> Struck:
        """The faults that strike this call; each call asks once."""
        self.settle(now)
        return self.plan.strike(call, self.elapsed_s)

    def listing(self, now: float, struck: Struck = NOTHING) -> tuple[Remote, ...]:
        """The machines as the provider shows them."""
        self.settle(now)
        if self._rows is None:
            self._rows = tuple(machine.remote() for machine in self.machines.values() if machine.listed)
        rows = self._rows
        if self.lingering:
            self.lingering = {key: shown for key, shown in self.lingering.items() if shown[0] > self.clock}
            rows += tuple(remote for _, remote in self.lingering.values())
        return rows[: len(rows) // 2] if Fault.LISTS_HALF in struck else rows

    def offers(
        self, now: float, placement: Placement, machine: MachineSpec, struck: Struck = NOTHING
    ) -> tuple[Offer, ...]:
        """What can be rented now within the placement's bounds, cheapest first. `cloud` is RunPod's and is ignored."""
        self.settle(now)
        if Fault.NO_OFFERS in struck:
            return ()
        disk = disk_usd_per_hour(self.settings, machine.disk_gb)
        held = Counter(held.host for held in self.machines.values() if held.holds_gpu)
        offers = [
            Offer(
                provider=self._name,
                offer_id=host.offer_id(placement.buy),
                gpu=host.stock.gpu,
                region=host.stock.region,
                host=host.id,
                buy=placement.buy,
                usd_per_hour=price,
                disk_usd_per_hour=disk,
                reliability=host.reliability,
            )
            for host in self.hosts.values()
            if host.fits(placement, machine)
            and host.has_free_gpu(held[host.id], self.clock)
            and self.is_available(host.quotes[placement.buy])
            and (price := host.usd_per_hour(placement.buy, self.clock) + disk) <= placement.max_usd_per_hour
        ]
        return tuple(sorted(offers, key=lambda offer: (offer.usd_per_hour, offer.host)))

    def rent(self, now: float, offer: Offer, machine: MachineSpec, label: str, struck: Struck = NOTHING) -> str:
        """Make a machine and give its id.

        Raises:
            NoCapacity: the offer was taken, or its GPU.
            InsufficientFunds: the account is empty.
            PartialLaunch: a fault; the machine was made, stopped.
            Rejected: a fault; the machine was made, and runs.
        """
        self.settle(now)
        if Fault.FUNDS_REFUSED in struck:
            raise InsufficientFunds("insufficient_credit: the account's spending limit does not allow this machine")
        self.require_funds()
        host = self.hosts.get(offer.host)
        taken = host is None or host.offer_id(offer.buy) != offer.offer_id or not self.has_free_gpu(host, offer.buy)
        if host is None or taken or Fault.OFFER_GONE in struck:
            raise NoCapacity(f"no_such_ask: offer {offer.offer_id} is no longer available")
        host.lets += 1
        made = self._make(offer, machine, label, dearer=Fault.DEARER in struck)
        if Fault.LISTED_LATE in struck:
            made.listed = False
            made.ahead[Event.LISTED] = self.clock + self.draw(self.settings.listing_lag)
        if Fault.PARTIAL_LAUNCH in struck:
            self.become(made, Status.STOPPED, "created without a GPU")
        else:
            self.start(made, self.settings.setup, struck)
        self.changed()
        if Fault.PARTIAL_LAUNCH in struck:
            raise PartialLaunch(f"invalid_price; new_contract {made.id} was created", provider_ids=(made.id,))
        if Fault.REFUSED_YET_MADE in struck:
            raise Rejected("400 without a body")
        return made.id

    def resume(self, now: float, provider_id: str, struck: Struck = NOTHING) -> None:
        """Start a stopped machine on the host where it lies.

        Raises:
            NotFound: there is no such machine.
            NoCapacity: its GPU is taken; by `resume_queued` it starts later all the same.
            InsufficientFunds: the account is empty.
            Rejected: it failed, and must be stopped first.
            Transient: its host is offline.
        """
        machine = self._find(now, provider_id)
        if machine.status is Status.FAILED:
            raise Rejected(f"409: {provider_id} failed and cannot be started")
        if machine.status is Status.OFFLINE:
            raise Transient(f"the host of {provider_id} is offline")
        if machine.on_gpu:
            machine.ahead.pop(Event.STOPS, None)
            self.changed()
            return
        self.require_funds()
        host = self.hosts.get(machine.host)
        machine.barred |= Fault.RESUME_NEVER in struck
        if host is not None and struck & {Fault.RESUME_REFUSED, Fault.RESUME_QUEUED}:
            host.taken_until = max(host.taken_until, self.clock + self.draw(self.settings.let_to_others))
        if machine.barred or not self.has_free_gpu(host, machine.buy):
            if Fault.RESUME_QUEUED in struck or self.terms.queues_starts:
                self.become(machine, Status.QUEUED, "scheduling")
                if not machine.barred:
                    machine.ahead[Event.STARTS] = host.taken_until if host else self.clock
            self.changed()
            raise NoCapacity("required resources are currently unavailable on this host")
        self.start(machine, self.settings.resume, struck)
        self.changed()

    def stop(self, now: float, provider_id: str, struck: Struck = NOTHING) -> None:
        """Stop a machine and keep its disk; call off a start that is queued.

        Raises:
            NotFound: there is no such machine.
        """
        machine = self._find(now, provider_id)
        if Fault.STOP_IGNORED in struck:
            return
        if machine.on_gpu:
            machine.ahead.setdefault(Event.STOPS, self.clock + self.draw(self.settings.stop))
        elif machine.status is Status.OFFLINE:
            machine.runs_after_outage = False
        else:
            self.halt(machine, machine.detail if machine.status is Status.STOPPED else "stopped by user")
        self.changed()

    def release(self, now: float, provider_id: str, struck: Struck = NOTHING) -> None:
        """Give a machine back; one that does not exist is no error."""
        self.settle(now)
        machine = self.machines.get(provider_id)
        if machine is None or Fault.RELEASE_IGNORED in struck:
            return
        if Fault.LINGERS in struck:
            self.lingering[machine.id] = (self.clock + self.draw(self.settings.listing_lag), machine.remote())
        self.remove(machine)
        self.changed()

    def label(self, now: float, provider_id: str, label: str) -> None:
        """Give a machine another label.

        Raises:
            NotFound: there is no such machine.
        """
        machine = self._find(now, provider_id)
        self.bill(machine)
        machine.label = label
        self.changed()

    def set_bid(self, now: float, provider_id: str, usd_per_hour: float) -> None:
        """Change a spot machine's bid, disk included; under the market's price it is outbid at once.

        Raises:
            NotFound: there is no such machine.
            Rejected: it is rented on demand, or the bid does not cover its disk.
        """
        machine = self._find(now, provider_id)
        if machine.buy != "spot" or usd_per_hour <= machine.disk_usd_per_hour:
            raise Rejected(f"invalid_args: no bid of {usd_per_hour} USD per hour on {provider_id}")
        self.bill(machine)
        machine.usd_per_hour = usd_per_hour
        host = self.hosts.get(machine.host)
        if host and machine.on_gpu and usd_per_hour < host.usd_per_hour("spot", self.clock) + machine.disk_usd_per_hour:
            machine.ahead[Event.OUTBID] = self.clock
        self.changed()

    def _find(self, now: float, provider_id: str) -> Machine:
        """The machine of this id.

        Raises:
            NotFound: there is none.
        """
        self.settle(now)
        machine = self.machines.get(provider_id)
        if machine is None:
            raise NotFound(f"no_such_instance: {provider_id}")
        return machine

    def _make(self, offer: Offer, machine: MachineSpec, label: str, *, dearer: bool) -> Machine:
        self.rented += 1
        made = Machine(
            id=self.terms.name(f"m{self.rented}"),
            number=self.rented,
            label=label,
            gpu=offer.gpu,
            region=offer.region,
            host=offer.host,
            buy=offer.buy,
            usd_per_hour=offer.usd_per_hour * (_DEARER_FACTOR if dearer else 1.0),
            disk_usd_per_hour=offer.disk_usd_per_hour,
            created_at=self.clock,
            bills_boot=self.terms.bills_boot,
            image=machine.image,
            slots=machine.slots,
            env=dict(machine.env),
        )
        self.machines[made.id] = made
        self.add_hazard(made, Fault.HOST_OFFLINE, Event.GOES_OFFLINE)
        self.add_hazard(made, Fault.VANISHES, Event.VANISHES)
        return made
