"""Which machines run, for Prometheus to scrape what they say of themselves (`http_sd_configs`).

It is answered from the records, which a daemon that stands by reads from the store: a list that came out empty because
another daemon leads would make Prometheus forget every machine. Where they cannot be read the answer is 503, and
Prometheus goes on with the machines that it knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12, and brings this one

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.web.forms import ProblemForm
from autoscaler.web.routes import FORM, Answer, BadRequest, Route, read_query

_SCRAPED = frozenset({Phase.HOT, Phase.DRAINING})


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscoveryQuery:
    """Which exporters."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORM

    port: Annotated[int, Field(ge=1, le=65535)]
    """The port inside the container at which they listen."""
    pool: str | None = None
    """Those of this pool alone."""


class TargetForm(TypedDict):
    """One machine, in Prometheus' own form."""

    targets: list[str]
    labels: dict[str, str]


def discovery_route(
    records: Callable[[], Awaitable[Sequence[Instance]]], ports: Callable[[], Mapping[str, int | None]]
) -> Route:
    """The one route.

    `records` gives all machines, `ports` by configured pool the port of its container that a machine's address maps.
    """

    async def discover(request: web.Request) -> web.Response:
        asked, known = read_query(request, DiscoveryQuery), ports()
        if asked.pool is not None and asked.pool not in known:
            raise BadRequest(f"pool: there is no pool of that name; expected one of {', '.join(known)}")
        found = [
            _target(machine, known.get(machine.pool), asked.port)
            for machine in sorted(await records(), key=lambda each: each.id)
            if machine.phase in _SCRAPED and machine.address and asked.pool in (None, machine.pool)
        ]
        return web.json_response(found)

    return Route(
        method="GET",
        path="/sd/prometheus",
        handler=discover,
        summary="the machines that run, for http_sd_configs of Prometheus; ?port=9400[&pool=POOL]",
        query=DiscoveryQuery,
        answers={
            200: Answer(text="A target for each machine that is HOT or drains.", form=list[TargetForm]),
            503: Answer(text="Another daemon leads, and the store is away.", form=ProblemForm),
        },
    )


def _target(machine: Instance, mapped_port: int | None, port: int) -> TargetForm:
    host, _, outside = (machine.address or "").partition(":")
    is_mapped = bool(outside) and port == mapped_port  # where another port answers outside, nobody says
    return {
        "targets": [f"{host}:{outside if is_mapped else port}"],
        "labels": {
            f"__meta_autoscaler_{name}": value
            for name, value in {
                "instance": machine.id,
                "pool": machine.pool,
                "provider": machine.provider,
                "placement": machine.placement,
                "gpu": machine.gpu,
                "region": machine.region,
                "phase": machine.phase.value,
            }.items()
        },
    }
