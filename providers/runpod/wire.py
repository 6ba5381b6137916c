"""RunPod's JSON as values: with ``orders`` the only place that knows its field names, and its status words.

For what is not of the form it expects, every reader raises `ValueError`, `KeyError`, `TypeError`, `AttributeError` or
`OverflowError`.
Of a pod that is its id and that it has a name; what else is strange about a row is left open, for the account may hold
pods of any kind, and one must not hide the others.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from autoscaler.core.market import Status
from autoscaler.core.spec import Buy
from providers.http import Answer

Cloud = Literal["secure", "community"]
Action = Literal["start", "stop"]

TERMS = "AUTOSCALER_TERMS"
"""The environment variable in which a pod carries what RunPod forgets."""

_STATUSES: Mapping[str, Status] = {
    "PROVISIONING": Status.STARTING,
    "STARTING": Status.STARTING,
    "RUNNING": Status.RUNNING,
    "EXITED": Status.STOPPED,
    "ERROR": Status.FAILED,
}
_DELETED = "TERMINATED"
_LEVELS = {"NONE": 0, "LOW": 1, "MEDIUM": 2, "HIGH": 3}


# --- pods -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """On what terms a pod was rented. REST v2 tells none of it, so it travels in the pod's environment."""

    buy: Buy
    gpu: str
    """The catalogue's name of the GPU; a pod tells only its id."""
    gpu_usd_per_hour: float
    """The price agreed for the GPU, without disks."""
    ends_at: float | None = None
    """Epoch seconds when RunPod will delete it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod as it is listed."""

    id: str
    name: str
    status: Status
    word: str
    """RunPod's own word for its status."""
    gpu_id: str = ""
    gpu_count: int = 1
    data_center: str = ""
    cost_usd_per_hour: float = 0.0
    """RunPod's figure for this moment; 0 while it is stopped, whatever its disk costs."""
    volume_gb: int = 0
    container_gb: int = 0
    address: str | None = None
    terms: Terms | None = None
    """None for a pod that is not ours."""

    @property
    def is_deleted(self) -> bool:
        """Whether it is listed only as a memory."""
        return self.word == _DELETED


def read_pods(answer: Answer) -> tuple[list[Pod], str | None]:
    """One page of the listing, and the cursor of the next; None where it is the last, or the API knows no pages."""
    body = answer.json()
    pods = [_pod(row) for row in body["pods"]]
    pages = body.get("pagination") or {}
    if not pages.get("hasNextPage"):
        return pods, None
    cursor = pages.get("nextCursor")
    if not isinstance(cursor, str) or not cursor:
        raise ValueError("there is a next page, and no cursor to it")
    return pods, cursor


def read_pod(answer: Answer) -> Pod:
    """One pod."""
    return _pod(answer.json())


def _pod(row: Any) -> Pod:
    word, gpu, name = _text(row, "status"), _part(row, "gpu"), row["name"]
    status = _STATUSES.get(word, Status.UNKNOWN)
    return Pod(
        id=_filled(row["id"], "id"),
        name=name if isinstance(name, str) else "",
        status=status,
        word=word,
        gpu_id=_text(gpu, "id"),
        gpu_count=int(_amount(gpu, "count", 1)),
        data_center=_text(row, "dataCenterId"),
        cost_usd_per_hour=_amount(row, "cost"),
        volume_gb=int(_amount(_part(_part(row, "mounts"), "persistent"), "size")),
        container_gb=int(_amount(row, "disk")),
        address=_address(_part(row, "runtime")) if status is Status.RUNNING else None,
        terms=_terms(_text(_part(row, "env"), TERMS)),
    )


def _filled(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} is {value!r}")
    return value


def _text(row: Mapping[str, Any], key: str) -> str:
    """A text; empty where there is none."""
    value = row.get(key)
    return value if isinstance(value, str) else ""


