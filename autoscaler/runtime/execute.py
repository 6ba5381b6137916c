"""Make provider calls and turn what comes back, or does not, into outcomes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from autoscaler.core.decision import Action, Command, Outcome, Result, result_of
from autoscaler.core.errors import NotFound, PartialLaunch, ProviderError, RateLimited
from autoscaler.core.instance import Instance, make_label
from autoscaler.core.spec import MachineSpec, Pool
from autoscaler.runtime.ports import Clock, Store
from providers.base import Provider, send_only_while

_RENT_TIMEOUT_S = 60.0
_CALL_TIMEOUT_S = 30.0


class Executor:
    """Provider calls under way, at most one for each machine."""

    def __init__(
        self,
        *,
        fleet: str,
        pools: Mapping[str, Pool],
        providers: Mapping[str, Provider],
        store: Store,
        clock: Clock,
        settled: Callable[[Command, Outcome], None],
    ) -> None:
        self._fleet = fleet
        self._pools = pools
        self._providers = providers
        self._store = store
        self._clock = clock
        self._settled = settled
        self._calls: dict[str, asyncio.Task[None]] = {}

    def adapt(self, pools: Mapping[str, Pool], providers: Mapping[str, Provider]) -> None:
        """Make calls for these pools and at these providers from now on; those under way end as they began."""
        self._pools, self._providers = pools, providers

    async def over(self) -> None:
        """Wait until every call that is under way now has ended."""
        if self._calls:
            await asyncio.wait(self._calls.values())

    @property
    def calling(self) -> frozenset[str]:
        """Ids of the machines with a call under way."""
        return frozenset(self._calls)

    def start(self, command: Command, record: Instance) -> None:
        """Make a command's call in the background. Its intent must be stored already."""
        task = asyncio.get_running_loop().create_task(self._run(command, record), name=f"{command.action} {record.id}")
        self._calls[record.id] = task

    async def wait(self, seconds: float) -> None:
        """Wait for the calls under way, `seconds` at most."""
        if not self._calls:
            return
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(seconds):
                await asyncio.wait(self._calls.values())

    async def _run(self, command: Command, record: Instance) -> None:
        started_at = self._clock.now()
        result, detail, extra = await self._call(command, record)
        outcome = Outcome(
            action=command.action,
            instance=record.id,
            result=result,
            started_at=started_at,
            ended_at=self._clock.now(),
            detail=detail,
            **extra,
        )
        del self._calls[record.id]
        self._settled(command, outcome)

    async def _call(self, command: Command, record: Instance) -> tuple[Result, str, dict[str, Any]]:
        if not self._store.may_act():
            return Result.NOT_SENT, "the lease is not certainly ours any more", {}
        send_only_while(self._store.may_act)  # it may wait for its turn at the vendor's, and this process be paused
        provider = self._providers.get(record.provider)
        if provider is None:
            return Result.AUTH_FAILED, f"no provider {record.provider!r} in the configuration", {}
        limit_s = _RENT_TIMEOUT_S if command.action is Action.RENT else _CALL_TIMEOUT_S
        try:
            async with self._clock.timeout(limit_s):
                provider_id = await self._send(provider, command, record)
        except ProviderError as error:
            return _classify(error)
        except TimeoutError:
            return Result.UNCLEAR, f"no answer within {limit_s:g}s", {}
        except Exception as error:  # noqa: BLE001 - whatever an adapter lets through proves nothing about the effect
            return Result.UNCLEAR, f"{type(error).__name__}: {error}", {}
        return Result.OK, "", {"provider_id": provider_id}

    async def _send(self, provider: Provider, command: Command, record: Instance) -> str | None:
        if command.action is Action.RENT and command.offer is not None:
            label = make_label(self._fleet, record.pool, record.id)
            machine = self._with_identity(self._pools[record.pool].machine, record.id)
            return await provider.rent(command.offer, machine, label=label)
        if record.provider_id is None:
            raise NotFound(f"{record.id} has no provider id")
        if command.action is Action.RESUME:
            await provider.resume(record.provider_id)
        elif command.action is Action.STOP:
            await provider.stop(record.provider_id)
        elif command.action is Action.SET_BID:
            await provider.set_bid(record.provider_id, record.usd_per_hour)
        else:
            await provider.release(record.provider_id)
        return record.provider_id

    def _with_identity(self, machine: MachineSpec, instance_id: str) -> MachineSpec:
        identity = {"AUTOSCALER_INSTANCE": instance_id, "AUTOSCALER_FLEET": self._fleet}
        if machine.dead_man is not None:
            identity["AUTOSCALER_DEAD_MAN_S"] = f"{machine.dead_man:g}"
        return replace(machine, env={**machine.env, **identity})


def _classify(error: ProviderError) -> tuple[Result, str, dict[str, Any]]:
    extra: dict[str, Any] = {}
    if isinstance(error, RateLimited):
        extra["retry_after_s"] = error.retry_after_s
    if isinstance(error, PartialLaunch):
        extra["stray_ids"] = error.provider_ids
    return result_of(error), str(error), extra
