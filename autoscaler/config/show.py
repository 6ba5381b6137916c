"""A configuration written out in full, every default filled in, no secret given away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, get_args

import yaml

from autoscaler.config.hints import bare, field_hints
from autoscaler.config.schema import Config, PolicyChoice
from autoscaler.config.words import mask_password
from autoscaler.core.spec import MachineSpec
from autoscaler.core.units import DurationRange, Secret, Span, Written, parse_duration, plain_number
from autoscaler.link import RedisSettings
from autoscaler.queues.band import Band

_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def full_yaml(config: Config) -> str:
    """The whole configuration as YAML that reads back as the same, but for what is masked.

    Masked are secrets, passwords in URLs, and the environment of containers, which often holds both.
    """
    return yaml.safe_dump(written(config), sort_keys=False, width=120)


def written(value: Any, hint: Any = None) -> Any:
    """A setting as plain YAML data, the way a person would write it."""
    if isinstance(value, PolicyChoice):
        return {value.name: written(value.settings)}
    if isinstance(value, RedisSettings) and value == RedisSettings(url=value.url):
        return _scalar(value.url, str)
    if is_dataclass(value) and hasattr(value, "__pydantic_config__"):
        return {name: _field(value, name, wanted) for name, wanted in field_hints(type(value)).items()}
    if isinstance(value, Mapping):
        of_items = get_args(bare(hint))[-1] if get_args(bare(hint)) else None
        return {str(written(key)): written(item, of_items) for key, item in value.items()}
    if isinstance(value, tuple):
        return [written(item) for item in value]
    return _scalar(value, hint)


def _scalar(value: Any, hint: Any) -> Any:
    match value:
        case Span() | Secret() | Band():
            return str(value)
        case DurationRange(between=(_, *_)):
            return [exact_duration(seconds) for seconds in value.points]
        case DurationRange():
            return f"{exact_duration(value.low)}..{exact_duration(value.high)}"
        case str():
            return mask_password(str(value)).replace("$", "$$")
        case float() if _is_duration(hint):
            return exact_duration(value)
        case _:
            return value


def _is_duration(hint: Any) -> bool:
    return any(
        isinstance(note, Written) and note.parse is parse_duration
        for each in (hint, *get_args(hint))
        for note in getattr(each, "__metadata__", ())
    )


def exact_duration(seconds: float) -> str:
    """A duration in its largest whole unit, ``90s`` or ``24h``, that reads back as the very same number."""
    for unit, size in _UNITS:
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{plain_number(seconds)}s"


def _field(settings: object, name: str, hint: Any) -> Any:
    value = getattr(settings, name)
    if isinstance(settings, MachineSpec) and name == "env":
        return {key: str(Secret(text)) for key, text in value.items()}
    return written(value, hint)
