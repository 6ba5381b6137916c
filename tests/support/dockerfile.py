"""deploy/Dockerfile as its instructions, and what an engine would be sent for it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
_HOME = "/opt/autoscaler"
"""Where the image has the program."""


def instructions() -> Iterator[tuple[str, str]]:
    """Each instruction of the Dockerfile and its words."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, words = line.partition(" ")
        yield name, words.strip()


def last(name: str) -> str:
    """The words of the last instruction of a name, which is the one that counts."""
    return [words for each, words in instructions() if each == name][-1]


def health_check(port: str, python: str = sys.executable) -> list[str]:
    """The container's own check, with a Python of this machine and that port."""
    _, *words = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    return [python, *(word.replace(":8080", f":{port}") for word in words)]


def build(directory: Path) -> Path:
    """Do the steps of the stage `build` one by one; gives where the program is then.

    Raises:
        subprocess.CalledProcessError: a step failed.
    """
    source, home = directory / "src", directory / _HOME.strip("/")
    source.mkdir()
    for name, words in list(instructions())[2:]:
        if name == "FROM":
            break
        if name == "COPY":
            *sources, target = words.split()
            for each in sources:
                _copy(ROOT / each, source / target / Path(each).name if target.endswith("/") else source / target)
        if name == "RUN":
            program, *arguments = (word.replace(_HOME, str(home)) for word in json.loads(words))
            command = [sys.executable if program == "python" else program, *arguments]
            subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    return home


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a directory, without what .dockerignore keeps back in it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)
