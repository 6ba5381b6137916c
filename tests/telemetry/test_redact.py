"""Secrets are masked wherever they stand."""

from __future__ import annotations

import json
import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.units import Secret
from autoscaler.telemetry.redact import quiet_about, redact, redact_text

SECRETS = st.text(alphabet=string.ascii_letters + string.digits + "-_.~+:/@!$*", min_size=8).map(lambda s: f"s3cr3t{s}")
PROSE = st.text(max_size=30).filter(lambda s: "s3cr3t" not in s)
NAMES = st.sampled_from(["api_key", "VAST_API_KEY", "token", "Authorization-Token", "password", "clientSecret", "key"])


@given(PROSE, SECRETS, PROSE)
def test_the_password_of_a_url_never_shows(before: str, secret: str, after: str) -> None:
    for user in ("", "ann"):
        assert "s3cr3t" not in redact_text(f"{before} redis://{user}:{secret}@host:6379/0 {after}")


@given(PROSE, NAMES, SECRETS, PROSE)
def test_the_value_of_a_secret_name_never_shows_in_a_text(before: str, name: str, secret: str, after: str) -> None:
    for form in (
        f"?{name}={secret}&x=1",
        f'{{"{name}": "{secret}"}}',
        f"{{'{name}': '{secret}'}}",
        f"{name} = {secret}",
    ):
        assert "s3cr3t" not in redact_text(f"{before} {form} {after}"), form


@given(PROSE, SECRETS)
def test_a_bearer_token_never_shows(before: str, secret: str) -> None:
    assert "s3cr3t" not in redact_text(f"{before} Authorization: Bearer {secret}")


@given(
    st.recursive(
        st.dictionaries(NAMES, SECRETS, min_size=1),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=3),
    )
)
def test_the_value_of_a_secret_name_never_shows_at_any_depth(value: object) -> None:
    assert "s3cr3t" not in str(redact({"nested": value}))


@given(SECRETS)
def test_an_object_shows_as_its_redacted_text(secret: str) -> None:
    shown = redact({"error": ValueError(f"redis://:{secret}@host"), "held": Secret(secret)})
    assert "s3cr3t" not in str(shown)


@pytest.mark.parametrize(
    "text",
    [
        "images: 2 HOT wanted, 1 up: 35 jobs wait, more than 30, and no standby is left: rent",
        "no clear answer to the rent call (reset): looking for its token in the listing",
        "jobs:pro is the wrong kind of key: expected a list",
        "see https://example.org/docs?page=2#limits",
        "AuthFailed: the key was refused",
    ],
)
def test_prose_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


def test_a_url_keeps_what_is_no_secret() -> None:
    assert redact_text("redis://ann:hunter2@db.example:6379/0 is away") == "redis://***@db.example:6379/0 is away"


def test_numbers_flags_and_nothing_stay_what_they_are() -> None:
    assert redact({"a": 1, "b": 2.5, "c": True, "d": None}) == {"a": 1, "b": 2.5, "c": True, "d": None}


@given(PROSE, SECRETS, PROSE)
def test_a_known_secret_never_shows_however_it_is_written(before: str, secret: str, after: str) -> None:
    quiet = quiet_about([secret, "short"])
    for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""), secret[:9], f"{secret[:9]}…"):
        end = after if len(form) >= len(secret) else ""
        assert "s3cr3t" not in quiet(f"{before}{form}{end}"), form


def test_what_is_short_is_looked_for_by_its_name_alone() -> None:
    assert quiet_about(["in"])("a host in US; password=in") == "a host in US; password=***"
