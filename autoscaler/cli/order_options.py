"""What the commands of an operator's hand have in common: whose word it is, and the way by which it goes."""

from __future__ import annotations

import asyncio
import functools
import getpass
from collections.abc import AsyncIterator, Callable, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli.endpoint import ask_orders, give_order, withdraw_order
from autoscaler.cli.options import file_argument, given, packaged, some_duration
from autoscaler.core.errors import SettingsError, StoreUnavailable
from autoscaler.core.orders import OF_MACHINES, Order, OrderKind

if TYPE_CHECKING:
    from autoscaler.app import App
    from autoscaler.config import Config
    from autoscaler.core.demand import Unknown
    from autoscaler.core.market import Listing
    from autoscaler.core.order_checks import Known
    from autoscaler.link import RedisLink

_ASKED_S = 60.0  # a provider for its listing
_IN_DAEMON = "this mock market is inside the daemon: ask the daemon with --url, or give the market a `state_file`"

for_option = click.option(
    "--for", "for_s", metavar="2h", callback=some_duration, help="How long it stands, such as 90s, 45m, 2h or 3d."
)
pool_option = click.option("--pool", default="", help="The pool it is about; each pool when not given.")
by_option = click.option(
    "--by", default=getpass.getuser, help="Who says so; for the journal.  [default: your user name]"
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hand:
    """Who orders, and by which way: through the Redis that the file names, or through a daemon's API."""

    file: Path | None
    url: str | None
    token: str
    by: str
    why: str

    def give(self, kind: OrderKind, subject: str = "", **fields: Any) -> None:
        """Give an order and say so.

        Raises:
            AutoscalerError: it cannot be given, with a line for each reason.
        """
        self.give_all([self.order(kind, subject, **fields)])

    def order(self, kind: OrderKind, subject: str = "", **fields: Any) -> Order:
        """An order in this person's name."""
        from autoscaler.runtime.clock import SystemClock

        said = {"by": self.by, "why": self.why} | fields
        return Order(kind=kind, subject=subject, at=SystemClock().now(), **said)

    def give_all(self, orders: Sequence[Order]) -> None:
        """Give orders and say so, each with what is to be known of it.

        Raises:
            AutoscalerError: one cannot be given, with a line for each reason; through Redis none is given then.
        """
        warnings = asyncio.run(self._send(orders) if self.url else self._write(orders))
        for order in orders:
            click.echo(f"Given: {order.text}")
        for warning in dict.fromkeys(warnings):
            click.echo(f"Note:  {warning}")

    def withdraw(self, name: str) -> None:
        """Take an order back.

        Raises:
            AutoscalerError: no such order stands, or nobody can be reached.
        """
        asyncio.run(
            withdraw_order(self.url, self.token, name, by=self.by, why=self.why) if self.url else self._erase(name)
        )

    def standing(self) -> Sequence[Order]:
        """What was ordered and not withdrawn, oldest first."""
        if self.url:
            return asyncio.run(ask_orders(self.url))
        return asyncio.run(self._read())

    def next(self, command: str) -> None:
        """Say what to do next, in words that can be pasted."""
        where = f" --url {self.url}" if self.url else f" {self.file}" if self.file else ""
        click.echo(f"Next:  autoscaler {command}{where}")

    async def _send(self, orders: Sequence[Order]) -> list[str]:
        told = []
        for order in orders:
            wanted = {name: value for name, value in asdict(order).items() if name not in ("at", "until")}
            told += await give_order(str(self.url), self.token, wanted)
        return told

    async def _write(self, orders: Sequence[Order]) -> list[str]:
        from autoscaler.core.order_checks import problems, warnings

        async with opened(self.file) as app:
            known = await _known(app, orders)
            if found := dict.fromkeys(problem for order in orders for problem in problems(order, known)):
                raise SettingsError(*found)
            for order in orders:
                await app.store.give(order)
            told = [warning for order in orders for warning in warnings(order, known)]
            return [*told, *await _of_leader(app)]

    async def _erase(self, name: str) -> None:
        async with opened(self.file) as app:
            if not await app.store.withdraw(name, by=self.by, why=self.why):
                raise SettingsError(f"no order {name!r} stands; `autoscaler orders` lists those that do")

    async def _read(self) -> Sequence[Order]:
        async with opened(self.file) as app:
            return await app.store.orders()


def hand(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of every order; they arrive as one `Hand`, its first argument."""

    @functools.wraps(command)
    def with_hand(file: Path | None, url: str | None, token: str, by: str, why: str, **options: Any) -> None:
        command(Hand(file=file, url=url, token=token, by=by, why=why), **options)

    ways = (
        file_argument,
        by_option,
        click.option("--why", default="", metavar="TEXT", help="Why, for the journal and whoever reads it at night."),
        click.option("--url", help="Go through the API of the daemon there, rather than through the Redis of FILE."),
        click.option(
            "--token", default="", envvar="AUTOSCALER_TOKEN", help="The API's token.  [env: AUTOSCALER_TOKEN]"
        ),
    )
    wrapped: Callable[..., None] = with_hand
    for way in reversed(ways):
        wrapped = way(wrapped)
    return wrapped


@asynccontextmanager
async def opened(file: Path | None) -> AsyncIterator[App]:
    """What a daemon of this configuration would work with; nothing runs.

    Raises:
        SettingsError: a mistake in the file, Redis refuses us, or it is that of a daemon that does not run.
    """
    from autoscaler.app import build
    from autoscaler.runtime.clock import SystemClock

    config = given(file) or await _running()
    app = build(config, clock=SystemClock())
    try:
        await app.check_access()
        yield app
    except StoreUnavailable as error:
        if not (config.store or config.redis).address().embedded:
            raise
        if file is None:
            raise SettingsError("FILE: missing, and no daemon without one runs here; give FILE or --url") from error
        raise SettingsError(f"its Redis is inside the daemon, which does not run: autoscaler run {file}") from error
    finally:
        await app.close()


async def _running() -> Config:
    """The configuration of the daemon that runs without a file: of the demo, where that is what runs."""
    from autoscaler.link import RedisLink

    demo = packaged("demo")
    link = RedisLink(demo.redis)
    try:
        return demo if await is_led(link, demo.fleet) else packaged("default")
    except StoreUnavailable:
        return packaged("default")
    finally:
        await link.close()


async def is_led(link: RedisLink, fleet: str) -> bool:
    """Whether any daemon leads, be it all pools or one of them."""
    from autoscaler.store.keys import Keys

    [owner] = await link.execute([("GET", Keys(fleet).whole_lease)])  # a daemon's user may not ask EXISTS of its keys
    return isinstance(owner, bytes)


async def _of_leader(app: App) -> list[str]:
    """What to know of an order that nobody carries out yet."""
    config = app.config
    led = await is_led(app.parts.links[config.store or config.redis], config.fleet)
    return [] if led else [f"no daemon leads {config.fleet} now: it is carried out once one does (autoscaler run)"]


async def _known(app: App, orders: Sequence[Order]) -> Known:
    """What orders are held against. A pause needs no machines, so that nothing about them can stand in its way."""
    from autoscaler.core.order_checks import Known
    from autoscaler.core.orders import Orders

    config = app.config
    about_machines = [order for order in orders if order.kind in OF_MACHINES or order.kind is OrderKind.ADOPT]
    evacuates = any(order.kind is OrderKind.EVACUATE for order in orders)
    records = await app.records() if about_machines or evacuates else ()
    accounts = {order.subject.partition("/")[0] for order in about_machines}
    return Known(
        fleet=config.fleet,
        pools={name: settings.pool(name) for name, settings in config.pools.items()},
        providers=config.providers.keys() | {record.provider for record in records},  # the file may name one no more
        instances={record.id: record for record in records},
        listings=await listings(app, accounts & app.providers.keys()),
        standing=Orders(standing=tuple(await app.store.orders())),
    )


async def listings(app: App, names: Set[str]) -> dict[str, Listing | Unknown]:
    """What these providers list now; of one that fails, why."""
    return {name: await _listing(app, name) for name in sorted(names)}


async def _listing(app: App, name: str) -> Listing | Unknown:
    from autoscaler.core.demand import Unknown
    from autoscaler.core.errors import ProviderError
    from autoscaler.runtime.clock import SystemClock
    from providers.mock import MockSettings

    clock, settings = SystemClock(), app.config.providers[name]
    if isinstance(settings, MockSettings) and settings.state_file is None:
        return Unknown(_IN_DAEMON, clock.now())
    try:
        async with clock.timeout(_ASKED_S):
            return await app.providers[name].list_machines()
    except (ProviderError, TimeoutError) as error:
        return Unknown(str(error) or f"no answer within {_ASKED_S:g}s", clock.now())
