"""Traces of jobs: read, described, converted."""

from __future__ import annotations

from autoscaler.sim.traces.job import TraceJob
from autoscaler.sim.traces.read import Trace, open_trace, read_trace

__all__ = ["Trace", "TraceJob", "open_trace", "read_trace"]
