"""Vast.ai behind the provider contract."""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from autoscaler.core.errors import NotFound, ProviderError, RateLimited, Rejected, Transient
from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import MachineSpec, Placement
from providers.base import Capabilities
from providers.http import Http
from providers.vastai import orders, wire
from providers.vastai.client import Client
from providers.vastai.offers import MOST_FOUND, Wanted
from providers.vastai.settings import VastSettings
from providers.vastai.wire import Row, row_id

CAPABILITIES = Capabilities(can_bid=True, orders_at_once=3, list_every_s=10.0, search_every_s=30.0)

_SEARCH_KEPT_S = 60.0
"""A found offer is offered for so long without another search: searches have a daily quota. One that is gone by then is
refused at no cost."""
_SPENT_S = 600.0
"""An offer that we tried to take is not offered again for so long, whatever a search shows."""
_FIRST_PATIENCE_S, _MORE_PATIENCE_S = 45.0, 15.0
"""How long a search waits for its turn. Placements look in the background and at once, and each is to find something;
more than the 64 cheapest is asked for only where the line is free."""
_MOST_SEARCHES, _LONGEST_SEARCH_S = 4, 20.0
"""Searches in a row, and the time after which none is begun; what lies beyond is dearer than all that was found."""
_NOTICES_EVERY_S = 600.0
_DAY_S = 86400
_SECRET_LENGTH = 8  # a shorter word of a login is a flag or a name


class VastProvider:
    """One account at Vast.ai."""

    capabilities = CAPABILITIES

    def __init__(self, name: str, settings: VastSettings, http: Http, now: Callable[[], float]) -> None:
        self.name = name
        self._settings = settings
        self._now = now
        self._secrets = _secrets(settings)
        self._client = Client(http, now, self._quiet)
        self._searches: dict[str, tuple[float, tuple[Offer, ...]]] = {}
        self._spent: dict[str, float] = {}
        self._notices: tuple[str, ...] = ()
        self._noticed_at = float("-inf")

    async def list_machines(self) -> Listing:
        """All machines of the account; see :class:`providers.base.Provider`."""
        asked_at = self._now()
        rows = await self._client.instances()
        machines = tuple(wire.remote(row, asked_at, self._quiet) for row in rows)
        return Listing(asked_at=asked_at, machines=machines, notices=await self._asked_notices())

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        """What can be rented now for this placement, cheapest first."""
        now = self._now()
        wanted = Wanted(provider=self.name, settings=self._settings, placement=placement, machine=machine)
        what = json.dumps(wanted.search())
        self._searches = {key: kept for key, kept in self._searches.items() if 0 <= now - kept[0] < _SEARCH_KEPT_S}
        self._spent = {offer_id: at for offer_id, at in self._spent.items() if 0 <= now - at < _SPENT_S}
        if what not in self._searches:
            offers = [offer for row in await self._search(wanted) if (offer := wanted.offer(row))]
            self._searches[what] = now, tuple(sorted(offers, key=lambda offer: offer.usd_per_hour))
        return [offer for offer in self._searches[what][1] if offer.offer_id not in self._spent]

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        """Rent one machine and give its id."""
        with _rejecting():
            bid = orders.bid_of(offer.usd_per_hour, offer.disk_usd_per_hour) if offer.buy == "spot" else None
            body = orders.create_body(machine, label=label, bid=bid, image_login=self._settings.image_login)
        self._spent[offer.offer_id] = self._now()  # before the call, for a call that is cut off may have taken it
        try:
            return await self._client.create(offer.offer_id, body)
        except (RateLimited, Transient):  # it certainly took nothing
            self._spent.pop(offer.offer_id, None)
            raise

    async def resume(self, provider_id: str) -> None:
        """Start a stopped machine. A stop keeps no GPU, so that this may be refused, and be queued all the same."""
        await self._client.start(provider_id)

    async def stop(self, provider_id: str) -> None:
        """Stop a machine and keep its disk, which bills; also cancels a queued start."""
        await self._client.stop(provider_id)

    async def release(self, provider_id: str) -> None:
        """Give a machine back for good."""
        with contextlib.suppress(NotFound):
            await self._client.destroy(provider_id)

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        """Change the bid of a spot machine. The vendor's bid is without the disk, whose price the machine tells."""
        remote = wire.remote(await self._client.instance(provider_id), self._now(), self._quiet)
        if remote.buy != "spot":
            raise Rejected(f"{provider_id} was rented on demand: there is no bid to change")
        with _rejecting():
            bid = orders.bid_of(usd_per_hour, remote.disk_usd_per_hour)
        await self._client.bid(provider_id, bid)

    async def balance_usd(self) -> float | None:
        """The account's credit."""
        return await self._client.credit()

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:
        """What each machine was billed for a UTC day, in USD: GPU, disk and traffic."""
        first = int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
        billed: dict[str, float] = defaultdict(float)
        for provider_id, usd in await self._client.charges(first, first + _DAY_S - 1):
            billed[provider_id] += usd
        return dict(billed)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _search(self, wanted: Wanted) -> list[Row]:
        """The rows of a search and of those that go on from it, each offer once."""
        began, rows = self._now(), dict[str, Row]()
        body = wanted.search()
        for _ in range(_MOST_SEARCHES):
            try:
                patience_s = _MORE_PATIENCE_S if rows else _FIRST_PATIENCE_S
                more = await self._client.search(body, patience_s=patience_s)
            except ProviderError:
                if not rows:
                    raise
                break  # what was found so far is the cheapest
            fresh = {row_id(row): row for row in more if row_id(row) not in rows}
            rows |= fresh
            if len(more) < MOST_FOUND or not fresh or self._now() - began >= _LONGEST_SEARCH_S:
                break
            body = wanted.search_on(more)
        return list(rows.values())

    async def _asked_notices(self) -> tuple[str, ...]:
        """The price increases that wait for a yes. No answer to this is no reason to know nothing of the machines."""
        now = self._now()
        if abs(now - self._noticed_at) >= _NOTICES_EVERY_S:
            self._noticed_at = now
            with contextlib.suppress(ProviderError):
                self._notices = await self._client.increases()
        return self._notices

    def _quiet(self, text: str) -> str:
        """A text of the vendor on one line and without our secrets, should it hold them."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())


@contextlib.contextmanager
def _rejecting() -> Iterator[None]:
    """What cannot be ordered is refused before it is sent."""
    try:
        yield
    except ValueError as error:
        raise Rejected(str(error)) from None


def _secrets(settings: VastSettings) -> list[str]:
    """What no message may hold: the key, the login of the registry, and the longer words of that, longest first."""
    login = settings.image_login.reveal() if settings.image_login else ""
    words = [word for word in login.split() if len(word) >= _SECRET_LENGTH]
    return sorted(filter(None, [settings.api_key.reveal(), login, *words]), key=len, reverse=True)
