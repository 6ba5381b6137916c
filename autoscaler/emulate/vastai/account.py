"""The account and its instances, as far as Vast.ai knows more of them than the market does."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from autoscaler.core.market import Offer
from autoscaler.core.spec import Buy
from autoscaler.emulate.vastai.billing import Meters
from autoscaler.emulate.vastai.errors import no_such_instance
from autoscaler.emulate.vastai.hardware import Place, elsewhere, place_of
from autoscaler.emulate.vastai.settings import Emulation, Quirk
from providers.mock import Fault, Market, Operation, Terms
from providers.mock.faults import NOTHING, Struck
from providers.mock.hosts import Host, disk_usd_per_hour
from providers.mock.machine import Machine

_FIRST_INSTANCE, _FIRST_FOREIGN, _FIRST_ASK = 50_911_000, 48_000_000, 41_207_000
_SHORT_CONTRACT_S = 3600.0
TEMPLATE_IMAGE = "vastai/base-image:@vastai-automatic-tag"
"""What a template brings, where nothing else is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What an instance was created with."""

    image: str = TEMPLATE_IMAGE
    disk_gb: float = 8.0
    env: Mapping[str, str] = field(default_factory=dict)
    onstart: str = ""
    args: tuple[str, ...] = ()
    runtype: str = "ssh"
    ends_at: float = math.inf
    """When its contract ends, in epoch seconds: what its offer said, whatever the host offers later. [docs]"""

    @property
    def ports(self) -> list[str]:
        """Ports of the container that are asked to be open, such as `8000/tcp`."""
        flags = [name.removeprefix("-p ") for name in self.env if name.startswith("-p ")]
        wanted = [flag.rsplit(":", 1)[-1] for flag in flags]
        return ["22/tcp", *(port if "/" in port else f"{port}/tcp" for port in wanted)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One request, understood."""

    now: float
    number: int = 0
    """The one in the path, of an instance or an ask."""
    body: Mapping[str, Any]
    query: Mapping[str, str]
    struck: Struck = NOTHING


class Account:
    """One customer of Vast.ai."""

    def __init__(self, settings: Emulation, rng: random.Random) -> None:
        self.settings = settings
        terms = Terms(bills_boot=False, queues_starts=True, name=_instance_id)
        self.market = Market("vastai", settings.market, settings.market.scenario, rng, terms=terms)
        self.meters = Meters(self.market)
        self.orders: dict[str, Order] = {}
        """By the instance's id, as the market has it."""
        self.asks: dict[str, list[int]] = {host: [] for host in self.market.hosts}
        """The asks that are open, by host: one for each free GPU, each good for one contract."""
        self.last_rows: dict[str, dict[str, Any]] = {}
        """What the listing still shows of instances that are gone."""
        self.started_at: dict[str, float] = {}
        """When instances were last told to start, and that was accepted."""
        self.answered_increases: set[str] = set()
        """Instances whose host's wish for more money was answered."""
        self._next_ask = count(_FIRST_ASK)
        self._numbers = {host: number for number, host in enumerate(self.market.hosts)}

    def has(self, quirk: Quirk) -> bool:
        """Whether it is to be endured."""
        return quirk in self.settings.quirks

    def strike(self, operation: Operation, now: float) -> Struck:
        """The market's faults of this request; a start without a GPU is not among Vast.ai's."""
        return self.market.strike(operation, now) - {Fault.ZERO_GPU}

    def place(self, machine: Machine, now: float) -> Place:
        """The physical machine of an instance."""
        host = self.market.hosts.get(machine.host)
        if host is None:
            return elsewhere(machine.gpu, machine.region, self.market.opened_at or now)
        return self.place_of(host, now)

    def place_of(self, host: Host, now: float) -> Place:
        """The physical machine of one of the market's hosts."""
        number = self._numbers[host.id]
        place = place_of(host, number, self.market.opened_at or now)
        if self.has(Quirk.SHORT_CONTRACTS) and number % 2:
            return replace(place, ends_at=now + _SHORT_CONTRACT_S)
        return place

    def ends_at(self, machine: Machine, now: float) -> float:
        """When an instance's contract ends, in epoch seconds."""
        return min(self.order(machine).ends_at, self.place(machine, now).ends_at)

    def offer(self, host: Host, buy: Buy, usd_per_hour: float, disk_gb: float) -> Offer:
        """What the market is asked for, when an ask is accepted at a price for the GPU alone."""
        disk = disk_usd_per_hour(self.market.settings, disk_gb)
        return Offer(
            provider="vastai",
            offer_id=host.offer_id(buy),
            gpu=host.stock.gpu,
            region=host.stock.region,
            host=host.id,
            buy=buy,
            usd_per_hour=usd_per_hour + disk,
            disk_usd_per_hour=disk,
        )

    def order(self, machine: Machine) -> Order:
        """What an instance was created with."""
        return self.orders.get(machine.id, Order())

    def open_asks(self, host: Host) -> list[int]:
        """The asks of a host, brought up to date with its free GPUs."""
        asks, free = self.asks[host.id], max(0, self.market.free_gpus(host))
        del asks[free:]
        asks.extend(next(self._next_ask) for _ in range(free - len(asks)))
        return asks

    def host_of_ask(self, ask_id: int) -> Host | None:
        """The host whose open ask this is; None where it is open no more, or never was."""
        return next((self.market.hosts[host] for host, asks in self.asks.items() if ask_id in asks), None)

    def accept(self, ask_id: int, order: Order) -> int:
        """Close an ask for the instance that the market has just made, and tell that one who it is; gives its id."""
        for asks in self.asks.values():
            if ask_id in asks:
                asks.remove(ask_id)
        machine = next(reversed(self.market.machines.values()))
        self.orders[machine.id] = order
        machine.env = {
            **machine.env,
            "CONTAINER_ID": machine.id,
            "CONTAINER_API_KEY": instance_key(int(machine.id)),
        }
        return int(machine.id)

    def machine(self, instance_id: int) -> Machine:
        """The truth about an instance.

        Raises:
            Refused: there is none.
        """
        machine = self.market.machines.get(str(instance_id))
        if machine is None:
            raise no_such_instance(instance_id)
        return machine

    def settle(self, now: float) -> None:
        """Let happen what lies up to now, ends of contracts included."""
        due = [machine for machine in self.market.machines.values() if self.order(machine).ends_at <= now]
        for machine in sorted(due, key=lambda each: self.order(each).ends_at):
            self.market.settle(self.order(machine).ends_at)
            if machine.id in self.market.machines and not machine.barred:
                self.market.halt(machine, "contract ended")
                machine.barred = True
                self.market.changed()
        self.market.settle(now)


def instance_key(instance_id: int) -> str:
    """The key that an instance is given to start, stop and destroy itself."""
    return hashlib.sha256(f"emulated instance {instance_id}".encode()).hexdigest()


def _instance_id(plain: str) -> str:
    """The market's `m7` and `foreign-2` as numbers, for Vast.ai has nothing else."""
    if plain.startswith("m"):
        return str(_FIRST_INSTANCE + int(plain.removeprefix("m")))
    return str(_FIRST_FOREIGN + int(plain.removeprefix("foreign-")))
