"""``autoscaler deadman``: the switch by which a rented machine ends itself."""

from __future__ import annotations

import os
import sys

import click


@click.command()
def deadman() -> None:
    """End the machine this runs on when its daemon falls silent.

    It belongs into the image of a worker, beside the worker: `autoscaler deadman &`. It is told everything by the
    environment, which the daemon and the vendor set, save AUTOSCALER_REDIS_URL or REDIS_URL; without
    AUTOSCALER_DEAD_MAN_S, which the daemon sets where `machine.dead_man` is given, it does nothing and ends.
    """
    from autoscaler.deadman import main

    sys.exit(main(os.environ))
