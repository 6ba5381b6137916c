"""Queues on a terminal: what each tier holds, what is in flight, and what to make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autoscaler.core.demand import AgeSource, Demand, InFlightKind, TierDemand, Unknown
from autoscaler.core.spec import Tier
from autoscaler.core.units import format_duration
from autoscaler.queues.caution import Caution

_SOURCES: Mapping[AgeSource, str] = {
    AgeSource.EXACT: "by the library",
    AgeSource.STREAM_ID: "by the entry's id",
    AgeSource.CONFIGURED: "by the job's own time",
    AgeSource.ESTIMATED: "estimated",
}
_IN_FLIGHT: Mapping[InFlightKind, str] = {
    InFlightKind.EXECUTING: "being worked on",
    InFlightKind.DELIVERED: "delivered to workers, which may hold more than they run",
    InFlightKind.HIDDEN: "hidden: this queue does not show them, so only heartbeats tell whether a machine is busy",
}
_INDENT = (0, 0, 0, 2)


def queue_view(demand: Demand | Unknown, tiers: Sequence[Tier] = ()) -> RenderableType:
    """What a queue holds; against the targets of `tiers`, where those are known."""
    if isinstance(demand, Unknown):
        return Padding(Text(f"Unknown: {demand.reason}", "bold red"), _INDENT, expand=False)
    return Padding(Group(_table(demand, {tier.name: tier for tier in tiers}), *_below(demand)), _INDENT, expand=False)


def _table(demand: Demand, tiers: Mapping[str, Tier]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("tier", no_wrap=True, overflow="ellipsis", max_width=20)
    table.add_column("waiting", justify="right", no_wrap=True)
    table.add_column("delayed")
    table.add_column("oldest")
    if tiers:
        table.add_column("target", no_wrap=True)
    for tier in demand.tiers:
        cells = [
            Text(tier.tier),
            Text(f"{'≥' if tier.waiting_is_lower_bound else ''}{tier.waiting}"),
            Text(_delayed(tier, demand.taken_at)),
            Text(_oldest(tier, at_least=Caution.AGE_LOWER_BOUND in demand.warnings)),
        ]
        table.add_row(*cells, *([_against(tier, tiers[tier.tier])] if tiers else []))
    return table


def _delayed(tier: TierDemand, now: float) -> str:
    if tier.delayed is None:
        return "?"
    if not tier.delayed:
        return "-"
    due = "" if tier.next_due_at is None else f", next in {format_duration(max(0.0, tier.next_due_at - now))}"
    return f"{tier.delayed}{due}"


def _oldest(tier: TierDemand, *, at_least: bool) -> str:
    if tier.oldest_wait_s is not None:
        bound = "≥" if at_least and tier.age_source is AgeSource.ESTIMATED else ""
        return f"{bound}{format_duration(tier.oldest_wait_s)}, {_SOURCES[tier.age_source]}"
    return "not known" if tier.waiting else "-"


def _against(tier: TierDemand, settings: Tier) -> Text:
    text = Text(format_duration(settings.wait_target))
    if tier.oldest_wait_s is not None and tier.oldest_wait_s > settings.wait_target:
        text.append("  late", "bold red")
    return text


def _below(demand: Demand) -> Iterator[Text]:
    what = _IN_FLIGHT[demand.in_flight_kind]
    yield Text(f"in flight: {what if demand.in_flight is None else f'{demand.in_flight} {what}'}", "dim")
    if demand.paused:
        yield Text("! paused: workers take no jobs until it is resumed", "yellow")
    if not demand.seen:
        yield Text("! never seen: is its name right? No key of this queue exists", "yellow")
    for code, advice in demand.advice.items():
        yield Text(f"! {code}: {advice}", "yellow")
