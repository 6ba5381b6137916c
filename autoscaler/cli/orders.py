"""The operator's hand: orders that stand until they are withdrawn, fulfilled or over."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from autoscaler.cli.order_options import Hand, for_option, hand, pool_option, yes_option
from autoscaler.core.orders import OrderKind


@click.command()
@hand
@pool_option
@for_option
def pause(hand: Hand, pool: str, for_s: float | None) -> None:
    """Touch no machine until `unpause`; watching goes on.

    No machine is rented, resumed, drained, stopped or released, not even one whose release was already decided: what
    runs goes on billing. A pause wins over every other order.

    \b
      autoscaler pause fleet.yaml --why "the market is mad"
      autoscaler pause fleet.yaml --pool images --for 30m
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    hand.give(OrderKind.PAUSE, pool, for_s=for_s)
    whose = f"of {pool} " if pool else ""
    click.echo(f"Paused: no machine {whose}is touched from the next tick on. Machines that run go on billing.")
    hand.next(f"unpause --pool {pool}" if pool else "unpause")


@click.command()
@hand
@pool_option
def unpause(hand: Hand, pool: str) -> None:
    """Let the daemon act again after `pause`, of all pools or of one.

    \b
      autoscaler unpause fleet.yaml
      autoscaler unpause fleet.yaml --pool images     if that pool was paused by itself
    """  # noqa: D301 - as above
    hand.withdraw(f"pause:{pool}" if pool else "pause")
    click.echo("Unpaused: the next tick acts again.")


@click.command()
@click.argument("count", type=click.IntRange(min=0))
@hand
@pool_option
@for_option
def floor(hand: Hand, count: int, pool: str, for_s: float | None) -> None:
    """Keep at least COUNT machines running, whatever the queue holds.

    Within the pool's `limits.hot` and every cap on money: an order never lets either be exceeded, and `why` says where
    one stands in its way. The machines are started with the next tick; they serve once they are up.

    \b
      autoscaler floor 3 fleet.yaml --for 2h --why "launch at noon"
      autoscaler withdraw floor fleet.yaml            take it back
    """  # noqa: D301 - as above
    hand.give(OrderKind.FLOOR, pool, count=count, for_s=for_s)
    hand.next(f"withdraw floor:{pool}" if pool else "withdraw floor")


@click.command()
@click.argument("count", type=click.IntRange(min=0))
@hand
@pool_option
@for_option
def ceiling(hand: Hand, count: int, pool: str, for_s: float | None) -> None:
    """Let at most COUNT machines run.

    Be it fewer than `limits.hot` asks for, be it none.

    What is too many is drained with the next tick, and stopped or released once idle; no job is cut off. A ceiling goes
    before a floor.

    \b
      autoscaler ceiling 2 fleet.yaml --why "the vendor bills twice"
      autoscaler ceiling 0 fleet.yaml --pool images --for 8h
      autoscaler withdraw ceiling fleet.yaml          take it back
    """  # noqa: D301 - as above
    hand.give(OrderKind.CEILING, pool, count=count, for_s=for_s)
    hand.next(f"withdraw ceiling:{pool}" if pool else "withdraw ceiling")


@click.command()
@click.argument("machine", metavar="ID")
@hand
@for_option
def drain(hand: Hand, machine: str, for_s: float | None) -> None:
    """Give machine ID no more jobs.

    Once idle it is stopped or released, as the policies have it.

    ID is the machine's in `status`, or PROVIDER/ID as in the provider's console. Its jobs end in peace. If the pool
    needs a machine in its place, one is started at once. The order is done with when the machine is stopped or gone.

    \b
      autoscaler drain k3v9x0q2mf fleet.yaml --why "its fan howls"
    """  # noqa: D301 - as above
    hand.give(OrderKind.DRAIN, machine, for_s=for_s)
    hand.next("orders")


