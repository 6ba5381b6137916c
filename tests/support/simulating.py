"""A small configuration and small traces for commands that simulate."""

from __future__ import annotations

import gzip
from pathlib import Path

CONFIG = """\
fleet: attic
redis: embedded
pools:
  images:
    queue:
      kind: list
      tiers:
        - {name: pro, key: jobs:pro, wait_target: 30s}
        - {name: free, key: jobs:free, wait_target: 5m}
    machine: {image: worker, gpus: [RTX 4090], ready: running}
    placements: [{provider: mock, max_usd_per_hour: 0.9}]
    limits: {hot: 0..4, warm: 0..2}
    workload: {service: 20s..60s, tier_column: user, model_load: 15s}
providers:
  mock: {setup: [95s, 2m, 400s], resume: 30s..60s}
"""
SPEECH = """\
  speech:
    queue: {kind: list, tiers: [{name: all, key: speech}]}
    machine: {image: whisper, gpus: [RTX 3090], ready: running}
    placements: [{provider: mock, max_usd_per_hour: 0.9}]
    workload: {service: 5s}
"""
TRACE = "t_s,user,service_s,model\n" + "".join(
    f"{120 * number},{('pro', 'free')[number % 2]},{20 + number},{'xy'[number % 3 == 0]}\n" for number in range(30)
)


def write_config(directory: Path, *, two_pools: bool = False) -> Path:
    """A configuration of one pool or two."""
    path = directory / "fleet.yaml"
    path.write_text(CONFIG.replace("providers:", SPEECH + "providers:") if two_pools else CONFIG)
    return path


def write_trace(directory: Path, text: str = TRACE, *, name: str = "jobs.csv") -> Path:
    """A trace."""
    path = directory / name
    path.write_text(text)
    return path


def cut(source: Path, target: Path, lines: int) -> Path:
    """The beginning of a real trace."""
    with gzip.open(source, "rt") as whole, gzip.open(target, "wt") as part:
        for _, line in zip(range(lines + 1), whole, strict=False):
            part.write(line)
    return target
