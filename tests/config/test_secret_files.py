"""Values in files of their own, as Docker and systemd hand over secrets: `${file:/PATH}`."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.config import load_config
from autoscaler.core.errors import SettingsError
from providers.vastai.settings import VastSettings

FILE = """
fleet: attic
pools:
  images:
    queue: {kind: list, tiers: [{name: pro, key: 'jobs:pro'}]}
    machine: {image: ghcr.io/acme/comfy:1.4, gpus: [RTX 4090], ready: running, env: {V: "VALUE"}}
    placements: [{provider: vastai, max_usd_per_hour: 0.6}]
providers:
  vastai:
    api_key: KEY
"""


def key_of(written: str) -> str:
    settings = load_config(FILE.replace("KEY", written), {}).providers["vastai"]
    assert isinstance(settings, VastSettings)
    return settings.api_key.reveal()


def refused(written: str) -> str:
    with pytest.raises(SettingsError) as caught:
        key_of(written)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("content", ["hunter2", "hunter2\n", "hunter2\r\n"])
def test_a_key_may_lie_in_a_file_of_its_own(tmp_path: Path, content: str) -> None:
    secret = tmp_path / "vast"
    secret.write_text(content)
    assert key_of(f"${{file:{secret}}}") == "hunter2"


def test_a_file_may_be_a_part_of_a_value_and_changes_nothing_around_it(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text('p"w: [${HOME}]\n')
    config = load_config(FILE.replace("VALUE", f"redis://:${{file:{secret}}}@queue/$$"), {})
    assert config.pools["images"].machine.env["V"] == 'redis://:p"w: [${HOME}]@queue/$'


def test_each_reading_takes_what_the_file_holds_by_then(tmp_path: Path) -> None:
    secret = tmp_path / "vast"
    for key in ("old", "new"):
        secret.write_text(key)
        assert key_of(f"${{file:{secret}}}") == key


def test_a_file_that_cannot_be_read_is_named_with_what_would_help(tmp_path: Path) -> None:
    folder, odd, large, empty = (tmp_path / name for name in ("folder", "odd", "large", "empty"))
    folder.mkdir()
    odd.write_bytes(b"\xff\xfe")
    large.write_bytes(b"x" * 70_000)
    empty.touch()
    where = "providers.vastai.api_key"

    missing = f"there is no file {tmp_path}/none, or it is none; create it, or mount it here (line 10)"
    assert refused(f"${{file:{tmp_path}/none}}").startswith(f"{where}: ${{file:/")
    assert refused(f"${{file:{tmp_path}/none}}").endswith(missing)
    assert f"there is no file {folder}, or it is none" in refused(f"${{file:{folder}}}")
    assert f"the file {odd} is no text in UTF-8" in refused(f"${{file:{odd}}}")
    assert f"the file {large} is larger than 65536 bytes; expected one value" in refused(f"${{file:{large}}}")
    assert "expected a secret that is not empty" in refused(f"${{file:{empty}}}")
    assert "xxx cannot be read: File name too long" in refused(f"${{file:/{'x' * 300}}}")
    assert "there is no file /dev/zero" in refused("${file:/dev/zero}")
    assert "expected a path such as /run/secrets/vast" in refused("${file:secrets/vast}")


def test_nothing_of_a_file_that_was_named_by_mistake_is_shown(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2")
    with pytest.raises(SettingsError) as caught:
        load_config(f"tick: ${{file:{secret}}}\n{FILE}".replace("KEY", "k"), {})
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).startswith("tick: ${file:/")
