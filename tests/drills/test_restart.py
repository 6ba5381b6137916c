"""After `kill -9` the daemon that is started again on the same host leads at its first tick.

The lease of the dead one would run on, here for an hour. The new one finds that its owner is a process of this host
that has ended, and takes it. While the owner lives, however still it stands, the lease is left alone.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from autoscaler.core.lifecycle import Phase
from autoscaler.store.keys import Keys
from tests.support.daemon_process import FLEET, DaemonProcess, Json, StartDaemon, a_config
from tests.support.real_time import until

KEYS = Keys(FLEET)


def leads(daemon: DaemonProcess) -> bool | None:
    """What a daemon says of itself; None while it has made no tick."""
    said = daemon.ask("/readyz")[1]
    return bool(said["leads"]) if said.get("ready") else None


def quick(directory: Path, redis_url: str) -> Json:
    """Two machines, ticks that are short, and a lease that nobody can wait for."""
    config = a_config(directory, redis_url, mock={"setup": "300ms..500ms"})
    config["pools"]["images"]["limits"]["hot"] = "2..2"
    return config | {"tick": "200ms", "lease": "1h"}


def test_a_restarted_daemon_leads_at_its_first_tick_and_knows_its_machines(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    daemon = start_daemon(quick(tmp_path, redis_url))
    until(lambda: daemon.phases(client) == [Phase.HOT, Phase.HOT], "its machines were HOT")
    before = daemon.machines()
    daemon.kill()
    assert client.pttl(KEYS.lease) > 3_000_000, "the dead one holds the lease"
    daemon.start()
    until(lambda: leads(daemon) is not None, "it had ticked")
    assert leads(daemon), "at its first tick"
    until(lambda: daemon.phases(client) == [Phase.HOT, Phase.HOT], "it knew them")
    assert daemon.machines() == before
    assert daemon.terminate() == 0


def test_the_lease_of_a_daemon_that_stands_still_is_left_alone(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    first = start_daemon(quick(tmp_path, redis_url))
    until(lambda: leads(first), "the first one led")
    first.process.send_signal(signal.SIGSTOP)
    held = client.get(KEYS.lease)
    second = start_daemon(quick(tmp_path, redis_url))
    until(lambda: leads(second) is False, "the second one ticked, and stood by")
    assert client.get(KEYS.lease) == held
    first.kill()
    until(lambda: leads(second), "the second one led once the first was dead")
