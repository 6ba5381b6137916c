"""The settings of notifications: who is told of what, by which way, and when not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from autoscaler.config import notify_checks as checks
from autoscaler.config.checks import checked
from autoscaler.config.kinds import kind_by_name
from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Name, Seconds, Secret, Written

Url = Annotated[Secret, checked(checks.url)]
Address = Annotated[str, Written(checks.parse_address, "ops@example.com")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Quiet:
    """Hours of every day in which a channel holds its messages back; what it held comes as one at their end."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    hours: Annotated[str, Written(checks.parse_hours, "22:00..07:00")]
    """From and to, in the time of `zone`; they may run over midnight."""
    zone: Annotated[str, Written(checks.parse_zone, "Europe/Berlin")] = "UTC"
    """A time zone."""
    lets_through: Literal["critical", "nothing"] = "critical"
    """What is told all the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """What every channel has."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    severity: Literal["info", "warning", "critical"] = "warning"
    """The least severe concern that it tells of."""
    pools: tuple[Name, ...] = ()
    """It tells of these pools alone; of all, and of what concerns the whole fleet, when empty."""
    quiet: Quiet | None = None
    """When it holds its messages back; never when absent."""
    also: tuple[Literal["orders", "summary"], ...] = ()
    """What it tells besides: operators' orders; each day's cost and waits, when the day (UTC) is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookChannel(Channel):
    """JSON, signed as the Standard Webhooks specification has it."""

    kind: Literal["webhook"] = "webhook"
    url: Url
    """Where to POST."""
    secret: Annotated[Secret, checked(checks.webhook_secret)]
    """The key of the signature: `whsec_` and 24 to 64 bytes in base64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SlackChannel(Channel):
    """An incoming webhook of Slack, or of what takes the same, such as Mattermost."""

    kind: Literal["slack"] = "slack"
    url: Url
    """The incoming webhook's URL, which is a secret."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscordChannel(Channel):
    """A webhook of Discord."""

    kind: Literal["discord"] = "discord"
    url: Url
    """The webhook's URL, which is a secret."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmailChannel(Channel):
    """E-mail by a server that takes it in."""

    kind: Literal["email"] = "email"
    server: Annotated[str, Written(checks.parse_server, "smtp.example.com:587")]
    """Host and port."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`tls` from the first byte, as on port 465; `none` for a server on the same machine only."""
    username: str | None = None
    """For the server; none when absent."""
    password: Secret | None = None
    """For the server."""
    sender: Address
    """The address that it comes from."""
    to: Annotated[tuple[Address, ...], Field(min_length=1)]
    """The addresses that it goes to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AppriseChannel(Channel):
    """Whatever else the library Apprise reaches, such as Telegram, PagerDuty and ntfy."""

    kind: Literal["apprise"] = "apprise"
    url: Annotated[Secret, checked(checks.apprise_url)]
    """An Apprise URL, which is a secret; needs `pip install 'gpu-autoscaler[notify]'`."""


_Email = Annotated[EmailChannel, checked(checks.email)]
AnyChannel = WebhookChannel | SlackChannel | DiscordChannel | _Email | AppriseChannel
_Tagged = Annotated[AnyChannel, Field(discriminator="kind")]
_KINDS = ("webhook", "slack", "discord", "email", "apprise")


@dataclass(frozen=True, kw_only=True, slots=True)
class NotifySettings:
    """Messages to people of what needs one of them."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    after: Annotated[Seconds, checked(checks.not_negative)] = 30.0
    """How long a concern must last before it is told, and must be away before its end is; what is critical is told at
    once."""
    remind: Annotated[Seconds, checked(checks.remind)] = 6 * 3600.0
    """How often it is told again while it lasts."""
    every: Annotated[Seconds, checked(checks.not_negative)] = 10.0
    """The least time between two messages by one channel; what comes between them is told together."""
    channels: Annotated[Mapping[Name, _Tagged], kind_by_name(lambda: _KINDS)] = field(default_factory=dict)
    """The ways, by name. `kind` may be left out where the name is itself a kind."""
