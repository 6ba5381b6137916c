"""A configuration written out in full, every default filled in, no secret given away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
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


def written(value: Any, hint: Any = None, *, brief: bool = False) -> Any:
    """A setting as plain YAML data, the way a person would write it; `brief` leaves out what is at its default."""
    if isinstance(value, PolicyChoice):
        return {value.name: written(value.settings, brief=brief)}
    if isinstance(value, RedisSettings) and value == RedisSettings(url=value.url):
        return _scalar(value.url, str)
    if is_settings(value):
        told = fields(value) if not brief else [each for each in fields(value) if not _is_default(value, each)]
        hints = field_hints(type(value))
        return {each.name: _field(value, each.name, hints[each.name], brief=brief) for each in told}
    if isinstance(value, Mapping):
        return {str(written(key)): written(item, item_hint(hint), brief=brief) for key, item in value.items()}
    if isinstance(value, tuple):
        return [written(item, brief=brief) for item in value]
    return _scalar(value, hint)


def is_settings(value: object) -> bool:
    """Whether a value is a mapping of settings in the file."""
    return is_dataclass(value) and hasattr(value, "__pydantic_config__")


def item_hint(hint: Any) -> Any:
    """The type of a mapping's values, where its own type is known."""
    return get_args(bare(hint))[-1] if get_args(bare(hint)) else None


def _is_default(settings: object, each: Field[Any]) -> bool:
    """Whether a field need not be written. A `kind` always is: it tells what the others mean."""
    if each.name == "kind":
        return False
    default = each.default if each.default_factory is MISSING else each.default_factory()
    return bool(getattr(settings, each.name) == default)


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


def _field(settings: object, name: str, hint: Any, *, brief: bool) -> Any:
    return written(shown_value(settings, name), hint, brief=brief)


def shown_value(settings: object, name: str) -> Any:
    """The value of a field; the environment of a container as secrets, for it often holds some."""
    value = getattr(settings, name)
    if isinstance(settings, MachineSpec) and name == "env":
        return {key: Secret(text) for key, text in value.items()}
    return value
