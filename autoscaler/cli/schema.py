"""``autoscaler schema``: what an editor needs to complete and check a configuration."""

from __future__ import annotations

import json

import click


@click.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from autoscaler.config import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
