"""The example provider keeps the contract, over its cloud as a server in the same process."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from acme_cloud.adapter import KIND, AcmeSettings

from autoscaler.core.errors import AuthFailed, RateLimited, Rejected, UnclearOutcome
from autoscaler.core.market import Status
from autoscaler.core.units import Secret
from autoscaler.emulate.loopback import Loopback
from autoscaler.runtime.entropy import seeded
from providers.base import Provider
from providers.conformance import Advance, ProviderConformance
from providers.http import Answer, Http, Request, Service, json_answer
from providers.mock import Fault, MockSettings, Operation, Step
from providers.pace import Paced
from tests.support.acme_cloud import KEY, AcmeCloud
from tests.support.market import CALM, MACHINE, ON_DEMAND

MARKET = replace(CALM, foreign=("somebody's notebook",), balance_usd=100.0)


class Means:
    """Time that a test moves, and the cloud in place of the network; waiting lets time go by."""

    def __init__(self, market: MockSettings = MARKET) -> None:
        self.time = 1_800_000_000.0
        self.cloud = AcmeCloud(market, self.now)

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def random(self, seed: int) -> random.Random:
        return seeded(seed)

    def http(self, service: Service) -> Http:
        return Paced(Loopback(self.cloud, service), service, self)


class Saying(Means):
    """A vendor that answers everything with the same."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def http(self, service: Service) -> Http:
        return self

    async def send(self, request: Request) -> Answer:
        return self.answer

    async def close(self) -> None:
        """Nothing is held open."""


def make(means: Means, key: str = KEY) -> Provider:
    return KIND.make("acme", AcmeSettings(api_key=Secret(key)), means)


class TestAcme(ProviderConformance):
    @pytest.fixture
    def means(self) -> Means:
        return Means()

    @pytest.fixture
    def provider(self, means: Means) -> Provider:
        return make(means)

    @pytest.fixture
    def advance(self, means: Means) -> Advance:
        return means.sleep


async def test_a_wrong_key_is_told_as_such() -> None:
    with pytest.raises(AuthFailed):
        await make(Means(), "another").list_machines()


async def test_a_rent_whose_answer_is_lost_is_unclear_and_found_by_its_label() -> None:
    means = Means(replace(MARKET, scenario=(Step(fault=Fault.ANSWER_LOST, call=Operation.RENT, nth=1),)))
    provider = make(means)
    [offer, *_] = await provider.list_offers(ON_DEMAND, MACHINE)
    with pytest.raises(UnclearOutcome):
        await provider.rent(offer, MACHINE, label="ours")
    assert "ours" in [remote.label for remote in (await provider.list_machines()).machines]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (json_answer(400, {"error": "no such image"}), Rejected),
        (Answer(status=500, body=b"<html>"), UnclearOutcome),
        (Answer(status=200), UnclearOutcome),
        (json_answer(200, None), UnclearOutcome),
        (json_answer(200, {"machines": [{"name": "a row without an id"}]}), UnclearOutcome),
        (json_answer(307, {"machines": None}), UnclearOutcome),
        (json_answer(429, {"retry_after": 9}), RateLimited),
    ],
)
async def test_what_is_no_listing_is_an_error(answer: Answer, error: type[Exception]) -> None:
    with pytest.raises(error):
        await make(Saying(answer)).list_machines()


async def test_a_state_that_is_new_is_unknown_and_its_machine_listed() -> None:
    row = {
        "id": "m1",
        "name": "x",
        "state": "migrating",
        "gpu": "RTX 4090",
        "site": "US",
        "host": "h",
        "spot": False,
        "gpu_cents_per_hour": 40,
        "disk_cents_per_hour": 2,
        "address": None,
    }
    [remote] = (await make(Saying(json_answer(200, {"machines": [row]}))).list_machines()).machines
    assert (remote.status, remote.detail, remote.burn_usd_per_hour) == (Status.UNKNOWN, "migrating", 0.42)
