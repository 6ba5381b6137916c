"""What must hold at every moment, whatever happens. Each looks at the world and gives what is broken, or nothing."""

from __future__ import annotations

from collections.abc import Callable

from autoscaler.core.decision import Action
from autoscaler.core.ledger import day_of
from autoscaler.core.lifecycle import ESCALATIONS, Phase, deadline_s
from tests.chaos.world import FOREIGN, Daemon, World

_CALL_S = 60.0
"""The longest that a provider's answer is waited for; meanwhile a record stands still."""
_UNKNOWN_S = 180.0
_HEALS_S = 300.0
"""How long a living daemon takes at most to write every record again, at one write a minute."""
_OWED_BY = {
    Action.RENT: Phase.PLANNED,
    Action.RESUME: Phase.RESUMING,
    Action.STOP: Phase.STOPPING,
    Action.RELEASE: Phase.RELEASING,
}


class Watch:
    """The invariants, and what they remember from one step to the next."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._owners: dict[tuple[int, int], str] = {}
        self._unknown_since: dict[str, float] = {}
        self._waiting_since: dict[tuple[str, float], tuple[float, float]] = {}
        self._day = -1
        self._billed_before_today = self._excused_usd = 0.0
        self._led: Daemon | None = None
        self._looked_at = world.clock.now()

    def broken(self) -> tuple[str, str] | None:
        """The first invariant that does not hold, by name, and how."""
        checks: tuple[Callable[[], str | None], ...] = (
            self.no_internal_error,
            self.no_job_killed,
            self.one_writer,
            self.intent_before_effect,
            self.orders_within_limits,
            self.no_machine_unknown,
            self.no_phase_past_its_deadline,
            self.the_watch_goes_on,
            self.budget_held,
            self.foreign_machines_untouched,
        )
        found = next(((check.__name__, text) for check in checks if (text := check())), None)
        self._world.ground.calls.clear()
        self._world.ground.commits.clear()
        self._looked_at = self._world.clock.now()
        return found

    # --- who acts -----------------------------------------------------------------------------------------------------

    def no_internal_error(self) -> str | None:
        """No daemon stumbles over a bug of its own."""
        return next((daemon.error for daemon in self._world.daemons if daemon.error), None)

    def one_writer(self) -> str | None:
        """Only the holder of the lease calls and writes, and a fence number has one owner.

        For the length of a lease after a failover nothing is promised: the new Redis may not know who held it.
        """
        world = self._world
        for commit in world.ground.commits:
            owner = self._owners.setdefault((commit.epoch, commit.fence), commit.owner)
            if owner != commit.owner:
                return f"{commit.owner} wrote with fence {commit.fence}, as {owner} did"
            if commit.holder != commit.owner:
                return f"{commit.owner} wrote while {commit.holder or 'nobody'} held the lease"
        for call in world.ground.calls:
            if call.holder != call.owner and call.at > world.failed_over_at + world.plan.lease_s:
                text = f"{call.owner} called {call.action} {call.machine}"
                return f"{text} while {call.holder or 'nobody'} held the lease"
        return None

    def intent_before_effect(self) -> str | None:
        """What is ordered from a provider is in the store already, in the phase that owes it."""
        world = self._world
        for call in world.ground.calls:
            if call.at <= self._healed_at:
                continue
            expected = _OWED_BY.get(call.action)
            if call.intent is None or call.intent.phase is not expected:
                found = call.intent.phase if call.intent else "no record"
                return f"{call.action} {call.machine} was called; the store has {found}, not {expected}"
        return None

    def orders_within_limits(self) -> str | None:
        """No order leads to more machines than `limits.hot` allows."""
        most = self._world.plan.pool.limits.hot.high
        for commit in self._world.ground.commits:
            if commit.ordered and commit.up > most and commit.at > self._healed_at:
                return f"{', '.join(commit.ordered)} ordered, which makes {commit.up} machines up; {most} are allowed"
        return None

    def the_watch_goes_on(self) -> str | None:
        """A daemon that runs, beside a Redis that answers, ticks."""
        world = self._world
        now = world.clock.now()
        longest_s = 3 * world.plan.tick_s + _CALL_S
        for daemon in world.daemons:
            silent_s = now - max(daemon.ticked_at, world.redis_down_at, daemon.process.thawed_at)
            if daemon.up and not daemon.process.frozen and silent_s > longest_s:
                return f"{daemon.owner} has not ticked for {silent_s:.0f}s"
        return None

    # --- machines -----------------------------------------------------------------------------------------------------

    def no_job_killed(self) -> str | None:
        """No machine is ended that has a job in hand."""
        killed = self._world.provider.killed
        return f"{killed} jobs were in hand on machines that were ordered to end" if killed else None

    def foreign_machines_untouched(self) -> str | None:
        """Machines without our label stay as they are."""
        return None if FOREIGN in self._world.market.machines else "the machine of somebody else is gone"

    def no_machine_unknown(self) -> str | None:
        """A machine that a daemon was shown has a record, soon."""
        world, now = self._world, self._world.clock.now()
        leader, undisturbed_since = world.leader(), self._undisturbed_since()
        shown_at, shown = world.ground.shown.get(leader.owner if leader else "", (now, frozenset()))
        machines = world.machines() if shown_at > undisturbed_since else {}
        records = [r for r in world.ground.state.instances.values() if r.phase is not Phase.GONE]
        tokens, ids = {r.id for r in records}, {r.provider_id for r in records}
        unknown = {}
        for provider_id in sorted(shown & machines.keys() - ids):
            label = machines[provider_id].label
            if label.rpartition(".")[2] in tokens:
                continue
            since = unknown[provider_id] = self._unknown_since.get(provider_id, now)
            for_s = now - max(since, undisturbed_since)
            if for_s > _UNKNOWN_S + 3 * world.plan.tick_s:
                return f"{provider_id} ({label}) is listed, and has had no record for {for_s:.0f}s"
        self._unknown_since = unknown
        return None

    def no_phase_past_its_deadline(self) -> str | None:
        """A phase that outlives its deadline, by true time, is escalated or alarmed at the next ticks of a leader.

        A clock that was set back makes it late by as much.
        """
        world, now = self._world, self._world.clock.now()
        records = world.ground.state.instances.values()
        waiting = {(r.id, r.phase_since): r for r in records if r.phase in ESCALATIONS and not r.alarmed}
        self._waiting_since = {key: self._waiting_since.get(key, (now, world.set_back_s)) for key in waiting}
        led_since = self._undisturbed_since()
        for key, record in waiting.items():
            limit_s = deadline_s(record.phase, world.plan.pool.deadlines) or 0.0
            since, set_back_s = self._waiting_since[key]
            late_s = limit_s + world.set_back_s - set_back_s
            over_s = now - max(since + late_s, led_since)
            if over_s > 3 * _CALL_S + 3 * world.plan.tick_s:
                text = f"{record.id} is {record.phase} for {over_s:.0f}s longer than its deadline of {limit_s:.0f}s"
                return f"{text}, without {ESCALATIONS[record.phase]}"
        return None

    def _undisturbed_since(self) -> float:
        """Since when one daemon has led without a break, beside a Redis that answers; the present when none does."""
        world = self._world
        leader = world.leader()
        if leader is None or leader.leads_since is None:
            return world.clock.now()
        return max(world.redis_down_at, self._healed_at, leader.leads_since, leader.process.thawed_at)

    @property
    def _healed_at(self) -> float:
        """When what a failover to an older replica lost was written again at the latest, each record in its turn."""
        return self._world.failed_over_at + _HEALS_S + 5 * self._world.plan.tick_s

    # --- money --------------------------------------------------------------------------------------------------------

    def budget_held(self) -> str | None:
        """No machine above the floor runs on a day whose money is spent, to within one machine and hour.

        What machines above the floor cost while no daemon could end one is not held against the budget, nor what a
        failover made forgotten: the books of a daemon that had no time to write them into the new Redis.
        """
        world, now = self._world, self._world.clock.now()
        machines = world.machines().values()
        billed = sum(world.market.released.values()) + sum(machine.cost_usd(now) for machine in machines)
        if day_of(now) != self._day:
            self._day, self._billed_before_today, self._excused_usd = day_of(now), billed, 0.0
        running = sorted((machine.usd_per_hour for machine in machines if machine.on_gpu), reverse=True)
        above = running[world.plan.pool.limits.hot.low :]
        helpless = now - world.disturbed_at < world.plan.slots_service_s + 900.0
        if helpless:
            self._excused_usd += sum(above) * (now - self._looked_at) / 3600.0
        limits = world.plan.pool.limits.usd_per_day
        action_usd = max(running, default=0.0)
        today = billed - self._billed_before_today
        self._excused_usd += self._forgotten_usd(today - self._excused_usd)
        if above and not helpless and today - self._excused_usd > limits.stop + action_usd:
            text = f"{today:.2f} USD billed today, {self._excused_usd:.2f} of it excused, {limits.stop:g} allowed"
            return f"{text}, and {len(above)} machines above the floor still run"
        return None

    def _forgotten_usd(self, today_usd: float) -> float:
        """What a new leader cannot know of today's cost, because a failover took the books of the one before."""
        world, leader, before = self._world, self._world.leader(), self._led
        if leader is None or leader is before or leader.report is None:
            return 0.0
        self._led = leader
        if before is None or world.failed_over_at < before.led_at - _CALL_S - 2 * world.plan.tick_s:
            return 0.0
        return max(0.0, today_usd - leader.report.pools["images"].spent_today.usd)
