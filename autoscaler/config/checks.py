"""What a setting must be beyond its type: single values, and values that must agree with each other.

Each check yields what it finds as a place below its value and a message. The checks hang on the types in
``autoscaler.config.schema``, so that one faulty part of a file does not hide the faults of another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pydantic import ValidationError, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import ErrorDetails, PydanticCustomError

from autoscaler.config.words import suggest
from autoscaler.core.money import caps
from autoscaler.core.reserve import machines
from autoscaler.core.spec import Deadlines, Fallback, FleetLimits, Health, Limits, MachineSpec, Pace, Placement, Pool
from autoscaler.core.sync import TOMBSTONE_S
from autoscaler.core.units import Secret, format_duration
from policies import POLICIES
from policies.base import Finding
from providers.base import Capabilities

_READY = re.compile(r"running|heartbeat|http :(?P<http>\d{1,5})/\S*|tcp :(?P<tcp>\d{1,5})", re.ASCII)
_BUSY = re.compile(r"comfyui :(?P<port>\d{1,5})", re.ASCII)
_LISTEN = re.compile(r"(?P<host>[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_TOKEN = re.compile(r"[!-~]*", re.ASCII)
_LEAST_TOKEN = 16
_MAX_PORT = 65535
_LEAST_DEAD_MAN_S = 600.0
_POOL_PARTS = frozenset(each.name for each in fields(Pool)) - {"name", "tiers"}
_POLICIES_NEED = frozenset({"queue", "machine", "placements", "limits"})


@dataclass(frozen=True, slots=True)
class Context:
    """What a check must know of the rest of the file."""

    providers: Mapping[str, Capabilities] | None = None
    """By name; None while the file names none."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """The fields of the same mapping that come before the one that is checked, as far as they are sound."""


FINDINGS = "findings"
"""The type of a validation error that carries findings."""


_STAND_INS: Mapping[str, object] = {
    "image": "x",
    "gpus": ["x"],
    "provider": "x",
    "max_usd_per_hour": 1,
    "sentinel": {"master": "x", "addresses": ["x"]},
}
"""Values for required fields that are missing or have no sense, so that the others can be checked all the same."""


def checked(check: Callable[[Any, Context], Iterable[Finding]]) -> WrapValidator:
    """An annotation that checks a value once it has its type; a mapping with faulty fields, as far as it goes."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        context = replace(info.context or Context(), beside=info.data or {})
        try:
            typed = handler(value)
        except ValidationError as error:
            if not isinstance(value, Mapping):
                raise
            errors = error.errors(include_url=False)
            faulty = {details["loc"][0] for details in errors if details["loc"]}
            sound = {key: item for key, item in value.items() if key not in faulty}
            stand_ins = {key: item for key, item in _STAND_INS.items() if key in faulty}
            try:
                rest = handler(sound | stand_ins)
            except ValidationError:
                raise error from None  # the rest alone makes no sense
            found = [each for each in check(rest, context) if each[0][0] not in faulty]
            raise _failed(found, errors) from error
        found = list(check(typed, context))
        if found:
            raise _failed(found)
        return typed

    return WrapValidator(validate)


def _failed(findings: Sequence[Finding], errors: Sequence[ErrorDetails] = ()) -> PydanticCustomError:
    return PydanticCustomError(FINDINGS, "checks failed", {FINDINGS: findings, "errors": errors})


def machine(spec: MachineSpec, _context: Context) -> Iterator[Finding]:
    """A machine that can be rented and watched."""
    if not spec.image.strip():
        yield ("image",), "expected a container image, such as ghcr.io/acme/worker:1.4"
    if not spec.gpus:
        yield ("gpus",), "expected at least one GPU type, such as RTX 4090"
    if spec.slots < 1:
        yield ("slots",), "expected at least 1"
    if spec.disk_gb <= 0:
        yield ("disk_gb",), "expected more than 0"
    if spec.download_gb < 0:
        yield ("download_gb",), "expected 0 or more"
    if spec.dead_man is not None and spec.dead_man < _LEAST_DEAD_MAN_S:
        text = (
            f"expected at least {format_duration(_LEAST_DEAD_MAN_S)}, so that a daemon that restarts costs no machine"
        )
        yield ("dead_man",), f"{text}; leave it out for none"
    ready, busy = _READY.fullmatch(spec.ready), _BUSY.fullmatch(spec.busy or "comfyui :1")
    asked = (ready["http"] or ready["tcp"]) if ready else None
    if ready is None or not _is_port(asked or "1"):
        yield ("ready",), "expected running, heartbeat, http :PORT/PATH or tcp :PORT"
    if busy is None or not _is_port(busy["port"]):
        yield ("busy",), "expected comfyui :PORT, such as comfyui :8188; leave it out where workers beat"
    elif spec.busy and asked and asked != busy["port"]:
        yield ("busy",), f"expected the port of ready, {asked}: one port of a machine is published"


