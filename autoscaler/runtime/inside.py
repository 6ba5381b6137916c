"""How many jobs the services inside machines say that they hold, where a pool's `machine.busy` says how to ask them.

Such a service is sent its jobs: it cannot stop pulling, and confirms no drain mark. So a draining machine is believed
idle by the clock and by two answers:

* Whoever sends jobs has `SETTLE_S` from the drain mark on to see that the machine is no endpoint any more, and to get
  rid of what it has chosen the machine for.
* Two questions asked after that, `AGAIN_S` apart or more, are answered with no job, and none between them otherwise.

A question that fails, or is not answered yet, says nothing; unknown counts as busy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Pool
from autoscaler.runtime.polled import Polled
from autoscaler.runtime.ports import Clock, ReadinessProbe

SETTLE_S = 15.0
"""From the drain mark to the first question that counts."""
AGAIN_S = 5.0
"""Between the two answers that prove a draining machine idle, at least."""
_FRESH_S = 60.0  # an older answer says nothing any more
_WORKS = frozenset({Phase.HOT, Phase.DRAINING, Phase.STOPPING, Phase.RELEASING})


@dataclass(slots=True)
class _Service:
    """What is asked of one machine."""

    asked: Polled[int | None]
    marked_at: float | None = None
    """The first tick that found it draining: its drain mark was stored before that tick."""
    idle_at: float | None = None
    """When the first question was asked that counts and found no job."""


class Inside:
    """Asks services in the background, each anew once its last answer was used."""

    def __init__(self, pools: Mapping[str, Pool], probe: ReadinessProbe, clock: Clock) -> None:
        self._pools = pools
        self._probe = probe
        self._clock = clock
        self._services: dict[tuple[str, str | None, str], _Service] = {}

    def adapt(self, pools: Mapping[str, Pool]) -> None:
        """Ask as these pools say from now on."""
        self._pools = pools

    def jobs(self, instances: Iterable[Instance]) -> dict[str, int | None]:
        """Jobs by id of those machines that are to be asked; None where that is not known or not believed yet."""
        now = self._clock.now()
        known: dict[str, int | None] = {}
        current: dict[tuple[str, str | None, str], _Service] = {}
        for instance in instances:
            pool = self._pools.get(instance.pool)
            if pool is None or pool.machine.busy is None or instance.phase not in _WORKS:
                continue
            key = instance.id, instance.address, pool.machine.busy
            service = current[key] = self._services.get(key) or _Service(self._polled(instance, pool.machine.busy))
            known[instance.id] = _believed(service, instance, now)
            service.asked.start(now)
        self._services = current
        return known

    def begin_anew(self) -> None:
        """Prove each draining machine idle anew: it may have been taken back and drained again meanwhile."""
        for service in self._services.values():
            service.marked_at = service.idle_at = None

    def _polled(self, instance: Instance, question: str) -> Polled[int | None]:
        async def ask() -> int | None:
            return await self._probe.jobs(instance, question)

        return Polled(f"jobs of {instance.id}", ask, self._clock)

    async def close(self) -> None:
        """Stop asking."""
        for service in self._services.values():
            await service.asked.cancel()


def _believed(service: _Service, instance: Instance, now: float) -> int | None:
    asked = service.asked
    jobs = None if isinstance(asked.value, Unknown) or not 0.0 <= now - asked.asked_at <= _FRESH_S else asked.value
    if instance.phase is Phase.HOT:
        service.marked_at = service.idle_at = None
        return jobs
    if service.marked_at is None or service.marked_at > now:  # the clock was set back
        service.marked_at, service.idle_at = now, None
    if jobs != 0:
        service.idle_at = None
        return jobs
    if asked.asked_at < service.marked_at + SETTLE_S:
        return None
    if service.idle_at is None:
        service.idle_at = asked.asked_at
    return 0 if asked.asked_at >= service.idle_at + AGAIN_S else None
