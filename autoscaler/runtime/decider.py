"""What the leading daemon decides in one tick, pool by pool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from autoscaler.core.decision import Command, Decision
from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.diagnosis import ImageHistory
from autoscaler.core.journal import decision_entry, relief_entry, signal_entry
from autoscaler.core.ledger import DAY_S, day_of, month_of
from autoscaler.core.load import Load
from autoscaler.core.more import RENT
from autoscaler.core.plan import plan
from autoscaler.core.signal import Heard, Signal, hear, latest
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import MachineSpec, Pool
from autoscaler.runtime.decide import decide
from autoscaler.runtime.fleet import Fleet
from autoscaler.runtime.moment import Moment
from autoscaler.runtime.observe import Observer
from autoscaler.runtime.report import PoolReport
from autoscaler.runtime.supervise import Wake
from policies import combine
from providers.base import Provider

STRAY_GRACE_S = 600.0
"""How long machines of a pool that is not configured, or no longer, are left alone after a start or a reload."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSetup:
    """A pool and the policies that decide for it."""

    pool: Pool
    policies: tuple[combine.Entry, ...]


class Decider:
    """Decides for the pools of one loop, and tells the journal when a decision changes."""

    def __init__(
        self, setups: Sequence[PoolSetup], providers: Mapping[str, Provider], observer: Observer, wake: Wake
    ) -> None:
        self._observer = observer
        self._wake = wake
        self._said: dict[str, object] = {}
        self._heard: dict[str, Signal] = {}
        """As of the last tick that we led: a store that comes back empty has lost its own."""
        self._changed_at: dict[str, float] = {}
        """Since when pools are others than they were, or are no more, where that changed while we ran."""
        self.adapt(setups, providers)

    def adapt(self, setups: Sequence[PoolSetup], providers: Mapping[str, Provider]) -> None:
        """Decide for these pools from now on."""
        self._setups = {setup.pool.name: setup for setup in setups}
        self._stoppable = frozenset(name for name, p in providers.items() if p.capabilities.can_stop)
        self._rebids = frozenset(name for name, p in providers.items() if p.capabilities.can_bid)
        at_once = {name: p.capabilities.orders_at_once for name, p in providers.items()}
        self._orders_at_once = {name: count for name, count in at_once.items() if count is not None}

    def begin_anew(self, pools: Iterable[str], now: float) -> None:
        """Of these pools nothing is known before now: no fewer machines for a while, as after a start."""
        for name in pools:
            self._changed_at[name] = now
            self._said.pop(name, None)

    def decide(self, fleet: Fleet, moment: Moment) -> dict[str, PoolReport]:
        """What is wanted of each pool, and the commands that lead there."""
        self._changed_at = {name: min(at, moment.now) for name, at in self._changed_at.items()}
        return {name: self._decide(fleet, setup, moment) for name, setup in self._setups.items()}

    def give_up_strays(self, moment: Moment) -> list[Command]:
        """Commands for machines whose pool is no longer configured: drained, and released once known idle.

        For a while they are left alone, save for what operators order.
        """
        commands: list[Command] = []
        for name in sorted(moment.grouped.keys() - self._setups.keys()):
            young = self._as_it_is_for_s(name, moment) < STRAY_GRACE_S
            instances = tuple(moment.grouped[name])
            pool = Pool(name=name, tiers=(), machine=MachineSpec(image="", gpus=()), placements=())
            snapshot = PoolSnapshot(
                pool=pool,
                demand=Unknown("this pool is not configured", moment.now),
                instances=instances,
                busy=moment.busy,
                orders=moment.orders,
            )
            commands += plan(snapshot, Decision(hot=0, warm=0, hold_up=True, hold_down=young), moment.now)[0]
        return commands

    def _as_it_is_for_s(self, pool: str, moment: Moment) -> float:
        """Seconds since this daemon leads and the pool is what it is, or is no more."""
        return min(moment.running_for_s, moment.now - self._changed_at.get(pool, float("-inf")))

    def _decide(self, fleet: Fleet, setup: PoolSetup, moment: Moment) -> PoolReport:
        name, now = setup.pool.name, moment.now
        heard = self._hear(fleet, setup.pool, moment)
        snapshot = self._snapshot(fleet, setup.pool, moment, heard.signal)
        for text in heard.alarms:
            fleet.note(signal_entry(snapshot, text, now))
        for text in heard.relief:
            fleet.note(relief_entry(name, text, now))
        decision, commands, states = decide(setup.policies, snapshot, fleet.policies.get(name, {}), now)
        fleet.remember_policies(name, states)
        fleet.wanted[name] = decision.hot
        self._led_to(fleet, snapshot, decision)
        moment.over(setup.pool, commands)
        if any(reason.rule == RENT for reason in decision.why_not) and self._observer.want_offers(name):
            self._wake.set()
        said = (decision.hot, decision.warm, tuple(reason.rule for reason in decision.why))
        if self._said.get(name) != said:
            self._said[name] = said
            if decision.why:
                fleet.note(decision_entry(snapshot, decision, now))
        return PoolReport(
            snapshot=snapshot,
            decision=decision,
            commands=commands,
            spent_today=fleet.accounts.spent_today(name),
            admission=fleet.admit(snapshot, now),
        )

    def _hear(self, fleet: Fleet, pool: Pool, moment: Moment) -> Heard:
        """Take the reading of a pool's queue.

        What this daemon knew when it last led counts where it is newer than what the store knows.
        """
        nothing = Signal()
        before = max(self._heard.get(pool.name, nothing), fleet.signals.get(pool.name, nothing), key=latest)
        if before.good is not None and before.good.at < self._changed_at.get(pool.name, float("-inf")):
            before = nothing  # it is of another queue
        return hear(
            before,
            moment.demand_of(pool.name),
            machines=moment.grouped.get(pool.name, ()),
            load=fleet.loads.get(pool.name, Load()),
            fallback=pool.fallback,
            now=moment.now,
        )

    def _led_to(self, fleet: Fleet, snapshot: PoolSnapshot, decision: Decision) -> None:
        """Remember what a reading led to, where it can be believed."""
        name, signal = snapshot.pool.name, snapshot.signal
        if isinstance(snapshot.demand, Demand) and signal.fall is None:
            signal = replace(signal, wanted=decision.hot)
        self._heard[name] = signal
        fleet.remember_signal(name, signal)

    def _snapshot(self, fleet: Fleet, pool: Pool, moment: Moment, signal: Signal) -> PoolSnapshot:
        instances = tuple(moment.grouped.get(pool.name, ()))
        spending = fleet.accounts.spending(moment.now, pool.name)
        today = day_of(moment.now)
        return PoolSnapshot(
            pool=pool,
            demand=moment.demand_of(pool.name),
            instances=instances,
            busy=moment.busy,
            offers=moment.left_of(self._observer.offers(pool.name)),
            history=fleet.experience.history.get(pool.name, {}),
            places=fleet.experience.places.places(moment.held, moment.booting),
            load=fleet.loads.get(pool.name, Load()),
            image=fleet.experience.images.get(pool.machine.image, ImageHistory()),
            idle_since=fleet.idle_since,
            stoppable=self._stoppable,
            rebids=self._rebids,
            orders_at_once=self._orders_at_once,
            spent_today_usd=spending.today,
            day_left_s=(today + 1) * DAY_S - moment.now,
            spent_month_usd=spending.month,
            month_left_s=month_of(today).stop * DAY_S - moment.now,
            forecast_usd=spending.forecast,
            fleet=moment.turns.money(pool.name),
            drained_at=moment.drained_at.get(pool.name, ()),
            orders=moment.orders,
            signal=signal,
            running_for_s=self._as_it_is_for_s(pool.name, moment),
        )
