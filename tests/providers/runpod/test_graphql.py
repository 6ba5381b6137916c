"""GraphQL: what goes out, what its errors become, and that it may go without the rest noticing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from graphql import parse

from autoscaler.core import errors as e
from autoscaler.core.errors import ProviderError
from autoscaler.core.units import Secret
from providers.breaker import FAILURES, Breaker
from providers.http import Answer, json_answer
from providers.runpod import RunpodProvider, RunpodSettings
from tests.providers.runpod.test_refusals import HOST_FULL, NO_MONEY, NO_SPOT, NO_STOCK, WENT_WRONG
from tests.providers.runpod.test_wire import terms
from tests.support.bench import START, Means
from tests.support.runpod import (
    KEY,
    LABEL,
    MACHINE,
    SPOT,
    Script,
    data,
    errors,
    gpu,
    gpus,
    html,
    offer,
    pod,
    pods,
    problem,
    scripted,
)

SPOT_OFFER = offer(buy="spot", usd_per_hour=0.40 + 0.0125, takes_bids=True)
MADE = data(podRentInterruptable={"id": "new"})


async def test_a_spot_rent_sends_values_as_variables_and_nothing_in_the_text() -> None:
    provider, script = scripted(MADE, registry="reg1")
    env = {"ODD": 'he said "x" \\ {not: graphql} $input \n ü'}

    assert await provider.rent(SPOT_OFFER, replace(MACHINE, env=env, args=("-v",)), label=LABEL) == "new"

    asked = script.asked[0].json()
    parse(asked["query"])
    assert "x" not in asked["query"].replace("podRentInterruptable", "")
    sent = asked["variables"]["input"]
    stamp = sent["env"].pop()
    assert stamp["key"] == "AUTOSCALER_TERMS"
    assert sent == {
        "name": LABEL,
        "imageName": "ghcr.io/acme/worker:1.0",
        "gpuTypeId": "NVIDIA GeForce RTX 4090",
        "gpuCount": 1,
        "cloudType": "SECURE",
        "dataCenterId": "EU-RO-1",
        "containerDiskInGb": 50,
        "volumeInGb": 40,
        "volumeMountPath": "/workspace",
        "ports": "8188/tcp",
        "supportPublicIp": True,
        "env": [{"key": "ODD", "value": env["ODD"]}],
        "dockerArgs": '{"cmd": ["-v"]}',
        "containerRegistryAuthId": "reg1",
        "bidPerGpu": 0.40,
    }


async def test_an_end_is_set_at_creation_and_carried_by_the_pod() -> None:
    provider, script = scripted(data(podFindAndDeployOnDemand={"id": "new"}), terminate_after=86400.0)

    assert await provider.rent(offer(), MACHINE, label=LABEL) == "new"

    sent = script.asked[0].json()["variables"]["input"]
    assert sent["terminateAfter"] == "2027-01-16T08:00:00Z"
    assert "bidPerGpu" not in sent
    script.replies.append(pods(pod(env={pair["key"]: pair["value"] for pair in sent["env"]})))
    (remote,) = (await provider.list_machines()).machines
    assert remote.ends_at == START + 86400.0


async def test_a_stopped_spot_pod_is_started_with_its_own_bid() -> None:
    row = pod(status="EXITED", env=terms(buy="spot", gpu_usd_per_hour=0.4))
    provider, script = scripted(json_answer(200, row), data(podBidResume={"id": "pod1", "gpuCount": 1}))

    await provider.resume("pod1")

    assert script.asked[1].json()["variables"] == {"input": {"podId": "pod1", "bidPerGpu": 0.4, "gpuCount": 1}}


@pytest.mark.parametrize(
    ("answer", "rent"),
    [
        (errors(NO_STOCK), e.NoCapacity),
        (errors(NO_SPOT), e.NoCapacity),
        (errors(HOST_FULL), e.NoCapacity),
        (errors(NO_MONEY), e.InsufficientFunds),
        (errors("gpuTypeId is wrong", code="BAD_USER_INPUT"), e.Rejected),
        (errors("gpuTypeId is wrong", code="BAD_USER_INPUT", status=400), e.Rejected),
        (errors(WENT_WRONG, code="INTERNAL_SERVER_ERROR"), e.UnclearOutcome),
        (errors("a sentence that nobody knows"), e.UnclearOutcome),
        (errors(WENT_WRONG, made={"podRentInterruptable": {"id": "new"}}), e.PartialLaunch),
        (errors("no permission to read machine", made={"podRentInterruptable": {"id": "new"}}), e.PartialLaunch),
        (
            errors('Cannot query field "podRentInterruptable" on type "Mutation".', code="GRAPHQL_VALIDATION_FAILED"),
            e.Rejected,
        ),
        (errors('Unknown type "PodRentInterruptableInput".', status=400), e.Rejected),
        (data(podRentInterruptable=None), e.UnclearOutcome),
        (json_answer(200, {}), e.UnclearOutcome),
        (json_answer(200, []), e.UnclearOutcome),
        (Answer(status=200), e.UnclearOutcome),
        (html(200), e.UnclearOutcome),
        (html(400), e.UnclearOutcome),
        (json_answer(400, {}), e.UnclearOutcome),
        (errors("pod not found"), e.UnclearOutcome),
        (html(404), e.Rejected),
        (html(410), e.Rejected),
        (problem(401, "unauthorized"), e.Rejected),
        (problem(403, "access denied"), e.Rejected),
        (problem(400, "what?"), e.Rejected),
        (html(429), e.RateLimited),
        (html(502), e.UnclearOutcome),
        (errors(NO_STOCK, status=500), e.UnclearOutcome),
        (None, e.UnclearOutcome),
    ],
)
async def test_what_graphql_says_of_a_rent_becomes_what_the_caller_must_do(
    answer: Answer | None, rent: type[ProviderError]
) -> None:
    provider, _ = scripted(answer)
    with pytest.raises(ProviderError) as refused:
        await provider.rent(SPOT_OFFER, MACHINE, label="x")
    assert type(refused.value) is rent


async def test_a_partial_launch_names_what_was_made() -> None:
    provider, _ = scripted(errors(WENT_WRONG, made={"podRentInterruptable": {"id": "new"}}))
    with pytest.raises(e.PartialLaunch) as refused:
        await provider.rent(SPOT_OFFER, MACHINE, label="x")
    assert refused.value.provider_ids == ("new",)


async def test_the_balance_is_read() -> None:
    provider, script = scripted(data(myself={"clientBalance": 12.5}))
    assert await provider.balance_usd() == 12.5
    assert script.lines == ["POST /graphql"]


@pytest.mark.parametrize("answer", [html(503), errors(WENT_WRONG), data(myself=None), json_answer(200, {"data": None})])
async def test_a_balance_that_fails_this_time_is_an_error_and_has_not_gone(answer: Answer) -> None:
    provider, script = scripted(answer)
    with pytest.raises(e.Transient):
        await provider.balance_usd()
    script.replies.append(pods())
    assert (await provider.list_machines()).notices == ()


async def test_a_balance_that_this_key_is_not_told_is_none_and_there_is_one_reason() -> None:
    provider, _ = scripted(data(myself={"clientBalance": None}), pods())
    assert await provider.balance_usd() is None
    (notice,) = (await provider.list_machines()).notices
    assert "the balance" in notice


async def test_why_a_feature_has_gone_is_told_until_it_answers_again_and_so_only_once() -> None:
    script, seconds = Script([html(404), pods()]), iter([START, *[START + 7200.0] * 9])
    own = RunpodSettings(api_key=Secret(KEY))
    provider = RunpodProvider("runpod", own, Means(lambda: next(seconds), lambda _: script))

    assert await provider.balance_usd() is None
    assert len((await provider.list_machines()).notices) == 1


GONE: dict[str, Any] = {
    "page": html(404),
    "gone": Answer(status=410),
    "redirect": Answer(status=301),
    "page in its place": html(200),
    "no right": problem(403, "access denied"),
    "no right, in its own words": errors("Unauthorized"),
    "no right, by its code": errors("Something went wrong.", code="FORBIDDEN"),
    "no key that it knows, by its code": errors("Context creation failed.", code="UNAUTHENTICATED"),
    "no such field": errors(
        'Cannot query field "myself" on type "Query".', code="GRAPHQL_VALIDATION_FAILED", status=400
    ),
}


@pytest.mark.parametrize("answer", GONE.values(), ids=GONE)
async def test_when_graphql_goes_there_is_one_reason_and_on_demand_notices_nothing(answer: Answer) -> None:
    catalogue = gpus(gpu())
    provider, script = scripted(answer, catalogue, answer, pods(), catalogue, json_answer(201, pod("new")))

    could_spot = provider.capabilities.can_spot
    assert await provider.balance_usd() is None
    assert await provider.list_offers(SPOT, MACHINE) == []
    assert (could_spot, provider.capabilities.can_spot) == (True, False)
    notices = (await provider.list_machines()).notices
    assert [notice.split(",")[0] for notice in notices] == ["RunPod's GraphQL"] * 2
    assert KEY not in str(notices)
    (first, *_) = await provider.list_offers(replace(SPOT, buy="on_demand"), MACHINE)
    assert await provider.rent(first, MACHINE, label="x") == "new"
    assert not script.replies


async def test_a_key_without_graphql_does_not_get_the_account_left_alone() -> None:
    refused = problem(403, "access denied")
    provider, script = scripted(*[refused] * (2 * FAILURES), json_answer(201, pod("new")))
    watched = Breaker(provider, lambda: START)

    assert [await watched.balance_usd() for _ in range(2 * FAILURES)] == [None] * (2 * FAILURES)
    assert await watched.rent(offer(), MACHINE, label="x") == "new"
    assert not script.replies


async def test_what_had_gone_and_answers_again_is_there_again() -> None:
    provider, _ = scripted(html(404), data(myself={"clientBalance": 1.0}), pods())
    assert await provider.balance_usd() is None
    assert await provider.balance_usd() == 1.0
    assert (await provider.list_machines()).notices == ()


async def test_a_machine_that_should_end_by_itself_is_not_rented_without_its_end() -> None:
    provider, script = scripted(html(404), terminate_after=86400.0)
    with pytest.raises(e.Rejected, match="terminate_after"):
        await provider.rent(offer(), MACHINE, label="x")
    assert script.lines == ["POST /graphql"]
