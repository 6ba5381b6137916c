"""The daemon's own history, as commands read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoscaler.config import Config
    from autoscaler.core.samples import Sample


async def read_samples(config: Config) -> Sequence[Sample]:
    """All samples that the daemon of a configuration keeps, oldest first.

    Raises:
        SettingsError: its Redis refuses us.
        StoreUnavailable: its Redis does not answer.
    """
    from autoscaler.app import build
    from autoscaler.runtime.clock import SystemClock

    app = build(config, clock=SystemClock(), preview=True)
    try:
        await app.check_access()
        found = [sample for loop in app.loops for sample in [each async for each in loop.samples()]]
        return sorted(found, key=lambda sample: sample.at)
    finally:
        await app.close()
