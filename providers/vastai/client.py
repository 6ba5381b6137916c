"""Vast.ai's endpoints, one method each. A request is sent once; what comes of it is a value, or an error to act on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from autoscaler.core.errors import NotFound, RateLimited, Transient
from autoscaler.core.units import format_duration
from providers.http import Http, Request, json_request
from providers.vastai import offers, orders, refusals, wire
from providers.vastai.refusals import Reply
from providers.vastai.wire import Page, Row

SPACING_S: Mapping[str, float] = {
    "list": 1.0,
    "show": 2.0,
    "search": 6.0,  # ten a minute
    "create": 4.5,
    "state": 1.0,
    "destroy": 3.0,
    "bid": 5.5,
    "charges": 1.0,
}
"""The least seconds between two requests, by endpoint: `x-rate-limit` of Vast.ai's API documents."""

T = TypeVar("T")


class Client:
    """One account's way to Vast.ai."""

    def __init__(self, http: Http, now: Callable[[], float], quiet: Callable[[str], str]) -> None:
        """`quiet` takes the account's secrets out of the vendor's words."""
        self._http = http
        self._now = now
        self._quiet = quiet
        self._search_at = 0.0
        """Not before this may offers be searched."""

    async def instances(self) -> list[Row]:
        """All machines of the account, in the order in which they were rented."""
        query = {"limit": str(wire.PAGE), "order_by": json.dumps([{"col": "id", "dir": "asc"}])}
        rows = await self._all("/api/v1/instances/", "list", wire.instances, query)
        if len({row["id"] for row in rows}) != len(rows):
            raise Transient("the listing shows a machine twice: its pages do not fit together")
        return rows

    async def instance(self, provider_id: str) -> Row:
        """One machine.

        Raises:
            NotFound: there is none of that id.
        """
        request = json_request("GET", f"/api/v0/instances/{provider_id}/", endpoint="show", owner="me")
        row = await self._read(request, wire.instance)
        if row is None:
            raise NotFound(f"there is no machine {provider_id}")
        return row

    async def search(self, body: Mapping[str, Any], *, patience_s: float) -> list[Row]:
        """The cheapest offers, as many as one answer holds.

        Ten searches a minute are allowed, and several placements may look at once: `patience_s` is the longest wait for
        this one's turn.

        Raises:
            RateLimited: too many searches; it was not even sent where it is known to be one too many.
        """
        wait_s = self._search_at - self._now()
        if wait_s > 0:
            text = f"the quota of searches is used up; it is full again in {format_duration(wait_s)}"
            raise RateLimited(text, retry_after_s=wait_s)
        request = json_request("POST", "/api/v0/bundles/", body, endpoint="search")
        reply = await self._reply(replace(request, patience_s=patience_s))
        self._search_at = self._now() + refusals.search_quota_s(reply, self._now())
        return self._parsed(reply, offers.found)

    async def create(self, offer_id: str, body: Mapping[str, Any]) -> str:
        """Accept an offer; gives the id of the machine. To be sent once: there is no second chance to know."""
        reply = await self._reply(json_request("PUT", f"/api/v0/asks/{offer_id}/", body, endpoint="create"))
        return refusals.made(reply, self._now())

    async def start(self, provider_id: str) -> None:
        """Start a machine. Refused, the start may be queued all the same."""
        await self._order("PUT", f"/api/v0/instances/{provider_id}/", orders.START, "state", starts=True)

    async def stop(self, provider_id: str) -> None:
        """Stop a machine, or cancel its queued start."""
        await self._order("PUT", f"/api/v0/instances/{provider_id}/", orders.STOP, "state")

    async def destroy(self, provider_id: str) -> None:
        """Give a machine back, and its disk with it."""
        await self._order("DELETE", f"/api/v0/instances/{provider_id}/", {}, "destroy")

    async def bid(self, provider_id: str, price: float) -> None:
        """Bid for a spot machine: USD per hour, its disk not included."""
        await self._order("PUT", f"/api/v0/instances/bid_price/{provider_id}/", orders.bid_body(price), "bid")

    async def credit(self) -> float | None:
        """The money left in the account, in USD."""
        return await self._read(json_request("GET", "/api/v0/users/current/", endpoint="user"), wire.credit)

    async def charges(self, first: int, last: int) -> list[tuple[str, float]]:
        """Which machine was billed how much, in USD, from one moment to another, in epoch seconds, both included."""
        filters = {"day": {"gte": first, "lte": last}, "type": {"in": ["instance"]}}
        query = {"select_filters": json.dumps(filters), "format": "table", "limit": str(wire.MOST_CHARGES)}
        return await self._all("/api/v0/charges/", "charges", wire.charges, query)

    async def increases(self) -> tuple[str, ...]:
        """The price increases that wait for the customer's yes, in words for people."""
        path = "/api/v0/instances/pending-price-increases/"
        return await self._read(json_request("GET", path, endpoint="increases"), wire.increases)

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close()

    async def _all(
        self, path: str, endpoint: str, parse: Callable[[Row], Page[T]], query: Mapping[str, str]
    ) -> list[T]:
        """What all pages hold.

        Raises:
            Transient: that is not as much as the vendor counts. Machines come and go while pages are read, so that any
                number between the least and the largest count will do.
        """
        items: list[T] = []
        rows = 0
        totals: list[float] = []
        tokens: list[str] = []
        while True:
            after = {"after_token": tokens[-1]} if tokens else {}
            page = await self._read(json_request("GET", path, endpoint=endpoint, **query, **after), parse)
            items += page.items
            rows += page.rows
            totals.append(page.total)
            if page.next_token is None:
                break
            if page.next_token in tokens or not page.rows or rows > max(totals):
                raise Transient(f"{endpoint}: its pages do not end")
            tokens.append(page.next_token)
        if not min(totals) <= rows <= max(totals):
            raise Transient(f"{endpoint}: {rows} rows came, and there are {totals[-1]:g}")
        return items

    async def _reply(self, request: Request) -> Reply:
        return refusals.read(await self._http.send(request), self._quiet)

    async def _read(self, request: Request, parse: Callable[[Row], T]) -> T:
        return self._parsed(await self._reply(request), parse)

    def _parsed(self, reply: Reply, parse: Callable[[Row], T]) -> T:
        body = refusals.what_was_read(reply, self._now())
        try:
            return parse(body)
        except ValueError as error:
            raise Transient(f"the answer makes no sense: {self._quiet(str(error))}") from None

    async def _order(self, method: str, path: str, body: Row, endpoint: str, *, starts: bool = False) -> None:
        reply = await self._reply(json_request(method, path, body, endpoint=endpoint))
        refusals.check_done(reply, self._now(), starts=starts)
