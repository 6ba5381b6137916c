"""Emulators: the mock market behind the vendors' HTTP, with what the vendors do to their customers.

They are sans-IO: an emulator takes a request as a value and gives an answer as a value, so that the same one is served
on a port for any client, and asked in the same process where a test wants virtual time. They know nothing of our
adapters; their truth is the vendors' documents and the vendors' own clients.
"""

from autoscaler.emulate.base import Dropped, Emulator

__all__ = ["Dropped", "Emulator"]
