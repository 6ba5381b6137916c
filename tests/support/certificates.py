"""Certificates for tests, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


class Authority:
    """An authority of our own, which nobody else trusts."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        self._directory = directory
        self.cert, self._key = directory / f"{name}.pem", directory / f"{name}.key"
        made = ("-keyout", self._key, "-out", self.cert, "-days", 2, "-subj", f"/CN={name}")
        _openssl("req", "-x509", *_KEY, "-nodes", *made)

    def issue(self, name: str, *, password: str | None = None) -> Certificate:
        """A certificate for a host of that name, and its key, encrypted if there is a password."""
        own = Certificate(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        request, names = self._directory / f"{name}.csr", self._directory / f"{name}.names"
        names.write_text(f"subjectAltName=DNS:{name}")
        opened = ("-nodes",) if password is None else ("-passout", f"pass:{password}")
        _openssl("req", *_KEY, *opened, "-keyout", own.key, "-out", request, "-subj", f"/CN={name}")
        by = ("-CA", self.cert, "-CAkey", self._key, "-CAcreateserial", "-days", 2, "-extfile", names)
        _openssl("x509", "-req", "-in", request, "-out", own.cert, *by)
        return own


def _openssl(*arguments: str | int | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
