"""The settings of the whole daemon. Each field's docstring is its reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from autoscaler.config import checks, notify_checks, redis_checks
from autoscaler.config.checks import checked
from autoscaler.config.kinds import kind_by_name
from autoscaler.config.notify import NotifySettings
from autoscaler.config.redis_checks import UrlAlone
from autoscaler.config.words import suggest
from autoscaler.core.spec import (
    SETTINGS,
    Deadlines,
    Fallback,
    FleetLimits,
    Health,
    Limits,
    MachineSpec,
    Pace,
    Placement,
    Pool,
    Prefer,
)
from autoscaler.core.units import Name, Seconds, Secret, Written
from autoscaler.link import RedisSettings
from autoscaler.queues import QueueSettings
from autoscaler.sim.workload import Workload
from policies import POLICIES, RECOMMENDED
from providers.installed import provider_kinds
from providers.mock import MockSettings

_TICKS_PER_LEASE = 3

if TYPE_CHECKING:
    ProviderSettings = Any
else:
    ProviderSettings = Annotated[
        Union[tuple(kind.settings for kind in provider_kinds().values())],  # noqa: UP007 - known when it runs only
        Field(discriminator="kind"),
    ]
"""The settings of any provider; `kind` tells which."""

Redis = Annotated[RedisSettings, UrlAlone(), checked(redis_checks.redis)]
Listen = Annotated[str, Written(checks.parse_listen, "127.0.0.1:8080")]


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpSettings:
    """The HTTP API, the metrics and the dashboard."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    listen: Listen = "127.0.0.1:8080"
    """Address and port to serve on. Whoever reaches it reads everything: keep it on loopback or behind a proxy."""
    token: Annotated[Secret, checked(checks.token)] | None = None
    """What whoever changes something over HTTP must know: 16 characters or more, such as `openssl rand -hex 32` gives.
    Without it nothing can be changed over HTTP."""
    hosts: tuple[Annotated[str, Written(checks.parse_host, "autoscaler.example.com")], ...] = ()
    """Names with a dot under which it is asked, as by a proxy that passes the public name on; all others are refused,
    so that no page on the web can read it through a browser. IP addresses and names without a dot need no entry."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSettings:
    """What the daemon writes to standard error."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    format: Literal["auto", "json", "console"] = "auto"
    """`json` is one object a line, `console` is for people; `auto` is `console` on a terminal, else `json`."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events to write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyChoice:
    """One policy of a pool: its name alone, or its name with settings, as in `{thresholds: {resume_depth: 12}}`."""

    name: str
    settings: Any
    """Of the type that the policy names in `policies.POLICIES`."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        by_name = {
            name: core_schema.typed_dict_field(handler.generate_schema(policy.settings), required=False)
            for name, policy in POLICIES.items()
        }
        written = core_schema.no_info_before_validator_function(_spread, core_schema.typed_dict_schema(by_name))
        return core_schema.no_info_after_validator_function(_choose, written)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        with_settings = handler(schema) | {"additionalProperties": False, "minProperties": 1, "maxProperties": 1}
        return {"anyOf": [{"enum": sorted(POLICIES)}, with_settings]}


def _spread(entry: object) -> dict[str, object]:
    """An entry as a mapping from the policy's name to its settings."""
    if isinstance(entry, str):
        entry = {entry: None}
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ValueError("expected the name of a policy, such as thresholds, or {thresholds: {resume_depth: 12}}")
    ((name, settings),) = entry.items()
    if name not in POLICIES:
        raise ValueError(f'there is no policy "{name}"; {suggest(str(name), POLICIES)}')
    return {name: {} if settings is None else settings}


