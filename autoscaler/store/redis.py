"""The store in Redis. A tick costs two round trips: `read`, which shares its pipeline with the queues, and `commit`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from autoscaler.core.errors import LeaseLost, NewerRecords, StoreUnavailable
from autoscaler.core.journal import Entry, Kind, order_entry, withdrawal_entry
from autoscaler.core.orders import Order
from autoscaler.core.samples import Sample
from autoscaler.core.unit import WHOLE, Unit
from autoscaler.link import Command, RedisLink, Reply
from autoscaler.runtime.ports import Changes, Control, Saved
from autoscaler.store.codec import (
    decode_entry,
    decode_instance,
    decode_order,
    decode_sample,
    encode_order,
)
from autoscaler.store.common import LED_LATELY_S, Claim, Common, pairs
from autoscaler.store.exchange import Exchange, another_wrote
from autoscaler.store.keys import Keys
from autoscaler.store.lease import Lead
from autoscaler.store.migrate import is_older, migration
from autoscaler.store.moving import Contents, bring_home, questions
from autoscaler.store.rules import LEASE_S, old_days
from autoscaler.store.scripts import COMMIT, RESIGN
from autoscaler.store.writes import commands_for, journal_command

_PAGE = 250
"""Samples read at once: about 0.1 MB for a pool of three tiers."""


class RedisStore:
    """One daemon's view of a fleet's records, lease and journal in Redis.

    `owner` names this run of the daemon and no other, as `autoscaler.store.owner` does: a restarted daemon that gave
    the same name would pass for the one that may still be acting. A `unit` of one pool has a lease and records of its
    own, and `common` is what it shares with the daemon's other units.
    """

    def __init__(
        self,
        link: RedisLink,
        fleet: str,
        owner: str,
        ttl_s: float = LEASE_S,
        *,
        unit: Unit = WHOLE,
        common: Common | None = None,
    ) -> None:
        self._link = link
        self._exchange = Exchange(link, fleet)
        self._fleet = fleet
        self._keys = Keys(fleet, unit.name)
        self._owner = owner
        self._ttl_s = ttl_s
        self._unit = unit
        self._common = common or Common(link, fleet, owner, ttl_s)
        self._lead = Lead(ttl_s)
        self._asked = False
        self._led: frozenset[str] = frozenset()
        self._days: set[str] = set()

    def adapt(self, unit: Unit) -> None:
        """Go on with a lease that leads other pools by now; its name stays."""
        self._unit = unit

    def may_act(self) -> bool:
        """Whether the lease is certainly still ours, by the event loop's clock."""
        return self._lead.certain(asyncio.get_running_loop().time())

    async def read(self) -> Control:
        """Take or renew the lease; read orders and heartbeats.

        Raises:
            NewerRecords: a newer program keeps this fleet.
        """
        asked_at = asyncio.get_running_loop().time()
        claim = Claim(self._keys, self._lead.leaves_to_former(asked_at), self._lead.found_free)
        heard = await self._common.read(claim)
        try:
            older = is_older(heard.version)
        except NewerRecords:
            await self.resign()  # else the newer program could not lead before our lease is over
            raise
        answer = heard.answers[self._unit.name]
        self._asked = answer.asked
        self._led = heard.led if self._unit.takes_strays else frozenset()
        leads = self._lead.answered(answer.fence, taken=answer.taken, asked_at=asked_at)
        if answer.fence is None:
            self._lead.heard(answer.leader, asked_at=asked_at)
        self._common.share.count(self._unit.name, leads=leads)
        return Control(
            leads=leads,
            leader=answer.leader,
            led=self._led,
            orders=_orders(await self._migrate() if leads and older else heard.orders),
            heartbeats=heard.heartbeats,
        )

    async def _migrate(self) -> Reply:
        """Bring the stored forms to this program's; gives the orders that stand then."""
        settings, (seconds, _) = await self._exchange.ask(("HGETALL", self._keys.settings), ("TIME",))
        await self._write(list(migration(pairs(settings), self._keys, float(seconds))))
        [orders] = await self._exchange.ask(("HGETALL", self._keys.orders))
        return orders

    async def peek(self) -> Control:
        """What the leader would read; it takes no lease and leaves no trace."""
        heard = await self._common.read()
        return Control(leads=True, orders=_orders(heard.orders), heartbeats=heard.heartbeats)

    async def load(self) -> Saved:
        """All records, when the lead was taken, or for whoever only looks.

        What the other way to lead has left of this unit's pools is among them; whoever leads brings it under its keys.

        Raises:
            NewerRecords: a newer program wrote them.
            StoreUnavailable: no answer, or a record that cannot be read.
            LeaseLost: another daemon leads.
        """
        own, moves = await self._find()
        if moves and self._lead.fence is not None:
            await self._write(moves)
        self._days = set(own.ledger)
        return Saved(
            instances=tuple(decode_instance(name, stored) for name, stored in sorted(own.instances.items())),
            documents={name: value.decode() for name, value in own.documents.items()},
            ledger={day: value.decode() for day, value in own.ledger.items()},
        )

    async def _find(self) -> tuple[Contents, list[Command]]:
        """All that is this unit's, and the commands that bring under its keys what does not lie there."""
        *replies, units = await self._exchange.ask(*questions(self._keys), ("ZRANGE", self._keys.pools, 0, -1))
        own = Contents.read(self._keys, replies)
        names = [name.decode(errors="replace") for name in units]
        left = [each for each in names if self._unit.owns(each) and each != self._unit.name and each not in self._led]
        moves: list[Command] = []
        for keys in [Keys(self._fleet, each) for each in ([""] if self._unit.name else []) + left]:
            moves += bring_home(self._unit, own, Contents.read(keys, await self._exchange.ask(*questions(keys))))
        return own, moves

    async def commit(self, changes: Changes) -> None:
        """Write all of it or nothing, in one script.

        Raises:
            LeaseLost: another daemon leads; nothing was written.
        """
        if not changes:
            return
        if self._lead.fence is None:
            raise LeaseLost("this daemon does not hold the lease; nothing was written")
        days = self._days | changes.ledger.keys()
        dropped = old_days(days)
        await self._write(list(commands_for(changes, self._keys, dropped_days=dropped)))
        self._days = days.difference(dropped)

    async def _write(self, commands: Sequence[Command]) -> None:
        """Write all of it or nothing, in one script.

        Raises:
            LeaseLost: another daemon leads; nothing was written.
            StoreUnavailable: no answer, or a key holds what another program wrote; then, too, nothing was written.
        """
        written = list(dict.fromkeys(str(command[1]) for command in commands))
        words = [word for command in commands for word in (len(command), *command)]
        [done] = await self._exchange.call(
            COMMIT, [self._keys.lease, *written], [f"{self._owner}:{self._lead.fence}", *words]
        )
        if isinstance(done, bytes):
            raise StoreUnavailable(another_wrote(done.decode()))
        if not done:
            self._lead.lost()
            raise LeaseLost("the lease is not ours any more; nothing was written")

    async def journal(self, count: int) -> Sequence[Entry]:
        """The newest entries, newest first. One that cannot be read is shown as such."""
        [rows] = await self._exchange.ask(("XREVRANGE", self._keys.journal, "+", "-", "COUNT", count))
        return [_entry(row_id.decode(), fields) for row_id, fields in rows or ()]

    async def samples(self, *, newest_first: bool = False) -> AsyncIterator[Sample]:
        """The history of about a month, oldest first unless told otherwise, read in pages.

        Raises:
            NewerRecords: a newer program wrote it.
            StoreUnavailable: no answer, or a sample that cannot be read.
        """
        command, last, end = ("XREVRANGE", "+", "-") if newest_first else ("XRANGE", "-", "+")
        while True:
            [rows] = await self._exchange.ask((command, self._keys.history, last, end, "COUNT", _PAGE))
            for row_id, (_, stored) in rows:
                yield decode_sample(row_id.decode(), stored)
            if len(rows) < _PAGE:
                return
            last = f"({rows[-1][0].decode()}"

    async def orders(self) -> Sequence[Order]:
        """What operators have ordered and not withdrawn; some may be over. It needs no lease."""
        [stored] = await self._exchange.ask(("HGETALL", self._keys.orders))
        return _orders(stored)

    async def give(self, order: Order) -> None:
        """Take an operator's order, in the place of one of the same name; it needs no lease."""
        await self._exchange.ask(
            ("HSET", self._keys.orders, order.name, encode_order(order)),
            journal_command(order_entry(order, "given", order.at), self._keys),
        )

    async def withdraw(self, name: str, *, by: str, why: str = "") -> bool:
        """Take an order back, also one that cannot be read; gives whether there was one. It needs no lease."""
        stored, (seconds, microseconds) = await self._exchange.ask(("HGET", self._keys.orders, name), ("TIME",))
        if stored is None:
            return False
        now = int(seconds) + int(microseconds) / 1e6
        try:
            entry = withdrawal_entry(decode_order(name, stored), by, why, now)
        except (NewerRecords, StoreUnavailable):  # it stops every tick: this is the way out
            entry = Entry(at=now, kind=Kind.OPERATOR, text=f"order {name}, which cannot be read, withdrawn by {by}")
        await self._exchange.ask(("HDEL", self._keys.orders, name), journal_command(entry, self._keys))
        return True

    async def led(self) -> Sequence[str]:
        """Pools that are led one by one by some daemon, or were lately. It needs no lease."""
        [(seconds, _)] = await self._exchange.ask(("TIME",))
        earliest_ms = (int(seconds) - LED_LATELY_S) * 1000
        [names] = await self._exchange.ask(("ZRANGEBYSCORE", self._keys.pools, earliest_ms, "+inf"))
        return [name.decode(errors="replace") for name in names]

    def should_yield(self, *, failing: bool) -> bool:
        """Whether another daemon should lead: one that leads fewer asks for it, or this one fails while others live."""
        share, now = self._common.share, asyncio.get_running_loop().time()
        if self._lead.fence is None:
            return False
        if failing and share.others(now):
            share.step_back(now + self._ttl_s)
        elif not self._asked:
            return False
        share.count(self._unit.name, leads=False)
        return True

    async def resign(self, *, stay: bool = False) -> None:
        """Give the lease back, if it is ours; with `stay` this daemon goes on, and may take it again later."""
        self._lead.lost()
        self._common.share.count(self._unit.name, leads=False)
        await self._exchange.call(RESIGN, [self._keys.lease, self._keys.daemons], [self._owner, int(stay)])

    async def close(self) -> None:
        """Let go of the connection."""
        await self._link.close()


def _orders(flat: Sequence[bytes]) -> tuple[Order, ...]:
    """Operators' orders, oldest first."""
    orders = [decode_order(name, stored) for name, stored in pairs(flat).items()]
    return tuple(sorted(orders, key=lambda order: (order.at, order.name)))


def _entry(row_id: str, fields: Sequence[bytes]) -> Entry:
    try:
        return decode_entry(row_id, dict(zip(fields[::2], fields[1::2], strict=False)).get(b"entry", b""))
    except (NewerRecords, StoreUnavailable) as error:
        return Entry(at=int(row_id.partition("-")[0]) / 1000, kind=Kind.ALARM, text=str(error))
