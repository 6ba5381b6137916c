"""What each cloud is known to do to its customers, and the tests that fail on a client that does not reckon with it.

A day is one of ``days``, which a whole daemon lives through; a client is one of ``naive``, which does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.clouds import days, naive

Held = tuple[str, ...]
"""`vastai day: NAME`, `vastai client: NAME`, or `FILE::FUNCTION` below `tests`."""

_TESTS = Path(__file__).parents[1]
_VAST = "providers/vastai/test_pathologies.py"
_VAST_READ = "providers/vastai/test_pathologies_of_reading.py"
_VAST_NO = "providers/vastai/test_refusals.py"
_RUNPOD = "providers/runpod/test_pathologies.py"
_RUNPOD_NO = "providers/runpod/test_refusals.py"
_PACE = "providers/test_pace.py"

VASTAI_LIMITS: Mapping[str, Held] = {
    "each endpoint has its least interval": (
        f"{_VAST_READ}::test_at_our_pace_vast_ai_never_finds_requests_too_frequent",
        f"{_VAST_READ}::test_without_a_pace_requests_are_refused_as_too_frequent",
        "vastai day: endpoints refuse what comes too soon",
        "vastai client: asks without regard to the least intervals",
    ),
    "a 429 is text or JSON, and says in one of three ways when to come back, or not at all": (
        f"{_VAST_READ}::test_a_429_that_names_its_time_is_heeded_in_header_and_body",
        f"{_VAST_READ}::test_a_429_in_plain_text_is_no_unclear_outcome",
        f"{_VAST_NO}::test_a_429_says_when_to_come_back_in_any_of_its_forms",
        f"{_PACE}::test_refusals_without_a_word_double_the_wait_up_to_a_limit_until_one_is_accepted",
        "vastai day: every call is refused too often for a minute",
    ),
    "searches have a daily quota, and what is refused counts too": (
        f"{_VAST_READ}::test_the_daily_quota_of_searches_is_not_spent_on_being_refused",
        f"{_VAST_READ}::test_searches_of_a_busy_day_are_one_a_minute",
        "providers/vastai/test_offers.py::test_no_search_is_sent_before_the_daily_quota_is_full_again",
        "vastai day: the day's searches are used up",
    ),
    "a refused listing is blindness and not an empty account": (
        "vastai day: the key is refused for ten minutes",
        "vastai client: takes a listing that failed for an empty one",
    ),
    "two hundred machines take eight pages, a second apart": (
        f"{_VAST_READ}::test_two_hundred_machines_are_listed_in_eight_requests_within_the_interval_of_listings",
        "vastai day: an account has thirty machines more",
    ),
    "a 200 may say no": (
        f"{_VAST_NO}::test_a_no_under_200_may_be_a_yes_later_save_for_a_start_that_may_be_queued",
        "vastai day: every create says that it failed and was made",
        "vastai client: takes success: false for yes",
        "vastai client: takes success: false for a machine that was not made",
    ),
    "a status may be null": (
        f"{_VAST_READ}::test_null_and_created_and_loading_are_a_start",
        "vastai day: fields are null that no document says can be",
        "vastai client: expects a value where null may be",
    ),
    "addresses carry white space, and ports are absent until it runs": (
        f"{_VAST_READ}::test_the_address_is_stripped_and_there_is_none_until_ports_are_mapped",
    ),
    "a status may be a word of no document": (
        f"{_VAST_READ}::test_no_word_breaks_the_listing_and_what_may_bill_counts_as_billing",
        "vastai day: running machines show a word of no document",
        "vastai client: knows the words of the documents only",
    ),
    "exited may be a machine that starts": (
        f"{_VAST_READ}::test_exited_lingers_after_a_start_and_is_no_crash",
        "vastai day: started machines show exited until they run",
        "vastai client: takes a machine that shows exited for one that has failed",
    ),
    "a listing may omit what was just made": (
        f"{_VAST}::test_a_new_machine_may_be_missing_from_the_listing_at_first",
        "vastai day: a new machine is listed late",
    ),
    "a reliable host may be a broken one": (
        f"{_VAST_READ}::test_a_broken_host_is_seen_in_its_words_within_seconds_however_reliable_it_is_said_to_be",
        "vastai day: a container crashes as it starts",
    ),
    "several offers are one physical machine, which may be a bad one": (
        f"{_VAST_READ}::test_offers_of_one_physical_machine_name_the_same_host",
        "runtime/test_placement.py::test_a_host_where_a_boot_failed_is_avoided_by_every_pool_and_by_the_next_daemon",
    ),
    "a driver may be too old for the image's CUDA": (
        "providers/vastai/test_offers.py::test_every_bound_is_checked_again",
    ),
}
"""Limits and oddities of Vast.ai."""

VASTAI_MONEY: Mapping[str, Held] = {
    "a label that is set after the create may never be set": (
        f"{_VAST}::test_a_create_without_a_clear_answer_is_sent_once_and_its_one_machine_found_by_its_label",
        "vastai client: labels a machine once it is made",
    ),
    "a create without a clear answer may have made a machine": (
        f"{_VAST}::test_a_create_that_never_arrived_is_unclear_too_and_made_nothing",
        "vastai day: the answer to a create is lost, and its machine listed late",
        "vastai day: no create says what it made",
        "vastai client: takes the next offer where a create gave no clear answer",
        "vastai client: sends a create again that got no answer",
        "vastai client: sends a create again that was refused",
        "vastai client: takes a create that fails with 5xx for one that made nothing",
        "vastai client: takes a 400 without a reason for a refusal",
    ),
    "an error names the machine that it made": (
        f"{_VAST}::test_a_create_that_failed_and_made_a_machine_gives_its_id_for_release",
        f"{_VAST}::test_a_bid_below_the_floor_makes_a_machine_which_is_named",
        "vastai client: does not look for new_contract in an error",
    ),
    "without cancel_unavail a machine that cannot start stays, and its disk bills": (
        f"{_VAST}::test_no_stopped_machine_is_left_behind_where_no_gpu_is_free",
        "providers/vastai/test_adapter.py::test_an_order_on_demand_has_no_price_and_says_all_else",
        "vastai day: an offer is gone",
    ),
    "a machine may be other than was ordered: on demand, dearer, on another host": (
        f"{_VAST}::test_a_machine_on_demand_in_place_of_spot_is_seen_on_the_first_read",
        f"{_VAST}::test_a_machine_on_another_host_is_seen_on_the_first_read",
        "vastai client: forgets the price of a spot machine",
        "vastai client: never looks whether spot became on demand",
        "vastai client: never looks at the host it was given",
        "vastai client: never looks at what it was given",
    ),
    "a search gives what it was not asked for": (
        f"{_VAST_READ}::test_bounds_that_the_search_ignores_are_kept_all_the_same",
        "vastai client: takes offers as the search gives them, and never looks at what it was given",
    ),
    "a refused start is a queued order": (
        f"{_VAST}::test_a_refused_start_is_a_queued_order_and_a_stop_cancels_it",
        f"{_VAST}::test_a_refused_start_that_is_not_cancelled_bills_a_gpu_some_day",
        "vastai day: a refused resume stays in the queue",
    ),
    "a release is no proof that a machine is gone": (
        f"{_VAST}::test_a_release_that_was_not_done_is_an_error_and_the_machine_still_listed",
        "vastai client: takes a machine for gone once its release was sent",
        "vastai client: takes a machine for gone once its release was answered",
    ),
    "a stop is no proof that a machine has stopped": (
        f"{_VAST}::test_a_stop_that_was_not_done_is_not_taken_for_done",
        "vastai client: takes a machine for stopped once its stop was answered",
    ),
    "half a listing is no proof of absence": (
        f"{_VAST_READ}::test_a_listing_that_ends_early_proves_no_absence",
        "vastai client: takes half a listing for the whole",
        "vastai client: reads the first page of a listing",
        "vastai client: takes a listing that failed for an empty one",
    ),
    "a start may never end": (
        "vastai day: a boot never ends",
        "vastai day: hosts send no heartbeat",
        "vastai client: takes what was intended for what is",
        "core/test_lifecycle.py::test_a_phase_waits_with_a_deadline_and_an_escalation_or_does_not_wait",
    ),
    "a stopped machine bills its disk, and may cost more to keep than to make anew": (
        f"{_VAST}::test_a_stopped_machine_keeps_its_disk_and_its_bill",
        "vastai day: machines have large disks",
        "policies/test_retention.py::test_a_stopped_machine_is_released_after_its_break_even_time",
    ),
    "whatever scales, a cap holds, on bids too, and no credit is an alarm": (
        f"{_VAST}::test_no_credit_is_not_an_offer_that_is_gone",
        "providers/vastai/test_adapter.py::test_a_bid_that_is_none_is_refused_before_it_is_sent",
        "runtime/test_loop.py::test_the_day_budget_is_kept_and_the_floor_stays",
        "runtime/test_statements.py::test_a_balance_that_lasts_for_less_than_six_hours_is_an_alarm_once_and_over_when_topped_up",
    ),
    "a host asks for more, and silence keeps the price": (
        f"{_VAST_READ}::test_a_price_increase_is_told_and_not_accepted",
        "vastai client: accepts what hosts ask for",
    ),
    "a daemon may die and leave machines that bill": (
        "test_deadman_process.py::test_a_machine_without_a_daemon_is_gone_and_the_others_are_not",
        "clouds/test_creates.py::test_a_token_has_one_machine_at_most_and_all_are_known",
    ),
    "others have machines in the account": (
        f"{_VAST_READ}::test_machines_of_others_are_listed_under_their_own_names",
        "vastai client: gives back every machine that it has no record of",
        "vastai client: takes every machine of the account for its own",
    ),
    "the bill is the truth, and the books are held against it": (
        f"{_VAST}::test_what_each_machine_was_billed_is_known_by_its_id_when_it_is_gone_too",
        "runtime/test_statements.py::test_the_bill_of_a_day_is_held_against_the_books_once_and_a_restart_forgets_neither",
    ),
}
"""What costs money at Vast.ai."""

RUNPOD_LIMITS: Mapping[str, Held] = {
    "the account's windows are told in every answer": (
        f"{_PACE}::test_an_exhausted_window_holds_back_every_endpoint",
        f"{_PACE}::test_the_last_requests_of_a_window_are_kept_for_changes",
    ),
    "several windows may be used up at once": (
        f"{_RUNPOD_NO}::test_a_429_asks_to_wait_for_the_longest_of_the_windows_that_are_used_up",
        f"{_RUNPOD}::test_a_rate_limit_says_how_long_even_where_only_headers_do",
    ),
    "429 and 5xx may be web pages": (
        f"{_RUNPOD}::test_a_web_page_in_the_place_of_json_is_read_by_its_status",
        "runpod day: errors are web pages",
    ),
    "a create without a clear answer may have made a pod": (
        f"{_RUNPOD}::test_a_create_without_a_clear_answer_is_found_by_its_label_or_was_not_made",
        "runpod day: the answer to a create is lost, and its machine listed late",
        "runpod client: takes the next offer where a create gave no clear answer",
        "runpod client: sends a create again that got no answer",
        "runpod client: sends a create again that was refused",
        "runpod client: takes a create that fails with 5xx for one that made nothing",
        "runpod client: takes a 400 without a reason for a refusal",
    ),
    "an id may be of a pod that never comes to be": (
        f"{_RUNPOD}::test_an_id_that_never_comes_to_be_is_never_listed_and_its_release_is_no_error",
        "runpod day: a create answers with the id of a pod that never comes to be",
    ),
    "a pod that was made may exit at once, fail, or pull for ever": (
        f"{_RUNPOD}::test_a_pod_that_exits_by_itself_is_stopped_and_its_volume_bills",
        "runpod day: every pod exits at once",
        "runpod client: waits for a pod in ERROR",
        "runpod client: takes what was wanted for what is",
    ),
    "an http port has the address of a proxy": (
        "providers/runpod/test_wire.py::test_the_address_is_the_public_side_of_the_tcp_port",
    ),
    "a value that is pasted into GraphQL breaks it": (
        f"{_RUNPOD}::test_an_environment_of_quotes_braces_and_backslashes_arrives_intact",
        "providers/runpod/test_graphql.py::test_a_spot_rent_sends_values_as_variables_and_nothing_in_the_text",
        "runpod client: pastes values into GraphQL",
    ),
}
"""Limits and oddities of RunPod."""

RUNPOD_PODS: Mapping[str, Held] = {
    "a pod is provided and started before it runs, and its ports are known later": (
        "providers/runpod/test_wire.py::test_each_status_word_has_a_meaning_and_an_unknown_one_means_unknown",
        f"{_RUNPOD}::test_a_pod_has_no_address_before_its_ports_are_known_and_another_after_each_start",
        "runpod client: takes what was wanted for what is",
    ),
    "a 400 is no stock, a broken rule or nothing; 402, 422, 429 and a 5xx after the pod was made": (
        f"{_RUNPOD}::test_no_stock_and_a_broken_rule_are_told_apart_though_both_are_400",
        f"{_RUNPOD}::test_less_than_an_hours_money_is_told_as_such_and_rents_nothing",
        f"{_RUNPOD_NO}::test_each_refusal_becomes_what_the_caller_must_do",
        "runpod client: takes a 400 without a reason for a refusal",
    ),
    "a start meets a full host, in three guises": (
        f"{_RUNPOD}::test_a_full_host_is_no_capacity_in_each_of_its_guises",
        "runpod day: a full host is a 500",
    ),
    "a start comes back without a GPU": (
        f"{_RUNPOD}::test_a_start_without_a_gpu_is_stopped_again_and_bills_no_gpu",
        f"{_RUNPOD}::test_a_start_without_a_gpu_that_cannot_be_stopped_is_no_capacity_all_the_same",
        "runpod client: takes a machine without a GPU for one that serves",
    ),
    "409 and 404 of a pod that is where it should be, or gone, are no failures": (
        f"{_RUNPOD}::test_a_start_of_what_runs_and_a_stop_of_what_is_stopped_are_409_and_no_error",
        f"{_RUNPOD_NO}::test_after_a_409_the_pod_is_looked_at_and_only_its_state_decides",
        f"{_RUNPOD}::test_a_pod_that_is_gone_is_not_found_and_its_release_is_no_error",
    ),
    "an error is the end, and on an empty account pods vanish": (
        f"{_RUNPOD}::test_an_error_is_the_end_of_a_boot_and_the_pod_bills_until_it_is_released",
        f"{_RUNPOD}::test_on_an_empty_account_pods_vanish_and_the_listing_says_so",
        "runpod day: a machine vanishes",
        "runpod client: waits for a pod in ERROR",
    ),
    "a listing has short pages, ignores filters, and a create says no more than is known": (
        f"{_RUNPOD}::test_a_listing_is_whole_in_short_pages_and_without_pages",
        f"{_RUNPOD}::test_a_listing_whose_second_page_fails_is_an_error_and_no_half",
        "providers/runpod/test_wire.py::test_a_create_says_no_more_than_the_closed_body_allows",
        "runpod client: reads the first page of a listing",
        "runpod client: takes half a listing for the whole",
    ),
    "a listing that fails is no empty account": (
        "providers/runpod/test_wire.py::test_a_listing_that_is_not_whole_is_an_error",
        "runpod day: listings fail for ten minutes",
        "runpod client: takes a listing that failed for an empty one",
    ),
    "an answered stop or deletion is no proof of either": (
        f"{_RUNPOD}::test_a_release_without_effect_leaves_the_pod_in_the_listing",
        "runpod client: takes a machine for gone once its release was sent",
        "runpod client: takes a machine for gone once its release was answered",
        "runpod client: takes a machine for stopped once its stop was answered",
    ),
    "a pod may cost more than was agreed": (
        f"{_RUNPOD}::test_a_pod_dearer_than_agreed_shows_its_real_price",
        "runpod client: never looks at what it was given",
    ),
    "names are not unique, and others have pods": (
        f"{_RUNPOD}::test_two_pods_of_one_name_are_both_listed",
        f"{_RUNPOD}::test_foreign_pods_are_listed_under_their_names_and_not_touched",
        "runpod client: gives back every machine that it has no record of",
        "runpod client: takes every machine of the account for its own",
    ),
    "a stopped pod costs nothing by its own word, and its disk bills double": (
        f"{_RUNPOD}::test_a_stopped_pod_says_it_costs_nothing_and_its_volume_bills_double",
        "runpod client: takes a stopped pod's disk for as cheap as a running one's",
    ),
}
"""What RunPod does to pods."""

PATHOLOGIES: Mapping[str, Mapping[str, Held]] = {
    "Vast.ai's limits": VASTAI_LIMITS,
    "money at Vast.ai": VASTAI_MONEY,
    "RunPod's limits": RUNPOD_LIMITS,
    "RunPod's pods": RUNPOD_PODS,
}


def exists(test: str) -> bool:
    """Whether there is such a test."""
    kind, is_client, name = test.partition(" client: ")
    if is_client:
        return name in naive.OF[kind]
    kind, is_day, name = test.partition(" day: ")
    if is_day:
        return name in days.OF[kind]
    file, _, function = test.partition("::")
    return f"def {function}(" in (_TESTS / file).read_text()
