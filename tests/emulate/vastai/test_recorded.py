"""Every request that the official client was seen to send has an endpoint here."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from providers.http import Request
from tests.emulate.vastai.desk import Desk
from tests.support.environments import require_specs


def recorded() -> list[dict[str, Any]]:
    lines = require_specs("vast-cli-1.9.1-observed-requests.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if "m" in row]


async def test_no_recorded_request_is_unknown() -> None:
    desk = Desk()
    unknown, rows = [], recorded()
    for row in rows:
        parts = urlsplit(row["path"])
        request = Request(
            method=row["m"],
            path=parts.path,
            query=dict(parse_qsl(parts.query)),
            headers={name.lower(): value for name, value in row["hdr"].items()},
            body=row["body"].encode(),
        )
        answer = await desk.emulator.handle(request)
        if answer.json().get("error") in {"unknown_path", "method_not_allowed", "invalid_request"}:
            unknown.append((row["m"], row["path"], answer.text))
    assert unknown == []
    assert len(rows) > 20