def _part(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object; an empty one where there is none."""
    value = row.get(key)
    return value if isinstance(value, Mapping) else {}


def _amount(row: Mapping[str, Any], key: str, default: float = 0.0) -> float:
    """A number from 0 on; the default where there is none."""
    value = row.get(key)
    return value if _is_amount(value) else default


def _is_amount(value: Any) -> TypeGuard[float]:
    return isinstance(value, float | int) and 0 <= value <= sys.float_info.max


def _usd(value: Any) -> float:
    usd = float(value)
    if not math.isfinite(usd):
        raise ValueError(f"{usd} is no sum of money")
    return usd


def _address(runtime: Mapping[str, Any]) -> str | None:
    """The public side of the TCP port; we ask for one at most. HTTP ports show an address inside RunPod's proxy."""
    ports = runtime.get("ports")
    for port in ports if isinstance(ports, list) else ():
        if isinstance(port, Mapping) and port.get("type") == "tcp" and port.get("ip") and port.get("public"):
            return f"{port['ip']}:{port['public']}"
    return None


def _terms(stamp: str) -> Terms | None:
    try:
        told = json.loads(stamp)
        terms = Terms(**told)
    except (TypeError, ValueError):  # none, or not written by us
        return None
    amounts = (terms.gpu_usd_per_hour, 0.0 if terms.ends_at is None else terms.ends_at)
    sound = terms.buy in ("on_demand", "spot") and isinstance(told["gpu"], str) and all(map(_is_amount, amounts))
    return terms if sound else None


def read_made(answer: Answer) -> str:
    """The id of a pod that was made."""
    return _filled(answer.json()["id"], "id")


# --- the catalogue and the bills --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuType:
    """A GPU type of the catalogue, as one of the two clouds sells it."""

    id: str
    name: str
    sold: bool
    usd_per_hour: float
    """For one GPU; 0 where it has no price."""
    stock: Mapping[str, int]
    """By data centre: how much there is, from 0 for none. A hint, and no promise. What stands in none has no name."""


def read_gpu_types(answer: Answer, cloud: Cloud) -> list[GpuType]:
    """The catalogue."""
    return [_gpu_type(row, cloud) for row in answer.json()["gpus"]]


def _gpu_type(row: Any, cloud: Cloud) -> GpuType:
    stock = {name: _level(centre) for centre in row.get("dataCenters") or () if (name := _text(centre, "id"))}
    if not any(stock.values()):  # hosts of the Community Cloud stand in no data centre
        stock[""] = _level(row)
    return GpuType(
        id=_filled(row["id"], "id"),
        name=_text(row, "name") or row["id"],
        sold=bool(row.get(cloud)),
        usd_per_hour=_amount(_part(row, "price"), cloud),
        stock=stock,
    )


def _level(row: Any) -> int:
    return _LEVELS.get(row.get("availability"), _LEVELS["LOW"])


def read_bills(answer: Answer, day: str) -> dict[str, float]:
    """What each pod was billed for a UTC day, in USD, whatever else the answer holds."""
    billed: dict[str, float] = {}
    for record in answer.json()["records"]:
        if str(record["startTime"]).startswith(day):
            pod = _filled(record["podId"], "podId")
            billed[pod] = billed.get(pod, 0.0) + _usd(record["totalAmount"])
    return billed


# --- GraphQL ----------------------------------------------------------------------------------------------------------

BALANCE = "query { myself { clientBalance } }"
SPOT_PRICES = (
    "query ($secure: Boolean) { gpuTypes { id lowestPrice(input: {gpuCount: 1, secureCloud: $secure}) "
    "{ minimumBidPrice } } }"
)
DEPLOY = "mutation ($input: PodFindAndDeployOnDemandInput!) { podFindAndDeployOnDemand(input: $input) { id } }"
DEPLOY_SPOT = "mutation ($input: PodRentInterruptableInput!) { podRentInterruptable(input: $input) { id } }"
RESUME_SPOT = "mutation ($input: PodBidResumeInput!) { podBidResume(input: $input) { id gpuCount } }"


@dataclass(frozen=True, kw_only=True, slots=True)
class Complaint:
    """What GraphQL says went wrong."""

    message: str
    code: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer of GraphQL."""

    data: Mapping[str, Any]
    complaints: tuple[Complaint, ...]


def read_reply(answer: Answer) -> Reply:
    """An answer of GraphQL, with what it complains of; its status is 200 all the same."""
    body = answer.json()
    complaints = (
        Complaint(message=str(each["message"]), code=str((each.get("extensions") or {}).get("code", "")))
        for each in body.get("errors") or ()
    )
    return Reply(data=body.get("data") or {}, complaints=tuple(complaints))


def read_balance(reply: Reply) -> float | None:
    """Money left, in USD; None where it is not told."""
    usd = reply.data["myself"]["clientBalance"]
    return None if usd is None else _usd(usd)


def read_spot_prices(reply: Reply) -> dict[str, float]:
    """The least bid that wins now, in USD per hour for one GPU, by GPU id; those without one are left out."""
    asked = {row["id"]: (row.get("lowestPrice") or {}).get("minimumBidPrice") for row in reply.data["gpuTypes"]}
    return {gpu_id: _usd(usd) for gpu_id, usd in asked.items() if usd}


def read_deployed(reply: Reply) -> str | None:
    """The id of a pod that a mutation made, if it made one."""
    return next((str(made["id"]) for made in reply.data.values() if made and made.get("id")), None)


def read_resumed_gpus(reply: Reply) -> int:
    """How many GPUs a spot pod was started with."""
    count = reply.data["podBidResume"].get("gpuCount")
    return 1 if count is None else int(count)


# --- what any of the APIs says of a failure ---------------------------------------------------------------------------


def complaint(answer: Answer) -> str:
    """What an answer says went wrong. Each generation of the API has its own form for it."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, Mapping):
        text = answer.text.strip()
        return "a page of HTML" if text.startswith("<") else text or "an empty body"
    told = body.get("detail") or body.get("error") or body.get("message") or body.get("title")
    errors = body.get("errors")
    parts = [told, *(errors if isinstance(errors, list) else ())]
    words = [str(part.get("message") if isinstance(part, Mapping) else part) for part in parts if part]
    return ": ".join(words) or "no reason given"
