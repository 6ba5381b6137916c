"""Hot reload: read the file again, tell what it changes, and go on with it between two ticks.

A bad file changes nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from autoscaler.app import App, refusals
from autoscaler.config import Config, load_config
from autoscaler.config.diff import differences, needs_restart
from autoscaler.config.secrets import secrets_of
from autoscaler.core.demand import Unknown
from autoscaler.core.errors import AutoscalerError, SettingsError
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.units import format_duration
from autoscaler.link import RedisLink
from autoscaler.parts import named
from autoscaler.runtime.decider import STRAY_GRACE_S
from autoscaler.runtime.entropy import Entropy
from autoscaler.runtime.ports import Clock
from autoscaler.runtime.report import NO_TICK, TickReport
from autoscaler.store.common import LED_LATELY_S
from autoscaler.telemetry.logging import configure_logging

_MOST_TOLD = 5
"""Changes that the journal names one by one."""


class FileChanged(AutoscalerError):
    """The file, or what is in force, is not what was shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What the file would change."""

    config: Config
    lines: tuple[str, ...]
    """In the words of the file; none where nothing would change."""
    digest: str
    """Stands for this very content of the file against what is in force now."""


class Reloading:
    """The reloads of one daemon, one at a time."""

    def __init__(self, app: App, file: Path | None, clock: Clock) -> None:
        """With no file there is nothing to reload."""
        self._app = app
        self._file = file
        self._clock = clock
        self._entropy = Entropy()
        self._one_at_a_time = asyncio.Lock()
        self._shown: tuple[str, Config, Config] | None = None
        """The newest digest, what was in force, and what the file said."""
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

    async def preview(self) -> Proposal:
        """What the file would change; nothing is done.

        Raises:
            SettingsError: the file has problems, or what it asks for cannot be had without a restart: all of it.
            StoreUnavailable: whether machines stand in the way cannot be told.
        """
        if self._file is None:
            raise SettingsError(
                "this daemon was started without a file: there is nothing to reload; a new environment needs a restart"
            )
        after = await asyncio.to_thread(load_config, self._file, os.environ)  # seconds, where it is long
        before = self._app.config
        refused = needs_restart(before, after) or await self._refused_by_redis(after)
        lines = differences(before, after)
        if not refused and lines:
            refused, notes = _left_behind(before, after, await self._machines(before, after))
            lines += [*notes, *_jobs_left(after, self._app.board.report or NO_TICK)]
        if refused:
            raise SettingsError(*refused)
        return Proposal(config=after, lines=tuple(lines), digest=self._digest(before, after))

    async def apply(self, by: str, why: str = "", *, digest: str | None = None) -> Proposal:
        """Go on with what the file says; with a digest only if that is what was shown under it.

        Raises:
            FileChanged: it is not; nothing has changed.
            SettingsError: as `preview`; nothing has changed.
            StoreUnavailable: as `preview`; nothing has changed.
        """
        async with self._one_at_a_time:
            proposal = await self.preview()
            if digest not in (None, proposal.digest):
                raise FileChanged("the file, or what is in force, is not what was shown any more; look at it again")
            if not proposal.lines:
                return proposal
            before, after = self._app.config, proposal.config
            async with self._app.turn:
                refused, _ = _left_behind(before, after, await self._machines(before, after))
                if refused:  # rented since it was shown
                    raise SettingsError(*refused)
                self._app.adapt(after)
            if after.log != before.log or secrets_of(after) != secrets_of(before):
                configure_logging(after.log.format, after.log.level, secrets_of(after) | secrets_of(before))
            self._tell(proposal, by, why)
            return proposal

    async def by_signal(self, signal: asyncio.Event) -> None:
        """Reload at each signal, for ever. Whatever goes wrong is told, and the daemon goes on as before."""
        while True:
            await signal.wait()
            signal.clear()
            try:
                proposal = await self.apply("SIGHUP")
                if not proposal.lines:
                    self._log.info("reload", text=f"{self._file} says what is in force already: nothing changes")
            except SettingsError as error:
                self._refused(error.problems)
            except AutoscalerError as error:
                self._refused([str(error)])
            except Exception as error:  # noqa: BLE001 - a bug in here must not end the watch over machines that bill
                self._log.exception("reload_failed")
                self._refused([f"internal error, please report it: {error!r}"])

    def _tell(self, proposal: Proposal, by: str, why: str) -> None:
        for line in proposal.lines:
            self._log.info("reload", text=line)
        told = [*proposal.lines[:_MOST_TOLD]]
        if more := len(proposal.lines) - len(told):
            told.append(f"and {more} more")
        text = f"configuration reloaded by {by}{f' ({why})' if why else ''}: {'; '.join(told)}"
        self._note(Kind.OPERATOR, text)

    def _refused(self, problems: Collection[str]) -> None:
        for problem in problems:
            self._log.error("reload_refused", text=problem)
        if self._file is not None:
            text = f"reload by SIGHUP refused, everything goes on as it was: {'; '.join([*problems][:_MOST_TOLD])}"
            self._note(Kind.ALARM, text)

    def _note(self, kind: Kind, text: str) -> None:
        self._app.note(Entry(at=self._clock.now(), kind=kind, action="reload", text=text))

    def _digest(self, before: Config, after: Config) -> str:
        """The same for the same file as long as the same is in force. It is drawn: a hash would tell of secrets."""
        if self._shown is None or self._shown[1] is not before or self._shown[2] != after:
            self._shown = self._entropy.token(), before, after
        return self._shown[0]

    async def _refused_by_redis(self, config: Config) -> list[str]:
        """What each Redis says that is not used yet."""
        links = {
            setting: RedisLink(redis) for redis, setting in named(config).items() if redis not in self._app.parts.links
        }
        try:
            return await refusals(links)
        finally:
            for link in links.values():
                await link.close()

    async def _machines(self, before: Config, after: Config) -> list[Instance]:
        """The machines there are, where that matters."""
        if before.pools.keys() <= after.pools.keys() and not _gone_providers(before, after):
            return []
        return [record for record in await self._app.records() if record.phase is not Phase.GONE]


def _left_behind(before: Config, after: Config, machines: Collection[Instance]) -> tuple[list[str], list[str]]:
    """Why what has machines cannot go, and what becomes of the machines of that which can."""
    at = Counter(machine.provider for machine in machines)
    refused = [
        f"providers.{name}: {_counted(at[name])} of this fleet there; first: autoscaler evacuate {name} FILE"
        for name in _gone_providers(before, after)
        if at[name]
    ]
    of = Counter(machine.pool for machine in machines)
    alone_s = STRAY_GRACE_S + (LED_LATELY_S + before.lease_s if after.spread else 0.0)
    notes = [
        f"pools.{name}: {_counted(of[name])} of it left alone for {format_duration(alone_s)}, then drained, and"
        " released once idle; no job is cut off"
        for name in before.pools.keys() - after.pools.keys()
        if of[name]
    ]
    return refused, sorted(notes)


def _jobs_left(after: Config, report: TickReport) -> Iterator[str]:
    """The jobs that wait in tiers that go, as far as this daemon has read them."""
    for name, pool in report.pools.items():
        kept = {tier.name for tier in after.pools[name].pool(name).tiers} if name in after.pools else set[str]()
        demand = pool.snapshot.demand
        for tier in () if isinstance(demand, Unknown) else demand.tiers:
            if tier.waiting and tier.tier not in kept:
                jobs = "1 job waits" if tier.waiting == 1 else f"{tier.waiting} jobs wait"
                yield f"pools.{name}.queue.tiers.{tier.tier}: {jobs} in it now"


def _gone_providers(before: Config, after: Config) -> list[str]:
    """Providers that are configured no more, or are others of the same name."""
    kinds: Mapping[str, str] = {name: settings.kind for name, settings in after.providers.items()}
    return [name for name, settings in before.providers.items() if kinds.get(name) != settings.kind]


def _counted(machines: int) -> str:
    return "1 machine" if machines == 1 else f"{machines} machines"
