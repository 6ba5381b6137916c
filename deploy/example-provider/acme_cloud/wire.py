"""Acme Cloud's JSON as values. Its keys and status words stand here and nowhere else; it counts in cents."""

from typing import Any

from autoscaler.core.market import Offer, Remote, Status
from autoscaler.core.spec import MachineSpec

_STATUS = {"creating": Status.STARTING, "up": Status.RUNNING, "halted": Status.STOPPED, "broken": Status.FAILED}


def offers(body: Any, provider: str, machine: MachineSpec) -> list[Offer]:
    """What is on offer, each with the disk that the machine needs."""
    return [
        Offer(provider=provider, offer_id=row["id"], **_terms(row, machine.disk_gb * row["disk_cents_per_gb_hour"]))
        for row in body["offers"]
    ]


def order(offer: Offer, machine: MachineSpec, label: str) -> dict[str, Any]:
    """What rents a machine."""
    body = {"offer": offer.offer_id, "name": label, "image": machine.image, "disk_gb": machine.disk_gb}
    return {**body, "env": dict(machine.env), "args": list(machine.args), "port": machine.port}


def machines(body: Any) -> tuple[Remote, ...]:
    """All machines of the account."""
    return tuple(_remote(row) for row in body["machines"])


def _remote(row: Any) -> Remote:
    status = _STATUS.get(row["state"], Status.UNKNOWN)  # a word that is new to us is no reason to touch the machine
    terms = _terms(row, row["disk_cents_per_hour"])
    burn = terms["disk_usd_per_hour" if status is Status.STOPPED else "usd_per_hour"]
    told = {"label": row["name"], "address": row["address"], "detail": row["state"]}
    return Remote(provider_id=row["id"], status=status, burn_usd_per_hour=burn, **told, **terms)


def changed(body: Any) -> str:
    """The machine that was made or changed."""
    return str(body["id"])


def usd(body: Any) -> dict[str, float]:
    """Amounts of money by what they are for: a machine's id, or `balance`."""
    return {name: cents / 100 for name, cents in body["cents"].items()}


def _terms(row: Any, disk_cents: float) -> dict[str, Any]:
    prices = {"usd_per_hour": (row["gpu_cents_per_hour"] + disk_cents) / 100, "disk_usd_per_hour": disk_cents / 100}
    buy = "spot" if row["spot"] else "on_demand"
    return {"gpu": row["gpu"], "region": row["site"], "host": row["host"], "buy": buy, **prices}
