"""Whatever stands in the place of any one value, a caller meets the errors of the contract alone, and sound values."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from autoscaler.core.errors import ProviderError
from providers.http import Answer, json_answer
from providers.runpod import RunpodProvider
from providers.runpod.wire import TERMS
from tests.providers.runpod.test_wire import TCP, terms
from tests.support.odd import ODD, is_sound
from tests.support.runpod import MACHINE, SECURE, SPOT, data, gpu, gpus, offer, pod, pods, problem, scripted

RUNNING = pod(env=terms(), runtime={"ports": [TCP]})
STOPPED = pod(status="EXITED", env=terms(buy="spot"))
BIDS = data(gpuTypes=[{"id": gpu()["id"], "lowestPrice": {"minimumBidPrice": 0.35}}])
RECORD = {"podId": "a", "startTime": "2026-11-21T00:00:00Z", "totalAmount": 1.0}
STARTED = data(podBidResume={"id": "pod1", "gpuCount": 1})

Call = Callable[[RunpodProvider], Awaitable[Any]]
CALLS: dict[str, tuple[Call, list[Answer]]] = {
    "a listing": (lambda p: p.list_machines(), [pods(RUNNING, pod("b"), cursor="c1"), pods(STOPPED)]),
    "offers": (lambda p: p.list_offers(SECURE, MACHINE), [gpus(gpu())]),
    "offers of spot machines": (lambda p: p.list_offers(SPOT, MACHINE), [gpus(gpu()), BIDS]),
    "a rent": (lambda p: p.rent(offer(), MACHINE, label="x"), [json_answer(201, RUNNING)]),
    "a rent by GraphQL": (
        lambda p: p.rent(offer(buy="spot"), MACHINE, label="x"),
        [data(podRentInterruptable={"id": "new"})],
    ),
    "a stop": (lambda p: p.stop("pod1"), [problem(409, "no"), json_answer(200, STOPPED)]),
    "a start": (lambda p: p.resume("pod1"), [json_answer(200, pod(status="EXITED")), json_answer(200, RUNNING)]),
    "a start by GraphQL": (lambda p: p.resume("pod1"), [json_answer(200, STOPPED), STARTED]),
    "a release": (lambda p: p.release("pod1"), [problem(409, "no"), json_answer(200, pod(status="TERMINATED"))]),
    "the balance": (lambda p: p.balance_usd(), [data(myself={"clientBalance": 1.0})]),
    "the bills": (lambda p: p.billed_usd("2026-11-21"), [json_answer(200, {"records": [RECORD]})]),
}


def changed(value: Any) -> Iterator[Any]:
    """A JSON value with something odd in the place of each of its parts, one at a time."""
    yield from ODD
    if isinstance(value, dict):
        yield from (value | {key: odd} for key in value for odd in changed(value[key]))
        yield from ({each: value[each] for each in value if each != key} for key in value)
        if TERMS in value:
            yield from ({TERMS: json.dumps(odd)} for odd in changed(json.loads(value[TERMS])))
    if isinstance(value, list):
        yield from ([*value[:n], odd, *value[n + 1 :]] for n in range(len(value)) for odd in changed(value[n]))


@pytest.mark.parametrize(("call", "answers"), CALLS.values(), ids=CALLS)
async def test_one_odd_value_anywhere_is_an_error_of_the_contract_or_no_matter(
    call: Call, answers: list[Answer]
) -> None:
    assert is_sound(await call(scripted(*answers)[0]))
    for number, answer in enumerate(answers):
        for body in changed(answer.json()):
            told = [*answers[:number], json_answer(answer.status, body), *answers[number + 1 :]]
            provider, _ = scripted(*told, *[problem(503, "busy")] * 3)
            with suppress(ProviderError):
                assert is_sound(await call(provider)), body