@click.command()
@click.argument("machine", metavar="ID")
@hand
@click.option("--lose-jobs", is_flag=True, help="Release it now, whatever runs on it: its jobs are killed.")
@yes_option
@for_option
def release(hand: Hand, machine: str, lose_jobs: bool, yes: bool, for_s: float | None) -> None:
    """Give machine ID back to its provider, once it is idle.

    It is drained first where it may hold a job.

    A stopped machine, and one on its way that cannot hold a job yet, is released at once; one that serves is drained,
    and released once it is known to be idle. A worker that does not say whether it is idle holds that up for ever: the
    only way to end such a machine, and the only one in this program to kill work, is --lose-jobs.

    \b
      autoscaler release k3v9x0q2mf fleet.yaml
      autoscaler release vastai/12345678 fleet.yaml --lose-jobs --why "it mines"
    """  # noqa: D301 - as above
    if lose_jobs and not yes:
        click.confirm(f"Jobs on {machine} are killed and lost. Release it all the same?", abort=True)
    hand.give(OrderKind.RELEASE, machine, lose_jobs=lose_jobs, for_s=for_s)
    hand.next("orders")


@click.command()
@click.argument("provider")
@hand
@for_option
def evacuate(hand: Hand, provider: str, for_s: float | None) -> None:
    """Leave PROVIDER: replace what serves there and release it.

    Nothing more is started there; what serves is replaced elsewhere first, then drained and released.

    Stopped machines and such as are on their way are released at once. A machine that serves goes only when its
    replacement elsewhere is up; where nothing can be rented elsewhere it goes on serving, and `why` says so. The order
    stands until it is withdrawn, so that nothing is rented there again.

    \b
      autoscaler evacuate vastai fleet.yaml --why "their status page is red"
      autoscaler withdraw evacuate:vastai fleet.yaml  rent there again
    """  # noqa: D301 - as above
    hand.give(OrderKind.EVACUATE, provider, for_s=for_s)
    hand.next(f"withdraw evacuate:{provider}")


@click.command()
@click.argument("machine", metavar="PROVIDER/ID")
@hand
@click.option("--pool", required=True, help="The pool that it is to belong to.")
def adopt(hand: Hand, machine: str, pool: str) -> None:
    """Make a machine of the account ours, whatever its label.

    It serves, bills and ends as those we rented.

    From the next listing on it is known as PROVIDER-ID. Its worker must beat under that name (AUTOSCALER_INSTANCE),
    where the pool counts machines as up by their heartbeat: one that is never up is released after
    `deadlines.booting`.

    \b
      autoscaler adopt vastai/12345678 fleet.yaml --pool images
    """  # noqa: D301 - as above
    hand.give(OrderKind.ADOPT, machine, pool=pool)
    hand.next("orders")


@click.command()
@hand
def orders(hand: Hand) -> None:
    """List the orders that stand, by whom, why and until when.

    \b
      autoscaler orders fleet.yaml
      autoscaler withdraw floor:images fleet.yaml     takes one back, by its name in the first column
    """  # noqa: D301 - as above
    standing = hand.standing()
    width = max((len(order.name) for order in standing), default=0)
    for order in standing:
        click.echo(f"{order.name:<{width}}  {order.text}{_until(order.until)}")
    if not standing:
        click.echo("No order stands.")


def _until(epoch_s: float | None) -> str:
    return f"  [until {datetime.fromtimestamp(epoch_s, UTC):%m-%d %H:%M:%S} UTC]" if epoch_s is not None else ""


@click.command()
@click.argument("name")
@hand
def withdraw(hand: Hand, name: str) -> None:
    """Take an order back, by its NAME in `orders`.

    Such as floor, floor:images, drain:k3v9x0q2mf, evacuate:vastai.

    What it led to is not undone: a machine that was released stays released.

    \b
      autoscaler withdraw floor:images fleet.yaml
    """  # noqa: D301 - as above
    hand.withdraw(name)
    click.echo(f"Withdrawn: {name}")
