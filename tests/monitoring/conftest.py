"""Real daemons on a real Redis, as the end-to-end tests have them."""

from tests.e2e.conftest import client, start_daemon

__all__ = ["client", "start_daemon"]
