"""What is said of a pool: machines there and wanted, its tiers against their targets, and why."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from autoscaler.cli.view.fleet import money_words
from autoscaler.cli.view.words import Object, bar, line
from autoscaler.core.units import Span, format_duration

_STYLES = {"ok": "green", "warn": "yellow", "late": "bold red", "?": "dim"}
_RANKS = ("ok", "?", "warn", "late")
_WARN_SHARE = 0.7
"""Part of its wait target from which on a tier is watched."""


def pool_lines(pool: Object, width: int, *, with_money: bool) -> Iterator[Text]:
    """Everything about a pool."""
    yield _totals(pool, with_money=with_money)
    yield from _queue(pool["demand"], {tier["tier"]: tier for tier in pool["admission"]}, width)
    decision = pool["decision"]
    done = [f"{command['action']}: {command['reason']}" for command in pool["commands"]]
    for sign, style, texts in (
        ("now", "bold", done),
        ("why", "", [reason["text"] for reason in sorted(decision["why"], key=_is_detail)]),
        ("not", "dim", [f"{_subject(reason)}: {reason['text']}" for reason in decision["why_not"]]),
    ):
        for text in texts[:2]:
            yield line(f"  {sign}  {text}", style)


def pool_in_short(pool: Object) -> Text:
    """A pool in one line, with the tier that does worst."""
    demand, text = pool["demand"], line()
    text.append(pool["name"], "bold")
    text.append(f"  HOT {pool['phases']['hot']}", "green")
    text.append(f", {pool['up']} up → {pool['decision']['hot']} wanted")
    if demand["unknown"] is not None:
        return text.append("  ! its queue cannot be read", "bold red")
    text.append(f"  {demand['waiting']} waiting")
    if demand["tiers"]:
        worst = max(demand["tiers"], key=lambda tier: _RANKS.index(tier_state(tier)[0]))
        state, _ = tier_state(worst)
        text.append(f"  {worst['tier']} {state}", _STYLES[state])
    return text.append(f"  {pool['usd_per_hour']:.2f} USD/h")


def tier_state(tier: Object) -> tuple[str, float]:
    """How a tier does against its wait target, in a word, and the share of it that is used up."""
    if tier["oldest_wait_s"] is None:
        return ("ok" if tier["waiting"] == 0 else "?"), 0.0
    if not tier["wait_target_s"]:
        return "?", 0.0
    share = tier["oldest_wait_s"] / tier["wait_target_s"]
    if share > 1.0:
        return "late", share
    return ("warn" if share >= _WARN_SHARE else "ok"), share


def _is_detail(reason: Object) -> bool:
    """Whether it is one rule's own word; what all policies want comes first."""
    return bool(reason["rule"] != "combine")


def _subject(reason: Object) -> str:
    """What a rule speaks of: `rent` for `thresholds.rent`."""
    return str(reason["rule"]).rpartition(".")[2].replace("_", " ")


def _totals(pool: Object, *, with_money: bool) -> Text:
    decision, limits, phases = pool["decision"], pool["limits"], pool["phases"]
    text = line()
    text.append(pool["name"], "bold")
    text.append(f"  HOT {phases['hot']}", "green")
    text.append(f", {pool['up']} up → {decision['hot']} wanted ({limits['hot']})")
    text.append(f"  WARM {phases['warm']}", "blue")
    text.append(f" → {Span(min(decision['standby'], decision['warm']), decision['warm'])} ({limits['warm']})")
    if with_money:
        text.append(f"  {pool['usd_per_hour']:.2f} USD/h  ")
        text.append(*money_words(pool["usd_today"], limits["usd_per_day_warn"], limits["usd_per_day_stop"]))
        if pool["usd_month_forecast"] is not None:
            text.append(f"  month ~{pool['usd_month_forecast']:.0f} USD", "dim")
    return text


def _queue(demand: Object, admission: Object, width: int) -> Iterator[Text]:
    if demand["unknown"] is not None:
        yield line(f"  ! the queue cannot be read: {demand['unknown']}", "bold red")
    elif not demand["seen"]:
        yield line("  ! no key of this queue was ever seen: is its name right?", "yellow")
    if demand["paused"]:
        yield line("  ! the queue itself is paused", "yellow")
    for tier in demand["tiers"]:
        yield _tier(tier, admission.get(tier["tier"], {}), width)
    if demand["in_flight"] is not None:
        yield line(f"  {demand['waiting']} waiting, {demand['in_flight']} in flight", "dim")
    for code, advice in demand["advice"].items():
        yield line(f"  ! {code}: {advice}", "yellow")


def _tier(tier: Object, admission: Object, width: int) -> Text:
    state, share = tier_state(tier)
    waiting = f"{'≥' if tier['waiting_is_lower_bound'] else ''}{tier['waiting']}"
    text = line(f"  {tier['tier']:<10.10} ")
    cells = min(30, (width - 50) // 2)
    if cells >= 5:
        text.append_text(bar(share, cells, _STYLES[state])).append(" ")
    text.append(f"{waiting:>5} waiting  ")
    text.append(f"{_oldest(tier)} of {_target(tier)}  ")
    text.append(state, _STYLES[state])
    if not admission.get("accept", True):
        text.append("  refused", "bold red")
    if admission.get("expected_wait_s"):
        text.append(f"  next ~{format_duration(admission['expected_wait_s'])}", "dim")
    if tier["delayed"]:
        text.append(f"  +{tier['delayed']} due later", "dim")
    return text


def _oldest(tier: Object) -> str:
    if tier["oldest_wait_s"] is not None:
        about = "~" if tier["age_source"] == "estimated" else ""
        return f"{about + format_duration(tier['oldest_wait_s']):>7}"
    return f"{'-' if tier['waiting'] == 0 else 'unknown':>7}"


def _target(tier: Object) -> str:
    return "?" if tier["wait_target_s"] is None else format_duration(tier["wait_target_s"])
