"""Prometheus metrics: counters and histograms of what happened, gauges of what the newest tick found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from autoscaler.core.decision import Outcome, Result
from autoscaler.core.diagnosis import Diagnosis
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.settle import CALLS
from autoscaler.runtime.report import TickReport
from autoscaler.telemetry.costs import CostMeter
from autoscaler.telemetry.gauges import gauges, pool_label, provider_label

_START_BUCKETS_S = (30, 60, 120, 180, 240, 300, 450, 600, 900, 1200, 1800, 2400, 3000, 3600, 4500, 5400, 7200)
_CALL_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)
_TICK_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics(Collector):
    """A listener whose registry is scraped. Ages are as of the newest tick, good or failed.

    `led` gives the pools that this daemon certainly leads at the moment of a scrape: one that is cut off from its store
    goes on with what it last knew, and another daemon may lead by then.
    """

    def __init__(self, registry: CollectorRegistry, led: Callable[[], Collection[str]]) -> None:
        # Else each counter and histogram brings one more series, of use to nobody.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._led = led
        self._report: TickReport | None = None
        self._now = 0.0
        self._meter = _Meter()
        self._actions = Counter(
            "autoscaler_actions_total", "What was done to machines.", ("action", "result"), registry=registry
        )
        self._calls = Counter(
            "autoscaler_provider_calls_total",
            "Calls that change something at a provider.",
            ("provider", "action", "result"),
            registry=registry,
        )
        self._asked = Histogram(
            "autoscaler_provider_call_seconds",
            "How long calls to a provider took, those that only read included.",
            ("provider", "call", "result"),
            buckets=_CALL_BUCKETS_S,
            registry=registry,
        )
        self._setup = _start_histogram("setup", "From the order of a new machine until it was HOT.", registry)
        self._resume = _start_histogram("resume", "From the order to start a stopped machine until HOT.", registry)
        self._usd = Counter(
            "autoscaler_usd_total", "Cost of the pool's machines while this daemon led.", ("pool",), registry=registry
        )
        self._costs = CostMeter()
        self._cost = Counter(
            "autoscaler_cost_usd_total",
            "What was booked while this daemon led, by what it was for; a boot's cost when the boot has ended.",
            ("pool", "placement", "tier", "for"),
            registry=registry,
        )
        self._tick = Histogram(
            "autoscaler_tick_duration_seconds", "How long good ticks took.", buckets=_TICK_BUCKETS_S, registry=registry
        )
        ticks = Counter("autoscaler_ticks_total", "Ticks made.", ("outcome",), registry=registry)
        self._good, self._bad = ticks.labels("good"), ticks.labels("failed")
        self._alarms = Counter(
            "autoscaler_alarms_total", "What needs a person: the journal has the words.", registry=registry
        )
        self._diagnoses = Counter(
            "autoscaler_diagnoses_total", "Why machines did not come up.", ("diagnosis",), registry=registry
        )
        self._lost = Counter(
            "autoscaler_lost_machines_total",
            "Machines that went unasked while they served: the journal has what they held.",
            ("pool", "provider"),
            registry=registry,
        )
        self._losses: list[str] = []
        leads = Gauge("autoscaler_leader", "1 while this daemon holds the lease, else 0.", registry=registry)
        leads.set_function(lambda: float(bool(led())))
        build = Info("autoscaler_build", "What runs here.", registry=registry)
        build.info({"version": version("gpu-autoscaler")})
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The gauges, at each scrape."""
        if self._report is not None:
            yield from gauges(self._report, self._now, self._led())

    def ticked(self, report: TickReport) -> None:
        """A tick ended well."""
        self._report, self._now = report, report.at
        self._good.inc()
        self._tick.observe(report.duration_s)
        self._begin(report)
        for instance in (report.instances[name] for name in self._losses):
            self._lost.labels(pool_label(report, instance.pool), provider_label(report, instance.provider)).inc()
        self._losses.clear()
        for pool, usd in self._meter.growth(report).items():
            self._usd.labels(pool).inc(usd)
        for labels, usd in self._costs.growth(report):
            self._cost.labels(*labels).inc(usd)

    def _begin(self, report: TickReport) -> None:
        """Let what may rise be there at 0: the first rise of a series that is new is one that Prometheus cannot see."""
        for diagnosis in Diagnosis:
            self._diagnoses.labels(diagnosis.value)
        for name, pool in report.pools.items():
            for placement in pool.snapshot.pool.placements:
                self._lost.labels(name, placement.provider)

    def forget(self, pools: Iterable[str] = (), providers: Iterable[str] = (), placements: Iterable[str] = ()) -> None:
        """Drop the series of what is no longer configured; all others go on."""
        for pool in pools:
            self._usd.remove_by_labels({"pool": pool})
            self._cost.remove_by_labels({"pool": pool})
            self._lost.remove_by_labels({"pool": pool})
        for provider in providers:
            self._lost.remove_by_labels({"provider": provider})
            self._calls.remove_by_labels({"provider": provider})
            self._asked.remove_by_labels({"provider": provider})
        for placement in placements:
            self._cost.remove_by_labels({"placement": placement})
            self._setup.remove_by_labels({"placement": placement})
            self._resume.remove_by_labels({"placement": placement})

    def failed(self, reason: str, now: float) -> None:  # noqa: ARG002 - no label is free text
        """A tick could not be made."""
        self._now = now
        self._bad.inc()

    def noted(self, entry: Entry) -> None:
        """Something went into the journal."""
        if entry.kind is Kind.ALARM:
            self._alarms.inc()
        elif entry.kind is Kind.DIAGNOSIS:
            self._diagnoses.labels(entry.result).inc()
        elif entry.kind is Kind.LOSS:
            self._losses.append(entry.instance)
        elif entry.kind is Kind.COMMAND and entry.action not in CALLS:
            self._actions.labels(entry.action, Result.OK.value).inc()  # it only changes a record, which cannot fail

    def called(self, provider: str, outcome: Outcome) -> None:
        """A provider answered a command, or did not."""
        self._actions.labels(outcome.action.value, outcome.result.value).inc()
        self._calls.labels(provider, outcome.action.value, outcome.result.value).inc()

    def asked(self, provider: str, call: str, result: Result, seconds: float) -> None:
        """A call to a provider ended so, after that long; it is told by ``providers.instrumented``."""
        self._asked.labels(provider, call, result.value).observe(seconds)

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None:
        """A machine got HOT that long after it was ordered."""
        (self._resume if resumed else self._setup).labels(placement).observe(seconds)


def _start_histogram(name: str, text: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(f"autoscaler_{name}_seconds", text, ("placement",), buckets=_START_BUCKETS_S, registry=registry)


class _Meter:
    """Adds up what machines cost while this daemon leads.

    A day's books start anew at midnight; the records do not, so each tick's cost is what they grew by.
    """

    def __init__(self) -> None:
        self._costs: dict[str, float] | None = None

    def growth(self, report: TickReport) -> dict[str, float]:
        """USD by pool since the last call; nothing on the first of a lead."""
        if not report.leads:
            self._costs = None
            return {}
        before, self._costs = self._costs, {}
        grown = dict.fromkeys(report.pools, 0.0)
        for instance in report.instances.values():
            cost = instance.cost_usd(report.at)
            known = cost if before is None else before.get(instance.id, 0.0)
            self._costs[instance.id] = max(cost, known)
            label = pool_label(report, instance.pool)
            grown[label] = grown.get(label, 0.0) + max(0.0, cost - known)
        return grown
