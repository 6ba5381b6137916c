"""Files of recorded markets become the series that the market follows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from autoscaler.core.errors import SettingsError
from autoscaler.core.spec import Buy
from autoscaler.sim.market.forms import PLAIN, Form, Found, Row, form_of
from autoscaler.sim.traces.file import open_rows
from autoscaler.sim.traces.format import BadLine, BadLines
from providers.mock import Change, Series, Stock, series_for

_LISTED = 10  # names of series; the rest are counted


def read_market(path: Path, stock: Sequence[Stock]) -> tuple[Series, ...]:
    """The series of a file, in the order of their names, for markets that have this stock among them.

    Rows may be in any order; of two of one moment the later one counts. Times of day count from the file's first.

    Raises:
        SettingsError: the file cannot be read, or has no form that is known; lines are bad: the first ten, and how many
            there are; a kind of stock names a series that is not in it; or none is of a kind in stock.
    """
    form, found = _found(path)
    start = min((each.change.t_s for each in found), default=0.0) if "time_utc" in form.known_by else 0.0
    series = _series(form.whole(found), start)
    _require_use(path, series, stock)
    return series


def _found(path: Path) -> tuple[Form, list[Found]]:
    """The form of a file, and what its rows tell."""
    found: list[Found] = []
    bad = BadLines(path)
    with open_rows(path) as rows:
        header = [name.strip() for name in next(rows, [])]
        form = _form(path, header)
        for cells in rows:
            if not cells:
                continue
            try:
                if len(cells) != len(header):
                    raise BadLine(f"{len(cells)} fields - expected {len(header)}, as in line 1")
                row = Row(dict(zip(header, (cell.strip() for cell in cells), strict=True)))
                found += form.read(row)
            except BadLine as why:
                bad.add(rows.line_num, why)
    bad.complain()
    return form, found


def _form(path: Path, header: Sequence[str]) -> Form:
    if not header:
        raise SettingsError(f"{path}: no header; expected {','.join(PLAIN.known_by)}")
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise SettingsError(f"{path}: two columns have the name {twice}")
    form = form_of(header)
    if form is None:
        raise SettingsError(
            f"{path}: this header is of no market that is known: {_some(header)}; expected {','.join(PLAIN.known_by)}"
        )
    return form


def _series(found: Iterable[Found], start: float) -> tuple[Series, ...]:
    """What was found, by GPU and region, without what changes nothing."""
    by_kind: dict[tuple[str, str], list[Change]] = {}
    for gpu, region, change in found:
        by_kind.setdefault((gpu, region), []).append(change._replace(t_s=change.t_s - start))
    return tuple(
        Series(gpu=gpu, region=region, changes=_changes(sorted(changes, key=lambda change: change.t_s)))
        for (gpu, region), changes in sorted(by_kind.items())
    )


def _changes(changes: Iterable[Change]) -> tuple[Change, ...]:
    news: list[Change] = []
    latest: dict[Buy, tuple[float | None, float | None]] = {}
    for change in changes:
        price, available = latest.get(change.buy, (None, None))
        now = (
            price if change.usd_per_hour is None else change.usd_per_hour,
            available if change.available is None else change.available,
        )
        if now != (price, available):
            latest[change.buy] = now
            news.append(change)
    return tuple(news)


def _require_use(path: Path, series: Sequence[Series], stock: Sequence[Stock]) -> None:
    names = [each.name for each in series]
    problems = [
        f"{path}: no series {kind.series}, which the stock of {_kind(kind)} names; expected one of its "
        f"{len(names)}, such as {_some(get_close_matches(kind.series, names, n=3, cutoff=0.0))}"
        for kind in stock
        if kind.series is not None and series_for(kind, series) is None
    ]
    if problems:
        raise SettingsError(*problems)
    if not any(series_for(kind, series) for kind in stock):
        first = names[0] if names else "GPU/REGION"
        raise SettingsError(
            f"{path}: no kind of stock follows any of its series. Its series: {_some(names)}. In stock: "
            f"{_some([_kind(kind) for kind in stock])}. Expected stock with the GPU and region of a series, or one "
            f"that names its series, as in {{gpu: …, region: …, series: {first}}}"
        )


def _kind(stock: Stock) -> str:
    return f"{stock.gpu}/{stock.region}"


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    unique = list(dict.fromkeys(names))
    more = f", and {len(unique) - _LISTED} more" if len(unique) > _LISTED else ""
    return (", ".join(unique[:_LISTED]) or "none") + more
