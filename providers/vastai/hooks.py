"""Vast.ai's notification webhooks: whether Vast.ai sent one, and whether it is about machines.

Source: docs.vast.ai, "Notification Webhooks": `X-Vast-Signature-256` is `sha256=` and the hexadecimal HMAC-SHA256 of
`X-Vast-Timestamp`, a dot and the raw body, by the webhook's own secret; requests older than 300 s are to be refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping

from autoscaler.core.units import Secret
from autoscaler.core.words import MOST_NAME, one_line
from providers.kind import Heard

WINDOW_S = 300.0
_STAMP = re.compile(rb"[0-9]{1,12}")
_OF_MACHINES = ("instance", "outbid", "machine", "error_msgs")
"""What the slugs of notifications about machines begin with. The vendor lists them by an API alone; a slug that is not
known here is heard, and nothing is looked up for it."""


def hear(secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> Heard | None:
    """What a notification says; None where it is not proved that Vast.ai sent it within the last minutes."""
    stamp = headers.get("X-Vast-Timestamp", "").encode(errors="replace")
    given = headers.get("X-Vast-Signature-256", "").encode(errors="replace")
    digest = hmac.new(secret.reveal().encode(), stamp + b"." + body, hashlib.sha256).hexdigest()
    proved = hmac.compare_digest(given, f"sha256={digest}".encode())
    if not proved or not _STAMP.fullmatch(stamp) or abs(now - int(stamp)) > WINDOW_S:
        return None
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    fields = told if isinstance(told, dict) else {}
    slug = str(fields.get("notif_type", "")).rpartition(":")[2]
    return Heard(
        event=one_line(str(fields.get("event_id", digest)), MOST_NAME), of_machines=slug.startswith(_OF_MACHINES)
    )
