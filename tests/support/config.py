"""A configuration without a fault, for tests that put one in."""

from __future__ import annotations

GOOD = """\
fleet: f
tick: 10s
pools:
  images:
    queue: {kind: list, tiers: [{name: pro, key: jobs:pro}]}
    machine: {image: i, gpus: [g]}
    placements:
      - {provider: mock, max_usd_per_hour: 0.5}
    limits: {hot: 1..6}
providers: {mock: {}}
"""
