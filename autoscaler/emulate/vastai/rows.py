"""An instance with all its fields, as reads and listings show it."""

from __future__ import annotations

from typing import Any

from autoscaler.emulate.vastai.account import Account
from autoscaler.emulate.vastai.query import Row
from autoscaler.emulate.vastai.settings import Quirk
from autoscaler.emulate.vastai.states import state_of
from providers.mock.machine import Machine

_NULLS: Row = dict.fromkeys(("cpu_cores", "geolocation", "status_msg"))
_NOTHING_KNOWN: Row = {
    "template_id": None,
    "template_hash_id": None,
    "template_name": None,
    "uptime_mins": None,
    "vmem_usage": None,
    "score": None,
    "external": False,
    "logo": "/static/logos/vastai_small2.png",
    "jupyter_token": "0" * 64,
    "direct_port_start": -1,
    "direct_port_end": -1,
    "credit_balance": None,
    "credit_discount": None,
    "client_run_time": 1.1,
    "host_run_time": 2_592_000.0,
    "time_remaining": "",
    "time_remaining_isbid": "",
}


def row_of(account: Account, machine: Machine, now: float) -> Row:
    """The row of one instance."""
    shared, state = account.place(machine, now).row(), state_of(account, machine, now)
    running, ends_at = state.actual == "running", account.ends_at(machine, now)
    return {
        **shared,
        **_NOTHING_KNOWN,
        "id": int(machine.id),
        "label": machine.label or None,
        "actual_status": state.actual,
        "intended_status": state.intended,
        "cur_state": state.current,
        "next_state": state.following,
        "status_msg": state.message,
        "start_date": machine.created_at,
        "end_date": ends_at,
        "duration": ends_at - now,
        "country_code": machine.region,
        "gpu_totalram": shared["gpu_ram"],
        "dlperf_per_dphtotal": shared["dlperf"] / machine.usd_per_hour,
        "flops_per_dphtotal": shared["total_flops"] / machine.usd_per_hour,
        **_ordered(account, machine),
        **_measured(account, machine, running=running),
        **_prices(account, machine, now),
        **_addresses(account, machine, shared["public_ipaddr"], running=running),
        **(_NULLS if account.has(Quirk.NULLS) else {}),
    }


def _ordered(account: Account, machine: Machine) -> Row:
    """What it was created with."""
    order = account.order(machine)
    return {
        "image_uuid": order.image,
        "image_args": list(order.args),
        "image_runtype": order.runtype,
        "extra_env": [[name, value] for name, value in order.env.items()],
        "onstart": order.onstart,
        "disk_space": order.disk_gb,
    }


def _measured(account: Account, machine: Machine, *, running: bool) -> Row:
    """What is known only while it runs."""
    return {
        "gpu_util": 80.0 if running else None,
        "gpu_temp": 61.0 if running else None,
        "cpu_util": 0.2 if running else 0.0,
        "mem_limit": 64.0 if running else None,
        "mem_usage": 8.0 if running else None,
        "disk_usage": account.order(machine).disk_gb / 2 if running else -1,
        "disk_util": 0.5 if running else -1,
    }


def _prices(account: Account, machine: Machine, now: float) -> Row:
    """What it costs while it runs, and what it costs at this moment.

    Of a machine that one occupies by a bid, the least bid is one's own, rounded. [reports]
    """
    base, disk, burn = (
        machine.usd_per_hour - machine.disk_usd_per_hour,
        machine.disk_usd_per_hour,
        machine.burn_usd_per_hour,
    )
    host = account.market.hosts.get(machine.host)
    floor = round(host.usd_per_hour("spot", now), 4) if host else round(base / 2, 4)
    is_bid = machine.buy == "spot"
    return {
        "is_bid": is_bid,
        "min_bid": round(base, 3) if is_bid and machine.holds_gpu else floor,
        "dph_base": base,
        "dph_total": machine.usd_per_hour,
        "storage_cost": round(disk * 720.0 / account.order(machine).disk_gb, 6),
        "storage_total_cost": disk,
        "search": breakdown(base, disk),
        "instance": breakdown(base, disk) if machine.bills_gpu else breakdown(0.0, burn),
    }


def breakdown(gpu: float, disk: float) -> dict[str, float]:
    """The parts of a price, in USD per hour."""
    total = gpu + disk
    return {
        "gpuCostPerHour": gpu,
        "diskHour": disk,
        "totalHour": total,
        "discountTotalHour": 0,
        "discountedTotalPerHour": total,
    }


def _addresses(account: Account, machine: Machine, address: str, *, running: bool) -> Row:
    """Where it is reached."""
    number = machine.number % 10_000
    return {
        "public_ipaddr": f" {address}\n" if account.has(Quirk.PADDED_ADDRESS) else address,
        "local_ipaddrs": "10.2.0.31 172.17.0.1 \n",
        "ssh_host": f"ssh{number % 9 + 1}.vast.ai",
        "ssh_idx": str(number % 9 + 1),
        "ssh_port": 10_000 + number,
        "machine_dir_ssh_port": 20_000 + number,
        **({"ports": _ports(account, machine)} if running else {}),
    }


def _ports(account: Account, machine: Machine) -> dict[str, list[dict[str, Any]]]:
    """The ports that are open; from outside they have other numbers, and new ones after each start."""
    first = 40_000 + (machine.number * 97 + machine.starts * 7) % 25_000
    return {
        port: [{"HostIp": "0.0.0.0", "HostPort": str(first + place)}]  # noqa: S104 - as docker writes it
        for place, port in enumerate(account.order(machine).ports)
    }
