"""What `autoscaler init` writes is what was found, and is a configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autoscaler.config import load_config, warnings
from autoscaler.core.demand import Unknown
from autoscaler.discover import Recognised
from autoscaler.queues.band import Band
from autoscaler.queues.library import Found
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.zset import ZsetQueue, ZsetTier
from autoscaler.write_config import Draft, Fleet, as_yaml, first_draft, redis_reference, save
from tests.support.queue_settings import SETTINGS

QUEUE = ListQueue(kind="list", tiers=(ListTier(name="pro", key="jobs:pro"),))
ODD = (
    ListQueue(kind="list", tiers=(ListTier(name="no", key="NO"), ListTier(name="on", key="${HOME} # $x"))),
    ListQueue(kind="list", tiers=(ListTier(name="1", key="null"), ListTier(name="2", key="a\x06\x16: {b}, 'ü\n"))),
    ZsetQueue(kind="zset", score="priority", tiers=(ZsetTier(name="a", key="z", scores=Band(-1.5)),)),
)


def recognised(settings: Any, *notes: str) -> Recognised:
    found = Found(settings=settings, keys=frozenset(), notes=notes)
    return Recognised(name="images", found=found, demand=Unknown("", 0.0))


@pytest.mark.parametrize("settings", [*SETTINGS, *ODD], ids=lambda settings: settings.kind)
def test_every_queue_reads_back_as_it_was_found(settings: Any) -> None:
    fleet = Fleet(redis="embedded", pools=(Draft(name="images", queue=settings),))
    config = load_config(as_yaml(fleet), {})
    assert config.pools["images"].queue == settings
    assert warnings(config) == ()


@given(key=st.text(min_size=1))
@example(key="\ufeff\x85\u2028")
@example(key="jobs://me:secret@host?password=$x")
def test_a_key_of_any_text_reads_back(key: str) -> None:
    queue = ListQueue(kind="list", tiers=(ListTier(name="a", key=key),), in_flight_keys=(f"{key}:busy",))
    config = load_config(as_yaml(Fleet(redis="embedded", pools=(Draft(name="images", queue=queue),))), {})
    assert config.pools["images"].queue == queue


@pytest.mark.parametrize(
    "key", ["two\nlines", "\x1b[31mred", "\u202eright to left", "a\u2028b", "\ufeffmark", "bell\x07 🎉"]
)
def test_a_key_that_an_editor_or_a_terminal_would_act_upon_is_written_by_escapes_on_one_line(key: str) -> None:
    queue = ListQueue(kind="list", tiers=(ListTier(name="a", key=key),))
    text = as_yaml(Fleet(redis="embedded", pools=(Draft(name="images", queue=queue),)))
    assert text.replace("\n", "").isprintable()
    assert any("{name: a, key: " in line and line.endswith("}") for line in text.splitlines())
    assert load_config(text, {}).pools["images"].queue == queue


def test_text_in_any_script_is_written_as_it_is() -> None:
    queue = ListQueue(kind="list", tiers=(ListTier(name="a", key="очередь🎉"),))
    assert "key: очередь🎉," in as_yaml(Fleet(redis="embedded", pools=(Draft(name="images", queue=queue),)))


def test_what_a_setting_means_is_said_once() -> None:
    pools = (Draft(name="a", queue=QUEUE), Draft(name="b", queue=QUEUE, notes=("guessed",)))
    text = as_yaml(Fleet(redis="embedded", pools=pools))
    first, _, rest = text.partition("\n  b:\n")
    second, _, _ = rest.partition("\nproviders:")
    assert [line for line in second.splitlines() if "#" in line] == ["    # look at this: guessed"]
    assert "    slots: 1    # jobs that one machine works on at the same time" in first
    assert "      slots: 1\n" in second


def test_amounts_are_written_in_full() -> None:
    text = as_yaml(
        Fleet(redis="embedded", pools=(Draft(name="a", queue=QUEUE, usd_per_hour=123456.789, usd_per_day=0.01),))
    )
    config = load_config(text, {})
    assert config.pools["a"].placements[0].max_usd_per_hour == 123456.789
    assert config.pools["a"].limits.usd_per_day.stop == 0.01


@pytest.mark.parametrize(("tiers", "targets"), [(1, [120]), (2, [30, 120]), (4, [30, 120, 300, 300])])
def test_wait_targets_follow_the_order_of_the_tiers(tiers: int, targets: list[float]) -> None:
    queue = replace(QUEUE, tiers=tuple(ListTier(name=f"t{n}", key=str(n)) for n in range(tiers)))
    assert [tier.wait_target for tier in first_draft(recognised(queue)).queue.tiers] == targets


def test_what_was_guessed_stands_above_the_queue() -> None:
    text = as_yaml(Fleet(redis="embedded", pools=(first_draft(recognised(QUEUE, "the end is guessed")),)))
    assert "  images:\n    # look at this: the end is guessed\n    queue:\n" in text


def test_keys_of_providers_are_references_to_variables() -> None:
    pools = (Draft(name="a", queue=QUEUE, provider="vastai"), Draft(name="b", queue=QUEUE, provider="runpod"))
    fleet = Fleet(redis="${REDIS_URL}", pools=pools)
    assert fleet.variables == ("REDIS_URL", "VAST_API_KEY", "RUNPOD_API_KEY")
    variables = {"REDIS_URL": "redis://:secret@queue", "VAST_API_KEY": "v", "RUNPOD_API_KEY": "r"}
    config = load_config(as_yaml(fleet), variables)
    assert list(config.providers) == ["vastai", "runpod"]


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("redis://localhost:6379", "redis://localhost:6379"),
        ("redis://user@queue/3", "redis://user@queue/3"),
        ("redis://user:secret@queue", "${REDIS_URL}"),
        ("redis://queue?password=secret", "${REDIS_URL}"),
        ("rediss://:secret@queue", "${REDIS_URL}"),
        ("unix:///run/redis$1.sock", "unix:///run/redis$$1.sock"),
    ],
)
def test_a_url_with_a_password_is_left_to_a_variable(url: str, written: str) -> None:
    assert redis_reference(url) == written
    fleet = Fleet(redis=written, pools=(Draft(name="images", queue=QUEUE),))
    assert "secret" not in as_yaml(fleet)
    assert load_config(as_yaml(fleet), {"REDIS_URL": url}).redis.url == url


def test_a_file_is_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("old")
    save("new", file)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("fleet.yaml", "new")]
