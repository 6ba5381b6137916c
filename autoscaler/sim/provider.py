"""The mock market's provider as simulations use it: it holds our own orders against the jobs in hand."""

from __future__ import annotations

from providers.mock import MockProvider


class SimulatedProvider(MockProvider):
    """The mock provider, which also counts the jobs that were in hand when a machine was ordered to end."""

    killed = 0
    """Jobs in hand on machines that we ordered to stop or released. It must stay 0."""

    async def stop(self, provider_id: str) -> None:
        """Stop a machine and keep its disk."""
        self._order_end(provider_id)
        await super().stop(provider_id)

    async def release(self, provider_id: str) -> None:
        """Give a machine back for good."""
        self._order_end(provider_id)
        await super().release(provider_id)

    def _order_end(self, provider_id: str) -> None:
        self.market.settle(self._now())
        machine = self.market.machines.get(provider_id)
        if machine is not None:
            self.killed += machine.busy
