"""The command line: one module a command, imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import click

from autoscaler.core.errors import AutoscalerError

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "init": "autoscaler.cli.init:init",
        "run": "autoscaler.cli.run:run",
        "reload": "autoscaler.cli.reload:reload",
        "plan": "autoscaler.cli.plan:plan",
        "check": "autoscaler.cli.check:check",
        "queue": "autoscaler.cli.queue:queue",
        "status": "autoscaler.cli.status:status",
        "why": "autoscaler.cli.why:why",
        "cost": "autoscaler.cli.cost:cost",
        "simulate": "autoscaler.cli.simulate:simulate",
        "compare": "autoscaler.cli.compare:compare",
        "tune": "autoscaler.cli.tune:tune",
        "hindsight": "autoscaler.cli.hindsight:hindsight",
        "economics": "autoscaler.cli.economics:economics",
        "pause": "autoscaler.cli.orders:pause",
        "unpause": "autoscaler.cli.orders:unpause",
        "floor": "autoscaler.cli.orders:floor",
        "ceiling": "autoscaler.cli.orders:ceiling",
        "drain": "autoscaler.cli.orders:drain",
        "release": "autoscaler.cli.orders:release",
        "evacuate": "autoscaler.cli.orders:evacuate",
        "adopt": "autoscaler.cli.orders:adopt",
        "reap": "autoscaler.cli.reap:reap",
        "orders": "autoscaler.cli.orders:orders",
        "withdraw": "autoscaler.cli.orders:withdraw",
        "notify": "autoscaler.cli.notify:notify",
        "agent": "autoscaler.cli.agent:agent",
        "deadman": "autoscaler.cli.deadman:deadman",
        "schema": "autoscaler.cli.schema:schema",
        "trace": "autoscaler.cli.trace:trace",
        "emulate": "autoscaler.cli.emulate:emulate",
    }
)
"""Where each command is, in the order a newcomer needs them."""

BAD_INPUT = 2
INTERRUPTED = 130


class CommandGroup(click.Group):
    """Imports a command when it is needed, and ends every failure that has a name with a line and an exit code."""

    table = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """All commands, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """One command, or None where there is none of that name."""
        if cmd_name not in self.table:
            return None
        module, attribute = self.table[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> None:
        """Run a command."""
        try:
            super().invoke(ctx)
        except AutoscalerError as error:
            for line in str(error).splitlines():
                click.echo(f"error: {line}", err=True)
            ctx.exit(BAD_INPUT)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gpu-autoscaler", prog_name="autoscaler", message="%(prog)s %(version)s")
def main() -> None:
    """Keep the right number of rented GPU machines behind a Redis job queue.

    \b
      autoscaler run --demo              see it, with nothing to install and no money spent
      autoscaler init                    look into a Redis and write a configuration for the queues found there
      autoscaler check fleet.yaml        every mistake of a configuration at once
      autoscaler queue fleet.yaml        what the queues hold now; --acl prints the rights that reading them needs
      autoscaler plan fleet.yaml         what would be done now, and why; --what-if supposes another state
      autoscaler run fleet.yaml          the daemon; status and why ask it
      autoscaler pause, floor, drain, evacuate, orders …    your hand on it: --help of each says more
      autoscaler simulate, compare, tune, hindsight    the same on recorded jobs: --help of each says more
      autoscaler economics plan.yaml     what a job costs and which plan pays, from prices and assumptions
      autoscaler emulate vastai          a cloud on this machine, to rehearse with the real client code
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
