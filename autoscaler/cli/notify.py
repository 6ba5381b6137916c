"""``autoscaler notify``: try the ways by which people are told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from autoscaler.cli.options import config_of, file_argument
from autoscaler.cli.output import screen
from autoscaler.core.errors import SettingsError

if TYPE_CHECKING:
    from autoscaler.config.notify import AnyChannel
    from autoscaler.telemetry.notify_text import Message

_FAILED = 1


@click.group()
def notify() -> None:
    """Try the channels of `notify`."""


@notify.command()
@file_argument
@click.option("--channel", "names", multiple=True, help="This channel alone; may be repeated.  [default: all]")
@click.option(
    "--severity",
    type=click.Choice(["info", "warning", "critical"]),
    default="warning",
    show_default=True,
    help="How severe the message is said to be.",
)
@click.pass_context
def test(ctx: click.Context, file: Path | None, *, names: tuple[str, ...], severity: str) -> None:
    """Send one message by each channel, now, and say what was answered.

    Quiet hours, pools and the least severity of a channel do not count here. Exit code 1 says that one failed.
    """
    config = config_of(file)
    channels = _chosen(config.notify.channels, names)
    answers = asyncio.run(_send(channels, _message(config.fleet, severity)))
    shown = screen()
    width = max(len(name) for name in channels)
    for name, (sent, said) in answers.items():
        answer = (f"{'sent' if sent else 'failed'}: {said}", "green" if sent else "red")
        shown.print(Text.assemble(f"{name:{width}}  ", answer))
    if not all(sent for sent, _ in answers.values()):
        ctx.exit(_FAILED)


def _chosen(channels: Mapping[str, AnyChannel], names: tuple[str, ...]) -> Mapping[str, AnyChannel]:
    """The channels to try.

    Raises:
        SettingsError: there is none, or none of a name.
    """
    from autoscaler.config.words import suggest

    if not channels:
        raise SettingsError("notify.channels: none is set; docs/notifications.md shows each kind")
    if unknown := [name for name in names if name not in channels]:
        raise SettingsError(*(f"--channel: {name}: no such channel; {suggest(name, channels)}" for name in unknown))
    return {name: channel for name, channel in channels.items() if not names or name in names}


def _message(fleet: str, severity: str) -> Message:
    from autoscaler.runtime.clock import SystemClock
    from autoscaler.runtime.concerns import Severity
    from autoscaler.runtime.entropy import Entropy
    from autoscaler.telemetry.notify_news import Change, News
    from autoscaler.telemetry.notify_text import compose

    now = SystemClock().now()
    text = "this is a test; nothing has happened"
    news = News(change=Change.EVENT, severity=Severity(severity), name="test", text=text, at=now, since=now)
    return compose([news], id=f"msg_{Entropy().token()}", fleet=fleet, at=now)


async def _send(channels: Mapping[str, AnyChannel], message: Message) -> dict[str, tuple[bool, str]]:
    """Whether each channel took it, and what was answered."""
    from autoscaler.runtime.clock import SystemClock
    from autoscaler.telemetry.notify_ways import attempt, way_of

    clock = SystemClock()
    answers = await asyncio.gather(*(attempt(way_of(channel), message, clock) for channel in channels.values()))
    return {
        name: (True, answer) if isinstance(answer, str) else (False, str(answer))
        for name, answer in zip(channels, answers, strict=True)
    }
