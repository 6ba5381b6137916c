"""The autoscalers of others, re-implemented from their published formulas."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from autoscaler.sim.baselines import (
    celery,
    cluster_autoscaler,
    dstack,
    gitlab,
    in_flight,
    keda,
    knative,
    nomad,
    ray,
    runpod,
    skyserve,
    theory,
    vast,
    woodpecker,
)
from autoscaler.sim.baselines.base import Baseline

BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        baseline.name: baseline
        for baseline in (
            keda.LLEN,
            keda.ALL,
            knative.BASELINE,
            skyserve.RATE,
            skyserve.QUEUE,
            dstack.BASELINE,
            runpod.DELAY,
            runpod.COUNT,
            vast.BASELINE,
            gitlab.BASELINE,
            cluster_autoscaler.BASELINE,
            ray.AUTOSCALER,
            ray.SERVE,
            nomad.BASELINE,
            in_flight.MODAL,
            in_flight.BETA9,
            in_flight.BUILDKITE,
            celery.BASELINE,
            woodpecker.BASELINE,
            theory.DELAYED_OFF,
            theory.SQRT_STAFFING,
            theory.STATIC,
        )
    }
)
"""Every peer, by the name it is asked for."""
