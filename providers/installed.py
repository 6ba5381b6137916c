"""The kinds of provider that are installed: our own, and those that other packages bring.

A package brings one by an entry point in the group `gpu_autoscaler.providers`, whose object is a
:class:`providers.kind.ProviderKind`; CONTRIBUTING.md shows one whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from pydantic import TypeAdapter

from autoscaler.core.errors import SettingsError
from providers import mock, runpod, vastai
from providers.kind import ProviderKind

GROUP = "gpu_autoscaler.providers"
"""The entry-point group of providers from other packages."""

OWN = (mock.KIND, runpod.KIND, vastai.KIND)
"""The kinds that come with this program."""


@cache
def provider_kinds() -> Mapping[str, ProviderKind]:
    """Every kind by name, our own first.

    Raises:
        SettingsError: a package brings one that cannot be loaded, or whose name is taken.
    """
    found = {kind.name: kind for kind in OWN}
    problems = []
    for point in entry_points(group=GROUP):
        brought = f"the provider {point.name} of {point.dist.name if point.dist else point.value}"
        try:
            kind = _loaded(point)
            name = kind.name
        except Exception as error:  # noqa: BLE001 - whatever a foreign package does wrong is told, not traced
            first, *_ = str(error).splitlines() or [""]
            problems.append(f"{brought} cannot be loaded: {type(error).__name__}: {first}")
            continue
        if name in found:
            problems.append(f"{brought} calls itself {name}, which there is already; uninstall one of them")
        found.setdefault(name, kind)
    if problems:
        raise SettingsError(*problems)
    return MappingProxyType(found)


def _loaded(point: EntryPoint) -> ProviderKind:
    kind = point.load()
    if not isinstance(kind, ProviderKind):
        raise TypeError(f"expected a providers.kind.ProviderKind, and {point.value} is a {type(kind).__name__}")
    TypeAdapter(kind.settings)
    return kind
