"""Every problem of a file is told at once: where, what was written, what was expected, in which line."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from autoscaler.config import checks, full_yaml, load_config
from autoscaler.core.errors import SettingsError
from autoscaler.core.spec import Placement
from autoscaler.link import RedisSettings
from providers.base import Capabilities
from tests.support.config import GOOD

FULL = full_yaml(load_config(GOOD, {}))


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refusal:
        load_config(text, {"HOME": "/root"})
    return refusal.value.problems


def test_all_problems_come_together_in_the_order_of_the_file() -> None:
    text = """\
fleet: F!
pools:
  a:
    queue: {kind: lst}
    machine: {image: i, gpus: g, slots: 0, env: {A: []}, ready: soon}
    placements:
      - {provider: vastai, buy: sport, max_usd_per_hour: -1}
      - {provider: mock, max_usd_per_hour: "${CAP}"}
    limits: {hot: 6..1, usd_per_day: {warn: 9, stop: 3}}
    policies: [nothing]
  b:
    queue: {kind: list, tiers: []}
providers: {mock: {seed: x}, vastai: {kind: mock, price_swing: 2}}
"""
    assert [line.split(" - ")[0].split(": ")[0] for line in problems(text)] == [
        "fleet",
        "pools.a.queue.kind",
        "pools.a.machine.gpus",
        "pools.a.machine.env.A",
        "pools.a.machine.slots",
        "pools.a.machine.ready",
        "pools.a.placements[0].buy",
        "pools.a.placements[0].max_usd_per_hour",
        "pools.a.placements[1].max_usd_per_hour",
        "pools.a.limits.hot",
        "pools.a.limits.usd_per_day",
        "pools.a.policies[0]",
        "pools.b.machine",
        "pools.b.placements",
        "pools.b.queue",
        "providers.mock.seed",
        "providers.vastai.price_swing",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:hunter2@h:x",
        "redis://:hunter2@h:x",
        "redis://u:hunter2@hunter2@h:x",
        "redis://u:hunter2/hunter2@h",
        "redis://h:x?password=hunter2&db=1",
        f"redis://u:{'hunter2' * 20}@h:x",
        "mysql://u:hunter2@h",
    ],
)
def test_a_problem_shows_no_password(url: str) -> None:
    (line,) = problems(GOOD.replace("tick: 10s", f"redis: '{url}'"))

    assert "hunter2" not in line
    assert "***" in line


def test_a_problem_shows_no_value_from_the_environment() -> None:
    (line,) = problems(GOOD.replace("tick: 10s", "tick: ${HOME}"))

    assert "/root" not in line


def test_spot_at_a_provider_without_spot_machines_is_refused() -> None:
    reader = TypeAdapter(Annotated[Placement, checks.checked(checks.placement)])
    context = checks.Context({"lab": Capabilities(can_spot=False)})
    reader.validate_python({"provider": "lab", "max_usd_per_hour": 1}, context=context)

    with pytest.raises(ValidationError) as refusal:
        reader.validate_python({"provider": "lab", "max_usd_per_hour": 1, "buy": "spot"}, context=context)

    (details,) = refusal.value.errors()
    assert details["ctx"]["findings"] == [(("buy",), "lab rents no spot machines; expected on_demand")]


@pytest.mark.parametrize(
    "url",
    [
        "embedded",
        "embedded:6390",
        "redis://h",
        "redis://h?db=3",
        "redis://u:p@h:6379/2",
        "rediss://[::1]:6380",
        "unix:///run/redis.sock",
        "redis+sentinel://u:p@a:1,b/mymaster/2?protocol=3",
        "rediss+cluster://a:7000,[::1]:7001",
    ],
)
def test_every_form_of_redis_address_is_accepted(url: str) -> None:
    assert load_config(GOOD.replace("tick: 10s", f"redis: {url}"), {}).redis == RedisSettings(url=url)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=20,
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    if isinstance(data, dict):
        return {**data, path[0]: replaced(data.get(path[0]), path[1:], value)}
    return [replaced(item, path[1:], value) if index == path[0] else item for index, item in enumerate(data)]


def told(text: str) -> tuple[str, ...]:
    """The problems of a text; none when it is a configuration."""
    try:
        load_config(text, {"A": "1"})
    except SettingsError as refusal:
        return refusal.problems or ("",)
    return ()


def is_one_line(problem: str) -> bool:
    return bool(problem.strip()) and len(problem.splitlines()) == 1


@given(st.data())
def test_any_value_anywhere_gives_a_configuration_or_clear_problems(data: st.DataObject) -> None:
    good = yaml.safe_load(FULL)
    path = data.draw(st.sampled_from(places(good)))

    assert all(map(is_one_line, told(yaml.safe_dump(replaced(good, path, data.draw(values))))))


@given(st.text())
def test_any_text_gives_a_configuration_or_clear_problems(text: str) -> None:
    assert all(map(is_one_line, told(text)))


@given(st.text(alphabet="{}[]:,-&*!|>'\"#%@`?$ \n\tab01", max_size=60))
def test_any_punctuation_gives_a_configuration_or_clear_problems(text: str) -> None:
    assert all(map(is_one_line, told(text)))
