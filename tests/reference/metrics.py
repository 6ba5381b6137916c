"""The page of the metrics: what a daemon's registry holds after its first tick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from tests.reference.daemon import told
from tests.reference.markdown import code, table

_HEAD = """\
# Metrics

What `GET /metrics` gives, for Prometheus. Names carry their unit. Labels are names from the configuration and words of
fixed lists, so their number is bounded; what is unknown is absent, never 0. Gauges are as of the newest tick. A machine
whose pool or provider is configured no more counts under `_unconfigured`. [Monitoring](../monitoring.md) says how to
scrape them, and [the runbook](../runbook.md) what to do about each alert.

"""


@dataclass(frozen=True, slots=True)
class Described:
    """One metric."""

    name: str
    """As it is scraped."""
    kind: str
    labels: Sequence[str]
    text: str


def page() -> str:
    """The whole page."""
    rows = [(code(each.name), each.kind, ", ".join(map(code, each.labels)), each.text) for each in described()]
    return _HEAD + table(("metric", "kind", "labels", "what it tells"), rows)


def described() -> list[Described]:
    """All metrics of a daemon, by name."""
    daemon = told()
    labels = {
        metric.name: wrapper._labelnames
        for wrapper in daemon.registry._collector_to_names
        if isinstance(wrapper, MetricWrapperBase)
        for metric in wrapper.describe()
    }
    found = {metric.name: _described(metric, labels.get(metric.name)) for metric in daemon.metrics}
    return [found[name] for name in sorted(found)]


def _described(metric: Metric, labels: Sequence[str] | None) -> Described:
    name = {"counter": f"{metric.name}_total", "info": f"{metric.name}_info"}.get(metric.type, metric.name)
    names = labels if labels is not None else getattr(metric, "_labelnames", ())
    return Described(name, metric.type, tuple(names), metric.documentation)
