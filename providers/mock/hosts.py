"""The physical machines of the market and the prices asked for them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoscaler.core.spec import Buy, MachineSpec, Placement
from providers.mock.series import Quote, Series, Tape, series_for
from providers.mock.settings import MockSettings, Stock

_DAY_S, _SHORT_WAVE_S = 86400.0, 5 * 3600.0
_HOURS_PER_MONTH = 720.0
_SPREAD = 0.06
"""How far a host's mean price lies from that of its kind, at most, as a share of it."""


@dataclass(kw_only=True, slots=True)
class Host:
    """One physical machine."""

    id: str
    stock: Stock
    quotes: Mapping[Buy, Quote]
    """What the series that its stock follows says at present."""
    swing: float
    price_factor: float
    phase: float
    reliability: float
    lets: int = 0
    """Machines rented on it so far; part of its offers' ids, so that each offer can be taken once."""
    taken_until: float = 0.0
    """Until then all GPUs that we do not hold are let to others."""

    def fits(self, placement: Placement, machine: MachineSpec) -> bool:
        """Whether this is what a placement asks for."""
        gpus, regions = placement.gpus or machine.gpus, placement.regions
        return (not gpus or self.stock.gpu in gpus) and (not regions or self.stock.region in regions)

    def has_free_gpu(self, held: int, now: float) -> bool:
        """Whether a GPU is left beside the `held` ones that are ours."""
        return held < self.stock.gpus_per_host and now >= self.taken_until

    def usd_per_hour(self, buy: Buy, now: float) -> float:
        """Price of one GPU, disk not included: as it was recorded, or else as it moves around the host's own mean.

        It moves with the day and, half as much, with a wave of five hours.
        """
        recorded = self.quotes[buy].usd_per_hour
        if recorded is not None:
            return recorded
        day = math.sin(2 * math.pi * now / _DAY_S + self.phase)
        short = math.sin(2 * math.pi * now / _SHORT_WAVE_S + 2 * self.phase)
        mean = (self.stock.spot if buy == "spot" else self.stock.on_demand) * self.price_factor
        return round(mean * (1 + self.swing * (2 * day + short) / 3), 4)

    def offer_id(self, buy: Buy) -> str:
        """The id of what it offers at present."""
        return f"{self.id}/{buy}/{self.lets}"


def open_hosts(settings: MockSettings, tape: Tape) -> dict[str, Host]:
    """All hosts of the market; the same settings give the same hosts."""
    hosts: dict[str, Host] = {}
    for stock in settings.stock:
        quotes = tape.quotes(stock)
        kind = f"{stock.gpu}-{stock.region}".replace(" ", "-").lower()
        for _ in range(stock.hosts):
            name = f"{kind}-{sum(1 for other in hosts if other.startswith(kind)) + 1}"
            hosts[name] = Host(
                id=name,
                stock=stock,
                quotes=quotes,
                swing=settings.price_swing,
                price_factor=1 + _SPREAD * (2 * _share(settings.seed, name, "price") - 1),
                phase=2 * math.pi * _share(settings.seed, name, "phase"),
                reliability=round(0.95 + 0.049 * _share(settings.seed, name, "reliability"), 4),
            )
    return hosts


def least_usd_per_hour(
    settings: MockSettings, series: Sequence[Series], placement: Placement, machine: MachineSpec
) -> float | None:
    """What no machine at a placement ever costs less than, disk included; None where there is nothing to rent."""
    prices = []
    for host in open_hosts(settings, Tape(settings.stock, series)).values():
        if not host.fits(placement, machine):
            continue
        followed = series_for(host.stock, series)
        changes = [change for change in followed.changes if change.buy == placement.buy] if followed else []
        recorded = [(change.t_s, change.usd_per_hour) for change in changes if change.usd_per_hour is not None]
        prices += [usd for _, usd in recorded]
        if not recorded or recorded[0][0] > 0:
            mean = host.stock.spot if placement.buy == "spot" else host.stock.on_demand
            prices.append(mean * host.price_factor * (1 - host.swing))
    return min(prices) + disk_usd_per_hour(settings, machine.disk_gb) if prices else None


def disk_usd_per_hour(settings: MockSettings, disk_gb: float) -> float:
    """Price of a disk; a month of billing has 30 days."""
    return round(settings.disk_usd_per_gb_month * disk_gb / _HOURS_PER_MONTH, 6)


def _share(seed: int, *names: str) -> float:
    """A fixed number from 0 to 1 for these names: the same on every computer and in every run."""
    return zlib.crc32("/".join((str(seed), *names)).encode()) / 2**32
