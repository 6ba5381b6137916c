"""The forms in which recorded markets come, each known by its header.

=====================================================  ================================================================
header                                                 a row
=====================================================  ================================================================
``t_s,gpu,region,buy,usd_per_hour,available``          our own: what changes for one GPU, region and way of buying
``t_s,us-west-2a_v100_1,us-west-2a_k80_8,…``           AWS: how many spot nodes with so many GPUs could be had per zone
``time_utc,instance,region,ondemand_usd_h,spot_usd_h`` GCP: list and spot price of a type of machine
``time_utc,gpu,min_1x_usd_h,offers_1x,…``              offers of many small clouds: the cheapest single GPU, how many
=====================================================  ================================================================

In our own form `usd_per_hour` is the price of one GPU without its disk, `available` how many of them may be held at
most, `buy` is `spot` or `on_demand`, an empty region stands for all regions, and an empty cell for no change.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple, cast, get_args

from autoscaler.core.spec import Buy
from autoscaler.sim.traces.format import bad_value, number
from providers.mock import Change

_NODE = re.compile(r"([a-z0-9-]+)_([a-z0-9]+)_([1-9]\d*)", re.IGNORECASE)


class Found(NamedTuple):
    """A change as a row tells it."""

    gpu: str
    region: str
    change: Change
    """Its time as the file has it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row by the names of its columns."""

    cells: dict[str, str]

    def seconds(self) -> float:
        """When it was."""
        text = self.cells["t_s"]
        return number(text, "t_s", "a number of seconds, 0 or more")

    def epoch(self) -> float:
        """When it was, from a date."""
        text = self.cells["time_utc"]
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise bad_value("time_utc", text, "expected a time such as 2025-10-19T21:01:58Z") from error
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    def price(self, column: str) -> float | None:
        """USD per hour; None for an empty cell."""
        text = self.cells[column]
        return number(text, column, "a number of USD per hour, 0 or more, or nothing") if text else None

    def count(self, column: str) -> float | None:
        """A whole number; None for an empty cell."""
        text, expected = self.cells[column], "a whole number, 0 or more, or nothing"
        found = number(text, column, expected) if text else 0.0
        if not found.is_integer():
            raise bad_value(column, text, f"expected {expected}")
        return found if text else None

    def word(self, column: str, expected: str, options: Sequence[str] = ()) -> str:
        """Text that is not empty, and one of the options if there are any."""
        text = self.cells[column]
        if not text or (options and text not in options):
            raise bad_value(column, text, f"expected {expected}")
        return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """One form of file."""

    known_by: tuple[str, ...]
    """The columns that make a file one of this form."""
    read: Callable[[Row], Iterator[Found]]
    """What a row tells. Raises BadLine."""
    whole: Callable[[list[Found]], list[Found]] = list
    """What to make of all that the rows told."""


def form_of(header: Sequence[str]) -> Form | None:
    """The form of a file with this header; None where it has none that is known."""
    if len(header) > 1 and header[0] == "t_s" and all(_node(column) for column in header[1:]):
        return _NODES_FORM
    return next((form for form in _TABLES if set(form.known_by) <= set(header)), None)


def _plain(row: Row) -> Iterator[Found]:
    buy = cast("Buy", row.word("buy", "spot or on_demand", get_args(Buy)))
    change = Change(row.seconds(), buy, row.price("usd_per_hour"), row.count("available"))
    yield Found(row.word("gpu", "the name of a GPU"), row.cells["region"], change)


def _nodes(row: Row) -> Iterator[Found]:
    t_s = row.seconds()
    for column in row.cells:
        if (node := _node(column)) is not None:
            yield Found(*node, Change(t_s, "spot", available=row.count(column)))


@cache
def _node(column: str) -> tuple[str, str] | None:
    """GPU and zone of a column such as `us-west-2a_k80_8`: `8x k80` and `us-west-2a`."""
    named = _NODE.fullmatch(column)
    if named is None:
        return None
    zone, gpu, gpus = named.groups()
    return gpu if gpus == "1" else f"{gpus}x {gpu}", zone


def _unbounded(found: list[Found]) -> list[Found]:
    """A file of noughts and ones tells whether one node could be had, not how many: 1 stands for no bound."""
    if any((each.change.available or 0.0) > 1.0 for each in found):
        return found
    return [each._replace(change=each.change._replace(available=_BOUND[each.change.available])) for each in found]


_BOUND = {None: None, 0.0: 0.0, 1.0: math.inf}


def _gcp(row: Row) -> Iterator[Found]:
    t_s, instance, region = row.epoch(), row.word("instance", "a type of machine"), row.cells["region"]
    yield Found(instance, region, Change(t_s, "on_demand", row.price("ondemand_usd_h")))
    yield Found(instance, region, Change(t_s, "spot", row.price("spot_usd_h")))


def _offers(row: Row) -> Iterator[Found]:
    buy: Buy = "spot" if row.cells["best_1x_is_spot"] == "True" else "on_demand"
    # A snapshot that counts no single GPU has none on offer.
    change = Change(row.epoch(), buy, row.price("min_1x_usd_h"), row.count("offers_1x") or 0.0)
    yield Found(row.word("gpu", "the name of a GPU"), "", change)


PLAIN = Form(known_by=("t_s", "gpu", "region", "buy", "usd_per_hour", "available"), read=_plain)
_NODES_FORM = Form(known_by=("t_s",), read=_nodes, whole=_unbounded)
_TABLES = (
    PLAIN,
    Form(known_by=("time_utc", "instance", "region", "ondemand_usd_h", "spot_usd_h"), read=_gcp),
    Form(known_by=("time_utc", "gpu", "min_1x_usd_h", "offers_1x", "best_1x_is_spot"), read=_offers),
)
"""The forms with columns of fixed names."""
