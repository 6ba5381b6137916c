"""The emulator's answers against the vendor's own specifications, as published in 2026.

They name few fields as required and forbid none, so that what they hold is the type of every field they know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from autoscaler.emulate.vastai import Quirk
from providers.http import Answer
from providers.mock import Fault
from tests.emulate.base_desk import KEY
from tests.emulate.vastai.desk import HOUR, ORDER, START, Desk, step
from tests.support.environments import require_specs

OPERATIONS: Mapping[str, str] = {
    "POST /api/v0/bundles/": "search_offers",
    "PUT /api/v0/asks/{id}/": "create_instance",
    "GET /api/v1/instances/": "show_instances",
    "GET /api/v0/instances/{id}/": "show_instance",
    "PUT /api/v0/instances/{id}/": "manage_instance",
    "DELETE /api/v0/instances/{id}/": "destroy_instance",
    "PUT /api/v0/instances/reboot/{id}/": "reboot_instance",
    "PUT /api/v0/instances/recycle/{id}/": "recycle_instance",
    "PUT /api/v0/instances/bid_price/{id}/": "change_bid",
    "GET /api/v0/users/current/": "show_user",
    "GET /api/v0/charges/": "show_charges",
}
"""The file of each endpoint."""

KNOWN: Mapping[str, str] = {
    r"show_instance \$\.instances: None is not of type 'object'": "the official client reads one that is gone as null",
    r"show_instance \$\.instances\.ports: .* is not of type 'array'": "an object in show_instances, and to clients",
    r"show_instance \$\.instances\.extra_env\[.\]: .* is not of type .*": "pairs in show_instances, and to clients",
    r"show_instance \$\.instances\.score: None is not of type 'number'": "null in show_instances",
    r"manage_instance \$\.error: '(invalid_args|insufficient_credit)' is not one of .*": "of other files and reports",
    r"create_instance \$\.error: '(insufficient_credit|spend_rate_limit)' is not one of .*": "of pages and reports",
    r"reboot_instance: 404 is not specified": "as of the other changes of an instance",
}
"""Where answers leave the specifications on purpose, as patterns, and why the vendor's own do."""

UNSPECIFIED: Mapping[Quirk, str] = {
    Quirk.SEARCH_QUOTA_SPENT: r"search_offers: 429 is not specified",
    Quirk.NULLS: r"show_instances? \$\.instances(\[0\])?\.(cpu_cores|geolocation): None is not of type .*",
}
"""What quirks do against the specifications, which is why they are quirks."""


