"""The configuration: typed settings read from YAML, every problem reported at once with its line."""

from autoscaler.config.advice import warnings
from autoscaler.config.jsonschema import json_schema
from autoscaler.config.load import load_config
from autoscaler.config.schema import Config, HttpSettings, LogSettings, PolicyChoice, PoolSettings, ProviderSettings
from autoscaler.config.show import full_yaml

__all__ = [
    "Config",
    "HttpSettings",
    "LogSettings",
    "PolicyChoice",
    "PoolSettings",
    "ProviderSettings",
    "full_yaml",
    "json_schema",
    "load_config",
    "warnings",
]
