"""What is said of a whole fleet: its standing and money, what needs a person, orders, and pools led elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from autoscaler.cli.view.words import Object, bar, line, moment, order_text
from autoscaler.core.units import format_duration

_SEVERITIES = {"critical": ("!!", "bold red"), "warning": ("!", "yellow"), "info": ("i", "cyan")}
_LATE_TICKS_S = 60.0
_BAR_CELLS = 30
_LEAST_TEXT = 30
"""Columns of a concern that its command must leave it."""


def header(status: Object) -> Text:
    """Which fleet it is, how it stands, and what it costs."""
    text = line()
    text.append(status["fleet"], "bold")
    text.append("  ")
    text.append(*_standing(status))
    if status["leads"]:
        text.append(f"  {status['usd_per_hour']:.2f} USD/h  ")
        text.append(*money_words(status["usd_today"], _day_cap(status, "warn"), _day_cap(status, "stop")))
    if status["usd_month_forecast"] is not None:
        text.append(f"  month ~{status['usd_month_forecast']:.0f} USD", "dim")
    text.append(f"  {moment(status['clock'])} UTC", "dim")
    if status["age_s"] is None:
        text.append("  no tick yet", "yellow")
    else:
        late = status["age_s"] > _LATE_TICKS_S
        text.append(f"  tick {format_duration(status['age_s'])} ago", "red" if late else "dim")
    text.append(f"  {status['version']}", "dim")
    return text


def concern_lines(concerns: Sequence[Object], width: int, most: int | None = None) -> Iterator[Text]:
    """What needs a person, each with the command that mends it; `most` lines at the most."""
    shown = concerns if most is None or len(concerns) <= most else concerns[: most - 1]
    for concern in shown:
        yield concern_line(concern, width)
    if len(shown) < len(concerns):
        yield line(f"… and {len(concerns) - len(shown)} more concerns", "yellow")


def concern_line(concern: Object, width: int) -> Text:
    """A concern, cut so that its command is whole, if that leaves it room enough."""
    sign, style = _SEVERITIES.get(concern["severity"], ("!", "yellow"))
    text, command = line(f"{sign} {concern['text']}", style), concern["command"]
    room = width - cell_len(command) - 4
    if not command:
        return text
    if room < _LEAST_TEXT:
        return text.append(f"  → {command}", "bold")
    text.truncate(room, overflow="ellipsis")
    return line().append_text(text).append(f"  → {command}", "bold")


def order_lines(status: Object) -> Iterator[Text]:
    """The orders that stand, and who knows what is not shown here."""
    for order in status["orders"]:
        yield line(f"! {order_text(order)}", "yellow")
    here = {pool["name"] for pool in status["pools"]}
    pools: dict[str, list[str]] = {}
    for pool, leader in status["leaders"].items():
        if pool not in here:
            pools.setdefault(leader_named(leader), []).append(pool)
    for leader, led in pools.items():
        yield line(f"  {', '.join(sorted(led))}: led by {leader}", "yellow")


def leader_named(leader: str) -> str:
    """A leader's name, as `leaders` in the status has it, in words: its host and its process, no more."""
    if leader == "spread":  # what the store says of the one lease of all pools while each has its own
        return "a daemon with `spread: true`"
    host, _, process = leader.partition(":")
    return f"process {process.partition(':')[0]} on {host}" if leader else "nobody"


def _standing(status: Object) -> tuple[str, str]:
    if status["error"]:
        return "FAILING", "bold red"
    if any(order["name"] == "pause" for order in status["orders"]):
        return "PAUSED", "yellow"
    if status["at"] is None:
        return "starting", "yellow"
    return ("leads", "green") if status["leads"] else ("stands by", "yellow")


# --- money ------------------------------------------------------------------------------------------------------------


def money_words(usd: float, warn: float, stop: float) -> tuple[str, str]:
    """What today has cost against its cap, in words and their style."""
    if usd >= stop:
        return f"{usd:.2f} of {stop:g} USD today: stop", "bold red"
    if usd >= warn:
        return f"{usd:.2f} of {stop:g} USD today: warn", "yellow"
    return f"{usd:.2f} of {stop:g} USD today", ""


def money_lines(status: Object) -> Iterator[Text]:
    """A bar for each cap on the whole fleet's money: what is used up of it, with a mark where it warns."""
    for period, usd, warn, stop in (
        ("hour", status["usd_per_hour"], *_cap(status, "usd_per_hour")),
        ("today", status["usd_today"], _day_cap(status, "warn"), _day_cap(status, "stop")),
        ("month", status["usd_month"], *_cap(status, "usd_per_month")),
    ):
        if not stop:
            continue
        style = "red" if usd >= stop else "yellow" if usd >= warn else "green"
        text = line(f"  {period:<10} ")
        text.append_text(bar(usd / stop, _BAR_CELLS, style, warn / stop))
        yield text.append(f" {usd:.2f} of {stop:g} USD, warns at {warn:g}")


def _cap(status: Object, name: str) -> tuple[float, float]:
    """A cap on the whole fleet; 0 where there is none."""
    limits = status["limits"]
    return limits[f"{name}_warn"] or 0.0, limits[f"{name}_stop"] or 0.0


def _day_cap(status: Object, part: str) -> float:
    """What the day may cost: the whole fleet's cap, or all pools' together where that is less."""
    pools = float(sum(pool["limits"][f"usd_per_day_{part}"] for pool in status["pools"]))
    fleet = status["limits"][f"usd_per_day_{part}"]
    return pools if fleet is None else min(fleet, pools)
