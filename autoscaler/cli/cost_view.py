"""The books on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autoscaler.cli.view.words import Object

_PURPOSES = {
    "serving": "serving",
    "idle": "idle",
    "unseen": "unseen",
    "boot": "boots",
    "failed_boot": "failed boots",
    "leaving": "leaving",
    "stopped": "stopped disks",
    "lost": "lost",
    "not_itemised": "not itemised",
}
"""Each purpose as a column's title."""
_VERDICTS = {
    "open": "the day is not over: bills run behind",
    "not_itemised": "some of the day was booked without providers",
    "agrees": "agrees",
    "less": "explained: machines are booked until they are proven gone",
    "downloads": "explained by downloads, by estimate {downloads_usd:.2f}",
    "unexplained": "NOT EXPLAINED: look it up in the vendor's console",
}


def cost_table(cost: Object) -> RenderableType:
    """All of `/api/v1/cost`."""
    if (why := no_books(cost)) is not None:
        return Text(f"This daemon {why}.")
    parts = [_heading(cost), _places(cost["pools"]), _tiers(cost["pools"]), _classes(cost["pools"])]
    parts += [_waste(cost), _bills(cost["bills"])]
    shown = [part for part in parts if part is not None]
    return Group(*(each for part in shown for each in (part, Text()))) if len(shown) > 1 else shown[0]


def no_books(cost: Object) -> str | None:
    """Why this daemon cannot say what was asked; None where it can, of some of the pools at least."""
    if cost["at"] is None:
        return "keeps no books: no tick was made yet"
    if not cost["leads"]:
        return "keeps no books: another daemon leads: ask that one, with --url"
    if cost["led_elsewhere"] and not cost["pools"]:
        return f"keeps no books of {elsewhere(cost)}: ask that one, with --url"
    return None


def elsewhere(cost: Object) -> str:
    """Which pools' books another daemon keeps."""
    return f"{', '.join(cost['led_elsewhere'])}, led by another daemon"


def _heading(cost: Object) -> RenderableType:
    lines = [
        _spending("today", cost["usd_today"], cost["limits"], "day"),
        _spending("this month", cost["usd_month"], cost["limits"], "month"),
    ]
    if cost["usd_month_forecast"] is not None:
        lines[1].append(f"; {cost['usd_month_forecast']:,.2f} by its end at the pace of the last days")
    lines += [
        _spending(f"  {pool['name']}", pool["usd_today"], pool["limits"], "day", " today") for pool in cost["pools"]
    ]
    span = f"{cost['first_day']} to {cost['last_day']}: {cost['usd']:,.2f} USD"
    if cost["books_since"] is not None and cost["books_since"] > cost["first_day"]:
        span += f"; the books at hand begin on {cost['books_since']}"
    lines += [Text(), Text(span, "bold")]
    if cost["led_elsewhere"]:
        lines.append(Text(f"without {elsewhere(cost)}", "yellow"))
    return Group(*lines)


def _spending(title: str, usd: float, limits: Object, period: str, when: str = "") -> Text:
    text = Text.assemble((f"{title:<12}", "bold"), f"{usd:>10,.2f} USD{when}")
    warn, stop = limits[f"usd_per_{period}_warn"], limits[f"usd_per_{period}_stop"]
    if stop is not None:
        style = "bold red" if usd >= stop else "yellow" if usd >= warn else ""
        text.append(f" of {stop:,.2f} at most, warned from {warn:,.2f}", style)
    return text


