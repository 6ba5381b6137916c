"""What ``autoscaler init`` asks. Each question has an answer that Enter takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import click

from autoscaler.config.show import exact_duration
from autoscaler.core.units import parse_duration, parse_name
from autoscaler.queues import LIBRARIES
from autoscaler.queues.age import parse_number
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.write_config import Draft, Fleet
from providers.installed import provider_kinds

T = TypeVar("T")


def ask(first: Fleet) -> Fleet:
    """A fleet as its owner wants it, from one that has a pool for each queue found.

    Raises:
        click.Abort: whoever was asked went away.
    """
    click.echo()
    numbers = range(1, len(first.pools) + 1)
    chosen = list(numbers)
    if len(chosen) > 1:
        every = ", ".join(map(str, chosen))
        chosen = _ask("Which queues?", every, lambda answer: _subset(answer, numbers))
    name = _ask("Name of the fleet, which every machine rented will carry", first.name, parse_name)
    pools: list[Draft] = []
    for number in chosen:
        pools.append(_pool(first.pools[number - 1], pools))
    return replace(first, name=name, pools=tuple(pools))


def _pool(draft: Draft, before: Sequence[Draft]) -> Draft:
    """One pool; what was answered for the pool before it is proposed again."""
    like = before[-1] if before else draft
    click.secho(f"\n{draft.name}, {LIBRARIES[draft.queue.kind].title}", bold=True)
    name = _ask("Name of the pool", draft.name, lambda answer: _new(parse_name(answer), [pool.name for pool in before]))
    queue = replace(draft.queue, tiers=_tiers(draft.queue.tiers))
    image = _ask("Container image with the worker", like.image, _text)
    gpus = _ask("GPU types that will do, best first", ", ".join(like.gpus), _words)
    kinds = list(provider_kinds())
    provider = _ask(f"Provider: {', '.join(kinds)}", like.provider, lambda answer: _one_of(answer, kinds))
    usd_per_hour = _ask("Most to pay for one machine, USD an hour", f"{like.usd_per_hour:g}", _usd)
    usd_per_day = _ask("Most to spend, USD a day", f"{like.usd_per_day:g}", _usd)
    return replace(
        draft,
        notes=tuple(note for note in draft.notes if note != ORDER_GUESSED),  # it was asked for
        name=name,
        queue=queue,
        image=image,
        gpus=gpus,
        provider=provider,
        usd_per_hour=usd_per_hour,
        usd_per_day=usd_per_day,
    )


def _tiers(tiers: Sequence[Any]) -> tuple[Any, ...]:
    """The tiers to serve, in order, each with its name and target."""
    by_name = {tier.name: tier for tier in tiers}
    order = list(by_name)
    if len(order) > 1:
        order = _ask("Tiers to serve, most urgent first", ", ".join(order), lambda answer: _subset(answer, by_name))
    named: list[Any] = []
    for each in order:
        named.append(_tier(by_name[each], [tier.name for tier in named]))
    return tuple(named)


def _tier(tier: Any, taken: Sequence[str]) -> Any:
    name = _ask(f"  {tier.name}: name of the tier", tier.name, lambda answer: _new(parse_name(answer), taken))
    target = _ask(f"  {name}: longest wait before a job starts", exact_duration(tier.wait_target), _some_time)
    return replace(tier, name=name, wait_target=target)


# --- answers ----------------------------------------------------------------------------------------------------------


def _ask(question: str, default: str, parse: Callable[[str], T]) -> T:
    """Ask until the answer has sense."""

    def read(answer: str) -> T:
        try:
            return parse(answer.strip())
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    value: T = click.prompt(question, default=default, value_proc=read)
    return value


def _words(answer: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in answer.split(",") if word.strip())
    if not words:
        raise ValueError("expected at least one, separated by commas")
    return words


def _subset(answer: str, options: Iterable[T]) -> list[T]:
    """Some of the options, in the order of the answer."""
    by_text = {str(option): option for option in options}
    words = list(dict.fromkeys(_words(answer)))
    for word in words:
        _one_of(word, list(by_text))
    return [by_text[word] for word in words]


def _one_of(answer: str, options: Sequence[str]) -> str:
    if answer not in options:
        raise ValueError(f"{answer} is none of {', '.join(options)}")
    return answer


def _new(name: str, taken: Sequence[str]) -> str:
    if name in taken:
        raise ValueError(f"{name} is taken; each needs a name of its own")
    return name


def _text(answer: str) -> str:
    if not answer:
        raise ValueError("expected some text")
    return answer


def _usd(answer: str) -> float:
    usd = parse_number(answer)
    if usd is None or not 0.01 <= usd < 1e6:
        raise ValueError("expected an amount of USD, at least a cent, such as 0.9")
    return usd


def _some_time(answer: str) -> float:
    seconds = parse_duration(answer)
    if seconds <= 0:
        raise ValueError("expected more than 0s")
    return seconds
