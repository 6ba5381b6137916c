"""Prices and availability as they were recorded, which the market follows in place of its settings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autoscaler.core.spec import Buy
from providers.mock.settings import Stock


class Change(NamedTuple):
    """What holds from one moment on for one way of buying; None where it stays as it was."""

    t_s: float
    """Seconds since the market opened."""
    buy: Buy
    usd_per_hour: float | None = None
    """Price of one GPU, disk not included, on every host."""
    available: float | None = None
    """GPUs that we may hold at most, bought this way; infinite for as many as the hosts have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One kind of GPU in one region over time.

    Before its first change, and where it says nothing, the settings hold; its last change holds for ever.
    """

    gpu: str
    region: str = ""
    """All regions when empty."""
    changes: tuple[Change, ...]
    """In order of time."""

    @property
    def name(self) -> str:
        """What `series` of a kind of stock calls it: `GPU/REGION`, or `GPU` when it is of all regions."""
        return f"{self.gpu}/{self.region}" if self.region else self.gpu


def series_for(stock: Stock, series: Sequence[Series]) -> Series | None:
    """The series that a kind of stock follows.

    It is the one that the stock names; else the one of its GPU and region; else the one of its GPU in all regions.
    Capitals do not count, nor whether words are parted by spaces, dashes or underscores.
    """
    by_name = {_plain(each.name): each for each in series}
    wanted = [stock.series] if stock.series is not None else [f"{stock.gpu}/{stock.region}", stock.gpu]
    return next((by_name[_plain(name)] for name in wanted if _plain(name) in by_name), None)


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


@dataclass(slots=True, eq=False)
class Quote:
    """What a series says at present of one way of buying."""

    usd_per_hour: float | None = None
    """None where the settings' price holds."""
    available: float = math.inf


class Tape:
    """The series of a market, played together. It knows its place in them: nothing is ever searched."""

    def __init__(self, stock: Sequence[Stock], series: Sequence[Series]) -> None:
        self._quotes: dict[str, Mapping[Buy, Quote]] = {}
        """By the name of the series; all stock that follows a series shares its quotes."""
        self._series = series
        changes: list[tuple[Change, Quote]] = []
        for each in {found.name: found for kind in stock if (found := series_for(kind, series))}.values():
            quotes = self._quotes[each.name] = _quotes()
            changes += [(change, quotes[change.buy]) for change in each.changes]
        self._changes = sorted(changes, key=lambda row: row[0].t_s)
        self._place = 0

    def quotes(self, stock: Stock) -> Mapping[Buy, Quote]:
        """The quotes of a kind of stock; ones that never change where it follows no series."""
        followed = series_for(stock, self._series)
        return _quotes() if followed is None else self._quotes[followed.name]

    @property
    def next_s(self) -> float:
        """When something changes next, in seconds since the market opened; never where the tape is at its end."""
        return self._changes[self._place][0].t_s if self._place < len(self._changes) else math.inf

    def advance(self) -> list[Quote]:
        """Let the next change come, with all others of the same moment; gives the quotes that it changed."""
        moment, changed = self.next_s, []
        while self._place < len(self._changes) and self.next_s == moment:
            change, quote = self._changes[self._place]
            self._place += 1
            if change.usd_per_hour is not None:
                quote.usd_per_hour = change.usd_per_hour
            if change.available is not None:
                quote.available = change.available
            changed.append(quote)
        return changed


def _quotes() -> Mapping[Buy, Quote]:
    return {"on_demand": Quote(), "spot": Quote()}
