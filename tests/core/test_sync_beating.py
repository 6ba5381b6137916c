"""A machine whose worker beats is there, whatever the listings say."""

from __future__ import annotations

import pytest

from autoscaler.core.evidence import Evidence
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Remote, Status
from autoscaler.core.sync import ABSENCE_S, sync
from tests.support.build import FLEET, NOW, instance, pool, remote

BEATING = frozenset({"aaaa"})


def mirrored(record: Instance, *machines: Remote, beating: frozenset[str] = frozenset()) -> Phase:
    """The phase of a record after a complete listing."""
    evidence = Evidence(
        now=NOW,
        fleet=FLEET,
        pools={"images": pool()},
        listings={"mock": Listing(asked_at=NOW, machines=machines)},
        beating=beating,
    )
    changed = {new.id: new for new in sync({record.id: record}, evidence).changed}
    return changed.get(record.id, record).phase


@pytest.mark.parametrize("phase", [Phase.HOT, Phase.DRAINING])
def test_absence_does_not_count_while_its_worker_beats(phase: Phase) -> None:
    absent = instance(phase, absent_since=NOW - ABSENCE_S)
    assert mirrored(absent, beating=BEATING) is phase
    assert mirrored(absent) is Phase.LOST


def test_a_host_is_not_offline_while_a_worker_on_it_beats() -> None:
    offline = remote(Status.OFFLINE)
    assert mirrored(instance(Phase.HOT), offline, beating=BEATING) is Phase.HOT
    assert mirrored(instance(Phase.HOT), offline) is Phase.LOST


def test_a_lost_machine_whose_worker_beats_again_is_not_released() -> None:
    lost = instance(Phase.LOST, phase_since=NOW - 601.0)
    assert mirrored(lost, beating=BEATING) is Phase.BOOTING
    assert mirrored(lost) is Phase.RELEASING


def test_a_machine_whose_worker_beats_has_not_restarted_though_the_provider_says_it_starts() -> None:
    starting = remote(Status.STARTING)
    assert mirrored(instance(Phase.HOT), starting) is Phase.BOOTING
    assert mirrored(instance(Phase.HOT), starting, beating=BEATING) is Phase.HOT
