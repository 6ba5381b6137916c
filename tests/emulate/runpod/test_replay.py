"""What RunPod's SDKs were seen to send, word for word, is understood."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.emulate.runpod.desk import Desk
from tests.support.environments import require_specs

_REST = re.compile(r"^   (GET|POST|PATCH|DELETE) (/v2/\S+) Bearer \S+ [^|]*\| ?(.*)$", re.MULTILINE)
_GRAPH = re.compile(r"^   BODY keys \['query'\]\n(.*?)(?=^   POST|^=====|\Z)", re.MULTILINE | re.DOTALL)


async def test_every_recorded_rest_request_has_a_place_here() -> None:
    recorded = _REST.findall(require_specs("runpod-sdk-2.0.0rc2-observed.txt").read_text(encoding="utf-8"))
    assert len(recorded) > 20
    desk = Desk()
    for method, target, body in recorded:
        path, _, query = target.partition("?")
        fields = dict(pair.split("=") for pair in query.split("&")) if query else {}
        answer = await desk.ask(method, path, json.loads(body) if body else None, **fields)
        assert answer.status not in {405, 422}, (method, target, answer.text)
        assert "page not found" not in answer.text, (method, target)


async def test_every_recorded_query_is_understood_but_for_the_one_that_is_not_escaped() -> None:
    text = require_specs("runpod-sdk-1.12.0-observed.txt").read_text(encoding="utf-8")
    recorded = list(dict.fromkeys(_GRAPH.findall(text)))
    assert len(recorded) > 10
    desk = Desk()
    refused: list[tuple[str, Any]] = []
    for query in recorded:
        words = [error["message"] for error in (await desk.graph(query)).get("errors", [])]
        refused += [(query, word) for word in words if re.match("Syntax|Cannot|Unknown|Field|Expected|Variable", word)]
    ((query, word),) = refused
    assert 'he said "x"' in query
    assert word.startswith("Syntax Error")
