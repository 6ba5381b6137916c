"""What several commands have in common: finding the configuration."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from autoscaler.config import Config

file_argument = click.argument("file", required=False, type=click.Path(path_type=Path))
"""The configuration; without it that in AUTOSCALER_CONFIG; else the embedded Redis and the mock provider."""

CONFIG_VARIABLE = "AUTOSCALER_CONFIG"
"""The environment variable that may hold a configuration: the YAML itself, for where no file can be put."""


def packaged(name: str) -> Config:
    """A configuration that ships with the program: `default` or `demo`."""
    from autoscaler.config import load_config

    return load_config((files("autoscaler") / f"{name}.yaml").read_text(encoding="utf-8"), os.environ)


def config_of(file: Path | None) -> Config:
    """The configuration that was given, or the packaged default.

    Raises:
        SettingsError: every problem of it.
    """
    return given(file) or packaged("default")


def given(file: Path | None) -> Config | None:
    """The configuration in a file, or else in the environment; None where there is neither.

    Raises:
        SettingsError: every problem of it.
    """
    from autoscaler.config import load_config
    from autoscaler.core.errors import SettingsError

    if file is not None:
        return load_config(file, os.environ)
    if (text := os.environ.get(CONFIG_VARIABLE)) is None:
        return None
    try:
        return load_config(text, os.environ)
    except SettingsError as error:
        raise SettingsError(*(f"{CONFIG_VARIABLE}: {problem}" for problem in error.problems)) from error


trace_option = click.option(
    "--trace",
    "traces",
    metavar="[POOL=]FILE",
    multiple=True,
    required=True,
    help="Jobs to play: CSV or CSV.gz with a column t_s. Once a pool where there are several.",
)
market_option = click.option(
    "--market", type=click.Path(path_type=Path), help="Recorded prices and availability that the market follows."
)
seed_option = click.option("--seed", default=1, show_default=True, help="Everything that is drawn follows from it.")
attainment_option = click.option(
    "--attainment",
    type=click.FloatRange(0.0, 1.0),
    default=0.95,
    show_default=True,
    help="The share of each tier's jobs that should start in time.",
)
processes_option = click.option(
    "--processes",
    type=click.IntRange(1),
    default=lambda: os.cpu_count() or 1,
    help="Simulations at once; as many as processors when not given.",
)


def duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Seconds of an option such as `90s` or `2d12h`; None when it is not given."""
    from autoscaler.core.units import parse_duration

    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value}: {error}") from error


def some_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Seconds of an option that is longer than nothing; None when it is not given."""
    seconds = duration(ctx, param, value)
    if seconds == 0.0:
        raise click.BadParameter(f"{value}: expected more than 0s")
    return seconds
