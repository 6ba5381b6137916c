# ruff: noqa: D102, ARG002 - the docstrings of the contract hold, and so do its signatures
"""RunPod as a provider: REST v2 throughout, and GraphQL for what that lacks.

A pod carries two things of ours. Its name is the label. Its environment holds the terms on which it was rented (how it
was bought, at what price, when it ends), for REST v2 tells none of them, and a price of 0 once it is stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from autoscaler.core.errors import NoCapacity, ProviderError, Rejected
from autoscaler.core.market import Listing, Offer, Remote, Status
from autoscaler.core.spec import Buy, MachineSpec, Placement
from providers.base import Capabilities
from providers.http import Service
from providers.kind import Means
from providers.runpod.client import Client
from providers.runpod.graphql import Feature, GraphQL
from providers.runpod.offers import clouds_of, offers, parse_offer_id
from providers.runpod.orders import Order, excess
from providers.runpod.prices import costs_of, disks_for
from providers.runpod.settings import RunpodSettings
from providers.runpod.wire import Cloud, GpuType, Pod, Terms

CAPABILITIES = Capabilities(
    can_stop=True,
    can_spot=True,
    can_bid=False,
    list_every_s=10.0,
    search_every_s=10.0,
)
_SPACING_S = {"graphql": 1.0}  # its limits are documented nowhere; those of REST v2 are in each answer's headers


class RunpodProvider:
    """An account at RunPod."""

    def __init__(self, name: str, settings: RunpodSettings, means: Means) -> None:
        self._name = name
        self._settings = settings
        self._now = means.now
        self._http = means.http(Service(url=settings.url, key=settings.api_key, spacing_s=_SPACING_S))
        self._client = Client(self._http, settings.api_key, means.now)
        self._graphql = GraphQL(self._http, settings.api_key, means.now)

    @property
    def name(self) -> str:
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        return replace(CAPABILITIES, can_spot=Feature.SPOT not in self._graphql.gone)

    async def list_machines(self) -> Listing:
        asked_at = self._now()
        pods = await self._client.pods()
        return Listing(
            asked_at=asked_at,
            machines=tuple(_remote(pod) for pod in pods if not pod.is_deleted),
            notices=self._graphql.notices,
        )

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        catalogue = {cloud: await self._gpu_types(cloud, placement.buy) for cloud in clouds_of(placement)}
        disks = disks_for(machine, self._settings.container_disk_gb)
        return offers(self._name, catalogue, placement, machine, disks)

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        order = self._order(offer, machine, label)
        if problem := excess(order):
            raise Rejected(problem)
        if order.terms.buy == "spot" or order.terms.ends_at is not None:
            return await self._graphql.create(order)
        return await self._client.create(order)

    async def resume(self, provider_id: str) -> None:
        pod = await self._client.pod(provider_id)
        if pod.terms is not None and pod.terms.buy == "spot":
            gpus = await self._graphql.resume_spot(provider_id, pod.terms)
        else:
            gpus = (await self._client.act(provider_id, "start")).gpu_count
        if gpus == 0:
            with suppress(ProviderError):  # whoever is refused orders a stop, too
                await self.stop(provider_id)
            raise NoCapacity(f"RunPod started {provider_id} without a GPU: its host has none free")

    async def stop(self, provider_id: str) -> None:
        await self._client.act(provider_id, "stop")

    async def release(self, provider_id: str) -> None:
        await self._client.delete(provider_id)

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        raise Rejected(f"RunPod cannot change the bid of {provider_id} while it runs")

    async def balance_usd(self) -> float | None:
        return await self._graphql.balance_usd()

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:
        return await self._client.bills(day)

    async def close(self) -> None:
        await self._http.close()

    async def _gpu_types(self, cloud: Cloud, buy: Buy) -> Sequence[GpuType]:
        """The catalogue of a cloud at the prices of a way of buying; empty where that is not to be had any more."""
        gpus = await self._client.gpu_types(cloud)
        if buy == "on_demand":
            return gpus
        bids = await self._graphql.spot_prices(cloud)
        return () if bids is None else [replace(gpu, usd_per_hour=bids.get(gpu.id, 0.0)) for gpu in gpus]

    def _order(self, offer: Offer, machine: MachineSpec, label: str) -> Order:
        settings = self._settings
        cloud, data_center, gpu_id = parse_offer_id(offer.offer_id)
        disks = disks_for(machine, settings.container_disk_gb)
        life_s = settings.terminate_after
        return Order(
            name=label,
            image=machine.image,
            gpu_id=gpu_id,
            cloud=cloud,
            data_center=data_center,
            volume_gb=disks.volume_gb,
            volume_path=settings.volume_path,
            container_gb=disks.container_gb,
            terms=Terms(
                buy=offer.buy,
                gpu=offer.gpu,
                # What was added for the disks comes off again; rounding keeps a bid from falling short by a billionth.
                gpu_usd_per_hour=round(offer.usd_per_hour - disks.running_usd_per_hour, 6),
                ends_at=None if life_s is None else round(self._now() + life_s),
            ),
            env=machine.env,
            args=machine.args,
            port=machine.port,
            registry=settings.registry,
        )


def _remote(pod: Pod) -> Remote:
    costs = costs_of(pod)
    terms = pod.terms
    return Remote(
        provider_id=pod.id,
        label=pod.name,
        status=pod.status,
        gpu=terms.gpu if terms else pod.gpu_id,
        gpu_count=pod.gpu_count,
        region=pod.data_center,
        buy=terms.buy if terms else "on_demand",
        usd_per_hour=costs.running,
        disk_usd_per_hour=costs.stopped,
        burn_usd_per_hour=costs.now,
        address=pod.address,
        ends_at=terms.ends_at if terms else None,
        detail=pod.word if pod.status in (Status.FAILED, Status.UNKNOWN) else "",
    )
