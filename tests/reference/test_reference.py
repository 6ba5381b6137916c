"""The reference says what the code says, of everything and of nothing else."""

from __future__ import annotations

import re

import pytest

from autoscaler.config import json_schema
from autoscaler.config.hints import member_docs
from autoscaler.core.journal import Kind
from autoscaler.runtime.concerns import Name
from tests.reference.events import LOG_EVENTS, logged
from tests.reference.pages import FOLDER, pages

PAGES = pages()


def test_there_is_no_other_page() -> None:
    assert {page.name for page in FOLDER.iterdir()} == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_the_code_has_it(name: str) -> None:
    stored = (FOLDER / name).read_text(encoding="utf-8")
    assert stored == PAGES[name], "run `python -m tests.reference`"


def test_every_key_of_a_configuration_is_there_and_says_what_it_does() -> None:
    schema = json_schema()
    keys = {key for found in (schema, *schema["$defs"].values()) for key in found.get("properties", {})}
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", PAGES["configuration.md"], re.MULTILINE)

    assert {key for key, _ in rows} == keys
    assert [key for key, text in rows if not text] == []


def test_every_metric_says_what_it_tells() -> None:
    rows = re.findall(r"^\| `(autoscaler_\w+)` \| \w+ \| .*\| (.*) \|$", PAGES["metrics.md"], re.MULTILINE)

    assert len(rows) > 40
    assert [name for name, text in rows if not text.endswith(".")] == []


def test_every_event_that_is_logged_is_explained_and_no_other() -> None:
    assert logged() == set(LOG_EVENTS)


@pytest.mark.parametrize("words", [Kind, Name])
def test_every_word_of_the_journal_and_of_concerns_is_explained(words: type[Kind] | type[Name]) -> None:
    assert member_docs(words).keys() == {*words}