@cache
def schemas(name: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The schemas of a file's answers by method, path and status."""
    document = yaml.safe_load(require_specs("vast", f"{name}.yaml").read_text(encoding="utf-8"))
    found = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                for content in response.get("content", {}).values():
                    schema = _with_nulls(content["schema"])
                    components = _with_nulls(document.get("components", {}))
                    found[method.upper(), path, status] = {**schema, "components": components}
    return found


def _with_nulls(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 in the words of JSON Schema, which has no `nullable`."""
    if isinstance(schema, list):
        return [_with_nulls(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _with_nulls(value) for name, value in schema.items()}
    if plain.get("nullable") is True and isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
    return plain


def breaches(operation: str, answer: Answer) -> list[str]:
    """What the specification has against an answer."""
    method, path = operation.split(" ")
    name = OPERATIONS[operation]
    known = schemas(name)
    schema = known.get((method, path, str(answer.status)))
    if schema is None:
        return [f"{name}: {answer.status} is not specified"]
    errors = Draft202012Validator(schema).iter_errors(answer.json())
    return [f"{name} {error.json_path}: {error.message}" for error in errors]


class Judge(Desk):
    """A desk that holds every answer to the specification."""

    def __init__(self, *quirks: Quirk, **market: Any) -> None:
        super().__init__(*quirks, **market)
        self.breaches: set[str] = set()
        self.judged: set[str] = set()

    async def ask(self, method: str, path: str, body: Any = None, *, key: str = KEY, **query: str) -> Answer:
        answer = await super().ask(method, path, body, key=key, **query)
        operation = f"{method} {re.sub('/[0-9]+/', '/{id}/', path)}"
        if operation in OPERATIONS and answer.headers.get("content-type") == "application/json":
            self.judged.add(operation)
            self.breaches |= set(breaches(operation, answer))
        return answer


async def a_life(judge: Judge) -> None:
    """An instance from its search to its end, with what may be asked of it on the way."""
    instance_id = await judge.rent(price=0.5, env={"A": "b", "-p 8000:8000": "1"})
    for elapsed_s in (0.0, 4.0, 20.0, 60.0):
        judge.now += elapsed_s
        await judge.row(instance_id)
        await judge.page()
    await judge.ask("PUT", f"/api/v0/instances/reboot/{instance_id}/", {})
    await judge.ask("PUT", f"/api/v0/instances/recycle/{instance_id}/", {})
    await judge.ask("PUT", f"/api/v0/instances/bid_price/{instance_id}/", {"client_id": "me", "price": 0.6})
    judge.now += 100.0
    for body in ({"label": "other"}, {"state": "stopped"}, {"state": "running"}):
        await judge.put(instance_id, **body)
        judge.now += 40.0
        await judge.row(instance_id)
        await judge.page()
    await judge.ask("GET", "/api/v0/users/current/")
    await judge.charges(START, judge.now)
    await judge.destroy(instance_id)
    await judge.row(instance_id)


async def mistakes(judge: Judge) -> None:
    """What a client may do wrong."""
    await judge.ask("POST", "/api/v0/bundles/", {"shoe_size": {"eq": 44}})
    await judge.ask("PUT", "/api/v0/asks/5/", ORDER)
    await judge.ask("PUT", "/api/v0/asks/5/", {**ORDER, "cancel_unavail": False})
    await judge.create(price=0.01)
    await judge.create(disk=1)
    await judge.page(after_token="nonsense")
    await judge.page(key="")
    await judge.put(5, state="running")
    await judge.put(await judge.rent(), state="paused")
    await judge.ask("PUT", "/api/v0/instances/bid_price/5/", {})
    await judge.ask("PUT", "/api/v0/instances/reboot/5/", {})
    await judge.destroy(5)
    await judge.ask("GET", "/api/v0/charges/")


async def lives_in_trouble() -> set[str]:
    """The breaches of lives in which the market's faults strike."""
    found: set[str] = set()
    for fault in (Fault.FUNDS_REFUSED, Fault.BALANCE_SPENT, Fault.OFFER_GONE, Fault.PARTIAL_LAUNCH):
        judge = Judge(scenario=step(fault))
        await judge.create()
        await judge.put(5, state="stopped")
        found |= judge.breaches
    judge = Judge(balance_usd=0.3)
    instance_id = await judge.running()
    judge.now += HOUR
    await judge.put(instance_id, state="running")
    return found | judge.breaches


async def test_answers_keep_to_the_specifications_but_where_the_vendor_does_not() -> None:
    judge = Judge()
    await a_life(judge)
    await mistakes(judge)
    found = judge.breaches | await lives_in_trouble()
    assert judge.judged == set(OPERATIONS)
    assert sorted(breach for breach in found if not any(re.fullmatch(known, breach) for known in KNOWN)) == []
    assert [known for known in KNOWN if not any(re.fullmatch(known, breach) for breach in found)] == []


@pytest.mark.parametrize("quirk", Quirk)
async def test_answers_keep_to_the_specifications_in_every_quirk_that_is_in_them(quirk: Quirk) -> None:
    judge = Judge(quirk)
    if (await judge.ask("POST", "/api/v0/bundles/", {})).status == 200:
        await judge.create(price=0.5)
    judge.now += 61.0
    for instance_id in judge.market.machines:
        await judge.ask("GET", f"/api/v0/instances/{instance_id}/")
    await judge.page()
    left = {breach for breach in judge.breaches if not any(re.fullmatch(known, breach) for known in KNOWN)}
    expected = UNSPECIFIED.get(quirk)
    assert all(expected is not None and re.fullmatch(expected, breach) for breach in left), left
    assert bool(left) == (expected is not None)
