"""What is searched for at Vast.ai, and which of what comes back is really on offer.

The search does not always keep to its filters, so that each is checked again here; and the price that counts is the one
with our own disk, whatever disk the search reckoned with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autoscaler.core.market import Offer
from autoscaler.core.spec import MachineSpec, Placement
from providers.vastai.orders import disk_gb
from providers.vastai.settings import VastSettings
from providers.vastai.wire import HOURS_PER_MONTH, Row, country, most, number, row_id, rows_of, text

MOST_FOUND = 64
"""The most offers that one search gives, whatever its `limit`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What one placement looks for."""

    provider: str
    settings: VastSettings
    placement: Placement
    machine: MachineSpec

    @property
    def price_key(self) -> str:
        """What a search sorts by, and goes on from."""
        return "min_bid" if self.placement.buy == "spot" else "dph_total"

    @property
    def gpus(self) -> tuple[str, ...]:
        """GPU types that will do; any when empty."""
        return self.placement.gpus or self.machine.gpus

    def search(self) -> dict[str, Any]:
        """The body of the search. All is said, for the server's defaults are not what its documents say."""
        asked = self.settings
        body: dict[str, Any] = {
            "type": "bid" if self.placement.buy == "spot" else "on-demand",
            "rentable": {"eq": True},
            "rented": {"eq": False},
            "external": {"eq": False},
            "num_gpus": {"eq": 1},
            "reliability": {"gte": asked.min_reliability},
            "duration": {"gte": asked.min_rental},
            "inet_down": {"gte": asked.min_download_mbps},
            "cuda_max_good": {"gte": asked.min_cuda},
            "disk_space": {"gte": disk_gb(self.machine)},
            self.price_key: {"lte": self.placement.max_usd_per_hour},
            "allocated_storage": disk_gb(self.machine),
            "order": [[self.price_key, "asc"]],
            "limit": MOST_FOUND,
        }
        if asked.verified:
            body["verified"] = {"eq": True}
        if self.machine.port is not None:
            body["direct_port_count"] = {"gte": 1}
        if self.gpus:
            body["gpu_name"] = {"in": list(self.gpus)}
        if self.placement.regions:
            body["geolocation"] = {"in": list(self.placement.regions)}
        return body

    def search_on(self, rows: list[Row]) -> dict[str, Any]:
        """The body of the search that goes on where these rows end; the last price may come again."""
        body = self.search()
        body[self.price_key] |= {"gte": max(most(number(row, self.price_key)) for row in rows)}
        return body

    def offer(self, row: Row) -> Offer | None:
        """What a row offers; None where it is not what was searched for, or does not say."""
        storage = number(row, "storage_cost")
        if storage is None or storage < 0 or not self._fits(row):
            return None
        disk = storage * disk_gb(self.machine) / HOURS_PER_MONTH
        usd = self._usd_per_hour(row, disk)
        if usd is None or usd > self.placement.max_usd_per_hour:
            return None
        return Offer(
            provider=self.provider,
            offer_id=row_id(row),
            gpu=text(row, "gpu_name"),
            region=country(row),
            host=text(row, "machine_id"),
            buy=self.placement.buy,
            usd_per_hour=usd,
            disk_usd_per_hour=disk,
            reliability=_reliability(row),
            takes_bids=self.placement.buy == "spot",
            usd_per_gb=most(number(row, "inet_down_cost")),
        )

    def _usd_per_hour(self, row: Row, disk: float) -> float | None:
        """The price while running, disk included; for spot that of the least bid. Where a row disagrees, the higher."""
        listed, gpu = number(row, self.price_key), number(row, "dph_base")
        if listed is None or listed <= 0:
            return None
        if self.placement.buy == "spot":
            return listed + disk
        return max(listed, (listed if gpu is None else gpu) + disk)

    def _fits(self, row: Row) -> bool:
        asked, gpu = self.settings, text(row, "gpu_name")
        return (
            bool(gpu)
            and (not self.gpus or gpu in self.gpus)
            and (not self.placement.regions or country(row) in self.placement.regions)
            and row.get("num_gpus") == 1
            and row.get("rentable") is True
            and not row.get("rented")
            and not row.get("external")
            and (not asked.verified or row.get("verification") == "verified")
            and _reliability(row) >= asked.min_reliability
            and most(number(row, "duration")) >= asked.min_rental
            and most(number(row, "inet_down")) >= asked.min_download_mbps
            and most(number(row, "cuda_max_good")) >= asked.min_cuda
            and most(number(row, "disk_space")) >= disk_gb(self.machine)
            and (self.machine.port is None or most(number(row, "direct_port_count")) >= 1)
        )


def found(body: Row) -> list[Row]:
    """The rows of a search; one without an id cannot be rented."""
    return [row for row in rows_of(body, "offers") if type(row.get("id")) is int]


def _reliability(row: Row) -> float:
    """The lower of the two figures, which should be one."""
    told = [figure for key in ("reliability", "reliability2") if (figure := number(row, key)) is not None]
    return min(told, default=0.0)
