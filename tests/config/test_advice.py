"""Warnings tell what a configuration allows and its author may not have meant."""

from __future__ import annotations

from autoscaler.config import load_config, warnings


def pool(queue: str, *, ready: str = "running", price: float = 0.5, hot: str = "1..4") -> str:
    return (
        f"{{queue: {queue}, machine: {{image: i, gpus: [g], ready: {ready}}}, "
        f"placements: [{{provider: mock, max_usd_per_hour: {price}}}], limits: {{hot: {hot}}}}}"
    )


def advice(**pools: str) -> list[str]:
    written = "".join(f"  {name}: {text}\n" for name, text in pools.items())
    return list(warnings(load_config(f"fleet: f\npools:\n{written}providers: {{mock: {{}}}}\n", {})))


LIST = "{kind: list, tiers: [{name: t, key: k}]}"
TOLD = "{kind: list, tiers: [{name: t, key: k}], in_flight_keys: [busy]}"
STREAM = "{kind: stream, group: g, tiers: [{name: t, key: k}]}"


def test_a_pool_whose_busy_machines_nobody_knows_is_told_how_to_fix_it() -> None:
    (line,) = advice(p=pool(LIST))

    assert line == (
        "pools.p: nobody tells whether a machine is busy, so none will ever be stopped; name the keys of the "
        "jobs being worked on in `queue.in_flight_keys`, or let the workers send heartbeats and set "
        "`machine.ready: heartbeat`"
    )


def test_a_pool_whose_busy_machines_are_known_gets_no_warning() -> None:
    assert advice(p=pool(LIST, ready="heartbeat")) == []
    assert advice(p=pool(TOLD)) == []
    assert advice(p=pool(STREAM)) == []


def test_a_floor_that_may_cost_more_than_the_budget_is_told() -> None:
    (line,) = advice(p=pool(STREAM, price=0.75, hot="2..4"))

    assert line == (
        "pools.p.limits: 2 running at all times, at up to 0.75 USD per hour each, may cost 36.00 USD a day, more than "
        "usd_per_day.stop (30); the floor is kept all the same, so lower `hot` or raise `stop`"
    )
    assert advice(p=pool(STREAM, price=0.625, hot="2..4")) == []


def test_pools_that_read_the_same_key_are_told() -> None:
    assert advice(a=pool(TOLD), b=pool(STREAM)) == [
        "k is read by pools.a and pools.b: each counts its jobs as its own",
    ]
