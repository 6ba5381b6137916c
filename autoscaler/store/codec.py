"""The stored forms: JSON, with the version of the form in ``v``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from shlex import quote
from typing import Annotated, Any, TypeVar

from pydantic import (
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import from_json, to_json

from autoscaler.core.admission import Admission, Notice
from autoscaler.core.errors import NewerRecords, StoreUnavailable
from autoscaler.core.instance import RECORD_VERSION, Instance
from autoscaler.core.journal import Entry
from autoscaler.core.orders import Order
from autoscaler.core.samples import Sample
from autoscaler.core.words import one_line
from autoscaler.runtime.documents import in_short
from autoscaler.runtime.ports import Heartbeat

_MOST_WORDS = 200  # of a worker's own, in characters: they go into records and the journal
_MOST_BYTES = 16_384  # of a heartbeat: each is read with every tick
_MOST_TIERS = 100  # that a worker tells of
_MOST_CLASSES = 20
_CLASS = r"^[A-Za-z0-9][A-Za-z0-9._:/+@-]{0,47}$"

T = TypeVar("T")
_Count = Annotated[int, Field(ge=0, le=10**12)]
"""Of jobs or slots: no more than can be reckoned with, whatever a worker writes."""
_Seconds = Annotated[float, Field(ge=0, le=1e15)]
_ByTier = Annotated[dict[str, T], Field(max_length=_MOST_TIERS)]
_ByClass = Annotated[dict[Annotated[str, Field(pattern=_CLASS)], T], Field(max_length=_MOST_CLASSES)]


def _or_none(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """What is read, or None: a worker whose counts make no sense still says whether it is busy."""
    try:
        return read(value)
    except ValidationError:
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Beat:
    """The fields of a heartbeat that we read; a worker may add others."""

    busy: _Count
    drained: bool = False
    slots: _Count | None = None
    taken: Annotated[_ByTier[_Count] | None, WrapValidator(_or_none)] = None
    done: Annotated[_ByTier[tuple[_Count, _Seconds]] | None, WrapValidator(_or_none)] = None
    classes: Annotated[_ByClass[tuple[_Count, _Seconds]] | None, WrapValidator(_or_none)] = None
    trouble: Annotated[str | None, WrapValidator(_or_none)] = None
    gpu_util: Annotated[Annotated[float, Field(ge=0, le=1)] | None, WrapValidator(_or_none)] = None


_INSTANCE = TypeAdapter(Instance)
_ENTRY = TypeAdapter(Entry)
_SAMPLE = TypeAdapter(Sample)
_ORDER = TypeAdapter(Order)
_BEAT: TypeAdapter[_Beat | int] = TypeAdapter(_Beat | _Count)


def encode_instance(record: Instance) -> bytes:
    """The stored form of a record."""
    return _with_version(_INSTANCE.dump_json(record))


def decode_instance(name: str, stored: bytes) -> Instance:
    """The record stored under a name.

    Raises:
        NewerRecords: a newer program wrote it.
        StoreUnavailable: it cannot be read. To go on without it could lose a machine that bills.
    """
    then = "repair it, or delete it: its machine is then found by its label"
    return _decode(_INSTANCE, f"the record of instance {name}", stored, then)


def encode_entry(entry: Entry) -> bytes:
    """The stored form of a journal entry."""
    return _with_version(_ENTRY.dump_json(entry))


def decode_entry(name: str, stored: bytes) -> Entry:
    """The journal entry stored under a name.

    Raises:
        NewerRecords: a newer program wrote it.
        StoreUnavailable: it cannot be read.
    """
    return _decode(_ENTRY, f"journal entry {name}", stored)


def encode_sample(sample: Sample) -> bytes:
    """The stored form of a sample."""
    return _with_version(_SAMPLE.dump_json(sample, exclude_defaults=True))


def decode_sample(name: str, stored: bytes) -> Sample:
    """The sample stored under a name.

    Raises:
        NewerRecords: a newer program wrote it.
        StoreUnavailable: it cannot be read.
    """
    return _decode(_SAMPLE, f"sample {name} of the history", stored)


def encode_order(order: Order) -> bytes:
    """The stored form of an operator's order."""
    return _with_version(_ORDER.dump_json(order))


def order_fields(order: Order) -> dict[str, Any]:
    """An operator's order in the one form that the API and the command line show."""
    return {"name": order.name, "text": order.text, **_ORDER.dump_python(order, mode="json")}


def decode_order(name: str, stored: bytes) -> Order:
    """The operator's order stored under a name.

    Raises:
        NewerRecords: a newer program wrote it.
        StoreUnavailable: it cannot be read. To go on without it could do what an operator forbade.
    """
    return _decode(_ORDER, f"the order {name}", stored, f"take it back: autoscaler withdraw {quote(name)} FILE")


def admission_fields(admission: Admission) -> dict[str, Any]:
    """The one form, in Redis as in the API, of whether a tier takes jobs.

    A wait without end is null, like one that is not known.
    """
    wait_s = admission.expected_wait_s
    return {
        "pool": admission.pool,
        "tier": admission.tier,
        "accept": admission.accept,
        "expected_wait_s": None if wait_s is None or math.isinf(wait_s) else round(wait_s, 1),
        "retry_after_s": admission.retry_after_s,
        "message": admission.message,
        "why": admission.why,
    }


def encode_notice(notice: Notice) -> dict[str, bytes]:
    """The published form of each tier's admission, by ``POOL/TIER``."""
    validity = {"at": notice.at, "valid_for_s": notice.valid_for_s}
    return {f"{each.pool}/{each.tier}": to_json(admission_fields(each) | validity) for each in notice.tiers}


def decode_heartbeat(stored: bytes) -> Heartbeat | None:
    """A heartbeat: ``{"busy": 1, "taken": {"pro": 7}, …}``, or a bare number of busy slots; None for anything else.

    Its stamp is the whole text, so that a change in any field counts as a beat. What is too large to be one is none.
    """
    if len(stored) > _MOST_BYTES:
        return None
    try:
        beat = _BEAT.validate_json(stored)
    except ValidationError:
        return None
    stamp = stored.decode()
    if isinstance(beat, int):
        return Heartbeat(busy=beat, stamp=stamp)
    return Heartbeat(
        busy=beat.busy,
        drained=beat.drained,
        slots=beat.slots,
        taken=beat.taken,
        done=beat.done,
        classes=beat.classes,
        trouble=one_line(beat.trouble or "", _MOST_WORDS),
        gpu_util=beat.gpu_util,
        stamp=stamp,
    )


def _with_version(json: bytes) -> bytes:
    return b'{"v":%d,%b' % (RECORD_VERSION, json[1:])


def _decode(adapter: TypeAdapter[T], what: str, stored: bytes, then: str = "repair or delete it") -> T:
    """What is stored; `then` says what to do where it cannot be read."""
    try:
        fields = from_json(stored, allow_inf_nan=False)
        version = fields.pop("v")
        if version > RECORD_VERSION:
            raise NewerRecords(
                f"{what} has version {version}, and this program reads versions up to {RECORD_VERSION}: "
                "run the newer program that wrote it"
            )
        return adapter.validate_python(fields)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise StoreUnavailable(f"{what} cannot be read ({in_short(error)}): {then}") from error
