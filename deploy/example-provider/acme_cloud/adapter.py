"""Acme Cloud as a provider: one request a call."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from acme_cloud import wire
from autoscaler.core import errors
from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import SETTINGS, MachineSpec, Placement
from autoscaler.core.units import Secret
from providers import told
from providers.base import Capabilities
from providers.http import Service, json_request
from providers.kind import Means, ProviderKind

T = TypeVar("T")
_REFUSALS = {401: errors.AuthFailed, 402: errors.InsufficientFunds, 404: errors.NotFound, 409: errors.NoCapacity}


@dataclass(frozen=True, kw_only=True, slots=True)
class AcmeSettings:
    """An account at Acme Cloud."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS
    kind: Literal["acme"] = "acme"
    api_key: Secret
    """The account's key."""
    url: str = "https://api.acme.example"
    """Where the API is."""


class Acme:
    """One account at Acme Cloud."""

    capabilities = Capabilities(list_every_s=2.0)

    def __init__(self, name: str, settings: AcmeSettings, means: Means) -> None:
        self.name, self._now = name, means.now
        self._http = means.http(Service(url=settings.url, key=settings.api_key, spacing_s={"list": 2.0}))

    async def list_machines(self) -> Listing:
        asked_at = self._now()
        return Listing(asked_at=asked_at, machines=await self._ask(wire.machines, "GET", "/machines", endpoint="list"))

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        found = await self._ask(lambda body: wire.offers(body, self.name, machine), "GET", "/offers")
        gpus, regions = placement.gpus or machine.gpus, placement.regions
        cheap = [o for o in found if o.buy == placement.buy and o.usd_per_hour <= placement.max_usd_per_hour]
        fits = [o for o in cheap if (not gpus or o.gpu in gpus) and (not regions or o.region in regions)]
        return sorted(fits, key=lambda o: o.usd_per_hour)

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        return await self._ask(wire.changed, "POST", "/machines", wire.order(offer, machine, label))

    async def resume(self, provider_id: str) -> None:
        await self._ask(wire.changed, "POST", f"/machines/{provider_id}/start")

    async def stop(self, provider_id: str) -> None:
        await self._ask(wire.changed, "POST", f"/machines/{provider_id}/stop")

    async def release(self, provider_id: str) -> None:
        with suppress(errors.NotFound):
            await self._ask(wire.changed, "DELETE", f"/machines/{provider_id}")

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        raise errors.Rejected(f"Acme Cloud takes no bids: {usd_per_hour} USD per hour for {provider_id}")

    async def balance_usd(self) -> float | None:
        return (await self._ask(wire.usd, "GET", "/account")).get("balance")

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:
        return await self._ask(wire.usd, "GET", f"/bills/{day}")

    async def close(self) -> None:
        await self._http.close()

    async def _ask(self, read: Callable[[Any], T], method: str, path: str, body: Any = None, **others: str) -> T:
        answer = await self._http.send(json_request(method, path, body, **others))
        said = f"{method} {path}: {answer.status} {answer.text[:200]}"
        if answer.status == 429:
            raise errors.RateLimited(said, retry_after_s=told.wait_s(answer, self._now()))
        if answer.status >= 400:
            raise _REFUSALS.get(answer.status, errors.Rejected if answer.status < 500 else errors.UnclearOutcome)(said)
        try:
            return read(answer.json())
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise errors.UnclearOutcome(f"{said}: {error!r}") from error


KIND = ProviderKind(settings=AcmeSettings, capabilities=Acme.capabilities, make=Acme)
