"""What must hold at every moment, whatever happens. Each looks at the world and gives what is broken, or nothing."""

from __future__ import annotations

from collections.abc import Callable

from autoscaler.core.decision import Action
from autoscaler.core.instance import parse_label
from autoscaler.core.lifecycle import ESCALATIONS, Phase, deadline_s
from autoscaler.core.spec import Deadlines
from autoscaler.runtime.decider import STRAY_GRACE_S
from autoscaler.store.common import LED_LATELY_S
from tests.chaos.books import Books
from tests.chaos.obedience import Obedience
from tests.chaos.world import World
from tests.support.build import FLEET

_CALL_S = 60.0
"""The longest that a provider's answer is waited for; meanwhile a record stands still."""
_UNKNOWN_S = 180.0
_UNKNOWN_IN_PEACE_S = 60.0
"""How long a machine of ours may be listed without a record: at most, and when nothing goes wrong any more."""
_TWICE_TICKS = 3
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
        self._owners: dict[tuple[int, str, bytes], str] = {}
        self._unknown_since: dict[str, float] = {}
        self._waiting_since: dict[tuple[str, float], tuple[float, float]] = {}
        self._unwanted_since: dict[str, float] = {}
        self._twice_since: dict[str, float] = {}
        self._obedience = Obedience(world)
        self._books = Books(world)

    def broken(self) -> tuple[str, str] | None:
        """The first invariant that does not hold, by name, and how."""
        checks: tuple[Callable[[], str | None], ...] = (
            self.no_internal_error,
            self.one_leader_each,
            self.one_writer,
            self.intent_before_effect,
            self.orders_within_limits,
            *self._obedience.checks,
            self.no_machine_unknown,
            self.no_phase_past_its_deadline,
            self.nothing_is_kept_for_a_pool_that_is_gone,
            self.the_watch_goes_on,
            *self._books.checks,
        )
        found = next(((check.__name__, text) for check in checks if (text := check())), None)
        self._world.ground.calls.clear()
        self._world.ground.commits.clear()
        return found

    # --- who acts -----------------------------------------------------------------------------------------------------

    def no_internal_error(self) -> str | None:
        """No daemon stumbles over a bug of its own."""
        return next((daemon.error for daemon in self._world.daemons if daemon.error), None)

    def one_leader_each(self) -> str | None:
        """No pool has two leases that are held, and no record lies under several keys for long.

        A pool that is configured again is led anew, and whoever kept its machines as strays forgets them a tick later.
        """
        redis = self._world.ground.redis
        leaders = dict(redis.leaders())
        if "" in leaders and len(leaders) > 1:
            return f"all pools are led by {leaders.pop('')}, and yet {leaders}"
        world, now = self._world, self._world.clock.now()
        twice = {name: self._twice_since.get(name, now) for name in redis.records if redis.keys_of(name) > 1}
        self._twice_since = twice
        undisturbed_since = max(world.undisturbed_since(pool) for pool in world.plan.config.pools)
        late = [
            n for n, since in twice.items() if now - max(since, undisturbed_since) > _TWICE_TICKS * world.plan.tick_s
        ]
        return f"{', '.join(late)} lie under several keys" if late else None

    def one_writer(self) -> str | None:
        """Only the holder of a lease calls and writes, and a fence number has one owner.

        For the length of a lease after a failover nothing is promised: the new Redis may not know who held it.
        """
        world = self._world
        for commit in world.ground.commits:
            owner = self._owners.setdefault((commit.epoch, commit.unit, commit.fence), commit.owner)
            if owner != commit.owner:
                return f"{commit.owner} wrote with fence {commit.fence.decode()}, as {owner} did"
            if commit.holder != commit.owner:
                return f"{commit.owner} wrote while {commit.holder or 'nobody'} held the lease"
        for call in world.ground.calls:
            if call.owner not in call.holders and call.at > world.failed_over_at + world.plan.lease_s:
                text = f"{call.owner} called {call.action} {call.machine} of {call.pool or 'no pool'}"
                return f"{text} while {', '.join(call.holders) or 'nobody'} held the lease"
        return None

    def intent_before_effect(self) -> str | None:
        """What is ordered from a provider is in the store already, in the phase that owes it."""
        world = self._world
        for call in world.ground.calls:
            if call.at <= world.healed_at:
                continue
            expected = _OWED_BY.get(call.action)
            if expected and (call.intent is None or call.intent.phase is not expected):
                found = call.intent.phase if call.intent else "no record"
                return f"{call.action} {call.machine} was called; the store has {found}, not {expected}"
        return None

    def orders_within_limits(self) -> str | None:
        """Nothing leads to more machines than `limits.hot` allows, be it an operator's floor."""
        for commit in self._world.ground.commits:
            for pool, ordered in commit.ordered.items():
                most, up = commit.most.get(pool, 0), commit.up[pool]
                if up > most and commit.at > self._world.healed_at:
                    return f"{', '.join(ordered)} ordered, which makes {up} machines up for {pool}; {most} are allowed"
        return None

    def the_watch_goes_on(self) -> str | None:
        """A daemon that runs, beside a Redis that answers, ticks."""
        world = self._world
        now = world.clock.now()
        longest_s = 3 * world.plan.tick_s + _CALL_S
        for daemon in world.daemons:
            silent_s = now - max(daemon.latest_at, world.redis_down_at, daemon.process.thawed_at)
            if daemon.up and not daemon.process.frozen and silent_s > longest_s:
                return f"{daemon.owner} has not ticked for {silent_s:.0f}s"
        return None

    # --- machines -----------------------------------------------------------------------------------------------------

    def no_machine_unknown(self) -> str | None:
        """A machine that a daemon was shown has a record, soon."""
        world, now = self._world, self._world.clock.now()
        records = [r for r in world.ground.redis.records.values() if r.phase is not Phase.GONE]
        tokens, ids = {r.id for r in records}, {r.provider_id for r in records}
        unknown = {}
        for provider_id, machine in sorted(world.machines().items()):
            pool, token = parse_label(machine.label, FLEET) or ("", "")
            leader, undisturbed_since = world.leader(pool), world.undisturbed_since(pool)
            shown_at, shown = world.ground.shown.get(leader.owner if leader else "", (now, frozenset()))
            if provider_id in ids or token in tokens or provider_id not in shown or shown_at <= undisturbed_since:
                continue
            since = unknown[provider_id] = self._unknown_since.get(provider_id, now)
            since = max(since, undisturbed_since)
            peace = since > world.calm_at > 0
            for_s = now - since
            if for_s > (_UNKNOWN_IN_PEACE_S if peace else _UNKNOWN_S) + (2 if peace else 3) * world.plan.tick_s:
                return f"{provider_id} ({machine.label}) is listed, and has had no record for {for_s:.0f}s"
        self._unknown_since = unknown
        return None

    def no_phase_past_its_deadline(self) -> str | None:
        """A phase that outlives its deadline, by true time, is escalated or alarmed at the next ticks of a leader.

        A clock that was set back makes it late by as much. A pool that is configured no more, and had a lease of its
        own, is nobody's for a while: a daemon with another file may take it again.
        """
        world, now = self._world, self._world.clock.now()
        records = world.ground.redis.records.values()
        waiting = {(r.id, r.phase_since): r for r in records if r.phase in ESCALATIONS and not r.alarmed}
        self._waiting_since = {key: self._waiting_since.get(key, (now, world.set_back_s)) for key in waiting}
        for key, record in waiting.items():
            pool = world.plan.config.pools.get(record.pool)
            limit_s = deadline_s(record.phase, pool.deadlines if pool else Deadlines()) or 0.0
            since, set_back_s = self._waiting_since[key]
            late_s = limit_s + world.set_back_s - set_back_s
            over_s = now - max(since + late_s, world.undisturbed_since(record.pool))
            left_alone_s = 0.0 if record.pool in world.config.pools else LED_LATELY_S + world.plan.lease_s
            if over_s > 3 * _CALL_S + 3 * world.plan.tick_s + left_alone_s:
                text = f"{record.id} is {record.phase} for {over_s:.0f}s longer than its deadline of {limit_s:.0f}s"
                return f"{text}, without {ESCALATIONS[record.phase]}"
        return None

    def nothing_is_kept_for_a_pool_that_is_gone(self) -> str | None:
        """A machine whose pool no daemon is configured with is given back after the grace, once its jobs are done.

        What nobody could help is not counted: no leader, a pause, workers that say nothing, a provider that refuses.
        """
        world, now = self._world, self._world.clock.now()
        wanted = {name for daemon in world.daemons if daemon.up for name in daemon.config.pools} | {*world.config.pools}
        there = {parsed[0] for each in world.machines().values() if (parsed := parse_label(each.label, FLEET))}
        self._unwanted_since = {pool: self._unwanted_since.get(pool, now) for pool in sorted(there - wanted)}
        longest_s = STRAY_GRACE_S + world.plan.slots_service_s + Deadlines().booting + 600.0 + 5 * world.plan.tick_s
        for pool, since in self._unwanted_since.items():
            for_s = now - max(since, world.undisturbed_since(pool), world.disturbed_at)
            if for_s > longest_s:
                return f"machines of {pool}, which is no pool any more, are there {for_s:.0f}s later"
        return None
