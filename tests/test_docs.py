"""Each command in README and the pages is one that there is, and an example can be typed; each link leads somewhere."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

import click
import pytest

from autoscaler.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy/README.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_EXAMPLE = re.compile(r"^(?:.*&& |\$ | *)(?:\.venv/bin/)?autoscaler (.+)$", re.MULTILINE)
_ELSE = re.compile(r" (?:\d?>|\||&&?) ")
"""What follows on the line is the shell's, or a command of somebody else."""
_INLINE = re.compile(r"`autoscaler ([^`]+)`")
_LINK = re.compile(r"\]\((?!\w+:)([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def found(pick: Callable[[str], Iterable[str]]) -> list[object]:
    """What is picked from each page."""
    return [
        pytest.param(line, id=f"{page.name}: {line[:60]}")
        for page in PAGES
        for line in dict.fromkeys(pick(page.read_text(encoding="utf-8")))
    ]


def examples(text: str) -> list[str]:
    """What a reader may type as it stands."""
    blocks = [block for language, block in _BLOCK.findall(text) if language in ("", "sh", "console")]
    return [_ELSE.split(line)[0] for block in blocks for line in _EXAMPLE.findall(block)]


def mentions(text: str) -> list[str]:
    """What is shown within a sentence, with capitals for what the reader fills in."""
    return _INLINE.findall(_BLOCK.sub("", text))


def links(text: str) -> list[str]:
    """What leads to another page or heading, not into the network."""
    return _LINK.findall(_BLOCK.sub("", text))


def anchors(text: str) -> set[str]:
    """What GitHub makes of each heading: no markup, small letters, dashes for blanks, a number where it comes again."""
    there: set[str] = set()
    for heading in _HEADING.findall(_BLOCK.sub("", text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w -]", "", shown).replace(" ", "-")
        there.add(next(each for n in itertools.count() if (each := f"{name}-{n}" if n else name) not in there))
    return there


def resolved(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command of a line, and the words after its name."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        with click.Context(command) as context:
            inner = command.get_command(context, words[0])
        assert inner is not None, f"there is no command {words[0]!r}"
        command, words = inner, words[1:]
    return command, words


@pytest.mark.parametrize("line", found(examples))
def test_an_example_can_be_typed_as_it_stands(line: str) -> None:
    ours, dashes, _ = line.partition(" -- ")  # what follows is a command of somebody else
    command, words = resolved(shlex.split(ours, comments=True) + (["--", "theirs"] if dashes else []))
    command.make_context(command.name, words)


@pytest.mark.parametrize("line", found(mentions))
def test_a_command_that_is_mentioned_has_the_options_it_is_mentioned_with(line: str) -> None:
    command, words = resolved([word for word in re.split(r"[\s\[\]|,]+", line) if word])
    there = {option for param in command.get_params(click.Context(command)) for option in param.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("-") and word != "--"} - there == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_file_and_a_heading_that_there_are(page: Path) -> None:
    lost = []
    for link in links(page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        there = page.parent / name if name else page
        if not there.exists() or (anchor and anchor not in anchors(there.read_text(encoding="utf-8"))):
            lost.append(link)
    assert lost == []


def test_a_heading_has_the_anchor_that_github_gives_it() -> None:
    text = "# A `key`: [its page](b.md)\n## What it is\n## What it is\n```\n# no heading\n```\n## GET /api/v1_x\n"
    assert anchors(text) == {"a-key-its-page", "what-it-is", "what-it-is-1", "get-apiv1_x"}
