"""`autoscaler why` against a daemon's API on loopback."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from autoscaler.cli.why import why
from tests.support.api import JOURNAL, FakeDaemon, Json, a_concern, a_pool, a_status, an_entry, an_order, run_command
from tests.support.redis_server import free_port


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon().serving() as daemon:
        yield daemon


def quiet_pool(*why_not: tuple[str, str], why: tuple[tuple[str, str], ...] = (), **changes: Any) -> Json:
    decision = {
        "hot": 2,
        "warm": 2,
        "why": [{"rule": rule, "text": text} for rule, text in why],
        "why_not": [{"rule": rule, "text": text} for rule, text in why_not],
    }
    return a_pool(**({"decision": decision, "commands": []} | changes))


NOT = {"rent": "not rented", "resume": "not resumed", "stop": "not stopped", "release": "not released"}


def reasons_against(action: str, output: str) -> list[str]:
    """What `why` says of one action."""
    found: dict[str, list[str]] = {}
    label = ""
    _, _, after = output.partition("Why nothing else is done:\n")
    for line in after.splitlines():
        if not line.startswith("    "):
            break
        label = line[4:18].strip() or label
        found.setdefault(label, []).append(line[18:])
    return found[NOT[action]]


def told(*arguments: str) -> list[str]:
    """What it says, line by line."""
    result = run_command(why, *arguments)
    assert result.exit_code == 0, result.stderr
    return result.output.splitlines()


def part(lines: list[str], heading: str) -> list[str]:
    """The lines below a heading."""
    rest = lines[lines.index(heading) + 1 :]
    return [line.strip() for line in itertools.takewhile(lambda line: line.startswith("    "), rest)]


def test_a_pool_says_in_sentences_what_it_wants_since_when_and_why(daemon: FakeDaemon) -> None:
    lines = told("--url", daemon.url)
    assert lines[:4] == [
        "Pool images: 3 HOT wanted, 2 up or on their way, 1 missing; 0 WARM, at most 2 kept.",
        "  Since 11-18 11:06:37 UTC, for 3s, because",
        "    - 33 jobs wait, more than 30, and no standby is left: rent",
        "  33 waiting, 2 in flight; free is late: its oldest job has waited for 12m 34s, the target is 5m.",
    ]


def test_a_decision_that_says_the_same_in_other_words_is_no_new_one(daemon: FakeDaemon) -> None:
    again = an_entry("decision", "", 600.0, hot=3, warm=2, why=[{"rule": "x", "text": "another word"}])
    daemon.journal = {"entries": [*JOURNAL[:2], again]}
    lines = told("--url", daemon.url)
    assert lines[1] == "  Since 11-18 10:56:40 UTC, for 10m, because"
    assert "  Before that:" not in lines


def test_a_decision_older_than_the_journal_has_no_invented_beginning(daemon: FakeDaemon) -> None:
    daemon.journal = {"entries": []}
    assert "  For longer than was looked back, because" in told("--url", daemon.url)


def test_what_was_done_and_what_came_of_it_is_told_the_newest_first(daemon: FakeDaemon) -> None:
    lines = told("--url", daemon.url)
    assert part(lines, "  What is done about it, and what came of it, the newest first:") == [
        "now             rent a machine at mock-spot: 3 machines wanted, 2 up: RTX 4090 in US at 0.412 USD/h",
        "11-18 11:06:38  rent cccc: ok",
    ]
    daemon.status, daemon.journal = a_status(pools=[quiet_pool()]), {"entries": []}
    assert "  Nothing had to be done about it." in told("--url", daemon.url)


def test_it_says_what_a_pool_costs_against_its_cap(daemon: FakeDaemon) -> None:
    cost = (
        "  It costs 0.82 USD/h now; today 3.40 USD of 30 allowed, with a warning at 20; the month 123 USD at this pace."
    )
    assert cost in told("--url", daemon.url)


def test_orders_caps_and_doubt_are_what_stands_in_the_way(daemon: FakeDaemon) -> None:
    assert "  Nothing stands in its way: no order, no cap, no doubt." in told("--url", daemon.url)
    orders = [
        an_order("pause", by="ann"),
        {**an_order("drain:x", by="bob"), "subject": "x", "kind": "drain"},
        {**an_order("drain:aaaa", by="bob"), "subject": "aaaa", "kind": "drain"},
        {**an_order("floor:chat", by="cat"), "subject": "chat", "kind": "floor"},
        {**an_order("evacuate:mock", by="dan"), "subject": "mock", "kind": "evacuate"},
        {**an_order("adopt:mock/m9", by="eve"), "subject": "mock/m9", "kind": "adopt", "pool": "chat"},
    ]
    providers = [{"name": "mock", "unknown": "503", "listing_age_s": None, "machines": None}]
    pool = quiet_pool(why=(("budget.stop", "31 of 30 USD spent"),))
    pool["demand"]["advice"] = {"clock_skew": "let them keep time"}
    daemon.status = a_status(pools=[pool], orders=orders, providers=providers, error="Redis is away")
    assert part(told("--url", daemon.url), "  What stands in its way:") == [
        "- an order: pause by ann",
        "- an order: drain:aaaa by bob",
        "- an order: evacuate:mock by dan",
        "- 31 of 30 USD spent  [budget.stop]",
        "- mock cannot be listed: 503",
        "- a warning about the queue: clock_skew: let them keep time",
        "- the newest tick failed: Redis is away",
    ]


def test_what_to_do_is_a_line_to_be_typed(daemon: FakeDaemon) -> None:
    assert "  To do: nothing, it needs nobody." in told("--url", daemon.url)
    daemon.status = a_status(concerns=[a_concern("bbbb is stuck"), a_concern("of chat", pool="chat")])
    assert part(told("--url", daemon.url), "  To do:") == ["- bbbb is stuck", "autoscaler drain bbbb"]


def test_earlier_decisions_are_told_with_their_reasons_as_many_as_asked_for(daemon: FakeDaemon) -> None:
    assert part(told("--url", daemon.url), "  Before that:") == [
        "11-18 11:05:10  2 HOT, at most 2 WARM, because",
        "- nothing asked for a change",
    ]
    assert "  Before that:" not in told("--count", "0", "--url", daemon.url)


def test_last_takes_all_of_a_time_and_nothing_before_it(daemon: FakeDaemon) -> None:
    entries = [an_entry("decision", "", 60.0 * number, hot=number, warm=0) for number in range(1, 20)]
    daemon.journal = {"entries": entries}
    times = [line for line in told("--last", "10m", "--url", daemon.url) if " HOT, at most 0 WARM" in line]
    assert len(times) == 10
    assert "a duration" in run_command(why, "--last", "soon", "--url", daemon.url).stderr


def test_where_the_journal_is_too_short_for_what_was_asked_it_says_how_far_back_it_reaches(daemon: FakeDaemon) -> None:
    daemon.journal = {"entries": [an_entry("notice", "", float(number)) for number in range(1000)]}
    reach = "The daemon's newest 1000 entries reach back to 11-18 10:50:01 UTC."
    assert told("--last", "2h", "--url", daemon.url)[-1] == reach
    assert reach not in told("--last", "5m", "--url", daemon.url)


# --- one machine ------------------------------------------------------------------------------------------------------

LIFE = [
    an_entry("phase", "bbbb booting → hot: ready, 12m after it was ordered", 125.0, instance="bbbb", result="hot"),
    an_entry("outcome", "rent bbbb: ok", 845.0, instance="bbbb", action="rent", result="ok"),
    an_entry("phase", "bbbb planned: 2 machines wanted, 1 up", 846.0, instance="bbbb", result="planned"),
    an_entry("phase", "zzzz planned: another", 900.0, instance="zzzz", result="planned"),
]


def test_the_life_of_a_machine_is_told_with_what_it_has_cost(daemon: FakeDaemon) -> None:
    daemon.journal = {"entries": LIFE}
    assert told("--instance", "bbbb", "--url", daemon.url) == [
        "Machine bbbb: hot for 2m 05s, ready after 12m of booting",
        "  RTX 4090 in CA, on demand, by placement mock-spot; mock/m1 on host h3.",
        "  It serves the pool images.",
        "  It costs 0.412 USD/h now, and has cost 1.23 USD.",
        "  nobody knows how many of its 1 slots at work.",
        "  Its life:",
        "    11-18 10:52:34  bbbb planned: 2 machines wanted, 1 up; 12m 01s long",
        "    11-18 10:52:35  rent bbbb: ok",
        "    11-18 11:04:35  bbbb booting → hot: ready, 12m after it was ordered",
    ]
    assert told("--instance", "mock/m1", "--url", daemon.url)[0].startswith("Machine aaaa"), "the first of that name"


def test_a_machine_that_is_gone_has_a_life_as_far_as_the_journal_reaches(daemon: FakeDaemon) -> None:
    daemon.journal = {
        "entries": [an_entry("phase", "yyyy releasing → gone: x; it has cost 2.00 USD", 9.0, instance="yyyy")]
    }
    lines = told("--instance", "yyyy", "--url", daemon.url)
    assert lines[0] == "Machine yyyy: it is no more of the fleet."
    assert lines[2].endswith("it has cost 2.00 USD")
    assert lines[3] == "    (what was before 11-18 11:06:31 UTC was not looked at)"


def test_a_machine_that_nobody_knows_is_an_error(daemon: FakeDaemon) -> None:
    result = run_command(why, "--instance", "nope", "--url", daemon.url)
    assert result.exit_code == 2
    assert result.stderr == "error: no machine 'nope' in the fleet or in the journal's newest 4 entries\n"


def test_what_ails_a_machine_comes_with_what_to_do(daemon: FakeDaemon) -> None:
    daemon.status = a_status(concerns=[a_concern("bbbb is stuck")])
    assert part(told("--instance", "bbbb", "--url", daemon.url), "  To do:") == [
        "- bbbb is stuck",
        "autoscaler drain bbbb",
    ]


def test_json_has_what_it_is_told_from(daemon: FakeDaemon) -> None:
    daemon.status = a_status(pools=[a_pool(), a_pool("chat")])
    found = json.loads(run_command(why, "images", "--json", "--url", daemon.url).output)
    assert found == {"pools": [a_pool()], "entries": JOURNAL}
    daemon.journal = {"entries": LIFE}
    found = json.loads(run_command(why, "--instance", "bbbb", "--json", "--url", daemon.url).output)
    assert (found["instance"]["id"], found["entries"]) == ("bbbb", LIFE[:3])


def test_a_strangers_words_do_nothing_to_the_terminal(daemon: FakeDaemon) -> None:
    daemon.status = a_status(pools=[quiet_pool(("plan.rent", "\x1b[2Jcleared\x07"))])
    output = run_command(why, "--url", daemon.url).output
    assert "\x1b" not in output
    assert "[2Jcleared" in output


def test_every_action_has_a_reason_against_it_with_how_far_it_is(daemon: FakeDaemon) -> None:
    pool = quiet_pool(
        ("thresholds.rent", "12 jobs wait; it takes more than 30"),
        ("thresholds.stop", "quiet for 4m of 30m"),
        ("plan.rent", "mock-spot: no offer at or below 0.45 USD/h"),
    )
    daemon.status = a_status(pools=[pool])
    output = run_command(why, "--url", daemon.url).output
    assert reasons_against("rent", output) == [
        "12 jobs wait; it takes more than 30  [thresholds.rent]",
        "mock-spot: no offer at or below 0.45 USD/h  [plan.rent]",
        "2 up, 2 wanted, 1..4 allowed: none is missing  [plan]",
    ]
    assert reasons_against("resume", output) == ["no machine is WARM  [plan]"]
    assert reasons_against("stop", output) == [
        "quiet for 4m of 30m  [thresholds.stop]",
        "2 HOT, 2 wanted: none is too many  [plan]",
    ]
    assert reasons_against("release", output) == ["0 WARM, 2 kept at most: none is too many  [plan]"]


def test_the_numbers_tell_how_far_each_action_is(daemon: FakeDaemon) -> None:
    pool = quiet_pool(up=1)
    pool["phases"] |= {"hot": 3, "warm": 4}
    daemon.status = a_status(pools=[pool])
    output = run_command(why, "--url", daemon.url).output
    assert reasons_against("rent", output) == ["WARM machines are resumed first: 4  [plan]"]
    assert reasons_against("resume", output) == ["1 up, 2 wanted, 1..4 allowed: 1 missing  [plan]"]
    assert reasons_against("stop", output) == ["3 HOT, 2 wanted: 1 too many  [plan]"]
    assert reasons_against("release", output) == ["4 WARM, 2 kept at most: 2 too many  [plan]"]


ACTIONS = ("rent", "resume", "stop", "release")


def spoken_against(daemon: FakeDaemon, pool: Json) -> set[str]:
    """The actions against which a rule whose text is `held` stands."""
    daemon.status = a_status(pools=[pool])
    output = run_command(why, "--url", daemon.url).output
    return {action for action in ACTIONS if any("held" in reason for reason in reasons_against(action, output))}


@pytest.mark.parametrize(
    ("rule", "actions"),
    [
        ("paused", set(ACTIONS)),
        ("order.floor", {"stop"}),
        ("order.ceiling", {"rent", "resume"}),
        ("unknown", {"stop", "release"}),
        ("wait_target.unknown", {"stop", "release"}),
        ("budget.stop", {"rent", "resume"}),
        ("pace.up", {"rent", "resume"}),
        ("pace.down", {"stop"}),
        ("retention.keep", {"stop"}),
        ("forecast.hold", {"stop"}),
        ("schedule.open", {"stop"}),
        ("limits.warm", {"release"}),
        ("thresholds.rent", set()),
    ],
)
def test_what_led_to_the_decision_stands_against_what_it_holds_back(
    daemon: FakeDaemon, rule: str, actions: set[str]
) -> None:
    assert spoken_against(daemon, quiet_pool(why=((rule, "held"),))) == actions


@pytest.mark.parametrize(
    ("rule", "actions"),
    [
        ("fresh_start", {"stop", "release"}),
        ("plan.race", {"rent"}),
        ("health.replace", {"rent"}),
        ("budget.standby", {"rent"}),
        ("wait_target.fewer", {"stop"}),
        ("thresholds.release", {"release"}),
        ("forecast.skill", {"rent", "resume"}),
    ],
)
def test_what_was_not_done_stands_against_its_action(daemon: FakeDaemon, rule: str, actions: set[str]) -> None:
    assert spoken_against(daemon, quiet_pool((rule, "held"))) == actions


@pytest.mark.parametrize(("hot", "actions"), [(4, {"rent", "resume"}), (1, {"stop"})])
def test_the_limits_stand_against_more_machines_at_the_most_and_against_fewer_at_the_least(
    daemon: FakeDaemon, hot: int, actions: set[str]
) -> None:
    pool = quiet_pool(why=(("limits.hot", "held"),))
    pool["decision"]["hot"] = hot
    assert spoken_against(daemon, pool) == actions


def test_an_unknown_queue_is_said_to_be_unknown(daemon: FakeDaemon) -> None:
    pool = quiet_pool()
    pool["demand"] = {**pool["demand"], "unknown": "Redis cannot be reached", "waiting": None, "tiers": []}
    daemon.status = a_status(pools=[pool])
    assert "  The queue cannot be read (Redis cannot be reached): nothing is stopped for that." in told(
        "--url", daemon.url
    )


@pytest.mark.parametrize("arguments", [["chat"], ["--pool", "chat"]])
def test_one_pool_can_be_asked_for(daemon: FakeDaemon, arguments: list[str]) -> None:
    daemon.status = a_status(pools=[a_pool(), a_pool("chat")])
    daemon.journal = {"entries": [an_entry("decision", "", 5.0, hot=7, warm=1)]}
    output = run_command(why, *arguments, "--url", daemon.url).output
    assert "Pool chat" in output
    assert "Pool images" not in output
    assert "7 HOT" not in output, "another pool's decision"


def test_a_pool_that_is_not_there_is_an_error_that_names_those_that_are(daemon: FakeDaemon) -> None:
    result = run_command(why, "imges", "--url", daemon.url)
    assert result.exit_code == 2
    assert result.stderr == "error: no pool 'imges'; the daemon's pools: images\n"


def test_a_pool_that_is_led_elsewhere_is_an_error_that_says_by_whom(daemon: FakeDaemon) -> None:
    daemon.status = a_status(leaders={"images": "day:1:x", "chat": "night:2:y"})
    result = run_command(why, "chat", "--url", daemon.url)
    assert result.exit_code == 2
    assert result.stderr == "error: chat is led by process 2 on night: ask there, with --url\n"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"at": None}, "the first tick is still to come"),
        ({"at": None, "error": "Redis is away"}, "the newest tick failed, Redis is away"),
        ({"leaders": {"images": "night:2:y"}}, "process 2 on night leads this fleet; ask there, with --url"),
        ({"leaders": {"images": ""}}, "nobody leads this fleet"),
    ],
)
def test_where_nothing_was_decided_it_says_why(daemon: FakeDaemon, changes: Json, said: str) -> None:
    daemon.status = a_status(**({"at": 1.0, "error": None, "pools": []} | changes))
    result = run_command(why, "images", "--url", daemon.url)
    assert result.exit_code == 0
    assert result.output == f"Nothing was decided here: {said}.\n"


def test_without_a_daemon_it_exits_with_2() -> None:
    result = run_command(why, "--url", f"http://127.0.0.1:{free_port()}")
    assert result.exit_code == 2
    assert "start one with autoscaler run FILE, or give --url" in result.stderr
