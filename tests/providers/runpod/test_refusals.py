"""What each of RunPod's refusals becomes, for each kind of call; and that no refusal gives a secret away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core import errors as e
from autoscaler.core.errors import ProviderError
from providers.http import Answer, json_answer
from tests.support.runpod import KEY, MACHINE, html, offer, pod, problem, scripted

NO_STOCK = (
    "There are no longer any instances available with the requested specifications. Please refresh and try again."
)
NO_SPOT = "There are no longer any instances available with the request specifications. Please try again later."
HOST_FULL = "There are not enough free GPUs on the host machine to start this pod."
NO_MACHINE = "This machine does not have the resources to deploy your pod. Please try a different machine."
NO_MONEY = (
    "You do not have enough balance for an on-demand pod. You need at least $3.59 (current: $3.01, deficit: $0.58)."
)
WENT_WRONG = "Something went wrong. Please try again later or contact support."


async def kind_of(answer: Answer, call: str) -> type[ProviderError] | None:
    """The error that one call raises for one answer."""
    provider, _ = scripted(answer) if call != "start" else scripted(json_answer(200, pod(status="EXITED")), answer)
    try:
        if call == "list":
            await provider.list_machines()
        elif call == "rent":
            await provider.rent(offer(), MACHINE, label="x")
        elif call == "start":
            await provider.resume("pod1")
        elif call == "stop":
            await provider.stop("pod1")
        else:
            await provider.release("pod1")
    except ProviderError as error:
        return type(error)
    return None


@pytest.mark.parametrize(
    ("answer", "listing", "rent", "start", "stop", "release"),
    [
        (problem(400, NO_STOCK), e.NoCapacity, e.NoCapacity, e.NoCapacity, e.NoCapacity, e.NoCapacity),
        (problem(400, HOST_FULL), e.NoCapacity, e.NoCapacity, e.NoCapacity, e.NoCapacity, e.NoCapacity),
        (problem(400, NO_MACHINE), e.NoCapacity, e.NoCapacity, e.NoCapacity, e.NoCapacity, e.NoCapacity),
        (problem(400, "volume size must be at least 10"), e.Rejected, e.Rejected, e.Rejected, e.Rejected, e.Rejected),
        (problem(400, "network volume vol1 not found"), e.Rejected, e.Rejected, e.Rejected, e.Rejected, e.Rejected),
        (
            problem(400, NO_MONEY),
            e.InsufficientFunds,
            e.InsufficientFunds,
            e.InsufficientFunds,
            e.InsufficientFunds,
            e.InsufficientFunds,
        ),
        (Answer(status=400), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome),
        (problem(400, WENT_WRONG), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome),
        (html(400), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome),
        (problem(401, "missing bearer token"), e.AuthFailed, e.AuthFailed, e.AuthFailed, e.AuthFailed, e.AuthFailed),
        (
            problem(402, "insufficient balance"),
            e.InsufficientFunds,
            e.InsufficientFunds,
            e.InsufficientFunds,
            e.InsufficientFunds,
            e.InsufficientFunds,
        ),
        (problem(403, "access denied"), e.AuthFailed, e.Rejected, e.AuthFailed, e.AuthFailed, e.AuthFailed),
        (problem(404, "template not found"), e.NotFound, e.Rejected, e.NotFound, e.NotFound, None),
        (problem(404, "pod not found"), e.NotFound, e.Rejected, e.NotFound, e.NotFound, None),
        (problem(405, "method not allowed"), e.Rejected, e.Rejected, e.Rejected, e.Rejected, e.Rejected),
        (problem(408, "time-out"), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome),
        (problem(413, "body too large"), e.Rejected, e.Rejected, e.Rejected, e.Rejected, e.Rejected),
        (
            problem(422, "invalid", "$: additional properties 'x' not allowed"),
            e.Rejected,
            e.Rejected,
            e.Rejected,
            e.Rejected,
            e.Rejected,
        ),
        (
            problem(429, "rate limit exceeded"),
            e.RateLimited,
            e.RateLimited,
            e.RateLimited,
            e.RateLimited,
            e.RateLimited,
        ),
        (html(429), e.RateLimited, e.RateLimited, e.RateLimited, e.RateLimited, e.RateLimited),
        (problem(500, WENT_WRONG), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome),
        (
            json_answer(500, {"error": f"start pod: {HOST_FULL}", "status": 500}),
            e.NoCapacity,
            e.UnclearOutcome,
            e.NoCapacity,
            e.NoCapacity,
            e.NoCapacity,
        ),
        (
            json_answer(500, {"error": "pod not found to terminate"}),
            e.NotFound,
            e.UnclearOutcome,
            e.NotFound,
            e.NotFound,
            None,
        ),
        (html(502), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome),
        (
            problem(503, "unavailable"),
            e.Transient,
            e.UnclearOutcome,
            e.UnclearOutcome,
            e.UnclearOutcome,
            e.UnclearOutcome,
        ),
        (html(404), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome),
        (html(401), e.AuthFailed, e.AuthFailed, e.AuthFailed, e.AuthFailed, e.AuthFailed),
        (Answer(status=402), *[e.InsufficientFunds] * 5),
        (html(403), e.AuthFailed, e.Rejected, e.AuthFailed, e.AuthFailed, e.AuthFailed),
        (html(413), e.Rejected, e.Rejected, e.Rejected, e.Rejected, e.Rejected),
        (Answer(status=524), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome),
        (Answer(status=302), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome),
        (Answer(status=200), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, None),
        (html(200), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, None),
        (json_answer(200, []), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, None),
        (json_answer(200, {"pods": None}), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, None),
        (json_answer(200, {"id": ""}), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, None),
        (json_answer(200, {"id": 7}), e.Transient, e.UnclearOutcome, e.UnclearOutcome, e.UnclearOutcome, None),
    ],
    ids=lambda value: f"{value.status} {value.text[:40]}" if isinstance(value, Answer) else None,
)
async def test_each_refusal_becomes_what_the_caller_must_do(
    *,
    answer: Answer,
    listing: type[ProviderError],
    rent: type[ProviderError],
    start: type[ProviderError],
    stop: type[ProviderError],
    release: type[ProviderError] | None,
) -> None:
    assert await kind_of(answer, "list") is listing
    assert await kind_of(answer, "rent") is rent
    assert await kind_of(answer, "start") is start
    assert await kind_of(answer, "stop") is stop
    assert await kind_of(answer, "release") is release


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry_after": "12"}, 12.0),
        ({"ratelimit": '"minute";r=0;t=12, "hour";r=2800;t=1812, "day";r=49500;t=45012'}, 12.0),
        ({"ratelimit": '"minute";r=0;t=12, "hour";r=0;t=1812, "day";r=49500;t=45012', "retry_after": "12"}, 1812.0),
        ({}, None),
    ],
)
async def test_a_429_asks_to_wait_for_the_longest_of_the_windows_that_are_used_up(
    headers: dict[str, str], wait_s: float | None
) -> None:
    provider, _ = scripted(problem(429, "rate limit exceeded for the minute window", **headers))

    with pytest.raises(e.RateLimited) as refused:
        await provider.list_machines()

    assert refused.value.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("call", "status", "outcome"),
    [
        ("stop", "EXITED", None),
        ("stop", "RUNNING", e.Transient),
        ("stop", "STARTING", e.Transient),
        ("stop", "DEAD", e.Transient),
        ("stop", "ERROR", e.Rejected),
        ("stop", "TERMINATED", e.NotFound),
        ("resume", "RUNNING", None),
        ("resume", "STARTING", None),
        ("resume", "PROVISIONING", None),
        ("resume", "EXITED", e.Transient),
        ("resume", "ERROR", e.Transient),
        ("release", "TERMINATED", None),
        ("release", "RUNNING", e.Rejected),
    ],
)
async def test_after_a_409_the_pod_is_looked_at_and_only_its_state_decides(
    call: str, status: str, outcome: type[ProviderError] | None
) -> None:
    conflict, seen = problem(409, "action not valid for current pod status"), json_answer(200, pod(status=status))
    before = [json_answer(200, pod(status="EXITED"))] if call == "resume" else []
    provider, script = scripted(*before, conflict, seen)

    if outcome is None:
        await getattr(provider, call)("pod1")
    else:
        with pytest.raises(outcome):
            await getattr(provider, call)("pod1")

    assert script.lines[-1] == "GET /v2/pods/pod1"


async def test_a_refusal_repeats_neither_the_key_nor_what_is_in_the_environment() -> None:
    secrets = {"TOKEN": "hf_0123456789", "PEM": '-----BEGIN KEY-----\nab"cd\n-----END KEY-----'}
    said = f"bad request {KEY}: {json_answer(400, secrets).text} " + " ".join(secrets.values())
    for answer in (
        problem(422, "invalid", said),
        json_answer(500, {"error": said}),
        Answer(status=400, body=said.encode()),
    ):
        provider, _ = scripted(answer)

        with pytest.raises(ProviderError) as refused:
            await provider.rent(offer(), replace(MACHINE, env=secrets), label="x")

        text = str(refused.value)
        assert "***" in text
        assert not any(secret in text for secret in (KEY, "hf_0123456789", "ab"))


async def test_a_secret_that_lies_across_the_end_of_a_long_message_is_hidden_whole() -> None:
    provider, _ = scripted(problem(401, "x" * 290 + KEY))

    with pytest.raises(e.AuthFailed) as refused:
        await provider.list_machines()

    assert KEY[:6] not in str(refused.value)
