"""`status --watch` without a terminal: what each key does to what is drawn, at any size."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from autoscaler.cli.watch.keys import KEYS, press
from autoscaler.cli.watch.screen import draw
from autoscaler.cli.watch.state import ORDERS, Page, Watch
from autoscaler.cli.watch.terminal import Decoder
from tests.support.api import JOURNAL, Json, a_concern, a_machine, a_pool, a_status, an_entry, an_order
from tests.support.terminal_picture import LINES, PICTURE, lines, recorded

DOCS = Path(__file__).parents[2] / "docs" / "terminal.md"
BYTES = {
    "up": "\x1b[A",
    "down": "\x1bOB",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "home": "\x1b[H",
    "end": "\x1b[4~",
    "enter": "\r",
    "escape": "\x1b",
}
ALL_KEYS = [name for key in KEYS for name in key.names]


def many(count: int) -> list[Json]:
    return [
        a_machine(f"m{number:05}", usd_spent=float(number % 7), usd_per_hour=number % 3 / 10, since_s=float(number))
        for number in range(count)
    ]


def a_watch(*keys: str, journal: list[Json] | None = None, **changes: Any) -> Watch:
    watch = Watch()
    watch.looked(a_status(**changes), JOURNAL if journal is None else journal)
    draw(watch, 100, 30)
    pressed(watch, *keys)
    return watch


def pressed(watch: Watch, *keys: str) -> str:
    """Press keys, each on the screen that the one before left; gives the screen."""
    for key in keys:
        press(watch, key)
        drawn(watch)
    return drawn(watch)


def drawn(watch: Watch, width: int = 100, height: int = 30) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    console.print(draw(watch, width, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def machines_shown(screen: str) -> list[str]:
    return re.findall(r"^(m\d{5}) ", screen, re.MULTILINE)


# --- what is drawn ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(20, 8), (40, 12), (80, 24), (120, 50), (200, 60)])
@pytest.mark.parametrize("page", Page)
@pytest.mark.parametrize("size", ["empty", "small", "large"])
def test_every_page_has_exactly_the_lines_of_the_terminal_and_none_is_wider(
    width: int, height: int, page: Page, size: str
) -> None:
    fleets: dict[str, Json] = {
        "empty": {"pools": [], "instances": [], "leaders": {}, "at": None, "age_s": None},
        "small": {"concerns": [a_concern("x" * 300)]},
        "large": {
            "pools": [a_pool(f"pool{number}") for number in range(30)],
            "instances": many(500),
            "concerns": [a_concern(f"concern {number} " * 9) for number in range(40)],
            "orders": [an_order(f"pause{number}", by="ann") for number in range(9)],
        },
    }
    watch = a_watch(**fleets[size], journal=JOURNAL * 50)
    watch.looked(a_status(**fleets[size]), JOURNAL * 50)
    watch.page = page
    lines = drawn(watch, width, height).split("\n")
    assert lines.pop() == ""
    assert len(lines) == height
    assert max(map(cell_len, lines)) <= width
    assert "q quit" in lines[-1]


def test_a_small_terminal_still_shows_concerns_waits_money_and_machines() -> None:
    concerns = [a_concern(f"number {number}") for number in range(9)]
    screen = drawn(a_watch(instances=many(90), concerns=concerns), 80, 24)
    for words in ("! number 0", "autoscaler drain bbbb", "and 7 more concerns", "late", "30 USD", "m00005"):
        assert words in screen


def test_many_pools_are_told_in_short_and_one_that_is_picked_in_full() -> None:
    watch = a_watch(pools=[a_pool(f"pool{number}") for number in range(12)])
    screen = drawn(watch)
    assert "pool11  HOT" in screen
    assert "free late" in screen
    assert "12m 34s of 5m" not in screen
    assert "12m 34s of 5m" in pressed(watch, "p")


def test_depth_and_machines_are_drawn_over_the_looks_that_were_made_and_no_more_than_those_are_kept() -> None:
    watch = a_watch()
    for waiting in range(500):
        watch.looked(a_status(pools=[a_pool(demand={**a_pool()["demand"], "waiting": waiting})]), [])
    assert len(watch.looks) == 240
    assert re.search(r"  waiting +[▁▂▃▄▅▆▇█]{60} 499, at most 499", drawn(watch))
    assert "  machines   ████" in drawn(watch)
    unknown = {**a_pool()["demand"], "unknown": "Redis is away", "waiting": None, "tiers": [], "in_flight": None}
    watch.looked(a_status(pools=[a_pool(demand=unknown)]), [])
    assert "waiting    " in drawn(watch)
    assert "?, at most 499" in drawn(watch)


def test_a_daemon_that_is_away_leaves_the_last_picture_marked_old_until_it_is_back() -> None:
    watch = a_watch()
    watch.lost("no daemon answers at http://x")
    screen = drawn(watch)
    assert screen.startswith(" OLD, of 11:06:40 UTC: no daemon answers at http://x")
    assert "aaaa*" in screen
    watch.looked(a_status(), JOURNAL)
    assert drawn(watch).startswith("attic  leads")


def test_a_daemon_that_does_not_lead_does_not_call_the_fleet_cold() -> None:
    empty: Json = {"pools": [], "instances": []}
    assert "all is COLD" in drawn(a_watch(**empty))
    screen = drawn(a_watch(**empty, leads=False))
    assert "It leads no pool" in screen
    assert "COLD" not in screen
    assert "images: led by process 4711 on night" in screen


def test_before_the_first_picture_it_says_what_it_waits_for() -> None:
    watch = Watch()
    assert drawn(watch).startswith("asking the daemon")
    watch.lost("no daemon answers at http://x")
    assert "nothing to show yet: no daemon answers" in drawn(watch)
    for key in ALL_KEYS:
        pressed(watch, key)


def test_the_picture_in_the_docs_is_what_is_drawn_now() -> None:
    """`python -m tests.support.terminal_picture` draws it again."""
    shown: dict[int, str] = {}
    for number, text in re.findall(r"#terminal-line-(\d+)\)\">(.*?)</text>", PICTURE.read_text()):
        shown[int(number)] = shown.get(int(number), "") + html.unescape(text)
    assert ["".join(shown.get(number, "").split()) for number in range(LINES)] == [
        "".join(each.split()) for each in lines()
    ]


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_a_look_at_a_real_daemon_has_all_that_matters_on_any_screen(size: tuple[int, int]) -> None:
    screen = drawn(recorded(), *size)
    for words in (
        "! images: 14 jobs of free wait",
        "→ autoscaler why",
        "late",
        "1.38 of 30 USD",
        "▶ serving",
        "◔ booting",
    ):
        assert words in screen


# --- keys -------------------------------------------------------------------------------------------------------------


def test_help_and_docs_have_every_key_with_what_it_does() -> None:
    screen = " ".join(drawn(a_watch("?"), 200, 60).split())
    [table] = re.findall(r"^\| key .+?(?=\n\n)", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \|$", table, re.MULTILINE)
    assert rows == [(key.shown, key.does) for key in KEYS]
    for key in KEYS:
        assert f"{key.shown} {key.does}" in screen


def test_no_key_has_two_meanings() -> None:
    assert len(ALL_KEYS) == len(set(ALL_KEYS))


@pytest.mark.parametrize("name", ALL_KEYS)
def test_every_key_is_what_a_terminal_sends_for_it(name: str) -> None:
    decoder = Decoder()
    assert [*decoder.feed(BYTES.get(name, name).encode()), *decoder.flush()] == [name]


@given(st.lists(st.sampled_from(["x", "é", " ", *BYTES]), max_size=8), st.lists(st.integers(1, 3)))
def test_keys_are_read_however_the_line_cuts_them_into_pieces(names: list[str], cuts: list[int]) -> None:
    data, decoder, read = "".join(BYTES.get(name, name) for name in names).encode(), Decoder(), list[str]()
    for cut in cuts:
        read += decoder.feed(data[:cut])
        data = data[cut:]
    read += [*decoder.feed(data), *decoder.flush()]
    meant = "".join(BYTES.get(name, name) for name in names).encode()
    assert read == [*(whole := Decoder()).feed(meant), *whole.flush()]
    if "escape" not in names:
        assert read == names


@given(st.binary(max_size=60))
def test_no_noise_on_the_line_is_a_crash(data: bytes) -> None:
    watch, decoder = a_watch(), Decoder()
    for key in [*decoder.feed(data), *decoder.flush()]:
        press(watch, key)
    drawn(watch)


@given(st.lists(st.sampled_from([*ALL_KEYS, "backspace", "é", "[", "x"]), max_size=25), st.integers(0, 60))
def test_no_sequence_of_keys_on_any_fleet_is_a_crash(keys: list[str], count: int) -> None:
    watch = a_watch(instances=many(count), concerns=[a_concern("x")] * (count % 3))
    for number, key in enumerate(keys):
        press(watch, key)
        if number % 3 == 0:
            watch.looked(a_status(instances=many(count - number), pools=[a_pool("other")]), [])
        drawn(watch, 60, 20)


def test_s_goes_through_the_columns_and_begins_again() -> None:
    watch = a_watch(instances=many(30))
    seen = []
    for _ in ORDERS:
        seen.append(watch.order)
        pressed(watch, "s")
    assert seen == list(ORDERS)
    assert watch.order == seen[0]


@pytest.mark.parametrize(
    ("order", "expected"),
    [("since", "m00000"), ("spent", "m00006"), ("USD/h", "m00002"), ("machine", "m00000"), ("pool", "m00000")],
)
def test_what_is_new_or_costs_most_comes_first(order: str, expected: str) -> None:
    watch = a_watch(*["s"] * list(ORDERS).index(order), instances=many(30))
    assert f"sorted by {order}" in drawn(watch)
    assert machines_shown(drawn(watch))[0] == expected


def test_sorted_by_phase_what_needs_a_look_comes_first() -> None:
    instances = [a_machine(f"m0000{number}", phase) for number, phase in enumerate(("warm", "hot", "booting", "lost"))]
    watch = a_watch("s", "s", instances=instances)
    assert machines_shown(drawn(watch)) == ["m00003", "m00001", "m00002", "m00000"]


def test_the_filter_takes_any_word_of_a_machine_and_esc_drops_it() -> None:
    watch = a_watch("/", *"ca", instances=[*many(3), a_machine("m99999", region="CA", phase="warm")])
    assert machines_shown(drawn(watch)) == ["m99999"]
    assert "1 of 4 machines  with “ca”" in drawn(watch)
    assert machines_shown(pressed(watch, "backspace", "backspace", *"WARM", "enter")) == ["m99999"]
    assert "q quit" in drawn(watch), "the filter is no longer typed"
    assert len(machines_shown(pressed(watch, "escape"))) == 4
    assert len(machines_shown(pressed(watch, "/", *"zz q", "escape"))) == 4
    assert not watch.ended


def test_p_picks_one_pool_after_the_other_for_all_that_is_shown() -> None:
    machines = [a_machine("m00001"), a_machine("m00002", pool="chat")]
    concerns = [a_concern("of images"), a_concern("of chat", pool="chat"), a_concern("of all", pool="")]
    watch = a_watch("p", pools=[a_pool(), a_pool("chat")], instances=machines, concerns=concerns)
    assert machines_shown(drawn(watch)) == ["m00001"]
    screen = pressed(watch, "p")
    assert machines_shown(screen) == ["m00002"]
    assert "of chat" in screen
    assert "of all" in screen
    assert "of images" not in screen
    assert "Pool chat:" in pressed(watch, "w")
    assert "Pool images:" not in drawn(watch)
    assert len(machines_shown(pressed(watch, "w", "p"))) == 2


def test_a_pool_that_is_no_more_is_no_longer_picked() -> None:
    watch = a_watch("p")
    watch.looked(a_status(pools=[a_pool("other")]), [])
    assert watch.pool == ""
    assert "other  HOT" in drawn(watch)


def test_keys_move_through_a_list_longer_than_the_screen() -> None:
    watch = a_watch(instances=many(200))
    first = machines_shown(drawn(watch))
    assert first[0] == "m00000"
    assert machines_shown(pressed(watch, "pagedown"))[-1] == f"m{len(first):05}"
    assert machines_shown(pressed(watch, "end"))[-1] == "m00199"
    assert machines_shown(pressed(watch, "home")) == first
    assert machines_shown(pressed(watch, "up")) == first
    assert "m00001" in pressed(watch, "down", "enter").splitlines()[1]


def test_the_machine_that_is_selected_stays_so_wherever_it_goes() -> None:
    watch = a_watch("down", "down", "down", instances=many(50))
    assert watch.machine is not None
    name = watch.machine["id"]
    pressed(watch, *["s"] * 7)
    assert watch.machine["id"] == name
    watch.looked(a_status(instances=[machine for machine in many(50) if machine["id"] > "m00002"]), [])
    drawn(watch)
    assert watch.machine["id"] == name
    watch.looked(a_status(instances=many(2)), [])
    assert watch.machine["id"] == machines_shown(drawn(watch))[-1], "the nearest one to it"


def test_enter_shows_a_machine_with_all_that_is_known_of_it_and_esc_goes_back() -> None:
    life = [
        an_entry("phase", "bbbb warm → hot: ready", 9.0, instance="bbbb", result="hot"),
        an_entry("phase", "bbbb hot → warm: drained", 99.0, instance="bbbb", result="warm"),
    ]
    watch = a_watch("down", "enter", journal=life)
    screen = drawn(watch)
    for words in ("Machine bbbb: hot for 2m 05s", "0.412 USD/h", "1.23 USD", "host h3", "drained; 1m 30s long"):
        assert words in screen
    assert "aaaa*" in pressed(watch, "escape")


def test_w_says_why_and_j_what_happened_and_the_same_key_goes_back() -> None:
    watch = a_watch("w")
    assert "Why nothing else is done:" in drawn(watch, 100, 60)
    assert "Journal" in pressed(watch, "j")
    assert "11:05:40  bbbb still draining after 30m" in drawn(watch)
    assert "aaaa*" in pressed(watch, "j")


def test_a_page_that_is_longer_than_the_screen_scrolls_to_its_end_and_no_further() -> None:
    entries = [an_entry("notice", f"entry {number}.", float(number)) for number in range(100)]
    watch = a_watch("j", "end", journal=entries)
    assert "entry 99." in drawn(watch)
    pressed(watch, "down")
    assert "entry 99." in drawn(watch).splitlines()[-2]
    assert "entry 98." in pressed(watch, "up").splitlines()[-2]


def test_space_keeps_the_picture_until_it_is_pressed_again() -> None:
    watch = a_watch(" ")
    watch.looked(a_status(fleet="later"), JOURNAL)
    assert drawn(watch).startswith("FROZEN  attic")
    pressed(watch, " ")
    watch.looked(a_status(fleet="later"), JOURNAL)
    assert drawn(watch).startswith("later")


def test_enter_on_a_concern_notes_its_command_and_strikes_it_out_again() -> None:
    concerns = [a_concern("one"), a_concern("two", command="autoscaler unpause"), a_concern("three", command="")]
    watch = a_watch("c", "down", "enter", "up", "enter", concerns=concerns)
    assert watch.noted == ["autoscaler unpause", "autoscaler drain bbbb"]
    assert drawn(watch).count("✓") == 2
    pressed(watch, "enter", "end", "enter")
    assert watch.noted == ["autoscaler unpause"]


def test_q_ends_it() -> None:
    assert a_watch("q").ended
