"""Rent nothing with an image that crashes wherever it runs, save one machine at a time that tries it again."""

from __future__ import annotations

from autoscaler.core.decision import Action, Command, Decision
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.units import format_duration


def rentable(
    commands: list[Command], decision: Decision, snapshot: PoolSnapshot, now: float
) -> tuple[list[Command], Decision]:
    """The commands that may be carried out though the pool's image is given up, and what an operator should do.

    Resumes go on: a stopped machine holds its own copy of an image that did start. Another `machine.image` has another
    history, so with a new tag renting begins at once.
    """
    if not snapshot.image.given_up:
        return commands, decision
    image, hosts = snapshot.pool.machine.image, snapshot.image.crashed
    rents = [command for command in commands if command.action is Action.RENT]
    trial: list[Command] = []
    wait_s = snapshot.image.trial_in_s(now, snapshot.pool.health.retry_image)
    if wait_s > 0:
        when = f"one machine tries it again in {format_duration(wait_s)}"
    elif snapshot.on_the_way:
        when = "no second machine while one boots to try it again"
    else:
        trial, when = rents[:1], "one machine at a time tries it again"
    text = (
        f"{image} crashed in a loop on {len(hosts)} hosts ({', '.join(sorted(hosts))}) and is rented no more: look at"
        f" the worker's log, mend the image and name the new tag under `machine.image`; {when}"
    )
    return [c for c in commands if c.action is not Action.RENT or c in trial], decision.but_not("image.rent", text)
