"""The proxies of deploy/proxy before a real daemon: TLS, who may read, and what brings a token of its own."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon_process import DaemonProcess, a_config
from tests.support.real_time import until
from tests.support.redis_server import free_port

PROXY = Path(__file__).parents[2] / "deploy" / "proxy"
NAME = "autoscaler.example.com"
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def daemon(tmp_path: Path, redis_url: str) -> Iterator[DaemonProcess]:
    config = a_config(tmp_path, redis_url)
    config["http"] |= {"token": TOKEN, "hosts": [NAME]}
    process = DaemonProcess(tmp_path, config)
    process.start()
    process.wait_ready()
    yield process
    process.kill()


def ask(port: int, path: str, *, authorization: str = "", method: str = "GET") -> tuple[int, Any]:
    """What the proxy answers under its public name; status 0 while nobody does."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", method=method, headers={"Host": NAME})
    if authorization:
        request.add_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None
    except OSError:
        return 0, None


def program(name: str) -> str:
    if (found := shutil.which(name)) is None:
        pytest.skip(f"{name} is not installed")
    return found


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate of the public name, signed by itself, and its key."""
    cert, key = directory / "autoscaler.pem", directory / "autoscaler.key"
    files = ["-keyout", str(key), "-out", str(cert)]
    command = [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={NAME}", *files]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def test_nginx_passes_on_what_comes_from_the_network_it_names(daemon: DaemonProcess, tmp_path: Path) -> None:
    nginx, port = program("nginx"), free_port()
    cert, key = certificate(tmp_path)
    site = (PROXY / "nginx.conf").read_text().replace("listen 443", f"listen 127.0.0.1:{port}")
    site = site.replace("/etc/ssl/autoscaler.pem", str(cert)).replace("/etc/ssl/autoscaler.key", str(key))
    (tmp_path / "site.conf").write_text(site.replace("http://127.0.0.1:8080", daemon.url))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    http = (
        "".join(f"{kind}_temp_path {tmp_path};\n" for kind in kinds) + f"access_log off; include {tmp_path}/site.conf;"
    )
    main = f"daemon off; pid {tmp_path}/pid; events {{}} http {{ {http} }}"
    (tmp_path / "nginx.conf").write_text(main)
    command = [nginx, "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")]
    assert subprocess.run([*command, "-t"], check=False, capture_output=True).returncode == 0

    running = subprocess.Popen(command)
    try:
        until(lambda: ask(port, "/api/v1/status")[0], "it answered")
        status, body = ask(port, "/api/v1/status")
        assert (status, body["fleet"]) == (200, "attic")
        assert ask(port, "/api/v1/orders/pause?by=ann", method="DELETE")[0] == 401
    finally:
        running.terminate()
        running.wait()


def test_caddy_asks_readers_for_a_password_and_leaves_orders_to_the_token(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    caddy, port = program("caddy"), free_port()
    hashed = subprocess.run(
        [caddy, "hash-password", "--plaintext", "secret"], check=True, capture_output=True, text=True
    ).stdout.strip()
    cert, key = certificate(tmp_path)
    site = (PROXY / "Caddyfile").read_text().replace("127.0.0.1:8080", daemon.url.removeprefix("http://"))
    site = site.replace("\treverse_proxy", f"\ttls {cert} {key}\n\treverse_proxy")  # for it can fetch none here
    options = f"{{\n\tadmin off\n\thttps_port {port}\n\tauto_https disable_redirects\n\tdefault_sni {NAME}\n}}\n"
    (file := tmp_path / "Caddyfile").write_text(options + site)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OPS_PASSWORD_HASH": hashed}
    with (tmp_path / "caddy.log").open("wb") as log:
        command = [caddy, "run", "--adapter", "caddyfile", "--config", str(file)]
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        until(lambda: ask(port, "/api/v1/status")[0], "it answered")
        routes = daemon.ask("/api/v1/openapi.json")[1]["paths"]
        read = {re.sub(r"{.*}", "none", path) for path, methods in routes.items() if "get" in methods} - {"/healthz"}
        assert {"/", "/metrics", "/api/v1/events", "/sd/prometheus", "/static/none"} < read
        for path in (
            *sorted(read),
            "/api/v1/orders/none",
            "/hooks/mock",
            "/healthz/../metrics",
            "//healthz/..//metrics",
        ):
            assert ask(port, path)[0] == 401, path
        assert ask(port, "/metrics/..%2fhealthz")[0] in (401, 404), "for the daemon it is no path of anything"
        assert ask(port, "/healthz")[0] == 200
        basic = "Basic " + base64.b64encode(b"ops:secret").decode()
        assert ask(port, "/api/v1/status", authorization=basic)[0] == 200
        assert ask(port, "/api/v1/orders/none?by=ann", method="DELETE", authorization=f"Bearer {TOKEN}")[0] == 404
        assert ask(port, "/api/v1/orders/none?by=ann", method="DELETE", authorization="Bearer wrong")[0] == 401
        assert ask(port, "/hooks/mock", method="POST")[0] == 404, "it came to the daemon, which knows no such vendor"
    finally:
        running.terminate()
        running.wait()
