"""A fleet on a terminal: its queues, its machines, its money, and why.

What colour says, a word or a sign says too. Every line is one line, cut at the width, so that the height is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autoscaler.core.units import Span, format_duration

_SIGNS = {
    "planned": ("·", "dim"),
    "renting": ("◌", "cyan"),
    "booting": ("◔", "cyan"),
    "hot": ("●", "green"),
    "serving": ("▶", "bold green"),
    "degraded": ("!", "bold yellow"),
    "draining": ("◑", "yellow"),
    "stopping": ("◒", "yellow"),
    "warm": ("○", "blue"),
    "resuming": ("◔", "cyan"),
    "releasing": ("×", "magenta"),
    "lost": ("?", "bold red"),
}
_UP = frozenset({"hot", "draining"})
_COMES = frozenset({"planned", "renting", "booting", "resuming"})
_GPU_USE = {"low": "its GPU is used little", "idle": "its GPU is as good as idle"}
_STYLES = {"ok": "green", "warn": "yellow", "late": "bold red", "?": "dim"}
_WARN_SHARE = 0.7
"""Part of its wait target from which on a tier is watched."""
_LATE_TICKS_S = 60.0
_JOURNAL_LINES = 6
_FEWEST_MACHINES = 3


def render(
    status: Mapping[str, Any], journal: Sequence[Mapping[str, Any]] = (), *, width: int, height: int | None = None
) -> RenderableType:
    """The status of a fleet (`/api/v1/status`) and its newest journal entries, `width` columns wide.

    With a `height` the machines that do not fit are counted, and the journal takes the lines that are left.
    """
    several = len(status["pools"]) > 1
    lines: list[RenderableType] = list(_header(status))
    for pool in status["pools"]:
        lines += [Text(), *_pool(pool, width, several=several)]
    lines.append(Text())
    machines = status["instances"]
    shown = machines if height is None else machines[: max(_FEWEST_MACHINES, height - len(lines) - 2)]
    if shown:
        lines.append(_machines(shown, width, several=several))
    elif status["leads"]:
        lines.append(_line("No machines: all is COLD.", "dim"))
    if len(shown) < len(machines):
        lines.append(_line(f"… and {len(machines) - len(shown)} more machines", "dim"))
    room = _JOURNAL_LINES if height is None else max(0, height - len(lines) - len(shown) - 1)
    if journal and room:
        lines += [Text(), *(_entry(entry) for entry in reversed(journal[:room]))]
    return Group(*lines)


def _line(text: str = "", style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


# --- the fleet --------------------------------------------------------------------------------------------------------


def _header(status: Mapping[str, Any]) -> Iterator[Text]:
    line = _line()
    line.append(status["fleet"], "bold")
    line.append("  ")
    line.append(*_standing(status))
    if status["leads"]:
        line.append(f"  {status['usd_per_hour']:.2f} USD/h  ")
        line.append(*_money(status["usd_today"], _day_cap(status, "warn"), _day_cap(status, "stop")))
    line.append(f"  {_moment(status['clock'])} UTC", "dim")
    if status["age_s"] is None:
        line.append("  no tick yet", "yellow")
    else:
        line.append(
            f"  tick {format_duration(status['age_s'])} ago", "red" if status["age_s"] > _LATE_TICKS_S else "dim"
        )
    line.append(f"  {status['version']}", "dim")
    if status["usd_month_forecast"] is not None:
        line.append(f"  the month will have cost about {status['usd_month_forecast']:.0f} USD", "dim")
    yield line
    if status["error"]:
        yield _line(f"! the newest tick failed: {status['error']}", "bold red")
    yield from _led_elsewhere(status)
    for order in status["orders"]:
        until = "" if order["until"] is None else f"  until {_moment(order['until'])} UTC"
        yield _line(f"! {order['text']}{until}", "yellow")
    for provider in status["providers"]:
        if provider["unknown"] is not None:
            yield _line(f"! {provider['name']} cannot be listed: {provider['unknown']}", "yellow")


def leader_named(leader: str) -> str:
    """A leader's name, as `leaders` in the status has it, in words: its host and its process, no more."""
    if leader == "spread":  # what the store says of the one lease of all pools while each has its own
        return "a daemon with `spread: true`"
    host, _, process = leader.partition(":")
    return f"process {process.partition(':')[0]} on {host}" if leader else "nobody"


def _led_elsewhere(status: Mapping[str, Any]) -> Iterator[Text]:
    """Who knows what is not shown here."""
    here = {pool["name"] for pool in status["pools"]}
    pools: dict[str, list[str]] = {}
    for pool, leader in status["leaders"].items():
        if pool not in here:
            pools.setdefault(leader_named(leader), []).append(pool)
    for leader, led in pools.items():
        yield _line(f"  {', '.join(sorted(led))}: led by {leader}", "yellow")


