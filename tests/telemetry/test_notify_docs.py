"""What docs/notifications.md gives to receivers accepts what is sent, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autoscaler.config.notify_checks import signing_key
from autoscaler.core.units import Secret
from autoscaler.telemetry.notify_ways import signed, webhook_body
from tests.support.news import message
from tests.support.reports import NOW

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def block(language: str, part: str) -> str:
    """The one block of a language that holds this."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if part in text]
    return str(found)


def accepted_by_python(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    names: dict[str, Any] = {}
    exec(block("python", "def is_ours"), names)
    return bool(names["is_ours"](secret, headers, body))


def accepted_by_node(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    given = json.dumps([secret, dict(headers), body.decode()])
    program = block("js", "function isOurs") + f"\nconsole.log(isOurs(...{given}));\n"
    ended = subprocess.run(
        ["node", "--input-type=module", "-"], input=program, capture_output=True, text=True, timeout=30, check=True
    )
    return ended.stdout == "true\n"


@pytest.mark.parametrize("accepted", [accepted_by_python, accepted_by_node])
def test_its_programs_accept_what_is_signed_and_refuse_what_is_not(accepted: Any) -> None:
    body, headers = signed(message(), signing_key(Secret(SECRET)), NOW)

    assert accepted(SECRET, headers, body)
    assert not accepted(OTHER, headers, body)
    assert not accepted(SECRET, headers, body + b" ")
    assert not accepted(SECRET, {**headers, "webhook-signature": "v1,"}, body)


def test_its_example_has_the_fields_that_are_sent() -> None:
    shown, sent = json.loads(block("json", "autoscaler.notification")), webhook_body(message())

    assert shown.keys() == sent.keys()
    assert shown["data"].keys() == sent["data"].keys()
    assert shown["data"]["news"][0].keys() == sent["data"]["news"][0].keys()
