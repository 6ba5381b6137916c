"""Vast.ai's notification webhooks: what becomes of instances, signed as its own page on them says [docs]."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.market import Status
from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Secret
from autoscaler.emulate.base import Sent
from providers.mock import Market

_SLUGS = {
    Status.RUNNING: "instance_started",
    Status.STOPPED: "instance_stopped",
    Status.OFFLINE: "instance_offline",
    Status.FAILED: "error_msgs",
}
_OUTBID = "outbid"


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """Where notifications go."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    url: str
    """Such as http://127.0.0.1:8080/hooks/vastai."""
    secret: Secret
    """What they are signed with."""


class Notices:
    """Notices what has become of a market's machines since it looked last."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self._known: dict[str, Status] = {}
        self._count = 0

    def look(self, market: Market, now: float) -> list[Sent]:
        """A request for each change."""
        return [self._sent(slug, machine, now) for slug, machine in list(self._changes(market))]

    def _changes(self, market: Market) -> Iterator[tuple[str, str]]:
        before = self._known
        self._known = {name: machine.status for name, machine in market.machines.items()}
        for name, machine in market.machines.items():
            if name not in before:
                yield "instance_created", name
            elif machine.status is not before[name] and machine.status in _SLUGS:
                yield _OUTBID if machine.detail == _OUTBID else _SLUGS[machine.status], name
        for name in before.keys() - market.machines.keys():
            yield "instance_deleted", name

    def _sent(self, slug: str, instance: str, now: float) -> Sent:
        self._count += 1
        event = hashlib.md5(f"{now}/{self._count}".encode(), usedforsecurity=False).hexdigest()
        told = {
            "event_id": event,
            "user_id": 1,
            "notif_type": slug,
            "subject": slug.replace("_", " ").capitalize(),
            "message": f"Instance {instance}: {slug}",
            "data": {"instance_id": int(instance)},
            "data_truncated": False,
            "timestamp": now,
        }
        body, stamp = json.dumps(told).encode(), str(int(now))
        key = self._webhook.secret.reveal().encode()
        signature = hmac.new(key, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Vast-Event-Id": event,
            "X-Vast-Delivery-Attempt": "1",
            "X-Vast-Timestamp": stamp,
            "X-Vast-Signature-256": f"sha256={signature}",
        }
        return Sent(url=self._webhook.url, headers=headers, body=body)
