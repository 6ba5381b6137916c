"""A rented machine for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rented_machine import RentedMachine


@pytest.fixture
def there(redis_url: str, tmp_path: Path) -> Iterator[RentedMachine]:
    here = RentedMachine(redis_url, tmp_path)
    yield here
    here.client.set("finish", 1)
    if here.process is not None and here.process.poll() is None:
        here.end()
    here.client.close()
    here.memory.unlink(missing_ok=True)
