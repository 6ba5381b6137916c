"""What the report shows is what the books say, however many jobs, machines and reasons there are."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plotly.offline import get_plotlyjs

from autoscaler.core.decision import Reason
from autoscaler.core.journal import Kind
from autoscaler.core.spec import Cap, Limits, MachineSpec, Tier
from autoscaler.sim.books import Books
from autoscaler.sim.report.comparison import comparison_page
from autoscaler.sim.report.events import events_chart
from autoscaler.sim.report.look import Chart
from autoscaler.sim.report.machines import machines_chart
from autoscaler.sim.report.money import phase_chart, placement_chart
from autoscaler.sim.report.queue import queue_chart
from autoscaler.sim.report.simulation import simulation_page
from autoscaler.sim.report.timeline import Parts, spoken
from autoscaler.sim.report.trial import Trial, frontier, times_bound, trial_of
from autoscaler.sim.report.waits import spread_chart, waits_chart
from autoscaler.sim.summary import summarize
from tests.support.books import DAY_S, books, entry, job_log, many_jobs, phase, scenario_of
from tests.support.build import pool

HOUR_S = 3600.0
HOSTILE = "<img src=x onerror=hit()>'\""
THREE_TIERS = (Tier(name="pro", wait_target=30.0), Tier(name="premium"), Tier(name="free", wait_target=300.0))

spans = st.lists(
    st.tuples(st.floats(0.0, 5000.0), st.floats(0.0, 5000.0), st.floats(0.0, 9.0)).map(
        lambda span: (min(span[:2]), max(span[:2]), span[2])
    )
)


def page_of(played: Books) -> str:
    return simulation_page(scenario_of(played), played, summarize(played))


def series(chart: Chart, name: str) -> Any:
    """The one series of this name."""
    [trace] = [trace for trace in chart.figure.data if trace.name == name]
    return trace


def all_series(*charts: Chart) -> Iterator[Any]:
    return chain.from_iterable(chart.figure.data for chart in charts)


# --- sums over parts of time ----------------------------------------------------------------------------------------


@given(spans, st.sampled_from([10.0, 60.0, 3600.0]))
def test_what_the_parts_of_time_hold_adds_up_to_all_there_was(
    rows: list[tuple[float, float, float]], width_s: float
) -> None:
    totals = Parts(width_s, 5000.0).totals(rows)

    assert math.fsum(totals) == pytest.approx(math.fsum((to - start) * rate for start, to, rate in rows), abs=1e-6)


@given(spans)
def test_each_part_of_time_holds_what_happened_in_it(rows: list[tuple[float, float, float]]) -> None:
    parts = Parts(600.0, 5000.0)

    for place, total in enumerate(parts.totals(rows)):
        low, high = place * 600.0, min((place + 1) * 600.0, 5000.0)
        inside = math.fsum(max(0.0, min(to, high) - max(start, low)) * rate for start, to, rate in rows)
        assert total == pytest.approx(inside, abs=1e-6)


@pytest.mark.parametrize("until_s", [1.0, 3600.0, 13 * DAY_S, 400 * DAY_S])
def test_there_are_never_more_parts_than_asked_for(until_s: float) -> None:
    assert len(Parts.at_most(360, until_s)) <= 360


def test_a_moment_is_spoken_of_as_the_axis_shows_it() -> None:
    assert spoken(2 * DAY_S + 4 * HOUR_S + 10 * 60 + 25) == "day 3, 04:10:25"


# --- machines and money ---------------------------------------------------------------------------------------------


def test_machines_are_shown_as_long_as_they_were_there() -> None:
    played = books()
    chart = machines_chart(played)

    part_s = Parts.at_most(2000, played.until_s).width_s
    assert math.fsum(series(chart, "booting").y) * part_s == pytest.approx(1800.0)
    assert math.fsum(series(chart, "hot").y) * part_s == pytest.approx(DAY_S - 1800.0)


def test_a_job_on_one_of_two_slots_is_half_a_machine_that_serves() -> None:
    own = pool(machine=MachineSpec(image="worker:1", gpus=("RTX 4090",), slots=2))
    log = job_log(["pro"], [(0.0, 0, 0.0, HOUR_S)])

    serving = series(machines_chart(books(own, jobs={"images": log}, until_s=2 * HOUR_S)), "serving").y

    assert set(serving[: len(serving) // 2]) == {0.5}
    assert set(serving[len(serving) // 2 :]) == {0.0}


def test_the_columns_of_cost_add_up_to_the_bill() -> None:
    played = books(
        phases=[phase("hot", 0.0, 30 * HOUR_S), phase("warm", 30 * HOUR_S, 90 * HOUR_S, usd_per_hour=0.01)],
        until_s=90 * HOUR_S,
    )

    for chart in (placement_chart(played), phase_chart(played)):
        assert math.fsum(usd for trace in all_series(chart) for usd in trace.y) == pytest.approx(15.6, abs=0.001)


def test_the_day_budget_is_drawn_where_days_are() -> None:
    own = pool(limits=Limits(usd_per_day=Cap(warn=10.0, stop=17.0)))

    def texts(until_s: float) -> list[str]:
        return [note.text for note in placement_chart(books(own, until_s=until_s)).figure.layout.annotations]

    assert texts(3 * DAY_S) == ["budget: stop at 17 USD a day"]
    assert texts(DAY_S) == []


# --- jobs -----------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 200), st.booleans()), max_size=12))
def test_the_deepest_queue_of_each_part_is_shown(jobs: list[tuple[int, int, bool]]) -> None:
    """Parts are seconds here; jobs come as one begins and start in the middle of one, if ever."""
    made = [(float(at), 0, at + wait + 0.5 if starts else None, None) for at, wait, starts in sorted(jobs)]

    shown = queue_chart(pool(), job_log(["pro"], made), 600.0).figure.data[0].y

    assert list(shown) == [
        sum(arrived <= second and (start is None or second < start) for arrived, _, start, _ in made)
        for second in range(600)
    ]


def test_jobs_that_never_started_are_shown_and_counted_as_late() -> None:
    jobs = [(60.0 * n, 0, 60.0 * n + 5 if n < 8 else None, 60.0 * n + 6 if n < 8 else None) for n in range(10)]
    played = books(jobs={"images": job_log(["pro"], jobs)})
    own = played.pools["images"]

    waits = waits_chart(own, played.jobs["images"], played.until_s)
    spread = spread_chart(own, played.jobs["images"])

    assert sum(series(waits, "never started").customdata) == 2
    assert max(spread.figure.data[0].y) == 80.0
    assert "2 of 10 jobs were not finished" in page_of(played)


def test_jobs_cut_off_by_orders_and_ticks_that_failed_are_not_overlooked() -> None:
    page = page_of(books(killed=3, failed_ticks=["no"] * 5))

    assert "Jobs were cut off 3 times" in page
    assert "5 ticks of the daemon could not be made" in page
    assert 'class="bad"' not in page_of(books()).split("</header>")[1].split("<noscript>")[0]


def test_waits_far_below_a_second_are_told_apart_where_the_target_is_that_short() -> None:
    own = pool(tiers=(Tier(name="chat", wait_target=0.5),))
    log = job_log(["chat"], [(n * 10.0, 0, n * 10.0 + 0.02 * (n + 1), n * 10.0 + 3) for n in range(5)])

    assert len(set(spread_chart(own, log).figure.data[0].x[:5])) == 5


def test_a_pool_without_jobs_is_told_of_without_charts_of_jobs() -> None:
    page = page_of(books(jobs={"images": job_log(["pro"], [])}))

    assert "<td>-</td>" in page
    assert "<h2>Jobs</h2>" not in page


# --- decisions ------------------------------------------------------------------------------------------------------


def test_every_decision_tells_why_and_why_not() -> None:
    told = entry(
        Kind.DECISION,
        60.0,
        "images: 2 HOT wanted",
        hot=2,
        why_not=(Reason("thresholds.stop", "the last machine stays"),),
    )

    chart = events_chart(books(entries=[told, entry(Kind.ALARM, 90.0, "aaaa booting too long")]))

    assert chart is not None
    assert series(chart, "decision").hovertext == (
        "<b>day 1, 00:01:00</b><br>images: 2 HOT wanted<br>Not done: the last machine stays",
    )
    assert series(chart, "alarm").hovertext == ("<b>day 1, 00:01:30</b><br>aaaa booting too long",)


def test_commands_and_refusals_have_rows_of_their_own_and_good_answers_none() -> None:
    entries = [
        entry(Kind.COMMAND, 1.0, "resume aaaa", action="resume"),
        entry(Kind.OUTCOME, 2.0, "resume aaaa: no_capacity", action="resume", result="no_capacity"),
        entry(Kind.COMMAND, 3.0, "rent a machine", action="rent"),
        entry(Kind.OUTCOME, 4.0, "rent bbbb: ok", action="rent", result="ok"),
    ]

    chart = events_chart(books(entries=entries))

    assert chart is not None
    assert [trace.name for trace in chart.figure.data] == ["rent", "resume", "refused"]


@pytest.mark.parametrize("kind", [Kind.ADMISSION, Kind.RESERVE, Kind.HEALTH, Kind.DIAGNOSIS])
def test_what_is_found_out_about_tiers_and_machines_has_a_row_each(kind: Kind) -> None:
    chart = events_chart(books(entries=[entry(kind, 60.0, "what was found, and why")]))

    assert chart is not None
    assert series(chart, kind).hovertext == ("<b>day 1, 00:01:00</b><br>what was found, and why",)


def test_a_machine_that_becomes_warm_without_being_stopped_was_lost() -> None:
    def phases(*results: str) -> list[Any]:
        return [
            entry(Kind.PHASE, float(n), f"aaaa {result}", instance="aaaa", result=result)
            for n, result in enumerate(results)
        ]

    lost = events_chart(books(entries=phases("hot", "warm", "resuming", "booting", "hot", "lost")))

    assert lost is not None
    assert [(trace.name, len(trace.x)) for trace in lost.figure.data] == [("lost", 2)]
    assert events_chart(books(entries=phases("hot", "draining", "stopping", "warm"))) is None


def test_thousands_of_decisions_share_marks_and_each_mark_tells_how_many() -> None:
    entries = [entry(Kind.DECISION, 10.0 * n, f"decision {n}") for n in range(8000)]

    chart = events_chart(books(entries=entries))

    assert chart is not None
    texts = series(chart, "decision").hovertext
    assert len(texts) <= 2000
    shown = sum(text.count("decision ") for text in texts)
    more = sum(int(text.rpartition("and ")[2].split()[0]) for text in texts if " more until " in text)
    assert shown + more == 8000


def test_a_peer_that_keeps_no_journal_has_no_chart_of_decisions() -> None:
    assert events_chart(books(entries=[])) is None


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_same_simulation_gives_the_same_bytes() -> None:
    assert page_of(books()) == page_of(books())


def test_a_page_is_as_light_with_many_jobs_as_with_few() -> None:
    own = pool(tiers=THREE_TIERS)
    log = job_log([tier.name for tier in own.tiers], many_jobs(50_000, 13 * DAY_S, 3))
    played = books(own, jobs={"images": log}, until_s=13 * DAY_S)

    own_bytes = len(page_of(played).encode()) - len(get_plotlyjs().encode())
    assert own_bytes < 500_000


def test_what_comes_from_files_is_never_markup() -> None:
    own = pool(name=HOSTILE, tiers=(Tier(name=HOSTILE),))
    entries = [entry(Kind.ALARM, 5.0, f"{HOSTILE}</script>")]
    page = page_of(books(own, entries=entries, phases=[phase("hot", 0.0, DAY_S, placement=HOSTILE)]))

    assert "<img" not in page
    assert "\\u003cimg" not in page
    assert page.count("</script>") == 2


def test_a_page_asks_for_nothing_outside_it() -> None:
    page = page_of(books()).replace(get_plotlyjs(), "")

    assert "default-src 'none'" in page
    assert "http:" not in page
    assert "https:" not in page
    assert "//" not in page.replace("// ", "")


def test_help_does_not_wait_for_the_chart_library() -> None:
    program = (
        "import sys; from autoscaler.cli import main\n"
        "for words in (['--help'], ['simulate', '--help']):\n"
        "    main(words, standalone_mode=False)\n"
        "print('plotly' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "False"


# --- comparisons ----------------------------------------------------------------------------------------------------


def trial(usd: float, attainment: float, **changes: Any) -> Trial:
    values: dict[str, Any] = {
        "kind": "peer",
        "name": "keda-llen",
        "title": "KEDA",
        "setting": "list_length=5",
        "usd": usd,
        "attainment": attainment,
        "attainment_by_tier": {"pro": attainment, "free": attainment - 0.1},
    }
    return Trial(**(values | changes))


points = st.lists(st.tuples(st.floats(1.0, 1000.0), st.floats(0.0, 1.0)), min_size=1)


@given(points)
def test_nothing_beats_the_frontier_and_the_frontier_beats_all_else(costs: list[tuple[float, float]]) -> None:
    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return one[0] <= other[0] and one[1] >= other[1] and one != other

    best = [costs[place] for place in frontier(costs)]

    assert not any(beats(one, other) for one in costs for other in best)
    assert all(point in best or any(beats(one, point) for one in best) for point in costs)


def test_cost_is_measured_by_the_highest_bound_on_serving_no_better() -> None:
    def bound(usd: float, attainment: float) -> Trial:
        return trial(usd, attainment, kind="bound", attainment_by_tier={"pro": attainment, "free": attainment})

    own = trial(100.0, 1.0)

    assert times_bound(own, [bound(40.0, 0.0), bound(50.0, 0.9), bound(80.0, 0.99)]) == pytest.approx(2.0)
    assert times_bound(own, []) is None


def test_a_simulation_becomes_a_trial_with_a_tier_for_each_pool_and_tier() -> None:
    first, second = pool(), pool(name="speech")
    played = books(pools={"images": first, "speech": second})
    played.jobs["speech"] = job_log(["pro"], [(0.0, 0, 100.0, 101.0)])

    made = trial_of(summarize(played), kind="policy", name="thresholds", title="the policy thresholds")

    assert made.attainment_by_tier == {"images / pro": 1.0, "speech / pro": 0.0}
    assert made.worst_attainment == 0.0
    assert made.usd == pytest.approx(12.0)


def test_a_comparison_holds_every_trial_in_its_table_and_in_its_charts() -> None:
    trials = [
        trial(100.0, 0.9, kind="policy", name="ours", title="the policy ours"),
        trial(120.0, 0.95),
        trial(150.0, 0.99, setting="list_length=1"),
        trial(60.0, 0.9, kind="bound", name="clairvoyant", title="Clairvoyant bound"),
    ]

    page = comparison_page("acme", "seed 1", {"jobs.csv.gz": trials})

    rows = page.split("<tbody>")[1].split("</tbody>")[0].splitlines()
    assert [row.split("<td>")[1].split("<")[0] for row in rows if "<td>" in row] == [
        "100.00",
        "120.00",
        "150.00",
        "60.00",
    ]
    charts = json.loads(page.split("const charts = ")[1].split(";\n")[0])
    assert len(charts) == 4, "the tier served worst, all jobs, and each tier"
    names = ["clairvoyant", "nothing beats these", "<b>ours</b>", "keda-llen"]
    assert all([series["name"] for series in chart["data"]] == names for chart in charts)


def test_a_comparison_escapes_what_comes_from_files() -> None:
    page = comparison_page(HOSTILE, HOSTILE, {HOSTILE: [trial(1.0, 0.5, name=HOSTILE, title=HOSTILE, setting=HOSTILE)]})

    assert "<img" not in page
    assert "\\u003cimg" not in page
