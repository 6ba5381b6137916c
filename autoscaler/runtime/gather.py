"""One report of what the loops of several pools found in one round."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from autoscaler.core.decision import Outcome
from autoscaler.core.demand import Unknown
from autoscaler.core.journal import Entry
from autoscaler.core.ledger import together
from autoscaler.core.market import Listing
from autoscaler.runtime.report import Account, Listener, TickReport


class Gathered:
    """Tells a listener once a round what all loops found; what else they tell is passed on as it comes."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._newest: dict[str, TickReport] = {}
        """The newest good tick of each loop."""
        self._good = False
        self._failed: dict[str, tuple[str, float]] = {}
        """Why a loop's tick of this round failed, and when."""

    def of(self, unit: str) -> Listener:
        """The listener of one loop."""
        return _Member(self, unit, self._listener)

    def keep(self, units: Collection[str]) -> None:
        """Forget what the loops of other units found."""
        self._newest = {unit: report for unit, report in self._newest.items() if unit in units}

    def ticked(self, unit: str, report: TickReport) -> None:
        """A loop's tick ended well."""
        self._newest[unit], self._good = report, True

    def failed(self, unit: str, reason: str, now: float) -> None:
        """A loop's tick could not be made."""
        self._failed[unit] = reason, now

    def over(self) -> None:
        """The round is over. Of a loop whose tick failed, the newest good one still counts."""
        if self._good:
            self._listener.ticked(merged([*self._newest.values()]))
        if self._failed:
            self._listener.failed(_told(self._failed), max(at for _, at in self._failed.values()))
        self._good, self._failed = False, {}


class _Member:
    """What one loop tells."""

    def __init__(self, gathered: Gathered, unit: str, listener: Listener) -> None:
        self._gathered = gathered
        self._unit = unit
        self._listener = listener

    def ticked(self, report: TickReport) -> None:
        self._gathered.ticked(self._unit, report)

    def failed(self, reason: str, now: float) -> None:
        self._gathered.failed(self._unit, reason, now)

    def noted(self, entry: Entry) -> None:
        self._listener.noted(entry)

    def called(self, provider: str, outcome: Outcome) -> None:
        self._listener.called(provider, outcome)

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None:
        self._listener.came_up(placement, seconds, resumed=resumed)


def merged(reports: Sequence[TickReport]) -> TickReport:
    """What one loop over all pools would have reported."""
    leading = [report for report in reports if report.leads]
    return TickReport(
        at=max(report.at for report in reports),
        duration_s=max(report.duration_s for report in reports),
        leads=bool(leading),
        leaders={pool: owner for report in reports for pool, owner in report.leaders.items()},
        orders=max(leading, key=lambda report: report.at).orders if leading else reports[0].orders,
        limits=reports[0].limits,
        pools={name: pool for report in leading for name, pool in report.pools.items()},
        instances={name: record for report in leading for name, record in report.instances.items()},
        listings=_best([report.listings for report in leading]),
        accounts=_summed([report.accounts for report in leading]),
        books=together(report.books for report in leading),
    )


def _best(every: Iterable[Mapping[str, Listing | Unknown]]) -> dict[str, Listing | Unknown]:
    """Of each provider a listing, where any loop has one."""
    found: dict[str, Listing | Unknown] = {}
    for listings in every:
        for provider, listing in listings.items():
            if provider not in found or isinstance(found[provider], Unknown):
                found[provider] = listing
    return found


def _summed(every: Sequence[Mapping[str, Account]]) -> dict[str, Account]:
    """Of each provider the one balance, and what the machines of all pools were billed."""
    providers = dict.fromkeys(name for accounts in every for name in accounts)
    found = {name: [accounts[name] for accounts in every if name in accounts] for name in providers}
    return {
        name: Account(
            balance_usd=next((each.balance_usd for each in accounts if each.balance_usd is not None), None),
            billed_today_usd=_sum(each.billed_today_usd for each in accounts),
            billed_yesterday_usd=_sum(each.billed_yesterday_usd for each in accounts),
        )
        for name, accounts in found.items()
    }


def _sum(every: Iterable[float | None]) -> float | None:
    """A sum; None where a part is not known."""
    known = 0.0
    for usd in every:
        if usd is None:
            return None
        known += usd
    return known


def _told(failed: Mapping[str, tuple[str, float]]) -> str:
    """Why ticks failed: each reason once, after the pools that it holds for. One loop for all pools has no name."""
    units: dict[str, list[str]] = {}
    for unit, (reason, _) in failed.items():
        units.setdefault(reason, []).append(unit)
    return "; ".join(f"{', '.join(names)}: {reason}" if any(names) else reason for reason, names in units.items())
