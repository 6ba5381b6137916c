"""What counts as a secret of a configuration."""

from __future__ import annotations

from autoscaler.config import load_config
from autoscaler.config.secrets import secrets_of

FILE = """
fleet: attic
redis: {url: 'rediss://queue', password: of-the-queue}
store: redis://me:p%40ss@state
pools:
  images:
    redis: redis://:of-the-pool@queue
    queue: {kind: list, tiers: [{name: pro, key: 'jobs:pro'}]}
    machine:
      image: ghcr.io/acme/comfy:1.4
      gpus: [RTX 4090]
      ready: running
      env: {HF_TOKEN: of-the-hub, REDIS_URL: 'rediss://worker:of-the-worker@queue/0'}
    placements: [{provider: vastai, max_usd_per_hour: 0.6}]
providers:
  vastai: {api_key: of-vast, image_login: -u bob -p of-the-registry ghcr.io}
  runpod: {api_key: of-runpod}
"""


def test_keys_passwords_logins_and_all_that_containers_are_given_are_secrets() -> None:
    assert secrets_of(load_config(FILE, {})) >= {
        "of-vast",
        "of-runpod",
        "-u bob -p of-the-registry ghcr.io",
        "of-the-registry",
        "of-the-hub",
        "of-the-queue",
        "of-the-pool",
        "of-the-worker",
        "p%40ss",
        "p@ss",
    }


def test_what_everybody_may_know_is_none() -> None:
    known = {"attic", "queue", "jobs:pro", "ghcr.io/acme/comfy:1.4", "RTX 4090", "", "https://console.vast.ai"}
    assert secrets_of(load_config(FILE, {})).isdisjoint(known)
