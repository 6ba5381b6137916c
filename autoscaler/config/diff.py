"""What one configuration changes of another, line by line in the words of the file, no secret given away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from autoscaler.config.hints import field_hints
from autoscaler.config.schema import Config, PolicyChoice
from autoscaler.config.show import is_settings, item_hint, shown_value, written
from autoscaler.link import RedisSettings

_RESTART = "needs a restart of the daemon; machines stay as they are meanwhile"

_Parts = Mapping[str, tuple[Any, Any]]
"""Values by name, each with its type where that is known."""


def differences(before: Config, after: Config) -> list[str]:
    """Each setting that differs, in the order of the file: `pools.images.limits.hot: 1..4 → 1..6`.

    Placements, tiers and policies go by their names. What is masked is said to have changed, and not shown.
    """
    return list(_differences("", before, after, Config))


def needs_restart(before: Config, after: Config) -> list[str]:
    """One line for each change that no running daemon can follow: who it is, where its state lies, what it serves."""
    fixed = {
        "fleet": (before.fleet, after.fleet),
        "store" if before.store or after.store else "redis": (_store(before), _store(after)),
        "redis, embedded": (_embedded(before), _embedded(after)),
        "lease, at least three ticks": (f"{before.lease_s:g}s", f"{after.lease_s:g}s"),
        "spread": (before.spread, after.spread),
        "http.listen": (before.http.listen, after.http.listen),
    }
    return [f"{_change(path, old, new)} {_RESTART}" for path, (old, new) in fixed.items() if old != new]


def _store(config: Config) -> RedisSettings:
    return config.store or config.redis


def _embedded(config: Config) -> tuple[str, ...]:
    """Where the daemon itself serves a Redis."""
    used = [_store(config), *(pool.redis or config.redis for pool in config.pools.values())]
    return tuple(sorted({str(redis) for redis in used if redis.address().embedded}))


def _differences(path: str, old: Any, new: Any, hint: Any) -> Iterator[str]:
    was, now = _parts(old, hint), _parts(new, hint)
    if was is None or now is None or type(old) is not type(new):
        if old != new:
            yield _change(path, old, new, hint)
        return
    for name in was | now:
        where = f"{path}.{name}" if path else name
        if name not in now:
            yield f"{where}: removed"
        elif name not in was:
            yield f"{where}: added: {_text(*now[name])}"
        else:
            yield from _differences(where, was[name][0], *now[name])
    if isinstance(old, tuple) or path == "pools":  # who comes first is served, or rented from, first
        kept = [name for name in now if name in was]
        if kept != [name for name in was if name in now]:
            yield f"{path}: in another order: {', '.join(now)}"


def _parts(value: Any, hint: Any) -> dict[str, tuple[Any, Any]] | None:
    """What a value is made of, by name; None where it is one piece."""
    if is_settings(value):
        return {name: (shown_value(value, name), wanted) for name, wanted in field_hints(type(value)).items()}
    if isinstance(value, Mapping):
        return {str(written(key)): (item, item_hint(hint)) for key, item in value.items()}
    if isinstance(value, PolicyChoice):
        return _parts(value.settings, hint)
    if isinstance(value, tuple):
        named = {_name(item): (item, None) for item in value}
        return named if len(named) == len(value) and "" not in named else None
    return None


def _name(item: Any) -> str:
    """What an entry of a list is called; empty where it has no name."""
    if not is_settings(item) and not isinstance(item, PolicyChoice):
        return ""
    return str(getattr(item, "label", None) or getattr(item, "name", None) or "")


def _change(path: str, old: Any, new: Any, hint: Any = None) -> str:
    was, now = _text(old, hint), _text(new, hint)
    return f"{path}: changed, and not shown" if was == now else f"{path}: {was} → {now}"


def _text(value: Any, hint: Any = None) -> str:
    """A value on one line, without what is at its default."""
    if value is None:
        return "absent"
    plain = written(value, hint, brief=True)
    if isinstance(plain, str) and plain and plain.isprintable():
        return plain
    line: str = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf"))
    return line.removesuffix("\n").removesuffix("\n...")
