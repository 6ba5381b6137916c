"""What a vendor may say in the place of anything, and what an adapter may give nevertheless."""

from __future__ import annotations

import math
from typing import Any

ODD: list[Any] = [None, True, 0, -1, 1e400, math.nan, 10**400, "", "x", "NONE", [], [None], [[]], {}, {"id": 7}]


def is_sound(value: Any) -> bool:
    """Whether all numbers in what an adapter gave are finite, and all else are texts."""
    if isinstance(value, list | tuple):
        return all(map(is_sound, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and is_sound([*value.values()])
    if hasattr(value, "__dataclass_fields__"):
        return is_sound([getattr(value, name) for name in value.__dataclass_fields__])
    return value is None or isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value))
