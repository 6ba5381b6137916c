# ruff: noqa: E501 - a table is read line by line, a case each
"""The table of mistakes: each is one line with its place, what was written, what was expected, and its line."""

from __future__ import annotations

import pytest

from autoscaler.config import load_config
from autoscaler.config.words import either
from autoscaler.core.errors import SettingsError
from autoscaler.queues import LIBRARIES
from providers.installed import provider_kinds
from tests.support.config import GOOD

QUEUE = "queue: {kind: list, tiers: [{name: pro, key: jobs:pro}]}"
MACHINE = "machine: {image: i, gpus: [g]}"
PLACEMENT = "{provider: mock, max_usd_per_hour: 0.5}"


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refusal:
        load_config(text, {"HOME": "/root"})
    return refusal.value.problems


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("fleet: f", "fleet: My Fleet", "fleet: My Fleet - expected a name of lower case letters, digits and dashes, at most 24 characters (line 1)"),
        ("fleet: f", "fleet:", "fleet: nothing - expected a name of lower case letters, digits and dashes, at most 24 characters (line 1)"),
        ("fleet: f\n", "", "fleet: missing - Every machine rented carries this name, and no machine without it is ever touched. One daemon a fleet (line 1)"),
        ("tick: 10s", "tick: 10", "tick: 10 - expected a duration with its unit, such as 30s, 2m or 24h (line 2)"),
        ("tick: 10s", "tick: 0s", "tick: 0s - expected more than 0s (line 2)"),
        (
            "tick: 10s",
            "spread: true\nlimits: {usd_per_day: {warn: 1, stop: 2}}",
            (
                "limits.usd_per_day: cannot be kept where several daemons share the pools; cap each pool, "
                "or leave out `spread` (line 3)"
            ),
        ),
        ("tick: 10s", "tikc: 10s", 'tikc: unknown key - did you mean "tick"? (line 2)'),
        ("tick: 10s", "colour: red", "colour: unknown key - expected fleet, redis, store, tick, lease, spread, http, log, limits, pools, providers, stand_ins or notify (line 2)"),
        ("tick: 10s", '"a.b\\n": 1', "['a.b\\n']: unknown key - expected fleet, redis, store, tick, lease, spread, http, log, limits, pools, providers, stand_ins or notify (line 2)"),
        ("tick: 10s", "tick: !env X", "tick: X - the tag !env is not known; a variable is written ${NAME} (line 2)"),
        ("tick: 10s", "fleet: g", "fleet: given twice - first given in line 1 (line 2)"),
        ("tick: 10s", "? [a]\n: b", "the file: the key in line 2 must be plain text, not a list or a mapping (line 1)"),
        ("tick: 10s", "tick: ${TICK}", "tick: ${TICK} - the environment variable TICK is not set; set it, or write ${TICK:-default} (line 2)"),
        ("tick: 10s", "tick: ${TI CK}", "tick: ${TI CK} - a variable is written ${NAME} or ${NAME:-default}, a file ${file:/PATH}; write $$ for a plain $ (line 2)"),
        ("tick: 10s", "tick: ${TICK", "tick: ${TICK - a variable is written ${NAME} or ${NAME:-default}, a file ${file:/PATH}; write $$ for a plain $ (line 2)"),
        ("tick: 10s", "tick: ${HOME}", "tick: ${HOME} - expected a duration with its unit, such as 30s, 2m or 24h (line 2)"),
        ("tick: 10s", "redis: localhost", "redis: localhost - expected embedded, embedded:PORT, or a redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// URL (line 2)"),
        ("tick: 10s", "redis: redis://u:pw@h:x", "redis: redis://u:***@h:x - expected embedded, embedded:PORT, or a redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// URL (line 2)"),
        ("tick: 10s", "store: embedded:70000", "store: embedded:70000 - expected embedded, embedded:PORT, or a redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// URL (line 2)"),
        ("tick: 10s", "http: {listen: 8080}", "http.listen: 8080 - expected HOST:PORT, such as 127.0.0.1:8080 (line 2)"),
        ("tick: 10s", "http: {token: too-short}", "http.token: *** - expected at least 16 characters, such as `openssl rand -hex 32` gives (line 2)"),
        ("tick: 10s", "http: {token: long enough to be one}", "http.token: *** - expected printable ASCII without spaces, such as `openssl rand -hex 32` gives (line 2)"),
        ("tick: 10s", "http: {hosts: ['https://a.example.com']}", "http.hosts[0]: https://a.example.com - expected a host name without scheme or port, such as autoscaler.example.com (line 2)"),
        ("tick: 10s", "log: {level: warn}", 'log.level: warn - did you mean "warning"? (line 2)'),
        ("tick: 10s", "log: {format: xml}", "log.format: xml - expected auto, json or console (line 2)"),
        ("tick: 10s", "log: [json]", "log: a list - expected a mapping of keys and values (line 2)"),
        ("  images:", "  My Images:", "pools['My Images']: My Images - expected a name of lower case letters, digits and dashes, at most 24 characters (line 4)"),
        (QUEUE, "queue: {tiers: []}", f"pools.images.queue.kind: missing - expected {either(LIBRARIES)} (line 5)"),
        (QUEUE, "queue: {kind: lists}", 'pools.images.queue.kind: lists - did you mean "list"? (line 5)'),
        (QUEUE, "queue: jobs", "pools.images.queue: jobs - expected a mapping of keys and values (line 5)"),
        ("key: jobs:pro", "key: k, wait_targt: 3s", 'pools.images.queue.tiers[0].wait_targt: unknown key - did you mean "wait_target"? (line 5)'),
        ("key: jobs:pro", "key: [k]", "pools.images.queue.tiers[0].key: a list - expected text (line 5)"),
        (", key: jobs:pro", "", "pools.images.queue.tiers[0].key: missing - Key of the list (line 5)"),
        ("key: jobs:pro}", "key: a}, {name: pro, key: b}", "pools.images.queue: two tiers have the name 'pro'; each needs its own (line 5)"),
        ("key: jobs:pro", "key: a, refuse_above: 0s", "pools.images.queue.tiers[0].refuse_above: 0s - expected more than 0s; leave it out to refuse nobody (line 5)"),
        ("key: jobs:pro", "key: a, refuse_above: -1s", "pools.images.queue.tiers[0].refuse_above: -1s - expected a duration with its unit, such as 30s, 2m or 24h (line 5)"),
        ("key: jobs:pro", "key: a, reserve: -1", "pools.images.queue.tiers[0].reserve: -1 - expected 0 or more slots (line 5)"),
        ("key: jobs:pro", "key: a, reserve: 6", "pools.images.limits.hot: 1..6 - reserved slots (6 of pro) take 6 machines, and one more must serve all tiers; raise the upper bound to 7 or more, or reserve fewer slots (line 9)"),
        (MACHINE, "", "pools.images.machine: missing - What its jobs run on (line 4)"),
        ("gpus: [g]", "gpus: g", "pools.images.machine.gpus: g - expected a list (line 6)"),
        ("gpus: [g]", "gpus: []", "pools.images.machine.gpus: expected at least one GPU type, such as RTX 4090 (line 6)"),
        ("image: i", "image: ''", "pools.images.machine.image: '' - expected a container image, such as ghcr.io/acme/worker:1.4 (line 6)"),
        ("image: i", "image: i, slots: two", "pools.images.machine.slots: two - expected a whole number (line 6)"),
        ("image: i", "image: i, slots: 0", "pools.images.machine.slots: 0 - expected at least 1 (line 6)"),
        ("image: i", "image: i, disk_gb: -1", "pools.images.machine.disk_gb: -1 - expected more than 0 (line 6)"),
        ("image: i", "image: i, disk_gb: inf", "pools.images.machine.disk_gb: inf - expected a finite number (line 6)"),
        ("image: i", "image: i, ready: 'http 80'", "pools.images.machine.ready: http 80 - expected running, heartbeat, http :PORT/PATH or tcp :PORT (line 6)"),
        ("image: i", "image: i, busy: 'http :8188/queue'", "pools.images.machine.busy: http :8188/queue - expected comfyui :PORT, such as comfyui :8188; leave it out where workers beat (line 6)"),
        ("image: i", "image: i, busy: 'comfyui :0'", "pools.images.machine.busy: comfyui :0 - expected comfyui :PORT, such as comfyui :8188; leave it out where workers beat (line 6)"),
        ("image: i", "image: i, ready: 'tcp :22', busy: 'comfyui :8188'", "pools.images.machine.busy: comfyui :8188 - expected the port of ready, 22: one port of a machine is published (line 6)"),
        ("image: i", "image: i, ready: 'tcp :0'", "pools.images.machine.ready: tcp :0 - expected running, heartbeat, http :PORT/PATH or tcp :PORT (line 6)"),
        ("- " + PLACEMENT, "[]", "pools.images.placements: [] - expected at least one entry (line 7)"),
        ("provider: mock", "provider: mick", 'pools.images.placements[0].provider: mick - no such key under `providers`; did you mean "mock"? (line 8)'),
        ("hour: 0.5", "hour: -1", "pools.images.placements[0].max_usd_per_hour: -1 - expected more than 0 USD per hour (line 8)"),
        ("hour: 0.5", "hour: nan", "pools.images.placements[0].max_usd_per_hour: nan - expected a finite number (line 8)"),
        ("hour: 0.5", "hour: $5", "pools.images.placements[0].max_usd_per_hour: $5 - expected a number (line 8)"),
        ("hour: 0.5", "hour: 1, buy: sport", 'pools.images.placements[0].buy: sport - did you mean "spot"? (line 8)'),
        (PLACEMENT, PLACEMENT + "\n      - " + PLACEMENT, "pools.images.placements[1]: another placement of this pool is already called mock-on-demand; give this one a `name` (line 9)"),
        ("hot: 1..6", "hot: 6..1", "pools.images.limits.hot: 6..1 - the lower bound 6 exceeds the upper bound 1; expected LOW..HIGH such as 1..6 (line 9)"),
        ("hot: 1..6", "hot: many", "pools.images.limits.hot: many - expected a range such as 1..6, or one number for exactly that many (line 9)"),
        ("hot: 1..6", "hot: 0", "pools.images.limits.hot: 0 - expected an upper bound of at least 1; with 0 no job is ever served (line 9)"),
        ("hot: 1..6", "hot: 1..6, on_demand: -1", "pools.images.limits.on_demand: -1 - expected 0 or more machines (line 9)"),
        ("hot: 1..6", "hot: 1..6, on_demand: 7", "pools.images.limits.on_demand: 7 - more than may run (1..6); expected 6 or fewer (line 9)"),
        ("0.5}\n    limits: {hot: 1..6", "0.5, buy: spot}\n    limits: {hot: 1..6, on_demand: 1", "pools.images.limits.on_demand: 1 - no placement rents on demand; add one with `buy: on_demand`, or leave this out (line 9)"),
        ("max_usd_per_hour: 0.5", "max_usd_per_hour: 0.5, bid_margin: -1", "pools.images.placements[0].bid_margin: -1 - expected 0 or more, such as 0.1 to bid 10 % above the least bid that wins (line 8)"),
        ("hot: 1..6}", "hot: 1..6}\n    prefer: price", "pools.images.prefer: price - expected order or cost (line 10)"),
        (MACHINE, MACHINE.replace("gpus", "download_gb: -1, gpus"), "pools.images.machine.download_gb: -1 - expected 0 or more (line 6)"),
        ("hot: 1..6", "usd_per_day: {warn: 9, stop: 3}", "pools.images.limits.usd_per_day: stop (3) is below warn (9); expected warn up to stop (line 9)"),
        ("hot: 1..6", "usd_per_day: {warn: -1, stop: 3}", "pools.images.limits.usd_per_day.warn: -1 - expected 0 USD or more (line 9)"),
        ("hot: 1..6", "usd_per_day: {warn: 20}", "pools.images.limits.usd_per_day.stop: missing - USD never exceeded by machines above the floor of `hot` (line 9)"),
        ("hot: 1..6", "usd_per_day: null", "pools.images.limits.usd_per_day: nothing - expected a mapping of keys and values (line 9)"),
        ("hot: 1..6", "usd_per_hour: {warn: 3, stop: 2}", "pools.images.limits.usd_per_hour: stop (2) is below warn (3); expected warn up to stop (line 9)"),
        ("hot: 1..6", "usd_per_month: {warn: 10, stop: 20}", "pools.images.limits.usd_per_month: stop (20) is below usd_per_day.stop (30), which could never be reached; raise the month's or lower the day's (line 9)"),
        ("tick: 10s", "limits: {usd_per_hour: {warn: 3, stop: 2}}", "limits.usd_per_hour: stop (2) is below warn (3); expected warn up to stop (line 2)"),
        ("tick: 10s", "limits: {usd_per_day: {warn: 3, stop: 20}, usd_per_month: {warn: 3, stop: 19.5}}", "limits.usd_per_month: stop (19.5) is below usd_per_day.stop (20), which could never be reached; raise the month's or lower the day's (line 2)"),
        ("tick: 10s", "limits: {usd_per_week: {warn: 3, stop: 2}}", 'limits.usd_per_week: unknown key - did you mean "usd_per_day"? (line 2)'),
        ("limits: {hot: 1..6}", "pace: {up: 0}", "pools.images.pace.up: 0 - expected at least 1; leave it out for any number (line 9)"),
        ("limits: {hot: 1..6}", "pace: {per: 90m}", "pools.images.pace.per: 90m - expected more than 0s and up to 1h (line 9)"),
        ("limits: {hot: 1..6}", "health: {degraded_after: 0s}", "pools.images.health.degraded_after: 0s - expected more than 0s (line 9)"),
        ("limits: {hot: 1..6}", "health: {low_gpu: 20}", "pools.images.health.low_gpu: 20 - expected a share from 0 to 1, such as 0.2 for 20 % (line 9)"),
        ("limits: {hot: 1..6}", "health: {idle_gpu: 0.5}", "pools.images.health.idle_gpu: 0.5 - above low_gpu (0.2); expected that or less (line 9)"),
        ("limits: {hot: 1..6}", "fallback: {after: 0}", "pools.images.fallback.after: 0 - expected at least 1 reading (line 9)"),
        ("limits: {hot: 1..6}", "fallback: {then: floor}", "pools.images.fallback.floor: nothing - expected how many machines run at least, such as 2 (line 9)"),
        ("limits: {hot: 1..6}", "fallback: {then: floor, floor: 0}", "pools.images.fallback.floor: 0 - expected at least 1; leave `fallback` out to hold what runs (line 9)"),
        ("limits: {hot: 1..6}", "fallback: {floor: 2}", "pools.images.fallback.floor: 2 - has no effect with then: hold; expected then: floor, or leave it out (line 9)"),
        ("limits: {hot: 1..6}", "fallback: {then: floor, floor: 9}", "pools.images.fallback.floor: 9 - more than may run (1..4); expected 4 or fewer, or raise limits.hot (line 9)"),
        ("limits: {hot: 1..6}", "deadlines: {booting: 0s}", "pools.images.deadlines.booting: 0s - expected more than 0s (line 9)"),
        ("limits: {hot: 1..6}", "policies: []", "pools.images.policies: [] - expected at least one entry (line 9)"),
        ("limits: {hot: 1..6}", "policies: [treshold]", 'pools.images.policies[0]: treshold - there is no policy "treshold"; did you mean "thresholds"? (line 9)'),
        ("limits: {hot: 1..6}", "policies: [thresholds, thresholds]", "pools.images.policies[1]: thresholds - the policy thresholds is already named (line 9)"),
        ("limits: {hot: 1..6}", "policies: [[]]", "pools.images.policies[0]: expected the name of a policy, such as thresholds, or {thresholds: {resume_depth: 12}} (line 9)"),
        ("limits: {hot: 1..6}", "policies: [{thresholds: {idle: 3m}}]", 'pools.images.policies[0].thresholds.idle: unknown key - did you mean "idle_for"? (line 9)'),
        ("limits: {hot: 1..6}", "policies: [{thresholds: {rent_depth: 3.5}}]", "pools.images.policies[0].thresholds.rent_depth: 3.5 - expected a whole number (line 9)"),
        ("{mock: {}}", "{mock: {seed: x}}", "providers.mock.seed: x - expected a whole number (line 10)"),
        ("{mock: {}}", "{mock: {faults: {outbit: 0.1}}}", 'providers.mock.faults.outbit: outbit - did you mean "outbid"? (line 10)'),
        ("{mock: {}}", "{mock: {faults: {outbid: 3}}}", "providers.mock.faults.outbid: 3 - expected 1 or less (line 10)"),
        ("{mock: {}}", "{mock: {}, elsewhere: {api_key: x}}", f"providers.elsewhere.kind: missing - expected {either(provider_kinds())} (line 10)"),
        ("{mock: {}}", "{mock: {kind: mok}}", 'providers.mock.kind: mok - did you mean "mock"? (line 10)'),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_place_value_and_expectation(right: str, wrong: str, problem: str) -> None:
    assert right in GOOD

    assert problems(GOOD.replace(right, wrong)) == (problem,)


