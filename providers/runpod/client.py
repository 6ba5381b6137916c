"""RunPod's REST API, version 2: one method an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, timedelta
from functools import partial
from urllib.parse import quote

from autoscaler.core.errors import NotFound, Rejected, Transient
from autoscaler.core.market import Status
from autoscaler.core.units import Secret
from providers.http import Answer, Http, json_request
from providers.runpod import wire
from providers.runpod.orders import Order, create_body
from providers.runpod.refusals import Call, Quiet, quiet_of, refusal, understood
from providers.runpod.wire import Action, Cloud, GpuType, Pod, complaint

_MOST_PAGES = 1000
_REACHED: Mapping[Action, frozenset[Status]] = {
    "start": frozenset({Status.STARTING, Status.RUNNING}),
    "stop": frozenset({Status.STOPPED}),
}
"""Where each action leads."""


class Client:
    """The account's pods, its bills, and what there is to rent."""

    def __init__(self, http: Http, key: Secret, now: Callable[[], float]) -> None:
        self._http = http
        self._now = now
        self._key = key.reveal()
        self._quiet = quiet_of(self._key)

    async def pods(self) -> list[Pod]:
        """All pods of the account, with those that are listed only as a memory.

        There are no filters: RunPod ignores a parameter it does not know, and answers with everything.

        Raises:
            ProviderError: the listing could not be had whole.
        """
        found: dict[str, Pod] = {}
        cursors: list[str] = []
        while len(cursors) < _MOST_PAGES:
            answer = await self._read("/v2/pods", "pods", {"cursor": cursors[-1]} if cursors else {})
            page, following = understood(wire.read_pods, answer, Call.READ)
            for pod in page:
                found.setdefault(pod.id, pod)  # a pod made meanwhile moves the others on by one
            if following is None:
                return list(found.values())
            if following in cursors:
                break
            cursors.append(following)
        raise Transient("RunPod's listing does not end, or its pages lead in a circle")

    async def pod(self, pod_id: str) -> Pod:
        """One pod.

        Raises:
            NotFound: there is none, or none any more.
            ProviderError: see each.
        """
        answer = await self._read(_path_of(pod_id), "pod", {})
        pod = understood(wire.read_pod, answer, Call.READ)
        if pod.is_deleted:
            raise NotFound(f"RunPod has deleted {pod_id}")
        return pod

    async def create(self, order: Order) -> str:
        """Make a pod; gives its id.

        Raises:
            ProviderError: see each.
        """
        request = json_request("POST", "/v2/pods", create_body(order), endpoint="create")
        answer = await self._http.send(request)
        checked = self._checked(answer, Call.CREATE, quiet_of(self._key, *order.env.values()))
        return understood(wire.read_made, checked, Call.CREATE)

    async def act(self, pod_id: str, action: Action) -> Pod:
        """Start or stop a pod; gives the pod as it is then. One that is already there is no error.

        Raises:
            ProviderError: see each.
        """
        request = json_request("POST", f"{_path_of(pod_id)}/action", {"action": action}, endpoint="action")
        answer = await self._http.send(request)
        if answer.status == 409:  # not in this status: RunPod had not changed it when it was last seen, or has since
            pod = await self.pod(pod_id)
            if pod.status in _REACHED[action]:
                return pod
            text = f"RunPod allows no {action} while {pod_id} is {pod.word}: {self._quiet(complaint(answer))}"
            # ERROR bars a stop for good; any other status it had only just reached, and the call is worth repeating.
            raise (Rejected if action == "stop" and pod.status is Status.FAILED else Transient)(text)
        return understood(wire.read_pod, self._checked(answer, Call.CHANGE), Call.CHANGE)

    async def delete(self, pod_id: str) -> None:
        """Delete a pod. One that is gone is no error.

        Raises:
            ProviderError: it may still be there.
        """
        answer = await self._http.send(json_request("DELETE", _path_of(pod_id), endpoint="delete"))
        with suppress(NotFound):
            if answer.status == 409:
                await self.pod(pod_id)
            self._checked(answer, Call.CHANGE)

    async def gpu_types(self, cloud: Cloud) -> list[GpuType]:
        """The catalogue of one of the clouds, with its stock.

        Raises:
            ProviderError: it could not be had.
        """
        asked = {"include": "AVAILABILITY", "product": "POD", "count": "1", "cloud": cloud.upper()}
        answer = await self._read("/v2/catalog/gpus", "catalog", asked)
        return understood(partial(wire.read_gpu_types, cloud=cloud), answer, Call.READ)

    async def bills(self, day: str) -> dict[str, float]:
        """What each pod was billed for a UTC day such as `2026-11-21`, in USD.

        Raises:
            ProviderError: it could not be had.
        """
        following = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
        asked = {"startTime": f"{day}T00:00:00Z", "endTime": f"{following}T00:00:00Z", "bucketSize": "day"}
        answer = await self._read("/v2/billing/pods", "billing", asked)
        return understood(partial(wire.read_bills, day=day), answer, Call.READ)

    async def _read(self, path: str, endpoint: str, asked: Mapping[str, str]) -> Answer:
        return self._checked(await self._http.send(json_request("GET", path, endpoint=endpoint, **asked)), Call.READ)

    def _checked(self, answer: Answer, call: Call, quiet: Quiet | None = None) -> Answer:
        """The answer, if it is a success."""
        if not 200 <= answer.status < 300:
            raise refusal(answer, call, quiet or self._quiet, self._now())
        return answer


def _path_of(pod_id: str) -> str:
    return f"/v2/pods/{quote(pod_id, safe='')}"
