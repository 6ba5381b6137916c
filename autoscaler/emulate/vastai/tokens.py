"""Query parameters that hold JSON, and the opaque marks of where a page ended."""

from __future__ import annotations

import base64
import json
from typing import Any

from autoscaler.emulate.vastai.errors import refusal
from autoscaler.emulate.vastai.query import invalid


def parsed_json(text: str) -> Any:
    """A parameter that holds JSON.

    Raises:
        Refused: it does not.
    """
    try:
        return json.loads(text)
    except ValueError:
        raise invalid(f"{text!r} is not valid JSON") from None


def cut(position: int, **more: Any) -> str:
    """The mark of a page's end."""
    return base64.b64encode(json.dumps({"values": {"position": position, **more}}).encode()).decode()


def read(token: str | None) -> dict[str, Any]:
    """What a mark says; it stands at 0 where there is none.

    Raises:
        Refused: it was not made here.
    """
    if not token:
        return {"position": 0}
    try:
        values: dict[str, Any] = json.loads(base64.b64decode(token, validate=True))["values"]
        values["position"] = int(values["position"])
    except (ValueError, KeyError, TypeError):
        raise refusal(400, "invalid_token", "Invalid pagination token") from None
    return values


def position(token: str | None) -> int:
    """How many rows came before."""
    found: int = read(token)["position"]
    return found
