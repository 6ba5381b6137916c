"""A client that lacks one rule is caught by a day that ours lives through."""

from __future__ import annotations

import pytest

from tests.clouds.days import OF as DAYS
from tests.clouds.days import Calm, broken_on
from tests.clouds.naive import OF, Client
from tests.clouds.pathologies import PATHOLOGIES, Held, exists

CLIENTS = [
    pytest.param(kind, client, id=f"{kind}: {name}") for kind, clients in OF.items() for name, client in clients.items()
]


@pytest.mark.parametrize(("kind", "client"), CLIENTS)
async def test_a_client_that_lacks_one_rule_is_caught(kind: str, client: Client, calm: Calm) -> None:
    assert client.breaks in await broken_on(kind, DAYS[kind][client.day], calm, line=client.line, around=client.around)


@pytest.mark.parametrize(
    "held", [pytest.param(held, id=what) for table in PATHOLOGIES.values() for what, held in table.items()]
)
def test_every_pathology_is_held_by_tests_that_there_are(held: Held) -> None:
    assert held
    assert not [test for test in held if not exists(test)]


def test_every_client_stands_for_a_pathology() -> None:
    told = {test for table in PATHOLOGIES.values() for held in table.values() for test in held}
    clients = {f"{kind} client: {name}" for kind, clients in OF.items() for name in clients}
    assert not clients - told
