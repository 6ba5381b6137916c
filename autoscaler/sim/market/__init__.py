"""Recorded markets: prices and availability that the mock market follows in a simulation."""

from __future__ import annotations

from autoscaler.sim.market.read import read_market

__all__ = ["read_market"]
