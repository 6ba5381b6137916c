"""A configuration as commented YAML, for the queues that were found in a Redis."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import yaml

from autoscaler.config.hints import field_hints
from autoscaler.config.show import exact_duration, written
from autoscaler.core.units import plain_number
from autoscaler.discover import Recognised
from autoscaler.link.address import parse_address
from providers.installed import provider_kinds

REDIS_VARIABLE = "REDIS_URL"
_VARIABLES = {"vastai": "VAST"}
"""What vendors' own tools call their variables, where that is not the name of the kind."""
_WIDTH = 100
_Said = Callable[[str, str], str]
"""Writes a line, with or without what there is to say of it."""
_TARGETS_S = (30.0, 120.0, 300.0)
"""The wait targets of several tiers, most urgent first; the last one's for all that follow."""
_ONLY_TARGET_S = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A pool that is to be written."""

    name: str
    queue: Any
    """Its queue's settings."""
    notes: tuple[str, ...] = ()
    """What was guessed of it."""
    image: str = "ghcr.io/acme/worker:latest"
    gpus: tuple[str, ...] = ("RTX 4090", "RTX 3090")
    provider: str = "mock"
    usd_per_hour: float = 0.9
    """The most to pay for one machine."""
    usd_per_day: float = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """All that is to be written."""

    name: str = "gpus"
    redis: str
    """A URL, or a reference to the variable that holds it."""
    pools: tuple[Draft, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that must be set before the configuration can be read."""
        named = [REDIS_VARIABLE] if self.redis == f"${{{REDIS_VARIABLE}}}" else []
        return (*named, *(name for kind in self.providers for name in _required(kind).values()))

    @property
    def providers(self) -> tuple[str, ...]:
        """The kinds of provider that pools name."""
        return tuple(dict.fromkeys(pool.provider for pool in self.pools))


def first_draft(queue: Recognised) -> Draft:
    """A pool for a queue that was found, as far as nobody has said more of it."""
    tiers = queue.found.settings.tiers
    last = len(_TARGETS_S) - 1
    targets = (_TARGETS_S[min(at, last)] for at in range(len(tiers))) if len(tiers) > 1 else (_ONLY_TARGET_S,)
    timed = tuple(replace(tier, wait_target=target) for tier, target in zip(tiers, targets, strict=True))
    return Draft(name=queue.name, queue=replace(queue.found.settings, tiers=timed), notes=queue.found.notes)


def redis_reference(url: str) -> str:
    """A Redis' URL as it may stand in a file: one with a password is left to a variable.

    Raises:
        ValueError: it is no such URL.
    """
    secret = parse_address(url).options.get("password")
    return f"${{{REDIS_VARIABLE}}}" if secret else url.replace("$", "$$")


def as_yaml(fleet: Fleet) -> str:
    """The configuration. Secrets are references to variables, never values."""
    return "\n".join(_lines(fleet)) + "\n"


def save(text: str, file: Path) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    part = file.with_name(f".{file.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def _commented(line: str, comment: str) -> str:
    return f"{line}    # {comment}"


def _plain(line: str, _comment: str) -> str:
    return line


def _lines(fleet: Fleet) -> Iterator[str]:
    yield "# Written by `autoscaler init`. deploy/config.example.yaml explains every key, and those that are not here."
    yield ""
    yield _commented(f"fleet: {_inline(fleet.name)}", "every machine rented carries this name; one daemon a fleet")
    yield _commented(f"redis: {_inline(fleet.redis)}", "the queue, which is only read, and the daemon's own keys")
    yield ""
    yield "pools:"
    for said, pool in zip(chain([_commented], repeat(_plain)), fleet.pools, strict=False):
        yield from textwrap.indent("\n".join(_pool(pool, said)), "  ").splitlines()
    yield ""
    yield "providers:"
    for kind in fleet.providers:
        required = {name: f"${{{variable}}}" for name, variable in _required(kind).items()}
        yield f"  {kind}: {_inline(required)}" + ("    # a market that is made up: it rents nothing" * (kind == "mock"))


def _pool(pool: Draft, said: _Said) -> Iterator[str]:
    warn = pool.usd_per_day * 2 / 3
    yield f"{pool.name}:"
    for note in pool.notes:
        yield from textwrap.wrap(f"look at this: {note}", _WIDTH, initial_indent="  # ", subsequent_indent="  # ")
    yield "  queue:"
    yield from textwrap.indent("\n".join(_queue(pool.queue, said)), "    ").splitlines()
    yield "  machine:"
    yield said(f"    image: {_inline(pool.image)}", "with your worker in it")
    yield said(f"    gpus: {_inline(list(pool.gpus))}", "types that will do, best first")
    yield said("    slots: 1", "jobs that one machine works on at the same time")
    yield said("    ready: running", "better `heartbeat`, or an address that answers once the model is loaded")
    yield said("  placements:", "in order of preference")
    price = plain_number(pool.usd_per_hour)
    yield said(f"    - {{provider: {pool.provider}, max_usd_per_hour: {price}}}", "`buy: spot` is cheaper")
    yield "  limits:"
    yield said("    hot: 0..4", "running machines, fewest and most; with none, the next job waits for one to boot")
    yield said("    warm: 0..2", "stopped machines that are kept, for they are back within minutes")
    yield f"    usd_per_day: {{warn: {warn:.2f}, stop: {pool.usd_per_day:.2f}}}"


def _queue(queue: Any, said: _Said) -> Iterator[str]:
    """The settings that differ from their defaults; tiers last, most urgent first."""
    plain = _differing(queue)
    tiers = plain.pop("tiers")
    yield from (f"{name}: {_inline(value)}" for name, value in plain.items())
    yield said("tiers:", "most urgent first; wait_target is the longest a job should wait before it starts")
    yield from (f"  - {_inline(tier)}" for tier in tiers)


def _differing(settings: Any) -> dict[str, Any]:
    """Settings as plain data, without those that have their defaults; a tier always says its target."""
    result: dict[str, Any] = {}
    hints = field_hints(type(settings))
    for each in fields(settings):
        value = getattr(settings, each.name)
        default = each.default if each.default_factory is MISSING else each.default_factory()
        if each.name == "tiers":
            result["tiers"] = [{**_differing(tier), "wait_target": exact_duration(tier.wait_target)} for tier in value]
        elif value != default and each.name != "wait_target":
            result[each.name] = (
                _differing(value) if hasattr(value, "__pydantic_config__") else _exactly(value, hints[each.name])
            )
    return result


def _exactly(value: Any, hint: Any) -> Any:
    """A setting as plain data; of a text every character, where one that is only shown hides what may be a password."""
    if isinstance(value, tuple):
        return [_exactly(item, None) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else written(value, hint)


def _required(kind: str) -> dict[str, str]:
    """The settings that a provider cannot do without, and the variable for each."""
    settings = provider_kinds()[kind].settings
    missing = [each.name for each in fields(settings) if each.default is MISSING and each.default_factory is MISSING]
    prefix = _VARIABLES.get(kind, kind.upper().replace("-", "_"))
    return {name: f"{prefix}_{name.upper()}" for name in missing if name != "kind"}


class _OneLine(yaml.SafeDumper):
    """Writes each text on one line, also one that has several."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_OneLine.add_representer(str, _OneLine.represent_text)


def _inline(value: Any) -> str:
    """A value on one line, with nothing in it that an editor or a terminal would act upon."""
    texts = (
        yaml.dump(value, Dumper=_OneLine, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=as_it_is)
        for as_it_is in (True, False)
    )
    lines = [text.removesuffix("\n").removesuffix("\n...") for text in texts]
    return next((line for line in lines if line.isprintable()), lines[-1])
