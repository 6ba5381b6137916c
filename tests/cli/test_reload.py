"""`autoscaler reload` says what is wrong before it asks a daemon, and what a daemon answered."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from autoscaler.cli import main
from tests.support.config import GOOD
from tests.support.redis_server import free_port


def reload(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["reload", *arguments])
    return done.exit_code, done.stderr


def test_without_a_token_nobody_is_asked() -> None:
    code, said = reload()

    assert code == 2
    assert said == "error: --token: missing; give the daemon's http.token, or the FILE that it stands in\n"


def test_a_bad_file_is_told_with_all_its_problems_before_anybody_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(GOOD.replace("tick: 10s", "tick: soon").replace("hot: 1..6", "hot: many"))

    code, said = reload(str(file))

    assert code == 2
    assert len(said.splitlines()) == 2


def test_where_no_daemon_answers_it_says_how_to_start_one(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(f"{GOOD}http: {{token: a-token-of-enough-length}}\n")

    code, said = reload(str(file), "--url", f"http://127.0.0.1:{free_port()}")

    assert code == 2
    assert "no daemon answers at" in said
    assert "a-token-of-enough-length" not in said
