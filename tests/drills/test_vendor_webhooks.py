"""A vendor's webhook shortens the wait for what it tells of, and what it says is believed only from the listing.

The emulated Vast.ai sends its notifications to a daemon whose ticks are far apart: a machine is HOT as soon as the
vendor tells, not with the next tick of its own. A daemon that was given another secret hears nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autoscaler.core.lifecycle import Phase
from tests.support.daemon_process import DaemonProcess, Json, StartDaemon, a_config
from tests.support.emulator_process import EmulatorProcess
from tests.support.real_time import until

SECRET = "a-secret-of-the-webhook"
MARKET = {"setup": "2s..3s", "faults": {"outbid": 0}}


def heard(daemon: DaemonProcess, result: str) -> float:
    return daemon.metrics().get(f'autoscaler_hooks_total{{provider="vastai",result="{result}"}}', 0.0)


def on_vast(directory: Path, redis_url: str) -> tuple[Json, str]:
    """A daemon that ticks every two minutes and wants a machine; and where it listens."""
    config = a_config(directory, redis_url)
    pool = config["pools"]["images"]
    pool["placements"] = [{"provider": "vastai", "max_usd_per_hour": 2.0}]
    pool["limits"]["hot"] = "1..4"
    config["tick"] = "2m"
    return config, f"http://{config['http']['listen']}/hooks/vastai"


def test_a_machine_is_hot_when_the_vendor_tells_and_not_minutes_later(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    config, hook = on_vast(tmp_path, redis_url)
    with EmulatorProcess("vastai", tmp_path, market=MARKET, webhook={"url": hook, "secret": SECRET}) as url:
        config["providers"] = {"vastai": {"api_key": "any", "url": url, "webhook_secret": SECRET}}
        daemon = start_daemon(config)
        daemon.wait_ready()
        until(lambda: Phase.HOT in daemon.phases(client), "the machine was HOT", patience_s=90.0)

        assert heard(daemon, "heard") >= 2
        assert heard(daemon, "refused") == 0


def test_a_notification_by_another_secret_is_refused_and_changes_nothing(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    config, hook = on_vast(tmp_path, redis_url)
    with EmulatorProcess("vastai", tmp_path, market=MARKET, webhook={"url": hook, "secret": "another"}) as url:
        config["providers"] = {"vastai": {"api_key": "any", "url": url, "webhook_secret": SECRET}}
        daemon = start_daemon(config)
        daemon.wait_ready()
        until(lambda: heard(daemon, "refused") >= 2, "two notifications were refused")

        assert heard(daemon, "heard") == 0
        assert Phase.HOT not in daemon.phases(client)
