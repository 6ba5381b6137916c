"""What an emulation of Vast.ai is told: its market, and what goes wrong that only Vast.ai does."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import DurationRange
from autoscaler.emulate.vastai.notices import Webhook
from providers.mock import MockSettings


class Quirk(StrEnum):
    """What Vast.ai does beyond the market's faults. Each holds from the start to the end."""

    # Searching.
    IGNORES_BOUNDS = auto()
    """The search applies no bound but those on type and GPU name. [reports: three clients check every row again]"""
    SEARCH_QUOTA_SPENT = auto()
    """Every search is refused until midnight UTC, with `X-RateLimit-Reset`. [client 1.9.1]"""

    # Creating.
    ASK_GONE_IS_400 = auto()
    """A taken offer is refused with 400 in place of 404 or 410. [reports]"""
    CREATE_SAYS_FAILED = auto()
    """200 with `success: false` and the `new_contract` that was made: an account suspended meanwhile. [reports]"""
    CREATE_HAS_NO_ID = auto()
    """200 with `success: true` and no `new_contract`, though it was made. [reports]"""
    WRONG_MACHINE = auto()
    """The instance is made on another machine than the offer's. [reports: clients check `machine_id`]"""

    # Reading.
    GONE_IS_404 = auto()
    """An instance that is gone is a 404 `no_such_instance`, in place of a 200 with `instances: null`. [reports]"""
    START_LOOKS_QUEUED = auto()
    """A start that was accepted shows as a queued one for half a minute. [docs: 30 s of "scheduling"]"""
    EXITED_LINGERS = auto()
    """A started instance shows `exited` until it runs. [reports: for minutes]"""
    FROZEN = auto()
    """Running instances show `frozen`; their GPU is billed. [docs]"""
    STATUS_UNKNOWN = auto()
    """Running instances show `unknown`: their host sends no heartbeat. [docs]"""
    STATUS_NEW = auto()
    """Running instances show a status that no document names. [reports: clients have failed on unlisted words]"""
    CONTAINER_EXITED = auto()
    """Running instances show `exited` while their contract runs: the container ended, the GPU is held. [docs]"""
    OUTBID_STILL_INTENDED = auto()
    """An instance that was outbid keeps `intended_status: running`, as one whose start is queued. [reports]"""
    PADDED_ADDRESS = auto()
    """`public_ipaddr` carries white space and a line break. [reports; docs show it for `local_ipaddrs`]"""
    ROWS_WITHOUT_ID = auto()
    """Rows of the listing have no `id`. [reports: a listing that is malformed after a create]"""
    NULLS = auto()
    """Fields that may be null are null, some of them in no document. [reports]"""
    SHORT_CONTRACTS = auto()
    """Every other machine is let for one hour: then its instance stops and cannot be started again. [docs]"""
    PRICE_INCREASE_PENDING = auto()
    """The host of every instance asks for a tenth more from the next extension on. [client 1.9.1]"""

    # Any answer.
    MINIMUM_INTERVALS = auto()
    """Two requests to one endpoint too soon after each other: the second is a 429 in plain text. [docs]"""
    RETRY_AFTER_IN_BODY = auto()
    """A 429 names its time as `retry_after` in a JSON body, not as a header. [reports]"""
    GATEWAY_TIMES_OUT = auto()
    """A lost answer arrives as a 504 with a page of HTML, in place of a broken connection. [client retries those]"""
    NOT_JSON = auto()
    """Answers to reads are a page of HTML under 200. [reports: proxies and maintenance pages]"""
    OVERSIZED = auto()
    """The listing has ten megabytes of text in it. [a limit on what is read, not a report]"""


def _market() -> MockSettings:
    """A market fit for somebody who looks on."""
    return MockSettings(
        setup=DurationRange(20.0, 40.0),
        resume=DurationRange(5.0, 15.0),
        stop=DurationRange(1.0, 3.0),
        let_to_others=DurationRange(60.0, 180.0),
        offline=DurationRange(30.0, 120.0),
        listing_lag=DurationRange(5.0, 20.0),
        balance_usd=100.0,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Emulation:
    """A Vast.ai with one account."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    market: MockSettings = field(default_factory=_market)
    """Hosts, prices, durations, faults and the scenario."""
    quirks: tuple[Quirk, ...] = ()
    """What Vast.ai does besides."""
    webhook: Webhook | None = None
    """Where it tells what becomes of instances; it tells nobody when absent."""
