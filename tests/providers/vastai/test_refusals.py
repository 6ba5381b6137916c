"""What each answer of Vast.ai raises, line by line: create, start, stop, destroy, bid, and reads."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from autoscaler.core.errors import (
    AuthFailed,
    InsufficientFunds,
    NoCapacity,
    NotFound,
    PartialLaunch,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
    UnclearOutcome,
)
from autoscaler.core.market import Offer
from providers.http import Answer, json_answer
from tests.support.vast import KEY, MACHINE, ON_DEMAND, TOKEN, Account, instance_row

OFFER = Offer(
    provider="vastai",
    offer_id="41207733",
    gpu="RTX 4090",
    region="US",
    host="51877",
    buy="on_demand",
    usd_per_hour=0.328,
    disk_usd_per_hour=0.008,
)
HTML = b"<html><h1>Bad Gateway</h1></html>"


def said(status: int, error: str, msg: str = "", **more: object) -> Answer:
    return json_answer(status, {"success": False, "error": error, "msg": msg, **more})


def text(status: int, body: bytes = b"") -> Answer:
    return Answer(status=status, body=body)


async def raised(call: Awaitable[object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await call
    return caught.value


# --- create -----------------------------------------------------------------------------------------------------------

FLOOR = said(400, "invalid_price", "error 400/3510: the bid is below the machine's floor", new_contract=50911234)

CREATES: list[tuple[Answer, type[ProviderError]]] = [
    (said(400, "invalid_args", "error 400/3467: Invalid args: 'id' is required"), Rejected),
    (said(400, "invalid_price"), Rejected),
    (said(400, "invalid_args", "error 400/3603: no_such_ask 41207733"), NoCapacity),
    (said(404, "invalid_args", "error 404/3603: no_such_ask Instance type by id 1 is not available."), NoCapacity),
    (said(410, "no_such_ask", "error 410/3907: no_such_ask Instance type 1 is no longer available."), NoCapacity),
    (text(410, b"Instance type 1 is No Longer Available"), NoCapacity),
    (json_answer(200, {"success": False, "msg": "no_such_ask"}), NoCapacity),
    (text(401), AuthFailed),
    (said(401, "auth_error"), AuthFailed),
    (said(403, "invalid_args", "error 403/3586: Offer 1 is not your own."), AuthFailed),
    (said(404, "auth_error", "Invalid user key"), AuthFailed),
    (said(400, "insufficient_credit", "Your balance is too low"), InsufficientFunds),
    (said(402, "payment", "insufficient_credit"), InsufficientFunds),
    (json_answer(200, {"success": False, "error": "insufficient_credit"}), InsufficientFunds),
    (said(400, "spend_rate_limit", "new accounts may spend so much"), InsufficientFunds),
    (said(429, "spend_rate_limit", "new accounts may spend so much"), InsufficientFunds),
    (text(429, b"API requests too frequent endpoint threshold=4.5"), RateLimited),
    (json_answer(429, {"detail": "API requests too frequent"}), RateLimited),
    (FLOOR, PartialLaunch),
    (json_answer(200, {"success": False, "error": "account_suspended", "new_contract": 50911234}), PartialLaunch),
    (json_answer(500, {"success": False, "new_contract": "50911234"}), PartialLaunch),
    (json_answer(400, {"detail": {"new_contract": 50911234}}), PartialLaunch),
    (said(400, "invalid_price", json.dumps({"ask_id": 7, "new_contract": 50911234})), PartialLaunch),
    (text(500, b"Error: {'ask_id': 7, 'new_contract': 50911234}"), PartialLaunch),
    (said(400, "invalid_price", new_contract=None, ask_id=7), Rejected),
    (json_answer(200, {"success": False, "error": "account_suspended"}), UnclearOutcome),
    (json_answer(200, {"success": True}), UnclearOutcome),
    (json_answer(200, {"success": True, "new_contract": None}), UnclearOutcome),
    (json_answer(200, []), UnclearOutcome),
    (text(200), UnclearOutcome),
    (text(200, HTML), UnclearOutcome),
    (text(400), UnclearOutcome),
    (text(404, HTML), UnclearOutcome),
    (json_answer(400, {}), UnclearOutcome),
    (json_answer(400, "no"), UnclearOutcome),
    (text(308), UnclearOutcome),
    (text(500), UnclearOutcome),
    (said(500, "internal"), UnclearOutcome),
    (text(502, HTML), UnclearOutcome),
    (text(503, b"Service Temporarily Unavailable"), UnclearOutcome),
    (text(504, HTML), UnclearOutcome),
]


@pytest.mark.parametrize(("answer", "error"), CREATES)
async def test_a_create_raises(answer: Answer, error: type[ProviderError]) -> None:
    account = Account(create=answer)
    assert type(await raised(account.provider.rent(OFFER, MACHINE, label="ours"))) is error
    assert len(account.asked) == 1, "it was sent again"


async def test_a_create_that_failed_and_made_a_machine_names_it() -> None:
    error = await raised(Account(create=FLOOR).provider.rent(OFFER, MACHINE, label="ours"))
    assert isinstance(error, PartialLaunch)
    assert error.provider_ids == ("50911234",)


@pytest.mark.parametrize("body", [{"success": True, "new_contract": 50911234}, {"new_contract": "50911234"}])
async def test_a_create_gives_the_id_of_the_contract(body: dict[str, object]) -> None:
    account = Account(create=json_answer(200, body | {"instance_api_key": "s3cret"}))
    assert await account.provider.rent(OFFER, MACHINE, label="ours") == "50911234"


# --- orders about a machine that there is -----------------------------------------------------------------------------

QUEUED = "Required resources are currently unavailable, state change queued."

ORDERS: list[tuple[Answer, type[ProviderError]]] = [
    (said(404, "no_such_instance", "Instance 7 does not exist."), NotFound),
    (said(404, "not_found", "Instance not found"), NotFound),
    (text(404), NotFound),
    (json_answer(200, {"success": False, "error": "no_such_instance"}), NotFound),
    (said(400, "invalid_args", "invalid instance_id"), Rejected),
    (said(400, "missing_billing"), InsufficientFunds),
    (said(400, "insufficient_credit"), InsufficientFunds),
    (said(401, "auth_error"), AuthFailed),
    (text(403, b"Forbidden"), AuthFailed),
    (said(404, "auth_error", "Invalid user key"), AuthFailed),
    (text(429, b"API requests too frequent"), RateLimited),
    (said(429, "rate_limit_exceeded", "API requests too frequent endpoint threshold=3.0"), RateLimited),
    (text(200), UnclearOutcome),
    (text(200, HTML), UnclearOutcome),
    (text(400), UnclearOutcome),
    (text(500), UnclearOutcome),
    (said(503, "unavailable", QUEUED), UnclearOutcome),
]
Order = Callable[[Account], Awaitable[object]]
CALLS: dict[str, tuple[str, Order]] = {
    "resume": ("state", lambda account: account.provider.resume("7")),
    "stop": ("state", lambda account: account.provider.stop("7")),
    "release": ("destroy", lambda account: account.provider.release("7")),
    "set_bid": ("bid", lambda account: account.provider.set_bid("7", 0.3)),
}
CREATING: dict[str, tuple[str, Order]] = {
    "rent": ("create", lambda account: account.provider.rent(OFFER, MACHINE, label="ours")),
}
SPOT_MACHINE = json_answer(200, {"instances": instance_row(is_bid=True)})


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("answer", "error"), ORDERS)
async def test_an_order_raises(name: str, answer: Answer, error: type[ProviderError]) -> None:
    endpoint, call = CALLS[name]
    account = Account(**{endpoint: answer, "show": SPOT_MACHINE})
    if name == "release" and error is NotFound:
        await call(account)  # what is gone need not be given back
        return
    assert type(await raised(call(account))) is error


@pytest.mark.parametrize("name", CALLS)
async def test_an_order_that_is_accepted_raises_nothing(name: str) -> None:
    endpoint, call = CALLS[name]
    await call(Account(**{endpoint: json_answer(200, {"success": True}), "show": SPOT_MACHINE}))


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(200, {"success": False, "msg": QUEUED}),
        said(400, "not_done", QUEUED),
        said(410, "resources_unavailable"),
        said(400, "no_gpu", "The GPU is no longer available"),
    ],
)
async def test_a_refused_start_for_want_of_the_gpu_may_be_queued(answer: Answer) -> None:
    assert type(await raised(Account(state=answer).provider.resume("7"))) is NoCapacity
    assert type(await raised(Account(state=answer).provider.stop("7"))) is not NoCapacity


@pytest.mark.parametrize("name", CALLS)
async def test_a_no_under_200_may_be_a_yes_later_save_for_a_start_that_may_be_queued(name: str) -> None:
    endpoint, call = CALLS[name]
    busy = json_answer(200, {"success": False, "msg": "Instance is busy, try again later."})
    error = await raised(call(Account(**{endpoint: busy, "show": SPOT_MACHINE})))
    assert type(error) is (Rejected if name == "resume" else Transient)


# --- reads ------------------------------------------------------------------------------------------------------------

READS: list[tuple[Answer, type[ProviderError]]] = [
    (said(400, "invalid_request", "xyz is not a valid search key"), Rejected),
    (said(401, "auth_error"), AuthFailed),
    (text(403), AuthFailed),
    (said(404, "auth_error", "Invalid user key"), AuthFailed),
    (text(429, b"API requests too frequent"), RateLimited),
    (text(500), Transient),
    (text(502, HTML), Transient),
    (text(503, b"Service Temporarily Unavailable"), Transient),
    (text(200), Transient),
    (text(200, HTML), Transient),
    (json_answer(200, []), Transient),
    (json_answer(200, {"success": False, "error": "internal"}), Transient),
    (text(308), Rejected),
]
READING: dict[str, tuple[str, Order]] = {
    "list_machines": ("list", lambda account: account.provider.list_machines()),
    "list_offers": ("search", lambda account: account.provider.list_offers(ON_DEMAND, MACHINE)),
    "balance_usd": ("user", lambda account: account.provider.balance_usd()),
    "billed_usd": ("charges", lambda account: account.provider.billed_usd("2027-01-15")),
}


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize(("answer", "error"), READS)
async def test_a_read_raises(name: str, answer: Answer, error: type[ProviderError]) -> None:
    endpoint, call = READING[name]
    assert type(await raised(call(Account(**{endpoint: answer})))) is error


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        (text(429, b"API requests too frequent endpoint threshold=4.5"), None),
        (json_answer(429, {"detail": "API requests too frequent"}), None),
        (json_answer(429, None, retry_after="12"), 12.0),
        (json_answer(429, {"error": "rate_limit_exceeded", "retry_after": 7}), 7.0),
    ],
)
async def test_a_429_says_when_to_come_back_in_any_of_its_forms(answer: Answer, wait_s: float | None) -> None:
    error = await raised(Account(list=answer).provider.list_machines())
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == wait_s


async def test_codes_in_what_is_no_refusal_mean_nothing() -> None:
    row = instance_row(label="insufficient_credit no_such_ask", status_msg="Invalid user key")
    answer = json_answer(200, {"total_instances": 1, "next_token": None, "instances": [row]})
    assert (await Account(list=answer).listed()).label == "insufficient_credit no_such_ask"


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [KEY, TOKEN])
@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
async def test_no_message_carries_a_secret_that_the_vendor_repeats(status: int, secret: str) -> None:
    told = [said(status, "odd", f"Bearer {secret} is\nno good"), text(status, f"<p>{secret}</p>".encode())]
    errors: list[ProviderError] = []
    for answer in told:
        answers = dict.fromkeys(("create", "state", "destroy", "bid", "list", "search", "user", "charges"), answer)
        account = Account(**answers, show=SPOT_MACHINE)
        for _, call in (CREATING | CALLS | READING).values():
            try:
                await call(account)
            except ProviderError as error:
                errors.append(error)
    assert errors
    for each in errors:
        assert secret not in f"{each} {each!r} {each.__cause__!r} {each.__context__!r}"
        assert "\n" not in str(each)


async def test_no_machine_carries_a_secret_that_the_vendor_repeats() -> None:
    row = instance_row(status_msg=f"docker login -u bob -p {TOKEN} ghcr.io failed for {KEY}")
    listed = json_answer(200, {"total_instances": 1, "next_token": None, "instances": [row]})
    remote = await Account(list=listed).listed()
    assert KEY not in repr(remote)
    assert TOKEN not in repr(remote)


async def test_no_request_carries_the_key_which_the_line_adds() -> None:
    account = Account(**dict.fromkeys(("create", "state", "destroy", "list", "user"), text(500)))
    for name in ("rent", "list_machines", "stop"):
        _, call = (CREATING | CALLS | READING)[name]
        await raised(call(account))
    assert KEY not in repr(account.asked)
