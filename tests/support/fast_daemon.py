"""`autoscaler run FILE` on a clock that runs faster than life, over clouds that are emulated.

The command itself refuses that, for it cannot know that nothing is real. Run as a process:

    python -m tests.support.fast_daemon SPEED FILE
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
    speed, file = sys.argv[1:]
    config = load_config(Path(file), os.environ)
    configure_logging(config.log.format, config.log.level)
    clock = LoopClock(epoch=SystemClock().now(), speed=float(speed))
    asyncio.run(daemon.run(config, clock, lambda _app: []))
