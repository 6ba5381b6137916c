"""A whole daemon over each cloud, through all that cloud does to its customers: what is left at the end, what it cost.

Whatever goes wrong on a day, it breaks none of the rules of ``invariants``. That they can be broken is shown by the
clients of ``naive``.
"""

from __future__ import annotations

import pytest

from tests.clouds.days import OF, Calm, Case, broken_on

CASES = [pytest.param(kind, day, id=f"{kind}: {name}") for kind, days in OF.items() for name, day in days.items()]


@pytest.mark.parametrize(("kind", "case"), CASES)
async def test_nothing_is_left_and_nothing_was_billed_unknown(kind: str, case: Case, calm: Calm) -> None:
    assert not await broken_on(kind, case, calm)
