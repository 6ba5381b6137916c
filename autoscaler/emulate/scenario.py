"""The file of an emulation: its fields, or a plain list of what goes wrong in its market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from autoscaler.core.errors import SettingsError
from providers.mock import MockSettings
from providers.mock.read import read_yaml, validated

_ELSEWHERE = {
    "scenario_file": "write the steps below `market.scenario`",
    "state_file": "an emulator forgets everything when it ends",
}
"""Settings of the market that are its provider's, and what to do here."""


class Settings(Protocol):
    """What the emulations of all vendors have."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def market(self) -> MockSettings:
        """The market behind it."""
        ...

    @property
    def quirks(self) -> Sequence[str]:
        """What the vendor does besides."""
        ...


T = TypeVar("T", bound=Settings)


def read_emulation(wanted: type[T], path: Path | None) -> T:
    """The emulation that a file describes; what it leaves out is as without a file.

    Raises:
        SettingsError: every problem with its key, value and what was expected.
    """
    if path is None:
        return wanted()
    data = read_yaml(path)
    if data is None:
        return wanted()
    if isinstance(data, list):
        data = {"market": {"scenario": data}}
    read = validated(wanted, data, path, whole="emulation")
    given = data.get("market", {})
    if ignored := [f"{path}: market.{name}: {_ELSEWHERE[name]}" for name in given if name in _ELSEWHERE]:
        raise SettingsError(*ignored)
    market = replace(wanted().market, **{name: getattr(read.market, name) for name in given})
    return replace(read, market=market)
