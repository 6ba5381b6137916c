"""Start a replacement first: for machines that are degraded or evacuated, and beside boots that take too long.

A degraded machine still runs and may serve, so it counts as needed on top of what was decided until it is drained,
which happens once its replacement is HOT: then one machine more is HOT than decided, and a degraded one is the first
to go (`autoscaler.core.fewer`). A boot that takes far longer than usual is waited for to its deadline, and another
machine is tried meanwhile; whichever comes last is one too many. A machine whose contract ends soon counts as degraded,
and that is known rather than heard: however many they are, it is true. So does one at a provider that an operator
evacuates.

Both stay below the ceiling of limits and budget: where that leaves no room, a degraded machine goes on as it is.
"""

from __future__ import annotations

from autoscaler.core.decision import Decision
from autoscaler.core.diagnosis import Diagnosis
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot

_DOUBTFUL_MACHINES, _DOUBTFUL_SHARE = 3, 0.45
"""More degraded machines than both: they are not all broken, what we hear of them is. The cluster-autoscaler's marks
(`ok-total-unready-count`, `max-total-unready-percentage`), beyond which it does nothing at all."""


def reinforced(decision: Decision, snapshot: PoolSnapshot, now: float) -> Decision:
    """The decision for growing: one machine more for each that is to be replaced, as far as the ceiling allows."""
    hot = snapshot.in_phase(Phase.HOT)
    evacuated = [machine for machine in hot if snapshot.orders.evacuation(machine.provider)]
    degraded = [machine for machine in hot if machine.ailment and machine not in evacuated]
    ending = [machine for machine in degraded if snapshot.ends_soon(machine, now)]
    doubtful = len(degraded) - len(ending)
    if doubtful > max(_DOUBTFUL_MACHINES, _DOUBTFUL_SHARE * len(hot)):
        text = f"{doubtful} of {len(hot)} machines seem degraded, too many to be true: none is replaced for it"
        decision, degraded = decision.but_not("health.replace", text), ending
    late = [machine for machine in snapshot.in_phase(Phase.BOOTING) if machine.diagnosis is Diagnosis.SLOW_PULL]
    told = [f"{machine.id} stands at {machine.provider}, which is evacuated" for machine in evacuated]
    told += [f"{machine.id} is degraded ({machine.ailment})" for machine in degraded]
    told += [f"{machine.id} boots far longer than usual" for machine in late]
    room = max(0, decision.ceiling - decision.hot)
    if told[room:]:
        text = f"{'; '.join(told[room:])}: no room for a replacement beside it, {decision.ceiling} machines may run"
        decision = decision.but_not("health.replace", text)
    if told[:room]:
        text = f"{'; '.join(told[:room])}: a replacement first"
        decision = decision.because("health.replace", text, hot=decision.hot + len(told[:room]))
    return decision
