"""Vendors' webhooks: heard as evidence that a look is worth while. No word of one ever changes a record.

Off unless a provider's settings have a `webhook_secret`. Whoever knows that secret can have the machines listed sooner
than they would be, and nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from autoscaler.config.schema import Config
from autoscaler.core.units import Secret
from autoscaler.web.forms import ProblemForm, ProblemsForm
from autoscaler.web.guarded import problem
from autoscaler.web.routes import Answer, BadRequest, Route
from providers.installed import provider_kinds

_MOST_REMEMBERED = 1000
"""Events: vendors deliver them again for minutes at most, and older ones are refused by their time."""


class Hooks:
    """Hears what vendors send. `look_again` has a provider's machines listed."""

    def __init__(
        self,
        config: Callable[[], Config],
        look_again: Callable[[str], None],
        registry: CollectorRegistry,
        now: Callable[[], float],
    ) -> None:
        self._config = config
        self._look_again = look_again
        self._now = now
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Providers and their events, the oldest first."""
        self._heard = Counter(
            "autoscaler_hooks_total",
            "Webhooks of vendors that were heard, known already, of no use here, or not proved to be the vendor's.",
            ("provider", "result"),
            registry=registry,
        )

    def route(self) -> Route:
        """The one route."""
        return Route(
            method="POST",
            path="/hooks/{provider}",
            handler=self._hear,
            summary="a vendor's webhook, signed by the vendor; has its machines looked at",
            names={"provider": "A name under `providers`."},
            signed=True,
            answers={
                204: Answer(text="It is heard."),
                400: Answer(text="The body ended too early.", form=ProblemsForm),
                401: Answer(text="It is not proved that the vendor sent it, and sent it now.", form=ProblemForm),
                404: Answer(text="No such provider, or one that is not listened to.", form=ProblemForm),
                413: Answer(text="The body is too long.", form=ProblemForm),
            },
        )

    async def _hear(self, request: web.Request) -> web.Response:
        name = request.match_info["provider"]
        settings = self._config().providers.get(name)
        secret: Secret | None = getattr(settings, "webhook_secret", None)
        hear = provider_kinds()[settings.kind].hear if settings is not None else None
        if secret is None or hear is None:
            return problem(404, "no provider of this name is listened to; set its webhook_secret")
        heard = hear(secret, request.headers, await _body(request), self._now())
        if heard is None:
            self._heard.labels(name, "refused").inc()
            return problem(401, "expected a signature by the webhook's secret over a time within the last minutes")
        if (name, heard.event) in self._known:
            self._heard.labels(name, "repeated").inc()
        elif heard.of_machines:
            self._heard.labels(name, "heard").inc()
            structlog.get_logger(__name__).info("hook_heard", text=f"{name} tells of machines: they are looked at")
            self._look_again(name)
        else:
            self._heard.labels(name, "ignored").inc()
        self._known[name, heard.event] = None
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)
        return web.Response(status=204)


async def _body(request: web.Request) -> bytes:
    """The body as it was sent: its signature is over that.

    Raises:
        BadRequest: it ended too early.
        HTTPRequestEntityTooLarge: it is too long.
    """
    try:
        return await request.read()
    except (ConnectionError, web.RequestPayloadError) as error:
        raise BadRequest("the body: it ended too early") from error
