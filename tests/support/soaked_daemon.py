"""`autoscaler run FILE`, which besides tells how many tasks it holds. Run as a process:

python -m tests.support.soaked_daemon SPEED FILE TASKS_FILE
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

_EVERY_S = 1.0


def _write(file: Path, tasks: int) -> None:
    file.write_text(str(tasks))


async def _tell_tasks(file: Path) -> None:
    while True:
        _write(file, len(asyncio.all_tasks()))
        await asyncio.sleep(_EVERY_S)  # noqa: TID251 - real seconds, whatever the daemon's clock says


if __name__ == "__main__":
    speed, file, tasks_file = sys.argv[1:]
    config = load_config(Path(file), os.environ)
    configure_logging(config.log.format, config.log.level)
    clock = LoopClock(epoch=SystemClock().now(), speed=float(speed))
    asyncio.run(daemon.run(config, clock, lambda _app: [("tasks", _tell_tasks(Path(tasks_file)))]))