def _standing(status: Mapping[str, Any]) -> tuple[str, str]:
    if status["error"]:
        return "FAILING", "bold red"
    if any(order["name"] == "pause" for order in status["orders"]):
        return "PAUSED", "bold yellow"
    if status["at"] is None:
        return "starting", "yellow"
    return ("leads", "green") if status["leads"] else ("stands by", "yellow")


def _day_cap(status: Mapping[str, Any], part: str) -> float:
    """What the day may cost: the whole fleet's cap, or all pools' together where that is less."""
    pools = float(sum(pool["limits"][f"usd_per_day_{part}"] for pool in status["pools"]))
    fleet = status["limits"][f"usd_per_day_{part}"]
    return pools if fleet is None else min(fleet, pools)


def _money(usd: float, warn: float, stop: float) -> tuple[str, str]:
    if usd >= stop:
        return f"{usd:.2f} of {stop:g} USD today: stop", "bold red"
    if usd >= warn:
        return f"{usd:.2f} of {stop:g} USD today: warn", "yellow"
    return f"{usd:.2f} of {stop:g} USD today", ""


# --- one pool ---------------------------------------------------------------------------------------------------------


def _pool(pool: Mapping[str, Any], width: int, *, several: bool) -> Iterator[Text]:
    yield _totals(pool, with_money=several)
    yield from _queue(pool["demand"], {tier["tier"]: tier for tier in pool["admission"]}, width)
    if pool["image_given_up"]:
        yield _line("  ! the image crashed in a loop on several hosts: none is rented with it", "bold red")
    decision = pool["decision"]
    done = [f"{command['action']}: {command['reason']}" for command in pool["commands"]]
    for sign, style, texts in (
        ("now", "bold", done),
        ("why", "", [reason["text"] for reason in sorted(decision["why"], key=_is_detail)]),
        ("not", "dim", [f"{_subject(reason)}: {reason['text']}" for reason in decision["why_not"]]),
    ):
        for text in texts[:2]:
            yield _line(f"  {sign}  {text}", style)


def _is_detail(reason: Mapping[str, Any]) -> bool:
    """Whether it is one rule's own word; what all policies want comes first."""
    return bool(reason["rule"] != "combine")


def _subject(reason: Mapping[str, Any]) -> str:
    """What a rule speaks of: `rent` for `thresholds.rent`."""
    return str(reason["rule"]).rpartition(".")[2].replace("_", " ")


def _totals(pool: Mapping[str, Any], *, with_money: bool) -> Text:
    decision, limits, phases = pool["decision"], pool["limits"], pool["phases"]
    line = _line()
    line.append(pool["name"], "bold")
    line.append(f"  HOT {phases['hot']}", "green")
    line.append(f", {pool['up']} up → {decision['hot']} wanted ({limits['hot']})")
    line.append(f"  WARM {phases['warm']}", "blue")
    line.append(f" → {Span(min(decision['standby'], decision['warm']), decision['warm'])} ({limits['warm']})")
    if with_money:
        line.append(f"  {pool['usd_per_hour']:.2f} USD/h  ")
        line.append(*_money(pool["usd_today"], limits["usd_per_day_warn"], limits["usd_per_day_stop"]))
        if pool["usd_month_forecast"] is not None:
            line.append(f"  month ~{pool['usd_month_forecast']:.0f} USD", "dim")
    return line


def _queue(demand: Mapping[str, Any], admission: Mapping[str, Any], width: int) -> Iterator[Text]:
    if demand["unknown"] is not None:
        yield _line(f"  ! the queue cannot be read: {demand['unknown']}", "bold red")
    elif not demand["seen"]:
        yield _line("  ! no key of this queue was ever seen: is its name right?", "yellow")
    if demand["paused"]:
        yield _line("  ! the queue itself is paused", "yellow")
    for tier in demand["tiers"]:
        yield _tier(tier, admission.get(tier["tier"], {}), width)
    if demand["in_flight"] is not None:
        yield _line(f"  {demand['waiting']} waiting, {demand['in_flight']} in flight", "dim")
    if demand["warnings"]:
        yield _line(f"  ! {', '.join(demand['warnings'])}", "yellow")


