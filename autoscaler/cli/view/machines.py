"""What is said of machines: a line for each, in columns as there is room for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from autoscaler.cli.view.words import Object
from autoscaler.core.units import format_duration

_SIGNS = {
    "lost": ("?", "bold red"),
    "degraded": ("!", "yellow"),
    "serving": ("▶", "bold green"),
    "hot": ("●", "green"),
    "draining": ("◑", "yellow"),
    "stopping": ("◒", "yellow"),
    "booting": ("◔", "cyan"),
    "resuming": ("◔", "cyan"),
    "renting": ("◌", "cyan"),
    "planned": ("·", "dim"),
    "releasing": ("×", "magenta"),
    "warm": ("○", "blue"),
}
STATES = tuple(_SIGNS)
"""What a machine may be, that which needs a look first."""
_UP = frozenset({"hot", "draining"})
_COMES = frozenset({"planned", "renting", "booting", "resuming"})
_GPU_USE = {"low": "its GPU is used little", "idle": "its GPU is as good as idle"}
_ALWAYS = 0
_SEVERAL = 90
"""Columns of a terminal from which on several pools are named."""


def machine_table(
    machines: Sequence[Object],
    width: int,
    *,
    several: bool,
    selected: int | None = None,
    sorted_by: str = "",
) -> Table:
    """A line for each machine, one of them selected; with `several` pools each says whose it is."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), width=width, header_style="bold")
    columns = _columns(width, several=several)
    for name, numeric in columns:
        table.add_column(
            f"{name}↓" if name == sorted_by else name,
            justify="right" if numeric else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if name == "reason" else None,
        )
    for number, machine in enumerate(machines):
        cells = _cells(machine)
        table.add_row(*(cells[name] for name, _ in columns), style="reverse" if number == selected else None)
    return table


def state_of(machine: Object) -> str:
    """Its phase, save that of a machine that is HOT it is told how it does."""
    if machine["phase"] == "hot" and machine["ailment"]:
        return "degraded"
    return "serving" if machine["serving"] else str(machine["phase"])


def _columns(width: int, *, several: bool) -> list[tuple[str, bool]]:
    """The columns that there is room for, and whether they hold numbers."""
    wanted = [
        ("machine", False, _ALWAYS),
        *([("pool", False, _SEVERAL)] if several else []),
        ("phase", False, _ALWAYS),
        ("since", True, _ALWAYS),
        ("gpu", False, 64),
        ("where", False, 96),
        ("buy", False, 96),
        ("busy", True, _ALWAYS),
        ("USD/h", True, _ALWAYS),
        ("spent", True, 54),
        ("reason", False, 72),
    ]
    return [(name, numeric) for name, numeric, needed in wanted if width >= needed]


def _cells(machine: Object) -> dict[str, Text]:
    state = state_of(machine)
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


def odd_about(machine: Object) -> list[str]:
    """What is out of the ordinary with a machine."""
    odd = [machine["ailment"]] if machine["ailment"] else []
    if machine["diagnosis"] and machine["phase"] in _COMES:
        odd.append(machine["diagnosis"].replace("_", " "))
    if machine["phase"] == "hot" and machine["gpu_use"] in _GPU_USE:
        odd.append(_GPU_USE[machine["gpu_use"]])
    return odd


def _reason(machine: Object) -> Text:
    """What is out of the ordinary with a machine, and why it is in its phase."""
    text = Text()
    if machine["tier"]:
        text.append(f"for {machine['tier']}: ")
    for words in odd_about(machine):
        text.append(f"{words}; ", "yellow")
    return text.append(machine["reason"])
