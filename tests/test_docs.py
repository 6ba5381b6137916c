"""Each command in README and the pages is one that there is, with the options it has; an example can be typed."""

from __future__ import annotations

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
