"""Warnings tell what a configuration allows and its author may not have meant."""

from __future__ import annotations

from autoscaler.config import load_config, warnings


def pool(queue: str, *, price: float = 0.5, hot: str = "1..4") -> str:
    return (
        f"{{queue: {queue}, machine: {{image: i, gpus: [g]}}, "
        f"placements: [{{provider: mock, max_usd_per_hour: {price}}}], limits: {{hot: {hot}}}}}"
    )


def advice(head: str = "", **pools: str) -> list[str]:
    written = "".join(f"  {name}: {text}\n" for name, text in pools.items())
    return list(warnings(load_config(f"fleet: f\n{head}pools:\n{written}providers: {{mock: {{}}}}\n", {})))


LIST = "{kind: list, tiers: [{name: t, key: k}]}"
STREAM = "{kind: stream, group: g, tiers: [{name: t, key: k}]}"


def test_a_floor_that_may_cost_more_than_the_budget_is_told() -> None:
    (line,) = advice(p=pool(STREAM, price=0.75, hot="2..4"))

    assert line == (
        "pools.p.limits: 2 running at all times, at up to 0.75 USD per hour each, may cost 36.00 USD a day, more than "
        "usd_per_day.stop (30); the floor is kept all the same, so lower `hot` or raise `stop`"
    )
    assert advice(p=pool(STREAM, price=0.625, hot="2..4")) == []


def test_each_cap_that_the_floor_may_exceed_by_itself_is_told() -> None:
    caps = "usd_per_hour: {warn: 0, stop: 0.5}, usd_per_month: {warn: 300, stop: 370}"

    hour, month = advice(p=pool(STREAM, price=0.6, hot=f"1..4, {caps}"))

    assert hour.startswith(
        "pools.p.limits: 1 running at all times, at up to 0.6 USD per hour each, may cost 0.60 USD an hour, more than "
        "usd_per_hour.stop (0.5); "
    )
    assert "may cost 446.40 USD a month of 31 days, more than usd_per_month.stop (370); " in month


def test_floors_that_together_may_cost_more_than_the_fleets_caps_are_told() -> None:
    text = "usd_per_day: {warn: 20, stop: 23}"
    two = {"a": pool(STREAM), "b": pool(STREAM.replace("key: k", "key: j"))}

    (line,) = advice(f"limits: {{{text}}}\n", **two)
    assert line == (
        "limits: the floors of all pools, 2 running at all times, may cost 24.00 USD a day, more than usd_per_day.stop "
        "(23); they are kept all the same, so lower `hot` of a pool or raise `stop`"
    )
    assert advice(f"limits: {{{text.replace('23', '24')}}}\n", **two) == []


def test_pools_that_read_the_same_key_are_told() -> None:
    assert advice(a=pool(LIST), b=pool(STREAM)) == [
        "k is read by pools.a and pools.b: each counts its jobs as its own",
    ]


def test_pools_that_share_what_a_library_counts_are_told_and_those_that_do_not_are_not() -> None:
    celery = "{kind: celery, tiers: [{name: t, queue: %s}]}"
    rq = "{kind: rq, key_prefix: %s, tiers: [{name: t, queue: q}]}"
    band = "{kind: bullmq, tiers: [{name: t, queue: %s}]}"

    assert advice(a=pool(celery % "x"), b=pool(celery % "y")) == [
        "unacked is read by pools.a and pools.b: each counts its jobs as its own",
    ]
    assert advice(a=pool(rq % "one"), b=pool(rq % "two")) == []
    assert advice(a=pool(band % "x"), b=pool(band % "y")) == []
    (line,) = advice(a=pool(band % "x"), b=pool(band % "x"))
    assert "bull:x:active" in line
    assert "more are read by pools.a and pools.b" in line


def test_the_same_keys_in_different_databases_are_not_shared() -> None:
    other = pool(LIST).replace("{queue:", "{redis: redis://localhost/1, queue:", 1)
    assert advice("redis: redis://localhost/0\n", a=pool(LIST), b=other) == []


def test_an_api_that_other_machines_reach_is_told_of_until_it_has_a_token() -> None:
    for listen in ("0.0.0.0:8080", "'[::]:8080'", "10.0.0.1:80"):
        (line,) = advice(f"http: {{listen: {listen}}}\n", p=pool(LIST))
        assert line.startswith(f"http.listen: {listen.strip(chr(39))} is reached from other machines")
        assert advice(f"http: {{listen: {listen}, token: 0123456789abcdef}}\n", p=pool(LIST)) == []
    for listen in ("127.0.0.1:8080", "'[::1]:8080'", "localhost:8080"):
        assert advice(f"http: {{listen: {listen}}}\n", p=pool(LIST)) == []
