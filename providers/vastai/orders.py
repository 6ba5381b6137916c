"""What is ordered at Vast.ai: machines, starts and stops, and bids."""

from __future__ import annotations

import math
from typing import Any

from autoscaler.core.spec import MachineSpec
from autoscaler.core.units import Secret
from providers.vastai.wire import Row

START: Row = {"state": "running"}
STOP: Row = {"state": "stopped"}

_LEAST_BID, _MOST_BID = 0.001, 32.0  # USD per hour for one GPU, disk not included
_BIDS_PER_USD = 1e6
_NOISE_DIGITS = 9  # beyond these a subtraction leaves noise
_LEAST_DISK_GB = 8.0
_LONGEST_IMAGE, _LONGEST_ARGS, _LONGEST_ENV = 1024, 4096, 32768
"""Characters of an order: `x-input-validation` of Vast.ai's API documents."""


def disk_gb(machine: MachineSpec) -> float:
    """The disk that is rented: no smaller one is let."""
    return max(machine.disk_gb, _LEAST_DISK_GB)


def create_body(machine: MachineSpec, *, label: str, bid: float | None, image_login: Secret | None) -> dict[str, Any]:
    """The order of one machine.

    A price makes it a spot machine, whatever was searched for; without one it is on demand. `args` keeps the image's
    entrypoint. An order that is not to be cancelled where no GPU is free leaves a stopped machine whose disk bills.

    Raises:
        ValueError: the vendor takes no order of that size.
    """
    _check_sizes(machine)
    port = {f"-p {machine.port}:{machine.port}": "1"} if machine.port is not None else {}
    body: dict[str, Any] = {
        "client_id": "me",
        "image": machine.image,
        "label": label,
        "disk": disk_gb(machine),
        "env": {**port, **machine.env},
        "runtype": "args",
        "target_state": "running",
        "cancel_unavail": True,
    }
    if machine.args:
        body["args"] = list(machine.args)
    if bid is not None:
        body["price"] = bid
    if image_login is not None:
        body["image_login"] = image_login.reveal()
    return body


def _check_sizes(machine: MachineSpec) -> None:
    for what, size, most in (
        ("image", len(machine.image), _LONGEST_IMAGE),
        ("args", len(" ".join(machine.args)), _LONGEST_ARGS),
        ("env", sum(len(name) + len(value) for name, value in machine.env.items()), _LONGEST_ENV),
    ):
        if size > most:
            raise ValueError(f"machine.{what} has {size} characters; expected {most} at most")


def bid_of(usd_per_hour: float, disk_usd_per_hour: float) -> float:
    """A price with its disk as the vendor's bid, which is without.

    It is rounded up to a millionth, for a bid below the floor leaves a stopped machine that bills.

    Worked example: 0.218333 USD with a disk of 0.008333 is a bid of 0.21.

    Raises:
        ValueError: the vendor takes no such bid.
    """
    price = round(usd_per_hour - disk_usd_per_hour, _NOISE_DIGITS)
    if not _LEAST_BID <= price <= _MOST_BID:
        text = f"{usd_per_hour:g} USD/h less {disk_usd_per_hour:g} for the disk is a bid of {price:g}"
        raise ValueError(f"{text}; expected {_LEAST_BID:g} to {_MOST_BID:g}")
    return math.ceil(round(price * _BIDS_PER_USD, 3)) / _BIDS_PER_USD


def bid_body(price: float) -> dict[str, Any]:
    """A new bid. Without a price the vendor would choose one, however high."""
    return {"client_id": "me", "price": price}