def _table(*names: str, words: int = 1) -> Table:
    """A table whose first columns are words, and the others figures."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place, name in enumerate(names):
        table.add_column(name, justify="left" if place < words else "right", no_wrap=place < words)
    return table


def _usd(usd: float | None) -> str:
    return "-" if not usd else f"{usd:,.2f}"


def _per_job(usd: float | None) -> str:
    return "-" if usd is None else f"{usd:.4f}"


def _places(pools: Sequence[Object]) -> RenderableType | None:
    purposes = [name for name in _PURPOSES if any(pool["purposes"].get(name, 0.0) >= 0.005 for pool in pools)]
    if not purposes:
        return None
    table = _table("pool", "placement", "USD", *(_PURPOSES[name] for name in purposes), words=2)
    for pool in pools:
        for place in pool["placements"]:
            cells = [_usd(place["purposes"].get(name)) for name in purposes]
            table.add_row(pool["name"], place["placement"] or "(not itemised)", f"{place['usd']:,.2f}", *cells)
    return table


def _tiers(pools: Sequence[Object]) -> RenderableType | None:
    rows = [(pool, tier) for pool in pools for tier in pool["tiers"] if tier["usd"] or tier["jobs"]]
    if not rows:
        return None
    table = _table("pool", "tier, by estimate", "USD", "of it its own machines", "jobs", "USD per job", words=2)
    for pool, tier in rows:
        jobs = f"{tier['jobs']:,}" if tier["jobs_told"] == tier["jobs"] else f"≥{tier['jobs']:,}"
        table.add_row(
            pool["name"], tier["tier"], _usd(tier["usd"]), _usd(tier["own_usd"]), jobs, _per_job(tier["usd_per_job"])
        )
    notes = [
        Text(f"{pool['name']}: {pool['nobodys_usd']:,.2f} USD are no tier's: no job is known on these days")
        for pool in pools
        if pool["nobodys_usd"] >= 0.005
    ]
    return Group(table, *notes)


def _classes(pools: Sequence[Object]) -> RenderableType | None:
    rows = [(pool, each) for pool in pools for each in pool["classes"]]
    if not rows:
        return None
    table = _table("pool", "class of job, by estimate", "USD", "jobs", "USD per job", words=2)
    for pool, each in rows:
        table.add_row(pool["name"], each["name"], _usd(each["usd"]), f"{each['jobs']:,}", _per_job(each["usd_per_job"]))
    return table


def _waste(cost: Object) -> RenderableType:
    if not cost["waste"]:
        return Text("Nothing was wasted that is worth a line.")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    worth_a_step = cost["next_step"] is not None  # about the dearest, which comes first
    for place, each in enumerate(cost["waste"]):
        fix = [("Next: ", "bold"), each["fix"]] if worth_a_step and place == 0 else [(each["fix"], "dim")]
        table.add_row(f"{each['usd']:,.2f}", each["pool"], Text.assemble(each["text"], "\n", *fix))
    return Group(Text("Wasted", "bold"), table)


def _bills(bills: Sequence[Object]) -> RenderableType | None:
    """The days with a bill, and which providers sent none for how many days."""
    if not bills:
        return None
    parts: list[RenderableType] = []
    billed = [bill for bill in bills if bill["billed_usd"] is not None]
    if billed:
        table = _table("day", "provider", "booked", "billed", "difference", "", words=2)
        table.columns[-1].justify = "left"
        for bill in billed:
            verdict = _VERDICTS[bill["verdict"]].format(**bill)
            difference = f"{round(bill['difference_usd'], 2) + 0.0:+,.2f}"
            figures = (f"{bill['booked_usd']:,.2f}", f"{bill['billed_usd']:,.2f}", difference)
            style = "bold red" if bill["verdict"] == "unexplained" else ""
            table.add_row(bill["day"], bill["provider"], *figures, Text(verdict, style))
        parts.append(table)
    parts += _without(bill for bill in bills if bill["billed_usd"] is None)
    return Group(*parts)


def _without(bills: Iterable[Object]) -> list[Text]:
    booked: dict[str, list[float]] = {}
    for bill in bills:
        booked.setdefault(bill["provider"], []).append(bill["booked_usd"])
    return [
        Text(f"{name}: no bill for {len(usd)} {'day' if len(usd) == 1 else 'days'}, {sum(usd):,.2f} USD booked")
        for name, usd in booked.items()
    ]