def test_reserved_slots_need_room_in_the_limits_that_hold_when_none_are_written_too() -> None:
    (line,) = problems(GOOD.replace("key: jobs:pro", "key: a, reserve: 4").replace("    limits: {hot: 1..6}\n", ""))

    assert "reserved slots (4 of pro) take 4 machines" in line
    assert "raise the upper bound to 5 or more" in line


def test_slots_of_one_machine_are_reserved_together() -> None:
    load_config(GOOD.replace("key: jobs:pro", "key: a, reserve: 20").replace("gpus: [g]", "gpus: [g], slots: 4"), {})


def test_free_may_be_refused_above_60s_with_a_wait_target_of_5_minutes() -> None:
    config = load_config(GOOD.replace("key: jobs:pro", "key: a, wait_target: 5m, refuse_above: 60s"), {})
    (tier,) = config.pools["images"].queue.tiers
    assert (tier.refuse_above, tier.refuse_message) == (60.0, "Server busy, try again in a few minutes")


def test_all_that_is_wrong_with_tiers_is_told_at_once() -> None:
    tiers = "key: a, refuse_above: 0s, reserve: -2}, {name: free, key: b, refuse_above: 0s"
    assert len(problems(GOOD.replace("key: jobs:pro", tiers).replace("hot: 1..6", "hot: 0..0"))) == 4
