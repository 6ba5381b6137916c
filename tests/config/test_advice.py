"""Warnings tell what a configuration allows and its author may not have meant."""

from __future__ import annotations

from autoscaler.config import load_config, warnings


def pool(queue: str, *, price: float = 0.5, hot: str = "1..4") -> str:
    return (
        f"{{queue: {queue}, machine: {{image: i, gpus: [g]}}, "
        f"placements: [{{provider: mock, max_usd_per_hour: {price}}}], limits: {{hot: {hot}}}}}"
    )


def advice(**pools: str) -> list[str]:
    written = "".join(f"  {name}: {text}\n" for name, text in pools.items())
    return list(warnings(load_config(f"fleet: f\npools:\n{written}providers: {{mock: {{}}}}\n", {})))


LIST = "{kind: list, tiers: [{name: t, key: k}]}"
STREAM = "{kind: stream, group: g, tiers: [{name: t, key: k}]}"


def test_a_floor_that_may_cost_more_than_the_budget_is_told() -> None:
    (line,) = advice(p=pool(STREAM, price=0.75, hot="2..4"))

    assert line == (
        "pools.p.limits: 2 running at all times, at up to 0.75 USD per hour each, may cost 36.00 USD a day, more than "
        "usd_per_day.stop (30); the floor is kept all the same, so lower `hot` or raise `stop`"
    )
    assert advice(p=pool(STREAM, price=0.625, hot="2..4")) == []


def test_pools_that_read_the_same_key_are_told() -> None:
    assert advice(a=pool(LIST), b=pool(STREAM)) == [
        "k is read by pools.a and pools.b: each counts its jobs as its own",
    ]
