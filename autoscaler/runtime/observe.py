"""Gather what one tick knows: listings, offers, heartbeats, readiness.

Providers are asked in the background and never hold up a tick for longer than a moment: what is slow is used when it
arrives, and until then the last answer stands, or Unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from autoscaler.core.demand import Pending, Unknown
from autoscaler.core.health import Signals
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Offer, Remote
from autoscaler.core.spec import Placement, Pool
from autoscaler.core.units import format_duration
from autoscaler.runtime.inside import Inside
from autoscaler.runtime.polled import Polled
from autoscaler.runtime.ports import Clock, Heartbeat, ReadinessProbe
from providers.base import Provider

_OFFERS_FRESH_S = 60.0  # an older offer is probably gone; renting waits for a new search
_OFFERS_OLD_S = 900.0  # searched again all the same, so that prices are known before they are needed
_BEAT_FRESH_S = 60.0
_ENDS = frozenset({Phase.STOPPING, Phase.RELEASING})
_PROBE_AGAIN_S = 60.0  # a service that has answered is asked again no sooner


class Observer:
    """Everything that is seen of the world besides the queues and the store."""

    def __init__(
        self,
        *,
        pools: Mapping[str, Pool],
        providers: Mapping[str, Provider],
        probe: ReadinessProbe,
        clock: Clock,
        patience_s: float,
    ) -> None:
        self._clock = clock
        self._pools: Mapping[str, Pool] = {}
        self._providers: Mapping[str, Provider] = {}
        self._probe = probe
        self._listings: dict[str, Polled[Listing]] = {}
        self._offers: dict[tuple[str, str], Polled[Sequence[Offer]]] = {}
        self._wanted: set[str] = set()
        self._beats: dict[str, tuple[Heartbeat, float]] = {}
        self._listening_since: float | None = None
        self._heard_at = float("-inf")
        """When heartbeats were last looked for."""
        self._listens_to: frozenset[str] = frozenset()
        """Machines whose heartbeats were looked for in the last tick."""
        self._listed_before: dict[str, float] = {}
        """When the listings that were there when the lead was taken had been asked for, by provider."""
        self._probing: dict[tuple[str, str], asyncio.Task[bool]] = {}
        """By instance and check."""
        self._services: dict[tuple[str, float, str | None, str], Polled[bool]] = {}
        self._inside = Inside(pools, probe, clock)
        self.adapt(pools, providers, patience_s)

    def adapt(self, pools: Mapping[str, Pool], providers: Mapping[str, Provider], patience_s: float) -> None:
        """Look at these pools and providers from now on; what was seen stands where nothing of the question changed."""
        before: list[Polled[Any]] = [*self._listings.values(), *self._offers.values()]
        self._listings = {name: self._listing(name, provider) for name, provider in providers.items()}
        self._offers = {
            (pool.name, placement.label): self._search(pool, placement, providers[placement.provider])
            for pool in pools.values()
            for placement in pool.placements
            if placement.provider in providers
        }
        self._pools, self._providers, self._patience_s = pools, providers, patience_s
        self._inside.adapt(pools)
        kept = {*self._listings.values(), *self._offers.values()}
        for polled in before:
            if polled not in kept:
                polled.give_up()

    def _listing(self, name: str, provider: Provider) -> Polled[Listing]:
        if self._providers.get(name) is provider:
            return self._listings[name]
        return Polled(name, provider.list_machines, self._clock, every_s=provider.capabilities.list_every_s)

    def _search(self, pool: Pool, placement: Placement, provider: Provider) -> Polled[Sequence[Offer]]:
        before = self._pools.get(pool.name)
        same = before is not None and before.machine == pool.machine and placement in before.placements
        if same and self._providers.get(placement.provider) is provider:
            return self._offers[pool.name, placement.label]

        async def ask() -> Sequence[Offer]:
            return await provider.list_offers(placement, pool.machine)

        every_s = provider.capabilities.search_every_s
        return Polled(f"offers of {pool.name} at {placement.label}", ask, self._clock, every_s=every_s)

    async def look(self, now: float) -> None:
        """Ask all providers; wait a moment for those that answer at once."""
        await self.answers(self.ask(now))

    def ask(self, now: float) -> list[asyncio.Task[None]]:
        """Ask all providers, save those whose last answer is still to come."""
        asked = [polled.start(now) for polled in self._listings.values()]
        for (pool, _), polled in self._offers.items():
            if now - polled.answered_at > (_OFFERS_FRESH_S / 2 if pool in self._wanted else _OFFERS_OLD_S):
                asked.append(polled.start(now))
        self._wanted.clear()
        return [task for task in asked if task is not None]

    def look_again(self, provider: str) -> None:
        """Something has happened at a provider: list its machines with the next tick."""
        if provider in self._listings:
            self._listings[provider].hurry()

    async def answers(self, asked: Iterable[asyncio.Task[None]]) -> None:
        """Wait a moment for those that answer at once."""
        waiting = [task for task in asked if not task.done()]
        if waiting:
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(self._patience_s):
                    await asyncio.wait(waiting)

    @property
    def listings(self) -> dict[str, Listing | Unknown]:
        """The newest listing of each provider."""
        return {name: polled.value for name, polled in self._listings.items()}

    def listed(self, instance: Instance) -> Remote | None:
        """A machine as its provider's newest listing shows it; None where that shows it not, or failed."""
        listing = self._listings[instance.provider].value if instance.provider in self._listings else None
        return listing.machine(instance.provider_id) if isinstance(listing, Listing) else None

    def offers(self, pool: str) -> dict[str, Sequence[Offer] | Unknown]:
        """Offers of a pool's placements, fresh enough to rent."""
        now = self._clock.now()
        found: dict[str, Sequence[Offer] | Unknown] = {}
        for placement in self._pools[pool].placements:
            polled = self._offers.get((pool, placement.label))
            if polled is None:
                found[placement.label] = Unknown(f"no provider {placement.provider!r}", now)
            elif (unseen := self._unseen(placement.provider, now)) is not None:
                found[placement.label] = unseen
            elif not isinstance(polled.value, Unknown) and now - polled.answered_at > _OFFERS_FRESH_S:
                found[placement.label] = _looked_up(polled, now)
            elif not polled.was_answered and polled.asking_since is not None:
                found[placement.label] = Pending("being looked up", polled.asking_since)
            else:
                found[placement.label] = polled.value
        return found

    def _unseen(self, provider: str, now: float) -> Unknown | None:
        """What stands for a provider's offers until it has listed its machines once since this daemon leads.

        A store that was wiped names none of those we have there: they would be rented a second time.
        """
        listing = self._listings[provider]
        if listing.asked_at > self._listed_before.get(provider, float("-inf")):
            return None
        failed = (
            f" ({listing.value.reason})" if isinstance(listing.value, Unknown) and listing.asking_since is None else ""
        )
        text = f"its machines are not listed yet{failed}, and some may be ours already"
        return Unknown(text, now) if listing.asking_since is None else Pending(text, listing.asking_since)

    def want_offers(self, pool: str) -> bool:
        """Say that fresh offers of a pool are needed; gives whether some are still to come."""
        self._wanted.add(pool)
        return any(isinstance(offers, Pending) for offers in self.offers(pool).values())

    def take(self, offer: Offer) -> None:
        """An offer is being taken: look its provider's offers up again before the next rent.

        Where a search must be waited for, the others of the last one will do as long as there are any.
        """
        for (pool, label), polled in self._offers.items():
            if isinstance(polled.value, Unknown) or self._provider(pool, label) != offer.provider:
                continue
            left = [other for other in polled.value if other.stands or other.offer_id != offer.offer_id]
            if left and polled.every_s:
                polled.value = left
            else:
                polled.answered_at = float("-inf")

    def missed(self, pool: str, placement: str, offer: Offer) -> None:
        """Somebody else has taken an offer: the others of its search are as old, and the next rent needs a new one."""
        polled = self._offers.get((pool, placement))
        if polled is not None and not offer.stands:
            polled.answered_at = float("-inf")
            polled.hurry()

    def _provider(self, pool: str, label: str) -> str:
        return next(place.provider for place in self._pools[pool].placements if place.label == label)

    # --- workers and services -----------------------------------------------------------------------------------------

    def hear(self, heartbeats: Mapping[str, Heartbeat], instances: Collection[str], now: float) -> None:
        """Take the heartbeats of these machines' workers; other units' are none of its business.

        When one was made is when it was first seen to differ, by our own clock. What lies in the store when this daemon
        first looks for a machine's may be of any age, and proves nothing.
        """
        self._listening_since = now if self._listening_since is None else self._listening_since
        self._heard_at = now
        before, self._beats = self._beats, {}
        for instance_id in instances:
            beat = heartbeats.get(instance_id)
            if beat is None:
                continue
            known = before.get(instance_id)
            if known is None or known[0] != beat:
                known = beat, now if instance_id in self._listens_to else float("-inf")
            self._beats[instance_id] = known
        self._listens_to = frozenset(instances)

    def begin_anew(self) -> None:
        """The lead was taken, perhaps not for the first time: nothing that was heard before proves anything."""
        self._beats.clear()
        self._listening_since, self._listens_to = None, frozenset()
        now = self._clock.now()  # an older listing is of a moment that is still to come where the clock was set back
        self._listed_before = {name: min(listing.asked_at, now) for name, listing in self._listings.items()}
        self._inside.begin_anew()

    def beating(self, instances: Iterable[Instance]) -> frozenset[str]:
        """Machines whose worker was heard lately, and since they are in their phase."""
        now = self._clock.now()
        heard = {
            name: heard_at for name, (_, heard_at) in self._beats.items() if 0.0 <= now - heard_at <= _BEAT_FRESH_S
        }
        return frozenset(i.id for i in instances if heard.get(i.id, float("-inf")) > i.phase_since)

    def ready(self, booting: Iterable[Instance]) -> frozenset[str]:
        """Which of the booting machines beat or answer by now; asks those that are to be asked."""
        found = set()
        current: dict[tuple[str, str], Instance] = {}
        for instance in booting:
            pool = self._pools.get(instance.pool)
            check = pool.machine.ready if pool else "running"
            if check == "heartbeat":
                beat = self._beats.get(instance.id)
                if beat and beat[1] > instance.phase_since:
                    found.add(instance.id)
            elif check != "running" and instance.address:
                current[instance.id, check] = instance
        if current or self._probing:
            found |= self._probe_services(current)
        return frozenset(found)

    def signals(self, hot: Iterable[Instance]) -> dict[str, Signals]:
        """What the HOT machines say of themselves; asks the services of those that have one.

        A worker is silent when its last beat is too old, and where machines are HOT only by a beat, when there is none.
        """
        now = self._clock.now()
        heard: dict[str, Signals] = {}
        for instance in hot:
            pool = self._pools.get(instance.pool)
            check = pool.machine.ready if pool else "running"
            known = self._beats.get(instance.id)
            asked = check not in ("running", "heartbeat") and instance.address
            answers = self._answers(instance, check, now) if asked else True
            if known is None:
                heard[instance.id] = Signals(silent=check == "heartbeat", answers=answers)
                continue
            beat, heard_at = known
            if 0.0 <= now - heard_at <= _BEAT_FRESH_S:
                heard[instance.id] = Signals(trouble=beat.trouble, answers=answers, gpu_share=beat.gpu_util)
            else:
                heard[instance.id] = Signals(silent=True, answers=answers)
        self._services = {key: asked for key, asked in self._services.items() if key[0] in heard}
        return heard

    def _answers(self, instance: Instance, check: str, now: float) -> bool | None:
        """What the service of a HOT machine last answered; it is asked again in the background. None until it is."""

        async def ask() -> bool:
            return await self._probe.ready(instance, check)

        key = instance.id, instance.phase_since, instance.address, check
        service = self._services.get(key)
        if service is None:
            service = self._services[key] = Polled(f"service of {instance.id}", ask, self._clock)
        if now - service.answered_at >= _PROBE_AGAIN_S:
            service.start(now)
        return None if isinstance(service.value, Unknown) else service.value

    def _probe_services(self, booting: Mapping[tuple[str, str], Instance]) -> set[str]:
        answered = {
            key for key, task in self._probing.items() if task.done() and not task.cancelled() and task.result()
        }
        self._probing = {key: task for key, task in self._probing.items() if not task.done()}
        for key, instance in booting.items():
            if key not in self._probing and key not in answered:
                work = self._probe.ready(instance, key[1])
                self._probing[key] = asyncio.get_running_loop().create_task(work, name="probe")
        return {instance_id for instance_id, _ in answered & booting.keys()}

    def busy(self, instances: Iterable[Instance], at_least: Mapping[str, int]) -> dict[str, int]:
        """Slots at work where that is known: by a fresh heartbeat, by the service inside, or by the provider itself.

        Where several tell, the busiest word counts, and a machine is idle only when all of them say so. Of a machine
        that drains, only what was said in a later tick than the one that set its drain mark counts.

        `at_least` has the jobs at work as queues know them: they prove a machine busy, and never idle.
        """
        instances = list(instances)
        told = self._told(instances)
        unseen = [each for each in instances if each.id not in told]
        inside = self._inside.jobs(unseen)
        known: dict[str, int] = {}
        for instance in instances:
            words = [self._word(instance, told)] if instance.id in self._beats or instance.id not in inside else []
            words += [inside[instance.id]] if instance.id in inside else []
            sure = [jobs for jobs in words if jobs is not None]
            if len(sure) == len(words):
                known[instance.id] = max(sure)
            if least := at_least.get(instance.id, 0):
                known[instance.id] = max(least, known.get(instance.id, instance.slots))
        return known

    def undrained(self, instances: Iterable[Instance]) -> frozenset[str]:
        """Machines about to end whose workers may hold a job though they name none.

        A worker that was heard lately and did not say that it has drained may have taken one since: what was never
        ready is ended without a drain. So may one whose first beat is still to be read, for it may have looked for the
        drain mark just before that was set; and, for a while, one that was not heard yet since this daemon listens: it
        was idle when the end was ordered, but the order may come from a store restored from an old copy.
        """
        return frozenset(each.id for each in instances if each.phase in _ENDS and self._may_have_taken_a_job(each))

    def _may_have_taken_a_job(self, ending: Instance) -> bool:
        was_told_to_drain = ending.drained_at > ending.ordered_at
        if ending.phase_since >= self._heard_at and not was_told_to_drain:
            return True  # its mark is not older than the newest look at the beats
        if ending.id not in self._beats:
            return False
        beat, heard_at = self._beats[ending.id]
        unheard = heard_at == float("-inf")
        since = (self._listening_since or 0.0) if unheard else heard_at
        return (unheard or not beat.drained) and 0.0 <= self._clock.now() - since <= _BEAT_FRESH_S

    def _told(self, instances: Iterable[Instance]) -> dict[str, tuple[int, float]]:
        """What providers know of the machines' slots, and when they were asked, by instance."""
        return {
            instance.id: (remote.busy_slots, self._listings[instance.provider].asked_at)
            for instance in instances
            if (remote := self.listed(instance)) is not None and remote.busy_slots is not None
        }

    def _word(self, instance: Instance, told: Mapping[str, tuple[int, float]]) -> int | None:
        """What a machine's worker says, or its provider where no worker ever beat; None where neither is believed."""
        since = instance.phase_since if instance.phase is Phase.DRAINING else float("-inf")
        known = self._beats.get(instance.id)
        if known is None:
            busy, asked_at = told.get(instance.id, (0, float("-inf")))
            return busy if asked_at > since else None
        beat, heard_at = known
        confirmed = beat.drained or instance.phase is not Phase.DRAINING
        fresh = 0.0 <= self._clock.now() - heard_at <= _BEAT_FRESH_S
        return beat.busy if fresh and heard_at > since and confirmed else None

    async def close(self) -> None:
        """Stop asking."""
        for listing in self._listings.values():
            await listing.cancel()
        for offers in self._offers.values():
            await offers.cancel()
        for service in self._services.values():
            await service.cancel()
        await self._inside.close()
        for task in self._probing.values():
            task.cancel()
        await asyncio.gather(*self._probing.values(), return_exceptions=True)


def _looked_up(polled: Polled[Sequence[Offer]], now: float) -> Unknown:
    """What stands for offers that are too old to be rented from."""
    wait_s = polled.wait_s(now)
    if wait_s:
        return Unknown(f"looked up again in {format_duration(wait_s)}", now)
    return Pending("being looked up", now if polled.asking_since is None else polled.asking_since)