def _choose(by_name: Mapping[str, Any]) -> PolicyChoice:
    ((name, settings),) = by_name.items()
    return PolicyChoice(name=name, settings=settings)


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSettings:
    """One workload."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    queue: Annotated[QueueSettings, checked(checks.queue)]
    """Where its jobs wait."""
    redis: Redis | None = None
    """Another Redis for this pool's queue; that of all pools when absent."""
    machine: Annotated[MachineSpec, checked(checks.machine)]
    """What its jobs run on."""
    placements: Annotated[
        tuple[Annotated[Placement, checked(checks.placement)], ...], Field(min_length=1), checked(checks.placements)
    ]
    """Where its machines may be rented, in order of preference."""
    prefer: Prefer = "order"
    """`order`: the first placement that has an offer; `cost`: the offer of any whose useful hours cost least, which
    spreads machines over providers, too."""
    limits: Annotated[Limits, Field(validate_default=True), checked(checks.limits)] = Limits()
    """What it may never leave."""
    pace: Annotated[Pace, checked(checks.pace)] = Pace()
    """How fast the number of its machines may change."""
    deadlines: Annotated[Deadlines, checked(checks.deadlines)] = Deadlines()
    """How long its machines may stay in each phase that waits."""
    health: Annotated[Health, checked(checks.health)] = Health()
    """When a running machine counts as degraded or as hardly used."""
    fallback: Annotated[Fallback, checked(checks.fallback)] = Fallback()
    """What stands while its queue cannot be read."""
    policies: Annotated[
        tuple[Annotated[PolicyChoice, checked(checks.policy)], ...], Field(min_length=1), checked(checks.policies)
    ] = tuple(PolicyChoice(name=name, settings=POLICIES[name].settings()) for name in RECOMMENDED)
    """What decides how many machines it has. Several combine: the safest wins."""
    workload: Workload = Workload()
    """How `simulate` makes its jobs from a trace. The daemon itself never reads it."""

    def pool(self, name: str) -> Pool:
        """This pool as the core sees it."""
        return Pool(
            name=name,
            tiers=self.queue.tiers,
            machine=self.machine,
            placements=self.placements,
            prefer=self.prefer,
            limits=self.limits,
            pace=self.pace,
            deadlines=self.deadlines,
            health=self.health,
            fallback=self.fallback,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Everything the daemon is told."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    fleet: Name
    """Every machine rented carries this name, and no machine without it is ever touched. One daemon a fleet."""
    redis: Redis = RedisSettings(url="embedded")
    """The queue: a URL, or a mapping of what else there is to say; `embedded` or `embedded:PORT` for one inside the
    daemon, which needs no installation and forgets everything when the daemon ends."""
    store: Redis | None = None
    """Another Redis for the daemon's own state; the queue's when absent."""
    tick: Annotated[Seconds, checked(checks.tick)] = 10.0
    """How often the queues are read and decisions made."""
    lease: Annotated[Seconds, checked(checks.tick)] = 30.0
    """How long a daemon that is not heard of still leads: another one takes over after that. It is never shorter than
    three ticks."""
    spread: bool = False
    """Whether each pool is led by itself, so that several daemons share the pools; else one daemon leads all of them
    and the others stand by. Caps in `limits` hold over all pools and cannot be kept by several daemons: cap each
    pool."""
    http: HttpSettings = HttpSettings()
    """The HTTP API, the metrics and the dashboard."""
    log: LogSettings = LogSettings()
    """What the daemon writes to standard error."""
    limits: Annotated[FleetLimits, checked(checks.fleet_money)] = FleetLimits()
    """What all pools together may never leave."""
    pools: Annotated[Mapping[Name, PoolSettings], Field(min_length=1)]
    """The workloads, by name."""
    providers: Annotated[Mapping[Name, ProviderSettings], kind_by_name(provider_kinds), Field(min_length=1)]
    """The accounts to rent from, by name. `kind` may be left out where the name is itself a kind."""
    stand_ins: Annotated[Mapping[Name, MockSettings], checked(checks.stand_ins)] = field(default_factory=dict)
    """The mock markets that stand in for providers in `simulate`, `compare`, `tune` and `plan --what-if`, by the
    provider's name. One that is not named here is played by the mock market with its defaults; a mock by itself."""

    notify: Annotated[NotifySettings, checked(notify_checks.notify)] = NotifySettings()
    """Messages to people of what needs one of them."""

    @property
    def lease_s(self) -> float:
        """How long the lease is held.

        One shorter than three ticks would pass from daemon to daemon, and none would ever act.
        """
        return max(self.lease, _TICKS_PER_LEASE * self.tick)

    def market(self, provider: str) -> MockSettings:
        """The mock market that a provider is in a rehearsal: opened anew each time."""
        own = self.providers[provider]
        played = self.stand_ins.get(provider) or (own if isinstance(own, MockSettings) else MockSettings())
        return replace(played, state_file=None)
