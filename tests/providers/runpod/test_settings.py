"""An account's settings: what is wrong is told in one line each, all at once."""

from __future__ import annotations

import pytest

from autoscaler.config import load_config
from autoscaler.core.contract import notice_s
from autoscaler.core.errors import SettingsError
from autoscaler.core.history import PlacementHistory
from autoscaler.core.spec import Deadlines
from providers.runpod import RunpodSettings

CONFIG = """
fleet: f
pools:
  images:
    queue: {{kind: list, tiers: [{{name: pro, key: jobs}}]}}
    machine: {{image: i, gpus: [RTX 4090]}}
    placements: [{{provider: runpod, max_usd_per_hour: 1}}]
providers:
  runpod: {{{settings}}}
"""


def test_a_key_is_all_that_is_needed() -> None:
    settings = load_config(CONFIG.format(settings="api_key: secret-key"), {}).providers["runpod"]
    assert isinstance(settings, RunpodSettings)
    assert settings.url == "https://api.runpod.io"
    assert "secret-key" not in repr(settings)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("api_key: ''", "api_key: '' - expected a secret that is not empty"),
        ("url: http://api.runpod.io", "url: http://api.runpod.io - expected https://api.runpod.io, or an emulator"),
        ("url: api.runpod.io", "url: api.runpod.io - expected https://"),
        ("volume_path: data", "volume_path: data - expected an absolute path in the container"),
        ("container_disk_gb: 0", "container_disk_gb: 0 - expected 1 or more"),
        ("terminate_after: 3h", "terminate_after: 3h - expected 4h or more, such as 24h"),
        ("terminate_after: 24", "terminate_after: 24 - expected a duration with its unit"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_fix(written: str, problem: str) -> None:
    key = "" if written.startswith("api_key") else "api_key: k, "
    with pytest.raises(SettingsError) as refused:
        load_config(CONFIG.format(settings=key + written), {})
    (told,) = refused.value.problems
    assert told.startswith(f"providers.runpod.{problem}")


def test_the_shortest_life_leaves_a_machine_time_to_serve_before_its_successor_is_set_up() -> None:
    settings = load_config(CONFIG.format(settings="api_key: k, terminate_after: 4h"), {}).providers["runpod"]
    slow = PlacementHistory().came_up(Deadlines().booting, resumed=False)
    assert settings.terminate_after >= 2.0 * notice_s(slow, Deadlines())


@pytest.mark.parametrize("url", ["http://127.0.0.1:8086", "http://emulator:8086/", "https://api.runpod.io/"])
def test_an_emulator_may_be_asked_without_tls_and_a_slash_at_the_end_is_no_matter(url: str) -> None:
    text = CONFIG.format(settings=f"api_key: k, url: '{url}', terminate_after: 24h")
    settings = load_config(text, {}).providers["runpod"]
    assert (settings.url, settings.terminate_after) == (url.rstrip("/"), 86400.0)