def placement(place: Placement, context: Context) -> Iterator[Finding]:
    """A placement at a known provider, which sells what is wanted, for a price."""
    if place.max_usd_per_hour <= 0:
        yield ("max_usd_per_hour",), "expected more than 0 USD per hour"
    if place.bid_margin < 0:
        yield ("bid_margin",), "expected 0 or more, such as 0.1 to bid 10 % above the least bid that wins"
    if context.providers is None:
        return
    provider = context.providers.get(place.provider)
    if provider is None:
        yield (
            ("provider",),
            f"no such key under `providers`; {suggest(place.provider, context.providers)}",
        )
    elif place.buy == "spot" and not provider.can_spot:
        yield ("buy",), f"{place.provider} rents no spot machines; expected on_demand"


def placements(places: Sequence[Placement], _context: Context) -> Iterator[Finding]:
    """Placements that can be told apart."""
    for index, label in _repeated([place.label for place in places]):
        yield (index,), f"another placement of this pool is already called {label}; give this one a `name`"


def queue(settings: Any, _context: Context) -> Iterator[Finding]:
    """A queue whose tiers have sense, each by itself."""
    for index, tier in enumerate(settings.tiers):
        if tier.refuse_above is not None and tier.refuse_above <= 0:
            yield ("tiers", index, "refuse_above"), "expected more than 0s; leave it out to refuse nobody"
        if tier.weight <= 0:
            yield ("tiers", index, "weight"), "expected more than 0: how much longer its jobs take than others"
        if tier.reserve < 0:
            yield ("tiers", index, "reserve"), "expected 0 or more slots"


def limits(bounds: Limits, context: Context) -> Iterator[Finding]:
    """Limits that leave room, for reserved slots too, and caps that agree."""
    if bounds.hot.high == 0:
        yield ("hot",), "expected an upper bound of at least 1; with 0 no job is ever served"
    elif {"queue", "machine"} <= context.beside.keys():
        slots, tiers = context.beside["machine"].slots, context.beside["queue"].tiers
        reserved = machines(tiers, slots)
        if reserved >= bounds.hot.high:
            names = " and ".join(f"{tier.reserve} of {tier.name}" for tier in tiers if tier.reserve)
            text = f"reserved slots ({names}) take {reserved} machines, and one more must serve all tiers"
            yield ("hot",), f"{text}; raise the upper bound to {reserved + 1} or more, or reserve fewer slots"
    if bounds.on_demand < 0:
        yield ("on_demand",), "expected 0 or more machines"
    elif bounds.on_demand > bounds.hot.high > 0:
        yield ("on_demand",), f"more than may run ({bounds.hot}); expected {bounds.hot.high} or fewer"
    elif bounds.on_demand and {place.buy for place in context.beside.get("placements", ())} == {"spot"}:
        yield ("on_demand",), "no placement rents on demand; add one with `buy: on_demand`, or leave this out"
    yield from money(bounds, context)


def money(bounds: Limits | FleetLimits, _context: Context) -> Iterator[Finding]:
    """Caps whose warning comes before their end, and that can both be reached."""
    for name, cap in caps(bounds).items():
        for part, usd in (("warn", cap.warn), ("stop", cap.stop)):
            if usd < 0:
                yield (name, part), "expected 0 USD or more"
        if 0 <= cap.stop < cap.warn:
            yield (name,), f"stop ({cap.stop:g}) is below warn ({cap.warn:g}); expected warn up to stop"
    day, month = bounds.usd_per_day, bounds.usd_per_month
    if day is not None and month is not None and 0 <= month.stop < day.stop:
        text = f"stop ({month.stop:g}) is below usd_per_day.stop ({day.stop:g}), which could never be reached; "
        yield ("usd_per_month",), text + "raise the month's or lower the day's"


def fleet_money(bounds: FleetLimits, context: Context) -> Iterator[Finding]:
    """Caps over all pools, where one daemon leads all of them."""
    yield from money(bounds, context)
    if context.beside.get("spread"):
        for name in caps(bounds):
            yield (
                (name,),
                "cannot be kept where several daemons share the pools; cap each pool, or leave out `spread`",
            )


