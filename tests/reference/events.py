"""The page of the events: kinds of the journal, and lines of the log."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from autoscaler.config.hints import member_docs
from autoscaler.core.journal import Kind
from autoscaler.runtime.concerns import Name
from tests.reference.markdown import code, table

_CODE = Path(__file__).parents[2]
_PACKAGES = ("autoscaler", "providers", "policies")
_LEVELS = frozenset({"debug", "info", "warning", "error", "exception"})

LOG_EVENTS: Mapping[str, str] = {
    "events_failed": "Open pages could not be told what is new, for a reason of ours; it is tried again.",
    "hook_heard": "A vendor's webhook tells of machines, so they are looked at.",
    "http_refused": "A request had a wrong token, or a Host header that is not ours; `unlogged` more went before.",
    "listener_failed": "What only looks on (metrics, notifications …) has failed; it is told of once, and ticks go on.",
    "notify_failed": "A message could not be sent, and why; it is tried again.",
    "notify_given_up": "A message is tried no more, and why.",
    "notify_sent": "A message was sent after all.",
    "reload": "A line of what a reload changed, or that it changed nothing.",
    "reload_failed": "A reload could not be made, for a reason of ours; what was in force goes on.",
    "reload_refused": "The file has a problem, so it was not taken: a line for each.",
    "request_failed": "A request was answered with 500, for a reason of ours.",
    "signal_back": "A queue or a provider's list can be read again, after `lost_for_s`.",
    "signal_lost": "A queue or a provider's list cannot be read; told again ever more seldom.",
    "tick_failed": "Nothing was done, and why; told again ever more seldom.",
    "tick_recovered": "Ticks are made again, after `failed_for_s`.",
}
"""What each line means that is no entry of the journal."""

_HEAD = """\
# Events

## The journal

What `autoscaler why`, `GET /api/v1/journal`, the dashboard and the log show: each entry has the time `at`, its `kind`,
a `text` for people, and where they say more `pool`, `instance`, `action`, `result`, `hot`, `warm`, `why`, `why_not`.
It is kept in Redis, in a stream of bounded length. In the log each entry is an event of its kind.

"""
_LOG = """
## The log

Beside the journal's entries the daemon logs:

"""
_CONCERNS = """
## Concerns

What needs a person, as the dashboard, `autoscaler status` and notifications have it. Each is a section of
[the runbook](../runbook.md), and the name of an alert for Prometheus.

"""


def page() -> str:
    """The whole page."""
    kinds = [(code(kind), text) for kind, text in member_docs(Kind).items()]
    logged = [(code(name), text) for name, text in sorted(LOG_EVENTS.items())]
    named = [(code(name), text) for name, text in member_docs(Name).items()]
    return (
        _HEAD
        + table(("kind", "what it tells of"), kinds)
        + _LOG
        + table(("event", "what it means"), logged)
        + _CONCERNS
        + table(("concern", "when"), named)
    )


def logged() -> set[str]:
    """The names of all events that the code logs by themselves, beside the journal's entries."""
    files = (file for package in _PACKAGES for file in (_CODE / package).rglob("*.py"))
    return {name for file in files for name in _logged(ast.parse(file.read_text(encoding="utf-8")))}


def _logged(tree: ast.AST) -> Iterator[str]:
    """First words of calls such as `log.warning("http_refused", …)` and `self._write(INFO, "signal_back", …)`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        words = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if words and words[0].isidentifier() and (_is_log(node.func) or node.func.attr == "_write"):
            yield words[0]


def _is_log(call: ast.Attribute) -> bool:
    return call.attr in _LEVELS and any(name in ast.unparse(call.value) for name in ("log", "LOG"))
