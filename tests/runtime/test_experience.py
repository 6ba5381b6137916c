"""What was learned in a future that was none is stored anew, so that a restart does not bring it back."""

from __future__ import annotations

from autoscaler.core.decision import Action, Outcome, Result
from autoscaler.core.lifecycle import Phase
from autoscaler.runtime.experience import Experience
from tests.support.build import NOW, instance, pool

DAY_S = 86400.0


def refused(at: float) -> Outcome:
    return Outcome(action=Action.RENT, instance="aaaa", result=Result.REJECTED, started_at=at, ended_at=at)


def test_a_placement_that_was_blocked_before_the_clock_was_set_back_is_not_left_alone_for_longer() -> None:
    record, tomorrow = instance(Phase.PLANNED, host="h-1", image="worker:1"), NOW + DAY_S
    learned = Experience()
    learned.learn_rent(record, refused(tomorrow), [pool()])
    learned.learn_crash(record, tomorrow)
    learned.take_unsaved()

    learned.not_after(NOW)

    assert learned.history_of("images", "mock-on-demand").blocked_until < NOW + 3600.0
    assert learned.take_unsaved() == {("history", "images"), ("places", "mock"), ("images",)}
    assert not learned.take_unsaved()
