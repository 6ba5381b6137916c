"""Operators' orders over HTTP: what stands, a new one, one taken back. The store journals each with who and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from aiohttp import web
from pydantic import AfterValidator, Field

from autoscaler.config.schema import Config
from autoscaler.core.instance import Instance
from autoscaler.core.order_checks import MOST_WORDS, Known, problems, warnings
from autoscaler.core.orders import Order, OrderKind, Orders
from autoscaler.runtime.ports import Store
from autoscaler.web.forms import GivenForm, OrdersForm, ProblemForm
from autoscaler.web.guarded import problem
from autoscaler.web.routes import FORM, Answer, BadRequest, Route, read_body, read_query
from autoscaler.web.views import Board, orders_view

_PATH = "/api/v1/orders"
_AWAY = Answer(text="The store is away; nothing was done.", form=ProblemForm)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has a control character or a line break; expected one line of plain text")
    return text


def _somebody(text: str) -> str:
    if not text.strip():
        raise ValueError("say who it is")
    return _printable(text)


Words = Annotated[str, Field(max_length=MOST_WORDS), AfterValidator(_printable)]
Who = Annotated[str, Field(min_length=1, max_length=MOST_WORDS), AfterValidator(_somebody)]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewOrder:
    """An order to give."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORM

    kind: OrderKind
    subject: Words = ""
    """A pool, of a pause, floor or ceiling (empty: each pool); a machine, of a drain or release; a provider to
    evacuate; `PROVIDER/ID` of a machine to adopt."""
    by: Who
    """Who gives it."""
    why: Words = ""
    """For the journal, and for whoever reads it at night."""
    for_s: Annotated[float, Field(gt=0)] | None = None
    """How long it is to stand, in seconds; without it, until it is withdrawn or fulfilled."""
    count: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Machines, of a floor or ceiling."""
    pool: Words = ""
    """The pool that an adopted machine is to belong to."""
    lose_jobs: bool = False
    """Of a release: do not wait for the jobs on the machine; they are lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawal:
    """Who takes an order back."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORM

    by: Who
    """Who takes it back."""
    why: Words = ""
    """For the journal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderDesk:
    """The handlers and what they work with."""

    board: Board
    store: Store
    records: Callable[[], Awaitable[Sequence[Instance]]]
    """Gives all machines, whichever daemon leads their pools."""
    config: Callable[[], Config]
    """What is in force."""
    now: Callable[[], float]
    wake: Callable[[], None]
    """Lets the next tick begin, so that an order takes effect at once."""

    def routes(self) -> list[Route]:
        """All that is to be done with orders."""
        return [
            Route(
                method="GET",
                path=_PATH,
                handler=self._list,
                summary="operators' orders that stand",
                answers={200: Answer(text="The orders, oldest first.", form=OrdersForm), 503: _AWAY},
            ),
            Route(
                method="POST",
                path=_PATH,
                handler=self._give,
                summary="give an order, in the place of one of the same kind and subject",
                body=NewOrder,
                answers={
                    201: Answer(
                        text="The order stands.", form=GivenForm, headers={"Location": "Where it is withdrawn."}
                    ),
                    503: _AWAY,
                },
            ),
            Route(
                method="DELETE",
                path=f"{_PATH}/{{name}}",
                handler=self._withdraw,
                summary="take an order back",
                names={"name": "The order's name, such as `pause` or `floor:images`; a / in it is written %2F."},
                query=Withdrawal,
                answers={
                    204: Answer(text="It stands no more."),
                    404: Answer(text="No such order stands.", form=ProblemForm),
                    503: _AWAY,
                },
            ),
        ]

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response({"orders": orders_view((await self._standing()).standing)})

    async def _give(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, NewOrder)
        order = Order(
            kind=wanted.kind,
            subject=wanted.subject,
            by=wanted.by,
            why=wanted.why,
            at=self.now(),
            for_s=wanted.for_s,
            count=wanted.count,
            pool=wanted.pool,
            lose_jobs=wanted.lose_jobs,
        )
        known = await self._known()
        if found := problems(order, known):
            raise BadRequest(*found)
        await self.store.give(order)
        self.wake()
        [given] = orders_view([order])
        answer = {**given, "warnings": warnings(order, known)}
        location = f"{_PATH}/{quote(order.name, safe=':')}"
        return web.json_response(answer, status=201, headers={"Location": location})

    async def _withdraw(self, request: web.Request) -> web.Response:
        said = read_query(request, Withdrawal)
        if not await self.store.withdraw(request.match_info["name"], by=said.by, why=said.why):
            return problem(404, f"no order of this name stands; {_PATH} lists those that do")
        self.wake()
        return web.Response(status=204)

    async def _standing(self) -> Orders:
        now, given = self.now(), await self.store.orders()
        return Orders(standing=tuple(order for order in given if order.until is None or order.until > now))

    async def _known(self) -> Known:
        """What an order is held against."""
        config, report = self.config(), self.board.report
        return Known(
            fleet=config.fleet,
            pools={name: settings.pool(name) for name, settings in config.pools.items()},
            providers=config.providers.keys(),
            instances={record.id: record for record in await self.records()},
            listings=report.listings if report else {},
            standing=await self._standing(),
        )
