"""Whatever a vendor says comes in printable, short and without our secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest

from autoscaler.core.errors import PartialLaunch, ProviderError, RateLimited, Rejected, UnclearOutcome
from autoscaler.core.instance import parse_label
from autoscaler.core.market import Listing, Offer, Remote, Status
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.telemetry.redact import quiet_about
from providers.base import Capabilities, Provider
from providers.cleaned import Cleaned

KEY = "k3y-of-the-account"
TOKEN = 'hf_"0123456789'
HOSTILE = f"\x1b[2Jgone\n2026-01-01 all is well \u202e{KEY} {'x' * 1_000_000}"
MACHINE = MachineSpec(image="ghcr.io/acme/comfy:1.4", gpus=("RTX 4090",), env={"HF": TOKEN}, ready="running")
PLACEMENT = Placement(provider="odd", max_usd_per_hour=1.0)
REMOTE = Remote(
    provider_id="7", label="autoscaler.attic.images.abc", status=Status.RUNNING, gpu="RTX 4090", address="1.2.3.4:80"
)
OFFER = Offer(
    provider="odd",
    offer_id="9",
    gpu="RTX 4090",
    region="US",
    host="h1",
    buy="spot",
    usd_per_hour=0.3,
    disk_usd_per_hour=0.01,
)

Call = Callable[[Provider], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "list_machines": lambda provider: provider.list_machines(),
    "list_offers": lambda provider: provider.list_offers(PLACEMENT, MACHINE),
    "rent": lambda provider: provider.rent(OFFER, MACHINE, label="l"),
    "resume": lambda provider: provider.resume("7"),
    "stop": lambda provider: provider.stop("7"),
    "release": lambda provider: provider.release("7"),
    "set_bid": lambda provider: provider.set_bid("7", 0.3),
    "balance_usd": lambda provider: provider.balance_usd(),
    "billed_usd": lambda provider: provider.billed_usd("2026-11-21"),
}


class Odd:
    """A provider that answers every call with the same."""

    name = "odd"
    capabilities = Capabilities()

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        assert name in CALLS

        async def call(*_arguments: object, **_options: object) -> Any:
            if isinstance(self._answer, BaseException):
                raise self._answer
            return self._answer

        return call


def cleaned(answer: Any) -> Cleaned:
    provider: Any = Odd(answer)
    return Cleaned(provider, quiet_about([KEY, TOKEN]))


def texts(row: Remote | Offer) -> list[str]:
    return [value for each in fields(row) if isinstance(value := getattr(row, each.name), str)]


def assert_harmless(words: Sequence[str]) -> None:
    for text in words:
        assert text.isprintable()
        assert len(text) <= 300


async def test_every_text_of_a_machine_and_every_notice_is_harmless() -> None:
    names: dict[str, Any] = dict.fromkeys(
        ("provider_id", "label", "gpu", "region", "host", "address", "detail"), HOSTILE
    )
    listing = await cleaned(
        Listing(asked_at=1.0, machines=(Remote(status=Status.RUNNING, **names), REMOTE), notices=(HOSTILE,))
    ).list_machines()

    assert_harmless([*texts(listing.machines[0]), *listing.notices])
    assert KEY not in f"{listing.machines[0].detail} {listing.notices}"
    assert listing.machines[1] is REMOTE, "what was harmless is left alone"


async def test_every_text_of_an_offer_is_harmless() -> None:
    hostile = Offer(
        provider="odd",
        offer_id=HOSTILE,
        gpu=HOSTILE,
        region=HOSTILE,
        host=HOSTILE,
        buy="spot",
        usd_per_hour=0.3,
        disk_usd_per_hour=0.01,
    )
    first, second = await cleaned([hostile, OFFER]).list_offers(PLACEMENT, MACHINE)

    assert_harmless(texts(first))
    assert second is OFFER


@pytest.mark.parametrize("almost", ["\n{}", "{}\x00", "\N{ZERO WIDTH SPACE}{}", "{}\n", f"{{}}{' ' * 200}"])
async def test_what_almost_is_one_of_our_machines_does_not_become_it_by_being_cleaned(almost: str) -> None:
    strange = replace(REMOTE, provider_id=almost.format(REMOTE.provider_id), label=almost.format(REMOTE.label))
    [machine] = (await cleaned(Listing(asked_at=1.0, machines=(strange,))).list_machines()).machines

    assert machine.provider_id != REMOTE.provider_id
    assert parse_label(machine.label, "attic") is None


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_refusal_keeps_its_kind_and_loses_our_secrets(call: Call) -> None:
    for error in (Rejected(HOSTILE), RateLimited(f"Bearer {KEY}", retry_after_s=7.0), UnclearOutcome(f"{TOKEN!r}")):
        with pytest.raises(type(error)) as caught:
            await call(cleaned(error))
        assert_harmless([str(caught.value), *map(str, caught.value.args)])
        assert KEY not in str(caught.value)
        assert "0123456789" not in str(caught.value)
        assert getattr(caught.value, "retry_after_s", None) == getattr(error, "retry_after_s", None)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_what_no_adapter_should_let_through_is_unclear_and_as_quiet(call: Call) -> None:
    with pytest.raises(UnclearOutcome, match=r"^KeyError: ") as caught:
        await call(cleaned(KeyError(f"Authorization: Bearer {KEY}")))
    assert KEY not in str(caught.value)
    assert caught.value.__suppress_context__, "a traceback would tell of the first one"


async def test_machines_that_a_failed_rent_left_behind_are_still_told_of() -> None:
    with pytest.raises(PartialLaunch) as caught:
        await CALLS["rent"](cleaned(PartialLaunch(KEY, provider_ids=("7", "8"))))
    assert caught.value.provider_ids == ("7", "8")


async def test_giving_up_a_call_is_no_refusal() -> None:
    with pytest.raises(asyncio.CancelledError):
        await CALLS["stop"](cleaned(asyncio.CancelledError()))


@pytest.mark.parametrize("kept", [8, 12, len(KEY) - 1])
async def test_a_secret_that_was_cut_off_is_masked_as_well(kept: int) -> None:
    for end in ("", "…"):
        with pytest.raises(ProviderError) as caught:
            await CALLS["rent"](cleaned(Rejected(f"no such key: {KEY[:kept]}{end}")))
        assert KEY[:kept] not in str(caught.value)
