"""Randomness and ids: the only place they come from."""

from __future__ import annotations

import random

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # no letter or digit that reads like another


class Entropy:
    """Tokens for new machines: from the system, or the same ones again for the same seed."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311

    def token(self) -> str:
        """Ten letters and digits; 31^10 of them make a repetition as good as impossible."""
        return "".join(self._random.choices(_ALPHABET, k=10))

    def between(self, low: float, high: float) -> float:
        """A number between two, each as likely."""
        return self._random.uniform(low, high)


def seeded(seed: int) -> random.Random:
    """A generator whose draws are the same for the same seed."""
    return random.Random(seed)  # noqa: S311 - simulation, not security
