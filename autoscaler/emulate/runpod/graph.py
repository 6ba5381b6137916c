"""GraphQL: queries and mutations to answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, build_schema, graphql_sync

from autoscaler.emulate.runpod.account import Account
from autoscaler.emulate.runpod.graph_schema import schema_text
from autoscaler.emulate.runpod.graph_words import gpu_words, pod_words
from autoscaler.emulate.runpod.keys import Caller
from autoscaler.emulate.runpod.pods import Order, Pod
from autoscaler.emulate.runpod.quirks import Quirk
from autoscaler.emulate.runpod.refusals import HOST_FULL, NO_INSTANCES, Refusal
from providers.http import Answer, Request, json_answer
from providers.mock import Operation

_CONTAINER_GB = 10
_SPEND_LIMIT_USD_PER_HOUR = 80.0
_PLENTY_USD = 1_000_000.0
"""What an account shows that never runs out."""
_INTERNAL = {"extensions": {"code": "INTERNAL_SERVER_ERROR"}}

Fields = Mapping[str, Any]
Resolver = Callable[..., Any]


class Graph:
    """RunPod's GraphQL API, as far as pods go."""

    def __init__(self, account: Account, quirks: Collection[Quirk]) -> None:
        self._account = account
        self._quirks = quirks
        self._schema = _schema(frozenset(quirks))

    def answer(self, request: Request, now: float, caller: Caller) -> Answer:
        """The answer to one request; to see GPU types nobody needs a key.

        Raises:
            Refusal: it is not answered with 200.
            Silence, Dropped: a fault strikes.
        """
        try:
            asked = request.json()
            text, variables = asked["query"], asked.get("variables")
        except (ValueError, TypeError, KeyError):
            raise Refusal(400, "expected a JSON object with `query`") from None
        if not isinstance(text, str) or not isinstance(variables, dict | None):
            raise Refusal(400, "expected a JSON object with `query`")
        if "api_key" in request.query:
            caller = Caller()
        resolvers = self._resolvers(now, caller)
        result = graphql_sync(self._schema, text, resolvers, variable_values=variables)
        return json_answer(200, _words(result))

    def _resolvers(self, now: float, caller: Caller) -> dict[str, Resolver]:
        """What answers each query and mutation."""
        account = self._account

        def stop(pod_id: str) -> Fields:
            return self._shown(account.stop(now, pod_id), now)

        def pod(pod_id: str) -> Fields | None:
            return self._shown(account.pods[pod_id], now) if pod_id in account.pods else None

        def resume(asked: Fields) -> Fields:
            caller.require(asked["podId"])
            if asked["gpuCount"] != 1:
                raise Refusal(400, HOST_FULL)
            return self._shown(account.start(now, asked["podId"], bid=asked.get("bidPerGpu")), now)

        def create(asked: Fields) -> Fields:
            caller.require()
            return self._create(asked, now)

        def of_pod(do: Callable[[str], Any]) -> Resolver:
            def resolve(_: Any, **args: Fields) -> Any:
                caller.require(args["input"]["podId"])
                return do(args["input"]["podId"])

            return resolve

        return {
            "gpuTypes": lambda _, **args: self._gpus(args.get("input") or {}, now),
            "myself": lambda _: self._myself(now, caller),
            "pod": of_pod(pod),
            "podFindAndDeployOnDemand": lambda _, **args: create(args["input"]),
            "podRentInterruptable": lambda _, **args: create(args["input"]),
            "deployCpuPod": lambda _, **__: _refuse(NO_INSTANCES),
            "podResume": lambda _, **args: resume(args["input"]),
            "podBidResume": lambda _, **args: resume(args["input"]),
            "podStop": of_pod(stop),
            "podTerminate": of_pod(lambda pod_id: self._terminate(pod_id, now)),
        }

    def _shown(self, pod: Pod, now: float) -> Fields:
        return pod_words(pod, now, self._quirks)

    def _gpus(self, asked: Fields, now: float) -> list[Fields]:
        struck = self._account.strike(Operation.OFFERS, now)
        catalogue = self._account.catalogue
        wanted = asked.get("ids") or [kind.id for kind in catalogue.gpus if asked.get("id") in {None, kind.id}]
        return [gpu_words(kind, catalogue, now, struck) for kind in catalogue.gpus if kind.id in wanted]

    def _myself(self, now: float, caller: Caller) -> Fields:
        caller.require()
        account = self._account

        def balance(_: Any) -> float:
            account.strike(Operation.BALANCE, now)
            left = account.market.balance_usd(now)
            return _PLENTY_USD if left is None else left

        return {
            "id": "user_emulated",
            "pubKey": "",
            "networkVolumes": [],
            "pods": lambda _: [self._shown(pod, now) for pod in account.listed(now)[0]],
            "clientBalance": balance,
            "currentSpendPerHr": sum(machine.burn_usd_per_hour for machine in account.market.machines.values()),
            "spendLimit": _SPEND_LIMIT_USD_PER_HOUR,
        }

    def _create(self, asked: Fields, now: float) -> Fields:
        if asked.get("templateId"):
            raise Refusal(404, "template not found")
        if asked.get("networkVolumeId"):
            raise Refusal(400, f"network volume {asked['networkVolumeId']} not found")
        if (asked.get("gpuCount") or 1) != 1:
            raise Refusal(400, NO_INSTANCES)
        return self._shown(self._account.create(now, self._order(asked)), now)

    def _order(self, asked: Fields) -> Order:
        """What a create asks for; nulls are as if left out."""
        given = {key: value for key, value in asked.items() if value is not None}
        cloud = given.get("cloudType", "ALL")
        ports = given.get("ports", "")
        return Order(
            name=given.get("name", "my pod"),
            image=given.get("imageName", ""),
            gpu=given.get("gpuTypeId", ""),
            cloud=None if cloud == "ALL" else cloud,
            data_centers=self._places(given),
            container_gb=given.get("containerDiskInGb", _CONTAINER_GB),
            volume_gb=given.get("volumeInGb", 0),
            volume_path=given.get("volumeMountPath", ""),
            ports=tuple(port.strip() for port in ports.split(",") if port.strip()),
            env={pair["key"]: pair["value"] for pair in given.get("env", [])},
            args=given.get("dockerArgs", ""),
            bid_usd_per_hour=given.get("bidPerGpu"),
            stop_at=_moment(given, "stopAfter"),
            terminate_at=_moment(given, "terminateAfter"),
        )

    def _places(self, given: Fields) -> tuple[str, ...]:
        """The regions that will do; none for any. A country's code begins the names of its data centres."""
        if "dataCenterId" in given:
            return (given["dataCenterId"],)
        if "countryCode" not in given:
            return ()
        country = given["countryCode"]
        stock = self._account.market.settings.stock
        return tuple(kind.region for kind in stock if kind.region.startswith(country)) or (country,)

    def _terminate(self, pod_id: str, now: float) -> None:
        try:
            self._account.terminate(now, pod_id)
        except Refusal as refusal:
            raise Refusal(404, "pod not found to terminate") if refusal.status == 404 else refusal from None


@cache
def _schema(quirks: frozenset[Quirk]) -> GraphQLSchema:
    return build_schema(schema_text(quirks))


def _words(result: ExecutionResult) -> dict[str, Any]:
    """A result as JSON; what is no GraphQL error is raised."""
    words: dict[str, Any] = {"data": result.data}
    for error in result.errors or ():
        words.setdefault("errors", []).append(_error(error))
    return words


def _error(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return {"message": error.message.replace("'", '"')}  # as the vendor's library quotes
    if not isinstance(cause, Refusal) or cause.status in {401, 429, 503}:
        raise cause
    return {"message": cause.detail} | (_INTERNAL if cause.status == 500 else {})


def _refuse(detail: str) -> None:
    raise Refusal(400, detail)


def _moment(given: Fields, name: str) -> float | None:
    """Epoch seconds of a time; None where there is none."""
    if name not in given:
        return None
    try:
        at = datetime.fromisoformat(given[name])
    except (ValueError, TypeError):
        raise Refusal(400, f"{name}: expected a time such as 2026-11-21T12:00:00Z") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
