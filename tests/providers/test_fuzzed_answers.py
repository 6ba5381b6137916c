"""Whatever a vendor answers to any request, whoever called meets errors of the contract and sound values alone."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.core.errors import ProviderError
from autoscaler.core.units import Secret
from autoscaler.emulate.loopback import Loopback
from providers.http import Answer, Http, Request, Service
from providers.runpod import RunpodProvider, RunpodSettings
from tests.support import runpod, vast
from tests.support.bench import BaseBench, Means
from tests.support.odd import ODD, is_sound

STATUSES = st.one_of(
    st.sampled_from([200, 201, 202, 204, 400, 401, 403, 404, 409, 410, 429, 500, 502, 503]), st.integers(100, 599)
)
JSON = st.recursive(
    st.one_of(st.sampled_from(ODD), st.floats(), st.text(max_size=20)),
    lambda part: st.one_of(st.lists(part, max_size=3), st.dictionaries(st.text(max_size=8), part, max_size=3)),
    max_leaves=8,
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "content-type", "ratelimit", "x-ratelimit-reset", "content-length", "location"]),
    st.text(max_size=20),
    max_size=3,
)


class Spoiler:
    """Changes the answer to one request of those that come once it is armed."""

    def __init__(self) -> None:
        self.change: Callable[[Answer], Answer] | None = None
        self.wait = 0

    def pass_on(self, answer: Answer) -> Answer:
        if self.change is None:
            return answer
        self.wait -= 1
        return self.change(answer) if self.wait == -1 else answer


class Spoilt:
    """The way to a vendor that answers something else."""

    def __init__(self, http: Http, spoiler: Spoiler) -> None:
        self._http = http
        self._spoiler = spoiler

    async def send(self, request: Request) -> Answer:
        return self._spoiler.pass_on(await self._http.send(request))

    async def close(self) -> None:
        """Nothing is held open."""


class SpoiltRunpod(runpod.Bench):
    def __init__(self, spoiler: Spoiler) -> None:
        super().__init__()

        def http(service: Service) -> Http:
            return Spoilt(Loopback(self._emulator, service), spoiler)

        own = RunpodSettings(api_key=Secret(runpod.KEY))
        self.provider = RunpodProvider("runpod", own, Means(lambda: self.now, http))


class SpoiltVast(vast.Bench):
    def __init__(self, spoiler: Spoiler) -> None:
        super().__init__(around=lambda http, _: Spoilt(http, spoiler))


Call = Callable[[BaseBench, str], Awaitable[Any]]


async def rent(bench: BaseBench, _machine: str) -> list[str]:
    offers = await bench.provider.list_offers(bench.placement, bench.machine)
    label = "autoscaler.fleet.images.token00002"
    return [await bench.provider.rent(offer, bench.machine, label=label) for offer in offers[:1]]


# By name, with the state of the machine that the call needs.
CALLS: dict[str, tuple[str, Call]] = {
    "list": ("running", lambda bench, _: bench.provider.list_machines()),
    "offers": ("none", lambda bench, _: bench.provider.list_offers(bench.placement, bench.machine)),
    "offers of spot machines": (
        "none",
        lambda bench, _: bench.provider.list_offers(replace(bench.placement, buy="spot"), bench.machine),
    ),
    "rent": ("none", rent),
    "stop": ("running", lambda bench, machine: bench.provider.stop(machine)),
    "resume": ("stopped", lambda bench, machine: bench.provider.resume(machine)),
    "release": ("running", lambda bench, machine: bench.provider.release(machine)),
    "set_bid": ("spot", lambda bench, machine: bench.provider.set_bid(machine, 0.4)),
    "balance": ("none", lambda bench, _: bench.provider.balance_usd()),
    "bills": ("stopped", lambda bench, _: bench.provider.billed_usd("2027-01-15")),
}


async def prepared(bench: BaseBench, state: str) -> str:
    match state:
        case "running":
            return await bench.rent_running()
        case "stopped":
            return await bench.rent_stopped()
        case "spot":
            return await bench.rent_running(replace(bench.placement, buy="spot"))
        case _:
            return ""


def spoilt(answer: Answer, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Answer:
    """The answer with one thing wrong with it."""
    match draw(st.sampled_from(["status", "body", "bytes", "cut", "headers", "value", "key"])):
        case "status":
            return replace(answer, status=draw(STATUSES))
        case "body":
            return replace(answer, status=draw(STATUSES), body=json.dumps(draw(JSON)).encode())
        case "bytes":
            return replace(answer, body=draw(st.binary(max_size=40)))
        case "cut":
            return replace(answer, body=answer.body[: draw(st.integers(0, len(answer.body)))])
        case "headers":
            return replace(answer, status=draw(STATUSES), headers={**answer.headers, **draw(HEADERS)})
        case how if answer.body:
            body = answer.json()
            return replace(answer, body=json.dumps(changed(body, draw, drop=how == "key")).encode())
        case _:
            return answer


def changed(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any], *, drop: bool) -> Any:
    """A JSON value of which one part, at any depth, is something else or missing."""
    keys: list[Any] = (
        sorted(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    if not keys or draw(st.integers(0, 4)) == 0:
        return draw(JSON)
    key = draw(st.sampled_from(keys))
    if drop and isinstance(value, dict) and not isinstance(value[key], dict | list):
        return {each: value[each] for each in value if each != key}
    part = changed(value[key], draw, drop=drop)
    return value | {key: part} if isinstance(value, dict) else [*value[:key], part, *value[key + 1 :]]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("vendor", [SpoiltVast, SpoiltRunpod])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_any_answer_to_any_request_is_an_error_of_the_contract_or_no_matter(
    vendor: type[SpoiltVast | SpoiltRunpod], call: str, data: st.DataObject
) -> None:
    spoiler = Spoiler()
    bench = vendor(spoiler)
    state, make = CALLS[call]
    if state == "spot" and not bench.provider.capabilities.can_bid:
        return
    machine = await prepared(bench, state)
    spoiler.wait = data.draw(st.integers(0, 2), label="answers that are left alone")
    spoiler.change = lambda answer: spoilt(answer, data.draw)
    with suppress(ProviderError):
        assert is_sound(await make(bench, machine))