def pace(allowed: Pace, _context: Context) -> Iterator[Finding]:
    """A pace at which machines can still come and go, within the time for which gone machines are remembered."""
    for name in ("up", "down"):
        if getattr(allowed, name) is not None and getattr(allowed, name) < 1:
            yield (name,), "expected at least 1; leave it out for any number"
    if not 0 < allowed.per <= TOMBSTONE_S:
        yield (("per",), f"expected more than 0s and up to {format_duration(TOMBSTONE_S)}")


def deadlines(times: Deadlines, _context: Context) -> Iterator[Finding]:
    """Deadlines that give some time."""
    for each in fields(times):
        if getattr(times, each.name) <= 0:
            yield (each.name,), "expected more than 0s"


def health(rules: Health, _context: Context) -> Iterator[Finding]:
    """Times that pass, and shares of which the lower is below the higher."""
    for name in ("degraded_after", "low_gpu_for", "idle_gpu_for", "retry_image"):
        if getattr(rules, name) <= 0:
            yield (name,), "expected more than 0s"
    outside = [name for name in ("low_gpu", "idle_gpu") if not 0 <= getattr(rules, name) <= 1]
    for name in outside:
        yield (name,), "expected a share from 0 to 1, such as 0.2 for 20 %"
    if not outside and rules.idle_gpu > rules.low_gpu:
        yield ("idle_gpu",), f"above low_gpu ({rules.low_gpu:g}); expected that or less"


def fallback(rule: Fallback, context: Context) -> Iterator[Finding]:
    """A fallback that names a floor where it keeps one, within the limits."""
    if rule.after < 1:
        yield ("after",), "expected at least 1 reading"
    if rule.then != "floor":
        if rule.floor is not None:
            yield ("floor",), f"has no effect with then: {rule.then}; expected then: floor, or leave it out"
    elif rule.floor is None:
        yield ("floor",), "expected how many machines run at least, such as 2"
    elif rule.floor < 1:
        yield ("floor",), "expected at least 1; leave `fallback` out to hold what runs"
    elif "limits" in context.beside and rule.floor > context.beside["limits"].hot.high > 0:
        bounds = context.beside["limits"].hot
        yield ("floor",), f"more than may run ({bounds}); expected {bounds.high} or fewer, or raise limits.hot"


def policy(choice: Any, context: Context) -> Iterator[Finding]:
    """A policy whose settings have sense for its pool, as far as that is sound itself."""
    read = context.beside
    if not read.keys() >= _POLICIES_NEED:
        return
    pool = Pool(name="", tiers=read["queue"].tiers, **{part: read[part] for part in _POOL_PARTS & read.keys()})
    for where, message in POLICIES[choice.name].check(choice.settings, pool):
        yield (choice.name, *where), message


def policies(choices: Sequence[Any], _context: Context) -> Iterator[Finding]:
    """Policies that are named once."""
    for index, name in _repeated([choice.name for choice in choices]):
        yield (index,), f"the policy {name} is already named"


def stand_ins(markets: Mapping[str, Any], context: Context) -> Iterator[Finding]:
    """Markets for providers that there are."""
    providers = markets if context.providers is None else context.providers
    for name in markets:
        if name not in providers:
            yield (name,), f"no such key under `providers`; {suggest(name, providers)}"


def tick(seconds: float, _context: Context) -> Iterator[Finding]:
    """A tick that ends."""
    if seconds <= 0:
        yield (), "expected more than 0s"


def token(secret: Secret, _context: Context) -> Iterator[Finding]:
    """A token that nobody guesses and that a header can carry; it is not shown."""
    if len(secret.reveal()) < _LEAST_TOKEN:
        yield (), f"expected at least {_LEAST_TOKEN} characters, such as `openssl rand -hex 32` gives"
    if not _TOKEN.fullmatch(secret.reveal()):
        yield (), "expected printable ASCII without spaces, such as `openssl rand -hex 32` gives"


def parse_host(value: object) -> str:
    """A name under which the API is asked.

    Raises:
        ValueError: no host name, or more than one.
    """
    match = _HOST.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a host name without scheme or port, such as autoscaler.example.com")
    return match[0].lower()


def parse_listen(value: object) -> str:
    """An address and port to serve on.

    Raises:
        ValueError: not of the form HOST:PORT.
    """
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match["port"]) > _MAX_PORT:
        raise ValueError("expected HOST:PORT, such as 127.0.0.1:8080")
    return match[0]


def _is_port(digits: str) -> bool:
    return 1 <= int(digits) <= _MAX_PORT


def _repeated(names: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Each name, with its position, that was there before."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield index, name
        seen.add(name)
