"""Mappings of settings whose key may stand for their `kind`, such as `vastai: {…}` or `slack: {…}`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pydantic import BeforeValidator


def kind_by_name(kinds: Callable[[], Collection[str]]) -> BeforeValidator:
    """An annotation that gives each entry whose key is itself a kind that kind."""

    def name_kinds(entries: object) -> object:
        if not isinstance(entries, Mapping):
            return entries
        return {
            name: {"kind": name, **(settings or {})}
            if name in kinds() and (settings is None or isinstance(settings, Mapping))
            else settings
            for name, settings in entries.items()
        }

    return BeforeValidator(name_kinds)
