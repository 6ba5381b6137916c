"""`autoscaler run FILE` on a host whose clock is wrong by so many seconds. Run as a process:

python -m tests.support.daemon_ahead SECONDS FILE
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from autoscaler import daemon
from autoscaler.config import load_config
from autoscaler.runtime.clock import LoopClock, SystemClock
from autoscaler.telemetry.logging import configure_logging

if __name__ == "__main__":
    ahead_s, file = sys.argv[1:]
    config = load_config(Path(file), os.environ)
    configure_logging(config.log.format, config.log.level)
    clock = LoopClock(epoch=SystemClock().now() + float(ahead_s))
    asyncio.run(daemon.run(config, clock, lambda _app: []))
