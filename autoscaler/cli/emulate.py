"""``autoscaler emulate``: a cloud on this machine, for rehearsals with the real client code and without money."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from textwrap import fill
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from autoscaler.emulate.base import Telling
    from autoscaler.runtime.ports import Clock
    from providers.http import Answer, Request

_PORT = 8901
_LONGEST_TOLD = 120
_TELLS_EVERY_S = 0.5
_TAKEN_S = 10.0  # as Vast.ai waits for a receiver

_DRIVE: Mapping[str, str] = MappingProxyType(
    {
        "vastai": """\
  with a daemon      providers: {{vastai: {{api_key: any, url: "{url}"}}}}
  with its client    pip install vastai
                     export VAST_URL={url} VAST_API_KEY=any VASTAI_NO_UPDATE_CHECK=1
                     vastai search offers 'num_gpus=1'
                     vastai create instance OFFER --image ubuntu:24.04 --disk 20
                     vastai show instances""",
        "runpod": """\
  with a daemon      providers: {{runpod: {{api_key: any, url: "{url}"}}}}
  with curl          curl -H 'Authorization: Bearer any' {url}/v2/pods""",
    }
)
"""What to do with each vendor's emulator."""


_WEBHOOK: Mapping[str, str] = MappingProxyType(
    {
        "vastai": """\
  webhook:                    # told what becomes of instances
    url: http://127.0.0.1:8080/hooks/vastai
    secret: any
"""
    }
)
"""How a scenario file says whom each vendor tells of its own accord."""


class _Vendors(click.Group):
    """One command for each vendor, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        return list(_DRIVE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        return _command(cmd_name) if cmd_name in _DRIVE else None


@click.group(cls=_Vendors)
def emulate() -> None:
    """Serve a cloud's API on this machine, to rehearse with.

    Behind it is a small market of GPUs that misbehaves as the real one does, when told to.

    \b
      autoscaler emulate vastai                       then follow what it prints
      autoscaler emulate vastai --scenario bad.yaml   with things going wrong
      autoscaler emulate vastai --help                what can go wrong

    Nothing is rented and no money is spent; whatever was made is forgotten when it ends.
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined


def _command(vendor: str) -> click.Command:
    def run(port: int, scenario: Path | None) -> None:
        from autoscaler.emulate.scenario import read_emulation
        from autoscaler.runtime.clock import SystemClock
        from autoscaler.runtime.entropy import seeded

        package = import_module(f"autoscaler.emulate.{vendor}")
        settings = read_emulation(package.Emulation, scenario)
        clock = SystemClock()
        emulator = package.make(settings, now=clock.now, rng=seeded(settings.market.seed))
        asyncio.run(_serve(vendor, emulator, clock, port))

    return click.Command(
        vendor,
        callback=run,
        help=_help(vendor),
        params=[
            click.Option(["--port"], type=click.IntRange(0, 65535), default=_PORT, show_default=True, help="0 is any."),
            click.Option(
                ["--scenario"],
                type=click.Path(path_type=Path),
                metavar="FILE",
                help="YAML: what it is, and what fails.",
            ),
        ],
    )


async def _serve(vendor: str, emulator: Telling, clock: Clock, port: int) -> None:
    from autoscaler.emulate.serve import served

    def tell(request: Request, answer: Answer | None) -> None:
        moment = datetime.fromtimestamp(clock.now(), UTC).strftime("%H:%M:%S")
        click.echo(f"{moment}  {request.method:6} {request.path}  {_told(answer)}", err=True)

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with served(emulator, port=port, tell=tell) as url:
        click.echo(f"An emulated {vendor} is at {url}, until you stop it. Any key will do.")
        click.echo(_DRIVE[vendor].format(url=url))
        sys.stdout.flush()
        telling = asyncio.create_task(_tell(emulator, clock))
        await ended.wait()
        telling.cancel()


async def _tell(emulator: Telling, clock: Clock) -> None:
    """Send what the vendor tells of its own accord, for ever, and once each: a receiver that is away misses it."""
    from aiohttp import ClientError, ClientSession, ClientTimeout

    async with ClientSession(timeout=ClientTimeout(total=_TAKEN_S)) as session:
        while True:
            for sent in emulator.sends():
                with suppress(ClientError, TimeoutError):
                    async with session.post(sent.url, data=sent.body, headers=sent.headers) as response:
                        click.echo(f"told {sent.url}: {response.status}", err=True)
            await clock.sleep(_TELLS_EVERY_S)


def _told(answer: Answer | None) -> str:
    """An answer as a person reads it: its status and, where it is a refusal, its words."""
    if answer is None:
        return "no answer: the connection ended"
    try:
        told = answer.json()
    except ValueError:
        told = answer.text
    good = answer.status < 400 and not (isinstance(told, dict) and told.get("success") is False)
    if good:
        return str(answer.status)
    words = told if isinstance(told, str) else json.dumps(told)
    return f"{answer.status}  {' '.join(words.split())[:_LONGEST_TOLD]}"


def _help(vendor: str) -> str:
    from autoscaler.config.hints import member_docs
    from providers.mock import Fault

    package = import_module(f"autoscaler.emulate.{vendor}")
    quirks, faults = member_docs(package.Quirk), member_docs(Fault)
    return f"""{(package.__doc__ or "").splitlines()[0]}

FILE is YAML. All its keys are optional; a plain list is taken for the steps of `market.scenario`.

\b
  market:                     # stock, prices, durations, balance_usd: as of the provider mock
    setup: 20s..40s
    faults: {{resume_refused: 0.3}}
    scenario:
      - {{fault: answer_lost, call: rent, nth: 2}}
      - {{fault: outbid, at: 5m, machine: 1}}
  quirks: [{", ".join(list(quirks)[:2])}]
{_WEBHOOK.get(vendor, "")}
Quirks, what {vendor} alone does; each holds from the start to the end:

{_listed(quirks)}

Faults, what goes wrong in any market, by chance or by a step:

{_listed(faults)}
"""


def _listed(docs: Mapping[str, str]) -> str:
    width = click.get_current_context().max_content_width or 80
    return "\b\n" + "\n".join(
        fill(f"{name}: {text}", width - 4, initial_indent="  ", subsequent_indent="      ")
        for name, text in docs.items()
    )
