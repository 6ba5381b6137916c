"""How Vast.ai says no."""

from __future__ import annotations

from typing import Any

from providers.http import Answer, json_answer

_HTML = {"content-type": "text/html"}
RETRY_AFTER_S = 30


class Refused(Exception):
    """A request ends with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


def refusal(status: int, error: str, msg: str, **more: Any) -> Refused:
    """The usual form of an error."""
    return Refused(json_answer(status, {"success": False, "error": error, "msg": msg, **more}))


def no_such_instance(instance_id: int) -> Refused:
    """There is none, or it is gone."""
    return refusal(404, "no_such_instance", f"Instance {instance_id} does not exist.")


def bad_request(msg: str) -> Refused:
    """The request itself is wrong."""
    return refusal(400, "invalid_args", msg)


def not_done(msg: str) -> Answer:
    """The refusals that come under 200."""
    return json_answer(200, {"success": False, "error": "not_done", "msg": msg})


def too_frequent(threshold_s: float) -> Answer:
    """A 429 as it usually is: plain text, and no word on when to come back."""
    text = f"API requests too frequent: endpoint threshold={threshold_s}"
    return Answer(status=429, headers={"content-type": "text/plain"}, body=text.encode())


def page(status: int, title: str) -> Answer:
    """What a proxy or a maintenance answers in the API's place."""
    text = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(status=status, headers=_HTML, body=text.encode())
