"""API keys: the account's, and the one that RunPod puts into each pod for that pod alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autoscaler.emulate.runpod.pods import POD_KEY_PREFIX, Pod
from autoscaler.emulate.runpod.refusals import Refusal
from providers.http import Request


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    known: bool = True
    """He brought a key."""
    pod_id: str | None = None
    """It is this pod's own key."""

    def require(self, pod_id: str | None = None) -> None:
        """Refuse what he may not do: without a key anything, by a pod's key all that is not about that pod.

        Raises:
            Refusal: he may not.
        """
        if not self.known:
            raise Refusal(401, "missing or malformed API key")
        if self.pod_id is not None and self.pod_id != pod_id:
            raise Refusal(403, "the API key does not grant access to this resource")


def caller_of(request: Request, pods: Iterable[Pod]) -> Caller:
    """Who asks. Any key is the account's that does not look like a pod's.

    Raises:
        Refusal: the key is that of a pod that is gone.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        return Caller(known=False)
    if not key.startswith(POD_KEY_PREFIX):
        return Caller()
    for pod in pods:
        if pod.key == key and not pod.terminated:
            return Caller(pod_id=pod.id)
    raise Refusal(401, "invalid API key")
