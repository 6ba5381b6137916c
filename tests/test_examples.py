"""Each example of the pages that ends by itself is typed beside a running daemon; the tutorial is typed as a whole.

Left to others are those that stay: `run` and `emulate` (the tutorial), `agent` (tests/libraries), `--watch` (tests/cli)
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon_process import DaemonProcess, a_config, autoscaler, connect
from tests.support.real_time import until
from tests.support.redis_server import RedisServer
from tests.test_docs import PAGES, ROOT, examples, resolved

_STAY = frozenset({"run", "emulate", "agent"})
_ELSEWHERE = {  # and why
    "init": "it asks; tests/cli/test_init.py answers",
    "notify": "it sends; tests/drills/test_notify.py receives",
}
_ELSEWHERE_WITHOUT_A_FILE = {
    "plan": "alone it is for the Redis of `autoscaler run`; with a file it is typed here",
    "simulate": "two days in half a minute; tests/cli/test_simulate.py",
    "compare": "minutes of work on a trace that is not ours to ship; tests/cli/test_compare.py",
}
_FILES = frozenset({"FILE", "/etc/autoscaler/fleet.yaml"})
_TOKEN = "a-token-of-24-characters"


@dataclass(frozen=True)
class Site:
    """A directory as a reader has it, and a daemon that runs."""

    directory: Path
    daemon: DaemonProcess
    client: Any

    def typed(self, line: str) -> list[str]:
        """A line as it is typed here."""
        machine = self.daemon.records(self.client)[0].id
        words = [re.sub(r"\bnrnabfsz2e\b", machine, word) for word in shlex.split(line)]
        words = [self.daemon.url if re.fullmatch(r"http://[\w.]+:8080", word) else word for word in words]
        command, _ = resolved(words)
        takes = {option for param in command.params for option in param.opts}
        if "--url" in takes and not {"--url", "fleet.yaml"} & {*words}:
            words += ["--url", self.daemon.url]
        if command.name == "reload":
            words += ["--url", self.daemon.url, "--token", _TOKEN, "--yes"]
        return words


def there_are() -> list[str]:
    """Each once, however the pages comment on it and call the file."""
    pages = [page for page in PAGES if page.name != "tutorial.md" and "reference" not in page.parts]
    lines = [line for page in pages for line in examples(page.read_text(encoding="utf-8"))]
    here = [
        line for line in lines if line.split()[0] not in _STAY and "--watch" not in line and not _is_elsewhere(line)
    ]
    return list(dict.fromkeys(map(_plainly, here)))


def _plainly(line: str) -> str:
    words = shlex.split(line, comments=True)
    return shlex.join("fleet.yaml" if word in _FILES else word for word in words)


def _is_elsewhere(line: str) -> bool:
    command, *_ = line.split()
    return command in _ELSEWHERE or (command in _ELSEWHERE_WITHOUT_A_FILE and "fleet.yaml" not in line)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    (directory / "deploy").symlink_to(ROOT / "deploy")
    config = a_config(directory, redis_server.url)
    config["http"]["token"] = _TOKEN
    client = connect(redis_server.url)
    client.flushall()
    daemon = DaemonProcess(directory, config)
    daemon.start()
    try:
        until(lambda: daemon.records(client), "it rented a machine")
        yield Site(directory, daemon, client)
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


@pytest.mark.parametrize("line", there_are())
def test_an_example_does_what_it_says(site: Site, line: str) -> None:
    result = autoscaler(*site.typed(line), cwd=site.directory)

    assert result.returncode == 0, result.stderr
    assert result.stdout
    assert "Traceback" not in result.stderr


def test_nothing_is_left_out_without_a_word() -> None:
    assert len(there_are()) > 15
