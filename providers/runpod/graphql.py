"""RunPod's GraphQL, for what REST v2 lacks: spot machines, a pod that ends by itself, and the balance.

RunPod has announced its end for early 2027, and took spot machines out of its documents before. So each of the three
may go at any time, for all or for a key, and the rest must not notice: a read of what has gone raises nothing,
`notices` tell why, and what answers again is there again.

Values travel as variables, never in the text of a question: RunPod's own client 1.12 pastes them in, and a quotation
mark in an environment variable breaks its mutation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from autoscaler.core.errors import PartialLaunch, Rejected, UnclearOutcome
from autoscaler.core.units import Secret
from providers.http import Answer, Http, json_request
from providers.runpod import wire
from providers.runpod.orders import Order, deploy_input, resume_input
from providers.runpod.refusals import Call, Quiet, graphql_refusal, has_gone, quiet_of, refusal, understood
from providers.runpod.wire import Cloud, Reply, Terms

_TRIED_AGAIN_S = 3600.0


class Feature(StrEnum):
    """What GraphQL alone can do, in words for people."""

    SPOT = "spot machines"
    END = "terminate_after"
    BALANCE = "the balance"


@dataclass(frozen=True, slots=True)
class _Absence:
    """What was answered to a question that GraphQL does not know any more, and when."""

    feature: Feature
    reason: str
    at: float

    @property
    def text(self) -> str:
        """Why the feature cannot be had, for people."""
        return f"RunPod's GraphQL, which alone has {self.feature}, does not serve it: {self.reason}"


class GraphQL:
    """What the account can do by GraphQL alone."""

    def __init__(self, http: Http, key: Secret, now: Callable[[], float]) -> None:
        self._http = http
        self._now = now
        self._key = key.reveal()
        self._absent: dict[str, _Absence] = {}
        """By question."""

    @property
    def gone(self) -> frozenset[Feature]:
        """What is not to be had. What was not asked for again within an hour is worth another try."""
        now = self._now()
        return frozenset(each.feature for each in self._absent.values() if now - each.at < _TRIED_AGAIN_S)

    @property
    def notices(self) -> tuple[str, ...]:
        """Why features cannot be had, one line each, until they answer again."""
        return tuple({each.feature: each.text for each in self._absent.values()}.values())

    async def balance_usd(self) -> float | None:
        """Money left in the account; None where GraphQL does not tell any more.

        Raises:
            ProviderError: it could not be had this time.
        """
        reply = await self._ask(Feature.BALANCE, wire.BALANCE, {}, Call.READ)
        if reply is None:
            return None
        left = understood(wire.read_balance, reply, Call.READ)
        if left is None:
            self._absent[wire.BALANCE] = _Absence(Feature.BALANCE, "it tells this key none", self._now())
        return left

    async def spot_prices(self, cloud: Cloud) -> Mapping[str, float] | None:
        """The least bids that win now, in USD per hour, by GPU id; None where GraphQL has no spot machines any more.

        Raises:
            ProviderError: they could not be had this time.
        """
        reply = await self._ask(Feature.SPOT, wire.SPOT_PRICES, {"secure": cloud == "secure"}, Call.READ)
        if reply is None or Feature.SPOT in self.gone:  # there may be prices, and nothing to be had for them
            return None
        return understood(wire.read_spot_prices, reply, Call.READ)

    async def create(self, order: Order) -> str:
        """Make a pod that is spot, or has an end; gives its id.

        Raises:
            ProviderError: see each.
        """
        spot = order.terms.buy == "spot"
        feature, mutation = (Feature.SPOT, wire.DEPLOY_SPOT) if spot else (Feature.END, wire.DEPLOY)
        variables = {"input": deploy_input(order)}
        reply = await self._ask(feature, mutation, variables, Call.CREATE, secrets=order.env.values())
        if reply is None:
            raise Rejected(self._absent[mutation].text)
        made = understood(wire.read_deployed, reply, Call.CREATE)
        if made is None:
            raise UnclearOutcome("RunPod's GraphQL names neither a pod nor an error")
        return made

    async def resume_spot(self, pod_id: str, terms: Terms) -> int:
        """Start a stopped spot pod with the bid it was rented with; gives how many GPUs it has then.

        Raises:
            ProviderError: see each.
        """
        variables = {"input": resume_input(pod_id, terms)}
        reply = await self._ask(Feature.SPOT, wire.RESUME_SPOT, variables, Call.CHANGE)
        if reply is None:
            raise Rejected(self._absent[wire.RESUME_SPOT].text)
        return understood(wire.read_resumed_gpus, reply, Call.CHANGE)

    async def _ask(
        self, feature: Feature, question: str, variables: Mapping[str, Any], call: Call, *, secrets: Iterable[str] = ()
    ) -> Reply | None:
        """The reply to a question that it understood, or None where the feature has gone."""
        quiet = quiet_of(self._key, *secrets)
        body = {"query": question, "variables": variables}
        answer = await self._http.send(json_request("POST", "/graphql", body, endpoint="graphql"))
        if answer.status in (408, 429) or answer.status >= 500:
            raise refusal(answer, call, quiet, self._now())
        reply, reason = None, _gone_by_form(answer, call)
        if not reason:
            reply = understood(wire.read_reply, answer, call)
            reason = _gone_by_word(reply, call, quiet)
        if reason:
            self._absent[question] = _Absence(feature, reason, self._now())
            return None
        if answer.status >= 400:
            raise refusal(answer, call, quiet, self._now())
        self._absent.pop(question, None)
        return reply


def _gone_by_form(answer: Answer, call: Call) -> str:
    """Why GraphQL is not there, for this key at least; empty where it is, or where something may have been done."""
    if answer.status in (401, 403):
        return f"the key has no right to it (HTTP {answer.status})"
    if answer.status in (404, 405, 410) or 300 <= answer.status < 400:
        return f"HTTP {answer.status}"
    is_page = answer.text.lstrip().startswith("<")
    return "a page of HTML in its place" if is_page and call is Call.READ else ""


def _gone_by_word(reply: Reply, call: Call, quiet: Quiet) -> str:
    """Why a part of GraphQL is not there, by its own word; empty where it does not complain.

    Raises:
        PartialLaunch: it complains, and names a pod that it made.
        ProviderError: it complains of anything else.
    """
    if not reply.complaints:
        return ""
    first = reply.complaints[0]
    made = understood(wire.read_deployed, reply, call) if call is Call.CREATE else None
    if made is not None:
        text = f"RunPod's GraphQL made {made} and answers: {quiet(first.message)}"
        raise PartialLaunch(text, provider_ids=(made,))
    for complaint in reply.complaints:
        if has_gone(complaint):
            return quiet(complaint.message)
    raise graphql_refusal(first, call, quiet)
