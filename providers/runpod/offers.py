"""From RunPod's catalogue to offers: one for each GPU type and data centre.

* **Region** is the data centre, such as `EU-RO-1`; a placement may name it, or the beginning of several: `EU`, `US-TX`.
* **Host** is left empty, for RunPod does not tell it before or after. A host is avoided after one failure; were a data
  centre given in its place, one broken machine would close the whole of it for an hour. What holds for a stock, five
  minutes for this GPU type and others first for a day, fits a data centre.
* **Stock** is a hint: only what is said to be sold out is left out. At one price, the fullest data centre comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from autoscaler.core.market import Offer
from autoscaler.core.spec import MachineSpec, Placement
from providers.runpod.prices import Disks
from providers.runpod.wire import Cloud, GpuType

Catalogue = Mapping[Cloud, Sequence[GpuType]]


def clouds_of(placement: Placement) -> tuple[Cloud, ...]:
    """The clouds to look into."""
    return (placement.cloud,) if placement.cloud else ("secure", "community")


def offers(
    provider: str, catalogue: Catalogue, placement: Placement, machine: MachineSpec, disks: Disks
) -> list[Offer]:
    """What a placement may rent, cheapest first."""
    wanted = placement.gpus or machine.gpus
    found = [
        (gpu.usd_per_hour + disks.running_usd_per_hour, -level, f"{cloud}/{centre}/{gpu.id}", name, centre)
        for cloud, gpus in catalogue.items()
        for gpu in gpus
        if gpu.sold and gpu.usd_per_hour > 0 and (name := _name_of(gpu, wanted))
        for centre, level in gpu.stock.items()
        if level and _is_within(centre, placement.regions)
    ]
    return [
        Offer(
            provider=provider,
            offer_id=offer_id,
            gpu=name,
            region=centre,
            host="",
            buy=placement.buy,
            usd_per_hour=usd_per_hour,
            disk_usd_per_hour=disks.stopped_usd_per_hour,
            takes_bids=placement.buy == "spot",
            stands=True,
        )
        for usd_per_hour, _, offer_id, name, centre in sorted(found)
        if usd_per_hour <= placement.max_usd_per_hour
    ]


def parse_offer_id(text: str) -> tuple[Cloud, str, str]:
    """Cloud, data centre and GPU id: all that a rent has to know of an offer."""
    cloud, centre, gpu_id = text.split("/", 2)
    return cast(Cloud, cloud), centre, gpu_id


def _name_of(gpu: GpuType, wanted: Sequence[str]) -> str:
    """What its user calls a GPU type: by the catalogue's name or by its id; empty where it is not wanted.

    RunPod itself has ids with two spaces in a row, so spaces and case are no difference.
    """
    if not wanted:
        return gpu.name
    names = {_folded(gpu.name), _folded(gpu.id)}
    return next((name for name in wanted if _folded(name) in names), "")


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _is_within(centre: str, regions: Sequence[str]) -> bool:
    asked = centre.casefold()
    return not regions or any(
        asked == region.casefold() or asked.startswith(f"{region.casefold()}-") for region in regions
    )
