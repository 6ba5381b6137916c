"""Daemons with one rule taken out, to prove that the fault simulation would notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from autoscaler.core.errors import ProviderError
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing
from autoscaler.core.spec import Cap, Deadlines, Pool
from autoscaler.core.units import Span
from autoscaler.runtime.ports import Changes, Control
from autoscaler.store.memory import MemoryStore
from tests.chaos.ports import ProviderPort
from tests.chaos.world import Parts

_NEVER_S = 1e9


class _NoConfirmation(MemoryStore):
    """Takes every worker for drained and idle."""

    async def read(self) -> Control:
        control = await super().read()
        beats = {name: replace(beat, busy=0, drained=True) for name, beat in control.heartbeats.items()}
        return replace(control, heartbeats=beats)


class _NoFence(MemoryStore):
    """Never asks whose the lease is before it acts or writes."""

    def may_act(self) -> bool:
        return True

    def _holds(self, fence: int) -> bool:
        return True


class _NoIntent(MemoryStore):
    """Does not store the intent to rent, and says that it did."""

    async def commit(self, changes: Changes) -> None:
        kept = tuple(record for record in changes.instances if record.phase is not Phase.PLANNED)
        await super().commit(replace(changes, instances=kept))


class _FailedListingIsEmpty(ProviderPort):
    """Takes a listing that failed for one that shows nothing."""

    async def list_machines(self) -> Listing:
        asked_at = self._process.now()
        try:
            return await super().list_machines()
        except ProviderError:
            return Listing(asked_at=asked_at, machines=())


class _StrangersIgnored(ProviderPort):
    """Does not see machines that have no record."""

    async def list_machines(self) -> Listing:
        listing = await super().list_machines()
        known = self._ground.state.instances
        return replace(listing, machines=tuple(m for m in listing.machines if m.label.rpartition(".")[2] in known))


def _without_budget(pool: Pool) -> Pool:
    return replace(pool, limits=replace(pool.limits, usd_per_day=Cap(warn=1e6, stop=1e6)))


def _without_limits(pool: Pool) -> Pool:
    return replace(pool, limits=replace(pool.limits, hot=Span(1, 50)))


def _without_deadlines(pool: Pool) -> Pool:
    endless = {phase.name: _NEVER_S for phase in fields(Deadlines)}
    return replace(pool, deadlines=Deadlines(**endless))


MUTANTS: Mapping[str, tuple[Parts, frozenset[str]]] = {
    "stops without confirmation": (Parts(store=_NoConfirmation), frozenset({"no_job_killed"})),
    "writes without a fence": (Parts(store=_NoFence), frozenset({"one_writer"})),
    "acts before its intent is stored": (Parts(store=_NoIntent), frozenset({"intent_before_effect"})),
    "has no budget": (Parts(pool=_without_budget), frozenset({"budget_held"})),
    "has no limits": (Parts(pool=_without_limits), frozenset({"orders_within_limits"})),
    "never escalates": (Parts(pool=_without_deadlines), frozenset({"no_phase_past_its_deadline"})),
    "believes that a failed listing is empty": (
        Parts(provider=_FailedListingIsEmpty),
        frozenset({"no_job_killed", "no_machine_unknown", "budget_held"}),
    ),
    "sees no strangers": (Parts(provider=_StrangersIgnored), frozenset({"no_machine_unknown"})),
}
"""What daemons are made of that lack one rule, and the invariants that notice."""
