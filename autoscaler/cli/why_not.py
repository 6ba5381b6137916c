"""What stands between a pool and each action: the rules that spoke of it, and how far the numbers are from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoscaler.cli.view.words import Object

_UP, _DOWN = ("rent", "resume"), ("stop", "release")
ACTIONS = (*_UP, *_DOWN)

_HOLDS: Mapping[str, Sequence[str]] = {
    "paused": ACTIONS,
    "order.floor": ("stop",),
    "order.ceiling": _UP,
    "up": _UP,
    "budget.stop": _UP,
    "unknown": _DOWN,
    "fresh_start": _DOWN,
    "down": ("stop",),
    "hold": ("stop",),
    "keep": ("stop",),
    "open": ("stop",),
    "early": ("stop",),
    "warm": ("release",),
}
"""What a rule that led to the decision speaks against, by its name or the last word of it."""
_NOT_DONE: Mapping[str, Sequence[str]] = {
    **{action: (action,) for action in ACTIONS},
    "race": ("rent",),
    "replace": ("rent",),
    "standby": ("rent",),
    "fewer": ("stop",),
    **_HOLDS,
}
"""What a rule that tells of something not done speaks of; of a machine more where its name does not say."""


def why_not(action: str, pool: Object) -> list[str]:
    """Each rule that stands against an action, with its name, and at last the plan's own numbers."""
    decision = pool["decision"]
    texts = [f"{command['reason']} - being done" for command in pool["commands"] if command["action"] == action]
    against = [(reason, _spoken_of(reason["rule"], _NOT_DONE, _UP)) for reason in decision["why_not"]]
    against += [(reason, _held_back(reason["rule"], pool)) for reason in decision["why"]]
    texts += [f"{reason['text']}  [{reason['rule']}]" for reason, actions in against if action in actions]
    return [*texts, f"{_by_numbers(action, pool)}  [plan]"]


def _spoken_of(rule: str, known: Mapping[str, Sequence[str]], otherwise: Sequence[str]) -> Sequence[str]:
    return known.get(rule) or known.get(rule.rpartition(".")[2], otherwise)


def _held_back(rule: str, pool: Object) -> Sequence[str]:
    """What a rule that led to the decision speaks against: limits against more at the most, else against fewer."""
    if rule != "limits.hot":
        return _spoken_of(rule, _HOLDS, ())
    _, _, most = pool["limits"]["hot"].rpartition("..")
    return _UP if pool["decision"]["hot"] >= int(most) else ("stop",)


def _by_numbers(action: str, pool: Object) -> str:
    decision, phases, limits = pool["decision"], pool["phases"], pool["limits"]
    missing = decision["hot"] - pool["up"]
    match action:
        case "resume" if not phases["warm"]:
            return "no machine is WARM"
        case "rent" if phases["warm"] and missing > 0:
            return f"WARM machines are resumed first: {phases['warm']}"
        case "rent" | "resume":
            short = f"{missing} missing" if missing > 0 else "none is missing"
            return f"{pool['up']} up, {decision['hot']} wanted, {limits['hot']} allowed: {short}"
        case "stop":
            return _surplus(phases["hot"], "HOT", decision["hot"], "wanted")
        case _:
            return _surplus(phases["warm"], "WARM", decision["warm"], "kept at most")


def _surplus(there: int, phase: str, wanted: int, how: str) -> str:
    surplus = f"{there - wanted} too many" if there > wanted else "none is too many"
    return f"{there} {phase}, {wanted} {how}: {surplus}"
