"""A daemon that can be told at which await to die, on a clock that goes on while it is dead; and its mock market."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from autoscaler.core.instance import parse_label
from autoscaler.runtime.clock import SystemClock
from autoscaler.store.keys import Keys
from providers.mock import Market, MockSettings
from tests.support.cloud_processes import ROOT
from tests.support.crash_points import AUCTION
from tests.support.daemon_process import FLEET, DaemonProcess
from tests.support.real_time import until

KEYS = Keys(FLEET)


class MortalDaemon(DaemonProcess):
    """`autoscaler run FILE` as :mod:`tests.support.crash_points` runs it, time and again."""

    def __init__(self, directory: Path, config: Mapping[str, Any], speed: float) -> None:
        super().__init__(directory, config)
        self.speed = speed
        self.lives = 0
        """How often it was started."""
        self._origin = SystemClock().now()
        self._passed = directory / "passed"
        self._last = directory / "last"
        self.die_at("")

    def die_at(self, point: str) -> None:
        """Let it die as soon as it comes to a point, whether it runs by now or is started later; empty: nowhere."""
        self._last.write_text(point)

    def open_auction(self) -> None:
        """Have its market take bids from now on."""
        self.file.with_name(AUCTION).touch()

    def start(self) -> None:
        """Start it."""
        self.lives += 1
        arguments = [str(self._origin), str(self.speed), str(self.file), str(self._passed), str(self._last)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.crash_points", *arguments], cwd=ROOT, stdout=log, stderr=log
            )

    def configure(self, config: Mapping[str, Any]) -> None:
        """Give it another configuration, for its next start."""
        self.config, self.url = config, f"http://{config['http']['listen']}"
        self.file.write_text(yaml.safe_dump(dict(config)))

    def start_again(self) -> None:
        """Start it after its death, and wait until it leads."""
        self.die_at("")
        self.start()
        until(lambda: self.ask("/readyz")[1].get("leads"), "it led again")

    @property
    def is_dead(self) -> bool:
        """Whether it was killed."""
        return self.process.poll() is not None

    def now(self) -> float:
        """The time on its clock."""
        return self._origin + self.speed * (SystemClock().now() - self._origin)

    def passed(self) -> set[str]:
        """The names of the points that it has passed."""
        return set(self._passed.read_text().splitlines())

    def market(self) -> Market:
        """A copy of its mock market as the state file has it."""
        market = Market("mock", MockSettings(), (), random.Random(1))
        market.load(json.loads(Path(self.config["providers"]["mock"]["state_file"]).read_text()))
        return market


def tokens(daemon: DaemonProcess) -> dict[str, str]:
    """The token in the label of each machine of ours in the market, by provider id."""
    labels = {machine.provider_id: parse_label(machine.label, FLEET) for machine in daemon.machines()}
    return {provider_id: label[1] for provider_id, label in labels.items() if label}


def is_accounted_for(daemon: DaemonProcess, client: Any) -> bool:
    """Whether machines and records are one to one, and each machine carries its record's token."""
    return tokens(daemon) == {record.provider_id: record.id for record in daemon.records(client)}


def unknown(daemon: DaemonProcess, client: Any) -> set[str]:
    """The machines of our label of which no record speaks, by token or by provider id."""
    records = daemon.records(client)
    known = {record.id for record in records} | {record.provider_id for record in records}
    return {provider_id for provider_id, token in tokens(daemon).items() if not {provider_id, token} & known}


def booked(client: Any) -> tuple[float, float]:
    """What the books in Redis hold for all days, in USD, and the time up to which they are kept."""
    days = [json.loads(value) for value in client.hvals(KEYS.ledger)]
    spent = [spent for day in days for spent in day["pools"].values()]
    return sum(each["running_usd"] + each["stopped_usd"] for each in spent), max(day["booked_until"] for day in days)
