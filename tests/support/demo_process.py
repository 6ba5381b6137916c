"""`autoscaler run --demo` on ports of a test's choice. Run as a process.

python -m tests.support.demo_process REDIS_PORT HTTP_PORT
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

from autoscaler.cli.demo import run_demo
from autoscaler.cli.options import packaged
from autoscaler.config.schema import HttpSettings
from autoscaler.link import RedisSettings
from autoscaler.runtime.clock import LoopClock, SystemClock

SPEED = 120.0

if __name__ == "__main__":
    redis_port, http_port = sys.argv[1:]
    config = replace(
        packaged("demo"),
        redis=RedisSettings(url=f"embedded:{redis_port}"),
        http=HttpSettings(listen=f"127.0.0.1:{http_port}"),
    )
    clock = LoopClock(epoch=SystemClock().now(), speed=SPEED)
    asyncio.run(run_demo(config, clock, watching=sys.stdout.isatty()))
