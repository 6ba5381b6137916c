"""``autoscaler run``: the daemon itself."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli.options import config_of, file_argument, packaged

if TYPE_CHECKING:
    from autoscaler.config import Config
    from autoscaler.runtime.ports import Clock

_DEMO_SPEED = 120.0  # a second of the demo is two minutes of its world


@click.command()
@file_argument
@click.option("--demo", is_flag=True, help="Made-up traffic and workers, at 120 times the speed.")
@click.option("--once", is_flag=True, help="Make one tick with all that follows from it, and exit.")
@click.option("--speed", type=click.FloatRange(min=0.1, max=1000), help="Run the clock that fast; mock provider only.")
def run(file: Path | None, demo: bool, once: bool, speed: float | None) -> None:
    """Keep the right number of machines behind the queues of FILE.

    Without FILE it takes the configuration that the environment variable AUTOSCALER_CONFIG holds, as YAML; without that
    it brings its own Redis and a mock provider: nothing to install, no money spent.

    \b
      autoscaler run --demo          watch a fleet come and go within a minute
      autoscaler run                 push jobs yourself: redis-cli -p 6390 rpush jobs:pro '{}'
      autoscaler run fleet.yaml      the real thing; SIGTERM ends it and leaves the machines as they are

    On SIGHUP it reads FILE again and goes on with it, or, where FILE has problems, as before; `autoscaler reload` shows
    first what would change.
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    if demo and (file or once):
        raise click.UsageError("--demo brings its own configuration and runs until you stop it; drop FILE and --once")
    config = packaged("demo") if demo else config_of(file)
    clock = _clock(config, speed or (_DEMO_SPEED if demo else 1.0))
    if once:
        _once(config, clock)
        return
    watching = demo and sys.stdout.isatty()
    _configure_logging(config, quiet=watching)
    if demo:
        from autoscaler.cli.demo import run_demo

        asyncio.run(run_demo(config, clock, watching=watching))
        return
    from autoscaler import daemon
    from autoscaler.runtime.clock import SteadyLoop

    with asyncio.Runner(loop_factory=SteadyLoop) as runner:
        runner.run(daemon.run(config, clock, lambda _app: _introduce(config, file), file=file))


def _once(config: Config, clock: Clock) -> None:
    from autoscaler import daemon
    from autoscaler.runtime.clock import SteadyLoop

    _configure_logging(config, quiet=False)
    with asyncio.Runner(loop_factory=SteadyLoop) as runner:
        failure = runner.run(daemon.run_once(config, clock))
    if failure is not None:
        click.echo(f"error: {failure}", err=True)
        sys.exit(1)


def _clock(config: Config, speed: float) -> Clock:
    from autoscaler.runtime.clock import LoopClock, SystemClock

    if speed == 1.0:
        return SystemClock()
    for name, settings in config.providers.items():
        if settings.kind != "mock":
            raise click.UsageError(f"--speed {speed:g}: {name} rents real machines, where time is real; drop --speed")
    return LoopClock(epoch=SystemClock().now(), speed=speed)


def _configure_logging(config: Config, *, quiet: bool) -> None:
    from autoscaler.config.secrets import secrets_of
    from autoscaler.telemetry.logging import configure_logging

    configure_logging(config.log.format, "error" if quiet else config.log.level, secrets_of(config))


def _introduce(config: Config, file: Path | None) -> list[Any]:
    """Say what can be done next; there is nothing more to run."""
    address = config.redis.address()
    if address.embedded:
        [(_, port)] = address.hosts
        click.echo(f"Embedded Redis at {address.shown()}; it forgets everything when this ends.")
        click.echo(f"  push a job      redis-cli -p {port} rpush jobs:pro '{{}}'")
    named = f" {file}" if file else ""
    click.echo(f"  what it does    autoscaler status --watch --url http://{config.http.listen}")
    click.echo(f"  and why         autoscaler why --url http://{config.http.listen}")
    click.echo(f"  what it would   autoscaler plan{named}")
    return []
