"""How many jobs came, as a queue's depths and the workers' counts tell it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.arrivals import Arrivals, Counts
from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from tests.support.build import NOW, instance

TIERS = ("pro", "free")
TICK_S = 10.0
LONGEST_S = 120.0


@dataclass
class Queue:
    """A queue whose truth is known, with two workers that count what they take."""

    now: float = NOW
    depths: Counter[str] = field(default_factory=Counter)
    came: Counter[str] = field(default_factory=Counter)
    taken: dict[str, Counter[str]] = field(default_factory=lambda: {"a": Counter(), "b": Counter()})
    heard: dict[str, Counts | None] = field(default_factory=dict)
    machines: tuple[Instance, ...] = (instance(id="a"), instance(id="b"))

    def push(self, tier: str, jobs: int) -> None:
        self.depths[tier] += jobs
        self.came[tier] += jobs

    def take(self, worker: str, tier: str, jobs: int) -> None:
        jobs = min(jobs, self.depths[tier])
        self.depths[tier] -= jobs
        self.taken[worker][tier] += jobs

    def live(self, step: Step) -> None:
        for tier, jobs in step.pushes:
            self.push(tier, jobs)
        for worker, tier, jobs in step.takes:
            self.take(worker, tier, jobs)

    def began(self, tier: str) -> int:
        return sum(taken[tier] for taken in self.taken.values())

    def beat(self, *workers: str) -> None:
        self.heard.update({worker: dict(self.taken[worker]) for worker in workers})

    @property
    def demand(self) -> Demand:
        return Demand(taken_at=self.now, tiers=tuple(TierDemand(tier=t, waiting=self.depths[t]) for t in TIERS))

    def tick(self, arrivals: Arrivals, demand: Demand | Unknown | None = None) -> None:
        arrivals.read(demand or self.demand, self.machines, dict(self.heard), self.now)
        self.now += TICK_S


def followed(*, counting: bool = True) -> tuple[Queue, Arrivals]:
    """A queue, and its arrivals after the first reading."""
    queue, arrivals = Queue(), Arrivals(LONGEST_S)
    if counting:
        queue.beat("a", "b")
    else:
        queue.heard = dict.fromkeys(("a", "b"))
    queue.tick(arrivals)
    return queue, arrivals


def arrived(arrivals: Arrivals) -> dict[str, int]:
    return {name: tier.arrived for name, tier in arrivals.tiers().items()}


def started(arrivals: Arrivals) -> dict[str, int]:
    return {name: tier.started for name, tier in arrivals.tiers().items()}


@dataclass(frozen=True)
class Step:
    """What happens between two ticks."""

    pushes: list[tuple[str, int]]
    takes: list[tuple[str, str, int]]
    beats: frozenset[str]


JOBS = st.integers(0, 5)
STEPS = st.lists(
    st.builds(
        Step,
        pushes=st.lists(st.tuples(st.sampled_from(TIERS), JOBS), max_size=3),
        takes=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(TIERS), JOBS), max_size=3),
        beats=st.frozensets(st.sampled_from("ab")),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_every_arrival_is_counted_once_and_none_before_it_came(steps: list[Step]) -> None:
    queue, arrivals = followed()
    for number, step in enumerate(steps):
        queue.live(step)
        queue.beat(*step.beats)
        if number % 3 == 2:  # each beats at least every 30 s
            queue.beat("a", "b")
        queue.tick(arrivals)
        assert all(0 <= count <= queue.came[tier] for tier, count in arrived(arrivals).items())
    queue.beat("a", "b")
    queue.tick(arrivals)
    assert arrivals.counted
    assert arrived(arrivals) == {tier: queue.came[tier] for tier in TIERS}
    assert started(arrivals) == {tier: queue.began(tier) for tier in TIERS}


@given(steps=STEPS, restart_at=st.integers(0, 40))
def test_a_daemon_that_restarts_misses_only_what_came_while_it_was_away(steps: list[Step], restart_at: int) -> None:
    queue, arrivals = followed()
    found: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for number, step in enumerate(steps):
        before = queue.came.copy()
        queue.live(step)
        queue.beat("a", "b")
        if number == restart_at:
            found.update(arrived(arrivals))
            missed = queue.came - before
            arrivals = Arrivals(LONGEST_S)
        queue.tick(arrivals)
    found.update(arrived(arrivals))
    assert found + missed == +queue.came


@given(steps=STEPS)
def test_where_nobody_counts_no_more_is_claimed_than_the_depths_prove(steps: list[Step]) -> None:
    queue, arrivals = followed(counting=False)
    for step in steps:
        queue.live(step)
        queue.tick(arrivals)
    queue.tick(arrivals)
    assert not arrivals.counted
    for tier, tally in arrivals.tiers().items():
        assert 0 <= tally.arrived <= queue.came[tier]
        assert 0 <= tally.started <= queue.began(tier)
        assert tally.arrived - tally.started == queue.depths[tier]


def test_a_count_that_falls_is_that_of_a_new_worker() -> None:
    queue, arrivals = followed()
    queue.push("pro", 3)
    queue.take("a", "pro", 3)
    queue.beat("a")
    queue.tick(arrivals)
    queue.taken["a"] = Counter()
    queue.beat("a")
    queue.tick(arrivals)
    queue.push("pro", 2)
    queue.take("a", "pro", 2)
    queue.beat("a")
    queue.tick(arrivals)
    assert arrived(arrivals) == {"pro": 5, "free": 0}


def test_the_first_count_of_a_machine_ordered_meanwhile_is_all_new() -> None:
    queue, arrivals = followed()
    queue.machines += (instance(id="c", ordered_at=NOW + 1.0),)
    queue.push("pro", 1)
    queue.taken["c"] = Counter()
    queue.take("c", "pro", 1)
    queue.beat("c")
    queue.tick(arrivals)
    assert arrived(arrivals) == {"pro": 1, "free": 0}


def test_the_first_count_of_a_machine_that_was_there_before_is_old() -> None:
    queue, arrivals = followed()
    queue.machines += (instance(id="c", ordered_at=NOW - 1.0),)
    queue.taken["c"] = Counter(pro=1000)
    queue.beat("c")
    queue.tick(arrivals)
    assert arrived(arrivals) == {"pro": 0, "free": 0}


def test_a_job_that_no_worker_counts_within_a_minute_makes_the_minute_uncounted() -> None:
    queue, arrivals = followed()
    queue.push("pro", 4)
    queue.tick(arrivals)
    queue.depths["pro"] = 0  # somebody deletes the queue
    for _ in range(7):
        queue.tick(arrivals)
        assert arrivals.counted
    queue.tick(arrivals)
    assert not arrivals.counted
    queue.push("pro", 1)
    queue.tick(arrivals)
    assert arrived(arrivals) == {"pro": 5, "free": 0}, "what comes later is not taken for what was deleted"


def test_one_worker_that_does_not_count_makes_the_minute_uncounted() -> None:
    queue, arrivals = followed()
    queue.heard["b"] = None
    queue.tick(arrivals)
    assert not arrivals.counted


def test_a_machine_that_never_beats_does_not_count_after_its_first_minute() -> None:
    queue, arrivals = followed()
    queue.machines += (instance(id="c", phase_since=queue.now),)
    for _ in range(7):
        queue.tick(arrivals)
        assert arrivals.counted
    queue.tick(arrivals)
    assert not arrivals.counted


def test_a_machine_that_is_not_up_need_not_count() -> None:
    queue, arrivals = followed()
    queue.machines += (instance(Phase.WARM, id="c"),)
    queue.tick(arrivals)
    assert arrivals.counted


def test_a_count_of_no_tier_of_the_pool_makes_the_minute_uncounted() -> None:
    queue, arrivals = followed()
    queue.taken["a"]["default"] += 1
    queue.beat("a")
    queue.tick(arrivals)
    assert not arrivals.counted


def test_a_short_failure_to_read_is_made_up_for() -> None:
    queue, arrivals = followed()
    queue.push("pro", 3)
    queue.tick(arrivals, Unknown("connection refused", NOW))
    queue.push("pro", 2)
    queue.tick(arrivals)
    assert arrived(arrivals) == {"pro": 5, "free": 0}
    assert arrivals.seen_s == 2 * TICK_S


def test_a_long_failure_to_read_is_a_gap_and_not_quiet() -> None:
    queue, arrivals = followed()
    queue.tick(arrivals)
    queue.push("pro", 3)
    for _ in range(13):
        queue.tick(arrivals, Unknown("connection refused", NOW))
    queue.tick(arrivals)
    queue.push("pro", 2)
    queue.tick(arrivals)
    assert arrived(arrivals) == {"pro": 2, "free": 0}
    assert arrivals.seen_s == 2 * TICK_S


def test_a_queue_that_was_never_read_says_nothing_of_its_tiers() -> None:
    queue, arrivals = Queue(), Arrivals(LONGEST_S)
    for _ in range(3):
        queue.tick(arrivals, Unknown("connection refused", NOW))
    assert arrivals.tiers() == {}


def test_a_depth_that_is_a_lower_bound_is_no_reading() -> None:
    queue, arrivals = followed()
    bound = TierDemand(tier="pro", waiting=101, waiting_is_lower_bound=True)
    queue.tick(arrivals, Demand(taken_at=queue.now, tiers=(bound, TierDemand(tier="free", waiting=0))))
    assert arrivals.seen_s == 0.0
