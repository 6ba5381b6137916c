"""What RunPod does to its customers beside what any market does; each is a switch.

Sources are those of the vendor's documents, of the vendor's and others' clients, and of reports on live accounts.
"""

from __future__ import annotations

from enum import StrEnum, auto


class Quirk(StrEnum):
    """Every way of RunPod's own in which this emulator misbehaves when told to."""

    # The listing.
    NO_PAGINATION = auto()
    """The listing has no `pagination` and is always whole. REST v2 as specified in August 2026."""
    SHORT_PAGES = auto()
    """A page holds two pods at most, whatever `limit` asks for, and more follow. REST v2 since September 2026."""
    NEVER_LISTS = auto()
    """The first create answers with the id of a pod that never comes to be. skypilot-org/skypilot #7336."""

    # Answers.
    NO_RATE_LIMIT_HEADERS = auto()
    """No RateLimit headers, as for exempt callers. REST v2 specification."""
    HTML_ERRORS = auto()
    """429 and 5xx come as a web page of the gateway, without Retry-After. Change log of RunPod's MCP server."""
    HOST_FULL_500 = auto()
    """A start whose host is full is 500 with `{"error", "status"}`, REST v1's shape. Reports on live accounts."""
    EXAMPLE_SHAPES = auto()
    """Creates answer as the specification's example does, against its prose: `start` among the actions of a pod in
    PROVISIONING, `runtime` an empty object, `template` set."""
    UNSOLD_PRICES = auto()
    """The catalogue has a price for a cloud that does not sell the type. Reports on live accounts."""

    # Pods.
    EXITS_AT_ONCE = auto()
    """Pods exit by themselves four seconds after they were made: too large an image. Reports on live accounts."""
    EXITS_LATER = auto()
    """Pods exit by themselves ten minutes after they were made: RunPod or the host stopped them, and REST gives no
    reason. runpodctl, `podstate.go`."""
    BROKE_STOPS = auto()
    """On an empty account pods are stopped, not terminated. RunPod's billing page until May 2026."""

    # GraphQL, which RunPod retires in early 2027.
    GRAPHQL_GONE = auto()
    """404 with a web page. RunPod's release notes announce the end."""
    SPOT_GONE = auto()
    """The schema has no spot: `Cannot query field "podRentInterruptable" on type "Mutation".` Out of RunPod's
    documents since May 2026."""
    BALANCE_GONE = auto()
    """The schema has no balance: `Cannot query field "clientBalance" on type "User".`"""
    NO_RUNTIME = auto()
    """`runtime` is null of a running pod: the service behind it did not answer in time. runpodctl, `podstate.go`."""
    STALE_RUNTIME = auto()
    """`runtime` of a stopped pod goes on, and its uptime climbs. runpodctl, `podstate.go`."""
