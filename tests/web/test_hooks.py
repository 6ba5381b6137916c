"""A vendor's webhook is heard if the vendor signed it, now, once; and all that it can do is have machines looked at."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.config import Config
from autoscaler.core.units import Secret
from autoscaler.web.hooks import Hooks
from providers.vastai import VastSettings
from tests.support.reports import NOW
from tests.support.served import Daemon, a_config, served

SECRET = "a-secret-of-the-webhook"
EVENT = {
    "event_id": "7e9a2c4e",
    "user_id": 123,
    "notif_type": "outbid",
    "subject": "Outbid",
    "message": "<script>alert(1)</script>",
    "data": None,
    "data_truncated": False,
    "timestamp": NOW,
}


def signed(body: bytes, *, at: float = NOW, secret: str = SECRET) -> dict[str, str]:
    """The headers as the vendor's documents describe them."""
    stamp = str(int(at))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Vast-Timestamp": stamp, "X-Vast-Signature-256": f"sha256={digest}", "X-Vast-Event-Id": "7e9a2c4e"}


def with_secret(secret: str | None = SECRET) -> Config:
    vast = VastSettings(api_key=Secret("k"), webhook_secret=None if secret is None else Secret(secret))
    config = a_config()
    return replace(config, providers={**config.providers, "vastai": vast})


@dataclass
class Listening:
    daemon: Daemon
    registry: CollectorRegistry
    looked: list[str] = field(default_factory=list)

    async def post(self, body: bytes, headers: dict[str, str], provider: str = "vastai") -> int:
        answer, text = await self.daemon.ask(f"/hooks/{provider}", "POST", data=body, headers=headers)
        assert SECRET not in text
        return answer.status

    async def send(self, at: float = NOW, secret: str = SECRET, **changes: Any) -> int:
        body = json.dumps({**EVENT, **changes}).encode()
        return await self.post(body, signed(body, at=at, secret=secret))

    def counted(self, result: str) -> float:
        labels = {"provider": "vastai", "result": result}
        return self.registry.get_sample_value("autoscaler_hooks_total", labels) or 0.0


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    registry, looked = CollectorRegistry(), list[str]()
    made: list[Daemon] = []

    def now() -> float:
        return made[0].clock.time

    hooks = Hooks(lambda: made[0].config, looked.append, registry, now)
    async with served(with_secret(), hooks.route()) as daemon:
        made.append(daemon)
        yield Listening(daemon, registry, looked)


async def test_a_signed_notification_of_a_machine_has_its_provider_looked_at(listening: Listening) -> None:
    assert await listening.send() == 204
    assert listening.looked == ["vastai"]
    assert listening.counted("heard") == 1


async def test_it_needs_no_token_and_takes_none_for_a_signature(listening: Listening) -> None:
    body = json.dumps(EVENT).encode()
    token = listening.daemon.config.http.token
    assert token is not None

    assert await listening.post(body, {"Authorization": f"Bearer {token.reveal()}"}) == 401


async def test_what_is_delivered_again_is_taken_and_does_nothing(listening: Listening) -> None:
    assert [await listening.send() for _ in range(3)] == [204] * 3
    assert await listening.send(at=NOW + 60.0) == 204
    assert listening.looked == ["vastai"]
    assert listening.counted("repeated") == 3


@pytest.mark.parametrize("slug", ["low_credit", "payment_receipt", "webhook_test", "", None, 7])
async def test_what_is_not_about_machines_is_taken_and_does_nothing(listening: Listening, slug: object) -> None:
    assert await listening.send(notif_type=slug) == 204
    assert listening.looked == []
    assert listening.counted("ignored") == 1


@pytest.mark.parametrize("slug", ["outbid", "client:outbid", "instance_offline", "instance_stopped", "error_msgs"])
async def test_what_is_about_machines_is_known_by_its_slug(listening: Listening, slug: str) -> None:
    assert await listening.send(notif_type=slug) == 204
    assert listening.looked == ["vastai"]


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b"null", b"\xff\xfe", b'{"notif_type": {"a": 1}}', b"[" * 60_000]
)
async def test_a_body_without_sense_is_taken_if_it_is_signed_and_does_nothing(
    listening: Listening, body: bytes
) -> None:
    assert await listening.post(body, signed(body)) == 204
    assert listening.looked == []


@pytest.mark.parametrize(("at", "status"), [(-301, 401), (-300, 204), (300, 204), (301, 401)])
async def test_an_old_one_and_one_of_the_future_are_refused(listening: Listening, at: float, status: int) -> None:
    assert await listening.send(at=NOW + at) == status


@pytest.mark.parametrize(
    "changed",
    [
        {"X-Vast-Signature-256": ""},
        {"X-Vast-Signature-256": "sha256="},
        {"X-Vast-Signature-256": "sha256=" + "0" * 64},
        {"X-Vast-Signature-256": "sha256=é"},
        {"X-Vast-Timestamp": str(int(NOW) + 1)},
        {"X-Vast-Timestamp": ""},
        {"X-Vast-Timestamp": "soon"},
    ],
)
async def test_what_is_not_proved_is_refused_and_counted(listening: Listening, changed: dict[str, str]) -> None:
    body = json.dumps(EVENT).encode()

    assert await listening.post(body, signed(body) | changed) == 401
    assert listening.looked == []
    assert listening.counted("refused") == 1


async def test_a_signature_is_over_the_body_and_by_the_secret(listening: Listening) -> None:
    body = json.dumps(EVENT).encode()

    assert await listening.post(body + b" ", signed(body)) == 401
    assert await listening.send(secret="another-secret") == 401


@pytest.mark.parametrize("stamp", ["", "soon", "-1", "1e9", "١٢٣", "9" * 5000])
async def test_a_time_that_is_none_is_refused_even_if_it_is_signed(listening: Listening, stamp: str) -> None:
    digest = hmac.new(SECRET.encode(), f"{stamp}.{{}}".encode(), hashlib.sha256).hexdigest()

    assert await listening.post(b"{}", {"X-Vast-Timestamp": stamp, "X-Vast-Signature-256": f"sha256={digest}"}) == 401


async def test_a_provider_without_a_secret_or_without_webhooks_is_not_listened_to(listening: Listening) -> None:
    body = json.dumps(EVENT).encode()

    assert await listening.post(body, signed(body), "mock") == 404
    assert await listening.post(body, signed(body), "nobody") == 404
    listening.daemon.config = with_secret(None)
    assert await listening.send() == 404
    assert listening.looked == []


async def test_a_body_that_is_too_long_is_refused_before_it_is_read(listening: Listening) -> None:
    body = b"x" * 70_000

    assert await listening.post(body, signed(body)) == 413


async def test_what_is_remembered_is_bounded(listening: Listening) -> None:
    for number in range(1002):
        await listening.send(event_id=str(number))
    await listening.send(event_id="1001")
    await listening.send(event_id="0")

    assert listening.counted("repeated") == 1