def _tier(tier: Mapping[str, Any], admission: Mapping[str, Any], width: int) -> Text:
    state, share = _tier_state(tier)
    waiting = f"{'≥' if tier['waiting_is_lower_bound'] else ''}{tier['waiting']}"
    line = _line(f"  {tier['tier']:<10.10} ")
    cells = min(30, (width - 50) // 2)
    if cells >= 5:
        filled = round(cells * min(1.0, share))
        line.append("█" * filled, _STYLES[state])
        line.append("░" * (cells - filled) + " ", "dim")
    line.append(f"{waiting:>5} waiting  ")
    line.append(f"{_oldest(tier)} of {_target(tier)}  ")
    line.append(state, _STYLES[state])
    if not admission.get("accept", True):
        line.append("  refused", "bold red")
    if admission.get("expected_wait_s"):
        line.append(f"  next ~{format_duration(admission['expected_wait_s'])}", "dim")
    if tier["delayed"]:
        line.append(f"  +{tier['delayed']} due later", "dim")
    return line


def _tier_state(tier: Mapping[str, Any]) -> tuple[str, float]:
    """How a tier does against its wait target, in a word, and the share of it that is used up."""
    if tier["oldest_wait_s"] is None:
        return ("ok" if tier["waiting"] == 0 else "?"), 0.0
    if not tier["wait_target_s"]:
        return "?", 0.0
    share = tier["oldest_wait_s"] / tier["wait_target_s"]
    if share > 1.0:
        return "late", share
    return ("warn" if share >= _WARN_SHARE else "ok"), share


def _oldest(tier: Mapping[str, Any]) -> str:
    if tier["oldest_wait_s"] is not None:
        about = "~" if tier["age_source"] == "estimated" else ""
        return f"{about + format_duration(tier['oldest_wait_s']):>7}"
    return f"{'-' if tier['waiting'] == 0 else 'unknown':>7}"


def _target(tier: Mapping[str, Any]) -> str:
    return "?" if tier["wait_target_s"] is None else format_duration(tier["wait_target_s"])


# --- machines and journal ---------------------------------------------------------------------------------------------


def _machines(machines: Sequence[Mapping[str, Any]], width: int, *, several: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), width=width, header_style="dim")
    columns = _columns(width, several=several)
    for name, numeric in columns:
        table.add_column(
            name,
            justify="right" if numeric else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if name == "reason" else None,
        )
    for machine in machines:
        cells = _cells(machine)
        table.add_row(*(cells[name] for name, _ in columns))
    return table


def _columns(width: int, *, several: bool) -> list[tuple[str, bool]]:
    """The columns that there is room for, and whether they hold numbers."""
    wanted = [
        ("machine", False, 0),
        ("pool", False, 90 if several else 10**6),
        ("phase", False, 0),
        ("since", True, 0),
        ("gpu", False, 64),
        ("where", False, 96),
        ("buy", False, 96),
        ("busy", True, 0),
        ("USD/h", True, 0),
        ("spent", True, 54),
        ("reason", False, 72),
    ]
    return [(name, numeric) for name, numeric, needed in wanted if width >= needed]


def _cells(machine: Mapping[str, Any]) -> dict[str, Text]:
    state = _state(machine)
    sign, style = _SIGNS.get(state, ("?", ""))
    busy = "?" if machine["busy"] is None else machine["busy"]
    load = f"{busy}/{machine['slots']}" if machine["phase"] in _UP else "-"
    return {
        "machine": Text(machine["id"] + ("*" if machine["primary"] else "")),
        "pool": Text(machine["pool"]),
        "phase": Text(f"{sign} {state}", style),
        "since": Text(format_duration(machine["since_s"])),
        "gpu": Text(machine["gpu"]),
        "where": Text(machine["region"]),
        "buy": Text(machine["buy"].replace("_", " ")),
        "busy": Text(load),
        "USD/h": Text(f"{machine['usd_per_hour']:.3f}"),
        "spent": Text(f"{machine['usd_spent']:.2f}"),
        "reason": _reason(machine),
    }


def _state(machine: Mapping[str, Any]) -> str:
    """Its phase, save that of a machine that is HOT it is told how it does."""
    if machine["phase"] == "hot" and machine["ailment"]:
        return "degraded"
    return "serving" if machine["serving"] else str(machine["phase"])


def _reason(machine: Mapping[str, Any]) -> Text:
    """What is out of the ordinary with a machine, and why it is in its phase."""
    odd = [machine["ailment"]] if machine["ailment"] else []
    if machine["diagnosis"] and machine["phase"] in _COMES:
        odd.append(machine["diagnosis"].replace("_", " "))
    if machine["phase"] == "hot" and machine["gpu_use"] in _GPU_USE:
        odd.append(_GPU_USE[machine["gpu_use"]])
    text = Text()
    if machine["tier"]:
        text.append(f"for {machine['tier']}: ")
    for words in odd:
        text.append(f"{words}; ", "yellow")
    return text.append(machine["reason"], "dim")


def _entry(entry: Mapping[str, Any]) -> Text:
    line = _line()
    line.append(f"{_moment(entry['at'])}  ", "dim")
    line.append(entry["text"], "bold red" if entry["kind"] == "alarm" else "")
    return line


def _moment(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%H:%M:%S")
