"""A kind of provider as a value: its settings, what it can do, and how one is made."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, get_args, get_type_hints

from autoscaler.core.units import Secret
from providers.base import Capabilities, Provider
from providers.http import Http, Service


class Means(Protocol):
    """What an adapter is given to work with; it opens and reads nothing of its own accord."""

    def now(self) -> float:
        """Epoch seconds."""
        ...

    def random(self, seed: int) -> random.Random:
        """A source of randomness that follows from a seed."""
        ...

    def http(self, service: Service) -> Http:
        """A way to a vendor's API that keeps to its pace."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What a vendor is proved to have told of its own accord: evidence that a look is worth while, no more."""

    event: str
    """The same each time that the vendor delivers it."""
    of_machines: bool
    """It is about machines, rather than the account."""


Hear = Callable[[Secret, Mapping[str, str], bytes, float], Heard | None]
"""Reads what a vendor's webhook brought: the settings' `webhook_secret`, headers, raw body, epoch seconds. None where
it is not proved that the vendor sent it, and sent it now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderKind:
    """One kind of provider: its settings, what it can do, and how it is made."""

    settings: type[Any]
    """A settings dataclass whose field `kind` is a `Literal` with the name of the kind."""
    capabilities: Capabilities
    make: Callable[[str, Any, Means], Provider]
    """Makes a provider from its name, settings of that type, and means. It makes no request."""
    hear: Hear | None = None
    """Reads the vendor's webhooks, where it has any; the settings have a field `webhook_secret` then."""

    @property
    def name(self) -> str:
        """What `kind` says in a settings file."""
        (name,) = get_args(get_type_hints(self.settings)["kind"])
        return str(name)
