"""One customer's account: his pods over the market, whichever API he speaks to."""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from dataclasses import replace

from autoscaler.core.errors import InsufficientFunds, NoCapacity, PartialLaunch, Rejected, Transient
from autoscaler.core.market import Offer
from autoscaler.core.spec import Buy, MachineSpec, Placement
from autoscaler.emulate.runpod.catalogue import Catalogue, cloud_of
from autoscaler.emulate.runpod.pods import POD_KEY_PREFIX, End, Order, Pod, PodStatus
from autoscaler.emulate.runpod.quirks import Quirk
from autoscaler.emulate.runpod.refusals import (
    HOST_FULL,
    NO_INSTANCES,
    NO_SPOT_INSTANCES,
    WENT_WRONG,
    Refusal,
    strike_after,
    strike_before,
)
from providers.mock import Fault, Market, Operation
from providers.mock.faults import Struck
from providers.mock.machine import Machine

_EXITS_AFTER_S = {Quirk.EXITS_AT_ONCE: 4.0, Quirk.EXITS_LATER: 600.0}


class Account:
    """The pods of one account."""

    def __init__(self, market: Market, quirks: Collection[Quirk], rng: random.Random) -> None:
        self.market = market
        self.quirks = quirks
        self.catalogue = Catalogue(market)
        self.pods: dict[str, Pod] = {}
        """By id, in the order of creation."""
        self._rng = rng
        self._serial = 0
        self._ghosts = 1 if Quirk.NEVER_LISTS in quirks else 0

    def settle(self, now: float) -> None:
        """Let happen what lies up to now, each thing at its moment."""
        if self.market.opened_at is None:
            self.market.settle(now)
            self._notice()
        while (at := min([self.market.due, *(end.at for pod in self.pods.values() for end in pod.ends)])) <= now:
            self.market.settle(at)
            self._end(at)
            self._notice()
        self.market.settle(now)
        self._notice()

    # What the customer asks for

    def listed(self, now: float) -> tuple[list[Pod], Struck]:
        """The pods as RunPod lists them, newest first, and the faults that strike the listing.

        Raises:
            Refusal, Silence, Dropped: a fault.
        """
        struck = self.strike(Operation.LIST, now)
        rows = [self.pods[row.provider_id] for row in self.market.listing(now, struck - {Fault.LISTS_HALF})]
        return sorted(rows, key=lambda pod: -pod.serial), struck

    def find(self, pod_id: str) -> Pod:
        """The pod of this id, one that is terminated and still shown included.

        Raises:
            Refusal: there is none.
        """
        pod = self.pods.get(pod_id)
        if pod is None:
            raise Refusal(404, "pod not found")
        return pod

    def find_alive(self, pod_id: str) -> Pod:
        """The pod of this id that something can be done with.

        Raises:
            Refusal: there is none.
        """
        pod = self.find(pod_id)
        if pod.terminated:
            raise Refusal(404, "pod not found")
        return pod

    def create(self, now: float, order: Order) -> Pod:
        """Make a pod.

        Raises:
            Refusal: it cannot be, or there is no capacity or no money for it.
            Silence, Dropped: a fault.
        """
        for problem in order.problems:
            raise Refusal(400, problem)
        struck = self.strike(Operation.RENT, now)
        offer = self._choose(now, order)
        if self._ghosts:
            self._ghosts -= 1
            return self._ghost(now, offer, order)
        self._require_an_hour(now, offer.usd_per_hour)
        machine = MachineSpec(image=order.image, gpus=(order.gpu,), env=order.env)
        no_instances = NO_INSTANCES if offer.buy == "on_demand" else NO_SPOT_INSTANCES
        try:
            made = self.market.rent(now, offer, machine, order.name, struck)
        except NoCapacity:
            raise Refusal(400, no_instances) from None
        except InsufficientFunds as error:
            raise Refusal(402, str(error)) from None
        except PartialLaunch:
            raise Refusal(500, WENT_WRONG) from None
        except Rejected:
            raise Refusal(400, WENT_WRONG) from None
        finally:  # a refusal may leave a machine behind, too
            self._notice(order)
        strike_after(struck)
        return self.pods[made]

    def start(self, now: float, pod_id: str, *, bid: float | None = None) -> Pod:
        """Start a stopped pod on the host where it lies; a spot pod at a new bid, disks left out, where one is given.

        Raises:
            Refusal: there is none, its host is full, the bid too low, or the account empty.
            Silence, Dropped: a fault.
        """
        struck = self.strike(Operation.RESUME, now)
        pod = self.find_alive(pod_id)
        if pod.status(now) is PodStatus.ERROR:
            self.market.halt(pod.machine, "restarted by user")
        try:
            if bid is not None:
                self._bid(now, pod, bid)
            self.market.resume(now, pod_id, struck)
        except NoCapacity:
            raise Refusal(400, HOST_FULL) from None
        except InsufficientFunds as error:
            raise Refusal(402, str(error)) from None
        except Transient as error:
            raise Refusal(503, str(error)) from None
        finally:
            self._notice()
        strike_after(struck)
        return pod

    def stop(self, now: float, pod_id: str) -> Pod:
        """Stop a pod and keep its volume.

        Raises:
            Refusal: there is none, or it is locked.
            Silence, Dropped: a fault.
        """
        struck = self.strike(Operation.STOP, now)
        pod = self.find_alive(pod_id)
        if pod.locked:
            raise Refusal(400, "pod is locked")
        self.market.stop(now, pod_id, struck)
        self._notice()
        strike_after(struck)
        return pod

    def terminate(self, now: float, pod_id: str) -> None:
        """Give a pod back for good.

        Raises:
            Refusal: there is none.
            Silence, Dropped: a fault.
        """
        struck = self.strike(Operation.RELEASE, now)
        self.find(pod_id)
        self.market.release(now, pod_id, struck)
        self._notice()
        strike_after(struck)

    def strike(self, call: Operation, now: float) -> Struck:
        """The faults that strike a call.

        Raises:
            Refusal, Silence, Dropped: one of them ends it before it has any effect.
        """
        struck = self.market.strike(call, now)
        strike_before(struck)
        return struck

    # What it is made of

    def _choose(self, now: float, order: Order) -> Offer:
        """The host that RunPod gives the pod, and what it will cost.

        Raises:
            Refusal: there is none.
        """
        buy: Buy = "on_demand" if order.bid_usd_per_hour is None else "spot"
        machine = MachineSpec(image=order.image, gpus=(order.gpu,), disk_gb=0)
        placement = Placement(provider="runpod", max_usd_per_hour=math.inf, buy=buy, regions=order.data_centers)
        for offer in self.market.offers(now, placement, machine):
            cloud = cloud_of(offer.region)
            price = self.catalogue.usd_per_hour(now, order.gpu, cloud, buy)
            bid = order.bid_usd_per_hour
            if order.cloud in {None, cloud} and price is not None and (bid is None or bid >= price):
                return replace(
                    offer,
                    usd_per_hour=(price if bid is None else bid) + order.running_disk_usd_per_hour,
                    disk_usd_per_hour=order.stopped_disk_usd_per_hour,
                )
        raise Refusal(400, NO_INSTANCES if buy == "on_demand" else NO_SPOT_INSTANCES)

    def _bid(self, now: float, pod: Pod, usd_per_hour: float) -> None:
        """Change a stopped spot pod's bid.

        Raises:
            Refusal: it is rented on demand, or there is a higher bid.
        """
        price = self.catalogue.usd_per_hour(now, pod.machine.gpu, cloud_of(pod.machine.region), "spot")
        if price is None or usd_per_hour < price:
            raise Refusal(400, NO_SPOT_INSTANCES)
        try:
            self.market.set_bid(now, pod.id, usd_per_hour + pod.order.running_disk_usd_per_hour)
        except Rejected:
            raise Refusal(400, "pod is not interruptable") from None

    def _require_an_hour(self, now: float, usd_per_hour: float) -> None:
        """Refuse what the account could not pay for an hour (RunPod's billing page).

        Raises:
            Refusal: it could not.
        """
        balance = self.market.balance_usd(now)
        if balance is not None and balance < usd_per_hour:
            raise Refusal(
                402,
                f"Not enough balance to rent this pod. You need at least ${usd_per_hour:.2f} "
                f"(current: ${balance:.2f}, deficit: ${usd_per_hour - balance:.2f}).",
            )

    def _notice(self, order: Order | None = None) -> None:
        """See what became of the machines: new ones are of this order, some are gone, others changed."""
        for machine in self.market.machines.values():
            if machine.id not in self.pods:
                self._add(machine, order or Order(name=machine.label, image="", gpu=machine.gpu))
            self.pods[machine.id].notice(self.market.clock)
        for pod in [pod for pod in self.pods.values() if pod.id not in self.market.machines]:
            pod.terminated = True
            pod.ends.clear()
            if self.market.lingering.get(pod.id, (-math.inf,))[0] <= self.market.clock:
                del self.pods[pod.id]

    def _add(self, machine: Machine, order: Order) -> None:
        self._serial += 1
        pod = Pod(
            serial=self._serial,
            machine=machine,
            order=order,
            name=order.name,
            key=f"{POD_KEY_PREFIX}{self._rng.getrandbits(128):032x}",
            since=self.market.clock,
        )
        pod.ends += [End(at, terminates=False) for at in (order.stop_at,) if at is not None]
        pod.ends += [End(at, terminates=True) for at in (order.terminate_at,) if at is not None]
        exits = [after for quirk, after in _EXITS_AFTER_S.items() if quirk in self.quirks]
        pod.ends += [End(self.market.clock + after, terminates=False) for after in exits]
        machine.env = {**order.env, "RUNPOD_POD_ID": pod.id, "RUNPOD_DC_ID": machine.region, "RUNPOD_API_KEY": pod.key}
        self.pods[pod.id] = pod

    def _ghost(self, now: float, offer: Offer, order: Order) -> Pod:
        """A pod that was promised and never comes to be."""
        machine = Machine(
            id="never",
            number=0,
            label=order.name,
            gpu=offer.gpu,
            region=offer.region,
            host=offer.host,
            buy=offer.buy,
            usd_per_hour=offer.usd_per_hour,
            disk_usd_per_hour=offer.disk_usd_per_hour,
            created_at=now,
        )
        return Pod(serial=0, machine=machine, order=order, name=order.name, key="", since=now)

    def _end(self, at: float) -> None:
        """Stop and terminate what is to end by now."""
        for pod in self.pods.values():
            for end in [end for end in pod.ends if end.at <= at]:
                pod.ends.remove(end)
                pod.machine.runs_after_outage = False
                if end.terminates:
                    self.market.release(at, pod.id)
                elif pod.machine.on_gpu:
                    self.market.halt(pod.machine, "exited by RunPod")
                    self.market.changed()
        if self.market.broke and Quirk.BROKE_STOPS not in self.quirks:
            for pod_id in list(self.market.machines):
                self.market.release(at, pod_id)
