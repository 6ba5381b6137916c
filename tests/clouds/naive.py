"""Clients that lack one rule each, to prove that the days would notice.

Most are the adapter itself behind a habit, others an adapter that keeps books of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from providers.pace import Paced
from tests.clouds import habits
from tests.clouds.bookkeepers import AsOrdered, ExitedHasFailed, NextOffer, Reaps, ReleasedIsGone, StoppedIsStopped
from tests.clouds.habits import behind, each, says, sees
from tests.clouds.invariants import Rule
from tests.support.cloud import Around, Line


@dataclass(frozen=True)
class Client:
    """One that lacks a rule, a day on which that shows, and what breaks on it."""

    day: str
    breaks: Rule
    line: Line = Paced
    around: Around | None = None


ANYWHERE: Mapping[str, Client] = {
    "takes the next offer where a create gave no clear answer": Client(
        "the answer to a create is lost", Rule.ONE_A_TOKEN, around=NextOffer
    ),
    "takes a 400 without a reason for a refusal": Client(
        "a create answers 400 without a word, and the machine was made",
        Rule.NOTHING_UNKNOWN,
        behind(habits.takes_silence_for_a_no),
    ),
    "takes a listing that failed for an empty one": Client(
        "the answer to a create is lost while listings fail",
        Rule.NOTHING_UNKNOWN,
        behind(habits.takes_no_listing_for_an_empty_one),
    ),
    "takes a machine for gone once its release was sent": Client(
        "a release is refused again and again", Rule.NOTHING_LEFT, around=ReleasedIsGone
    ),
    "takes a machine for gone once its release was answered": Client(
        "a release is answered and not done", Rule.NOTHING_LEFT, around=ReleasedIsGone
    ),
    "takes a machine for stopped once its stop was answered": Client(
        "a stop is answered and not done", Rule.BOOKS_HOLD, around=StoppedIsStopped
    ),
    "never looks at what it was given": Client(
        "a machine comes dearer than was offered", Rule.BOOKS_HOLD, around=AsOrdered
    ),
    "gives back every machine that it has no record of": Client("nothing goes wrong", Rule.FOREIGN_WHOLE, around=Reaps),
    "takes every machine of the account for its own": Client(
        "nothing goes wrong",
        Rule.NOTHING_LEFT,
        sees("list pods", habits.named),
    ),
}


VASTAI: Mapping[str, Client] = {
    "takes a create that fails with 5xx for one that made nothing": Client(
        "lost answers are pages of a gateway", Rule.NOTHING_UNKNOWN, behind(habits.takes_5xx_for_a_no)
    ),
    "sends a create again that got no answer": Client(
        "the answer to a create is lost, and its machine listed late", Rule.NOTHING_UNKNOWN, behind(habits.sends_again)
    ),
    "sends a create again that was refused": Client(
        "a create answers 400 without a word, and the machine was made",
        Rule.NOTHING_UNKNOWN,
        behind(habits.sends_refused_again),
    ),
    "takes success: false for yes": Client(
        "every create says that it failed and was made",
        Rule.COST_BOUND,
        sees("create", lambda body: body.update(success=True)),
    ),
    "takes success: false for a machine that was not made": Client(
        "a create says that it failed, and not what it made",
        Rule.NOTHING_UNKNOWN,
        behind(habits.takes_a_no_under_200_for_a_refusal),
    ),
    "does not look for new_contract in an error": Client(
        "a create answers with an error, and the machine was made",
        Rule.NOTHING_UNKNOWN,
        sees("create", lambda body: body.get("success") or body.pop("new_contract", None)),
    ),
    "takes half a listing for the whole": Client(
        "the answer to a create is lost while listings break off", Rule.NOTHING_UNKNOWN, sees("list", habits.first_page)
    ),
    "reads the first page of a listing": Client(
        "an account has thirty machines more", Rule.NOTHING_UNKNOWN, sees("list", habits.first_page)
    ),
    "asks without regard to the least intervals": Client(
        "an account has thirty machines more", Rule.SERVED, lambda http, *_: http
    ),
    "forgets the price of a spot machine": Client(
        "a spot machine is outbid", Rule.SERVED, says("create", lambda body: body.pop("price", None))
    ),
    "never looks whether spot became on demand": Client(
        "a spot order becomes one on demand", Rule.BOOKS_HOLD, around=AsOrdered
    ),
    "never looks at the host it was given": Client(
        "every machine is on another host than was agreed", Rule.COST_BOUND, around=AsOrdered
    ),
    "takes offers as the search gives them, and never looks at what it was given": Client(
        "searches ignore their bounds, and all there is is too dear",
        Rule.COST_BOUND,
        sees("search", each("offers", habits.as_wanted)),
        AsOrdered,
    ),
    "labels a machine once it is made": Client(
        "the answer to a create is lost", Rule.NOTHING_UNKNOWN, behind(habits.names_it_afterwards)
    ),
    "accepts what hosts ask for": Client(
        "every host asks for more", Rule.COST_BOUND, behind(habits.accepts_every_price)
    ),
    "knows the words of the documents only": Client(
        "running machines show a word of no document", Rule.NOTHING_LEFT, sees("list", habits.chokes_on_a_new_word)
    ),
    "expects a value where null may be": Client(
        "fields are null that no document says can be", Rule.NOTHING_LEFT, sees("list", habits.chokes_on_null)
    ),
    "takes a machine that shows exited for one that has failed": Client(
        "started machines show exited until they run", Rule.SERVED, around=ExitedHasFailed
    ),
    "takes what was intended for what is": Client(
        "a boot never ends",
        Rule.NOTHING_LEFT,
        sees("list", each("instances", lambda row: row.update(actual_status=row["intended_status"]))),
    ),
}

RUNPOD: Mapping[str, Client] = {
    "takes a create that fails with 5xx for one that made nothing": Client(
        "a create answers with an error, and the machine was made",
        Rule.NOTHING_UNKNOWN,
        behind(habits.takes_5xx_for_a_no),
    ),
    "sends a create again that got no answer": Client(
        "the answer to a create is lost", Rule.ONE_A_TOKEN, behind(habits.sends_again)
    ),
    "sends a create again that was refused": Client(
        "a create answers 400 without a word, and the machine was made",
        Rule.ONE_A_TOKEN,
        behind(habits.sends_refused_again),
    ),
    "takes half a listing for the whole": Client(
        "the answer to a create is lost while listings break off, and two machines are wanted",
        Rule.NOTHING_UNKNOWN,
        sees("pods", habits.first_page),
    ),
    "reads the first page of a listing": Client(
        "the listing has pages of two, three machines are wanted, and the answer to a create is lost",
        Rule.NOTHING_UNKNOWN,
        sees("pods", habits.first_page),
    ),
    "takes a machine without a GPU for one that serves": Client(
        "a machine comes back without a GPU",
        Rule.NOTHING_LEFT,
        sees("pods action pod", each("pods", lambda row: row.update(gpu={**(row.get("gpu") or {}), "count": 1}))),
    ),
    "takes a stopped pod's disk for as cheap as a running one's": Client(
        "machines have large disks", Rule.BOOKS_HOLD, sees("pods", each("pods", habits.with_half_the_disk))
    ),
    "takes what was wanted for what is": Client(
        "a boot never ends",
        Rule.NOTHING_LEFT,
        sees("pods", each("pods", habits.as_wanted_up)),
    ),
    "waits for a pod in ERROR": Client(
        "a container crashes as it starts",
        Rule.SERVED,
        sees("pods", each("pods", habits.as_starting)),
    ),
    "pastes values into GraphQL": Client("a spot machine is outbid", Rule.SERVED, behind(habits.pastes_values)),
}

OF = {"vastai": {**ANYWHERE, **VASTAI}, "runpod": {**ANYWHERE, **RUNPOD}}
"""The clients of each cloud by name."""
