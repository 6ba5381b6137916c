"""The gateways of deploy/gateway, as processes: jobs come in, machines of a real daemon get them, and drain."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis

from autoscaler.core.admission import Admission, Notice
from autoscaler.core.lifecycle import Phase
from autoscaler.link import RedisLink
from autoscaler.runtime.ports import Changes
from autoscaler.store.codec import encode_notice
from autoscaler.store.keys import Keys
from autoscaler.store.redis import RedisStore
from tests.support.daemon_process import FLEET, DaemonProcess, a_config, autoscaler
from tests.support.environments import NODE_GATEWAY
from tests.support.queues import as_admin
from tests.support.real_time import until
from tests.support.redis_server import free_port
from tests.support.stores import an_instance

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "deploy" / "gateway"
PAGE = ROOT / "docs" / "gateway.md"
TIERS = ("pro", "premium", "free")
KEYS = Keys(FLEET)


class Machines:
    """What listens on every machine: it notes who was sent which job, and does it when it is let."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.fail_once: set[str] = set()
        machines = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                job = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                machines.sent.append((self.path.strip("/"), job))
                machines.go_on.wait(30)
                failed = job in machines.fail_once
                machines.fail_once.discard(job)
                self.send_response(500 if failed else 200)
                self.end_headers()

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def machines() -> Iterator[Machines]:
    started = Machines()
    yield started
    started.stop()


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as connected:
        yield connected


def python(_directory: Path) -> list[str]:
    return [sys.executable, str(GATEWAY / "gateway.py")]


def node(directory: Path) -> list[str]:
    """Where its package is found beside it, as `npm install` leaves it."""
    NODE_GATEWAY.require()
    (directory / "node_modules").symlink_to(NODE_GATEWAY.home / "node_modules")
    shutil.copy(GATEWAY / "gateway.mjs", directory)
    return ["node", str(directory / "gateway.mjs")]


class Gateway:
    """A gateway that runs."""

    def __init__(self, command: list[str], redis_url: str, machines: Machines, log: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        environment = {"PATH": os.environ["PATH"], "REDIS_URL": redis_url, "AUTOSCALER_FLEET": FLEET, "PORT": str(port)}
        environment["MACHINE_URL"] = f"http://127.0.0.1:{machines.port}/{{address}}"
        with log.open("ab") as opened:
            self._process = subprocess.Popen(command, env=environment, stdout=opened, stderr=opened)
        self._log = log
        until(lambda: self.post("nothing", "")[0] == 404, "the gateway answered")

    def post(self, tier: str, job: str) -> tuple[int, dict[str, object], str | None]:
        """Hand a job in: status, answer, Retry-After."""
        request = urllib.request.Request(f"{self.url}/jobs/{tier}", data=job.encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer), None
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
                body = json.loads(text) if text.startswith(b"{") else {}
                return error.code, body, error.headers["Retry-After"]
        except OSError:
            assert self._process.poll() is None, self._log.read_text()
            return 0, {}, None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


Start = Callable[..., Gateway]


@pytest.fixture(params=[python, node])
def start(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str, machines: Machines) -> Iterator[Start]:
    command = request.param(tmp_path)
    running: list[Gateway] = []

    def one_more(url: str = redis_url) -> Gateway:
        running.append(Gateway(command, url, machines, tmp_path / "gateway.log"))
        return running[-1]

    yield one_more
    for each in running:
        each.kill()


@pytest.fixture
def daemon(tmp_path: Path, redis_url: str) -> Iterator[DaemonProcess]:
    config = a_config(tmp_path, redis_url, mock={"setup": "300ms..500ms"})
    config["pools"]["images"]["queue"]["in_flight_keys"] = [f"jobs:{tier}:taken" for tier in TIERS]
    process = DaemonProcess(tmp_path, config | {"tick": "200ms"})
    process.start()
    process.wait_ready()
    yield process
    process.kill()


def endpoints(client: redis.Redis) -> dict[str, dict[str, object]]:
    return {str(name): json.loads(text) for name, text in client.hgetall(KEYS.endpoints).items()}


def publish(redis_url: str, *, phase: Phase = Phase.HOT, **changes: object) -> None:
    """A machine in the hash, as the daemon's own store writes it."""

    async def write() -> None:
        link = RedisLink(redis_url)
        store = RedisStore(link, FLEET, "daemon")
        assert (await store.read()).leads
        await store.commit(Changes(instances=(an_instance("m1", phase, **changes),)))
        await link.close()

    asyncio.run(write())


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_jobs_reach_the_machines_of_a_daemon_and_a_machine_that_drains_gets_no_more(
    start: Start, daemon: DaemonProcess, machines: Machines, client: redis.Redis
) -> None:
    gateway = start()
    for number in range(6):
        assert gateway.post(TIERS[number % 3], f"job {number}")[0] == 202
    until(lambda: len(machines.sent) >= 6, "all jobs were done")
    assert Counter(job for _, job in machines.sent) == {f"job {number}": 1 for number in range(6)}
    assert {where for where, _ in machines.sent} <= {each["address"] for each in endpoints(client).values()}
    until(lambda: not any(client.exists(f"jobs:{tier}:taken") for tier in TIERS), "none was at work any more")

    name = next(iter(endpoints(client)))
    address = endpoints(client)[name]["address"]
    assert autoscaler("drain", name, daemon.file, "--by", "ann").returncode == 0
    until(lambda: name not in endpoints(client), "the gateway had said that it was drained")
    before = len(machines.sent)
    assert gateway.post("pro", "one more")[0] == 202
    until(lambda: len(machines.sent) > before, "another machine had it")
    assert machines.sent[-1][0] != address


def test_the_most_urgent_goes_first_and_no_machine_gets_more_than_its_slots(
    start: Start, redis_url: str, machines: Machines, client: redis.Redis
) -> None:
    machines.go_on.clear()
    for tier in reversed(TIERS):
        client.rpush(f"jobs:{tier}", f"{tier} 1", f"{tier} 2")
    publish(redis_url, address="10.0.0.1:8188", slots=2)
    start()
    until(lambda: len(machines.sent) == 2, "both slots were at work")
    beat = until(lambda: json.loads(client.hget(KEYS.workers, "m1") or "{}").get("busy") == 2, "it said so")
    assert beat
    assert {job for _, job in machines.sent} == {"pro 1", "pro 2"}
    assert client.lrange("jobs:pro:taken", 0, -1) == ["pro 1", "pro 2"]
    machines.go_on.set()
    until(lambda: len(machines.sent) == 6, "all were done")


def test_a_machine_set_apart_for_a_tier_serves_no_other(
    start: Start, redis_url: str, machines: Machines, client: redis.Redis
) -> None:
    client.rpush("jobs:pro", "urgent")
    client.rpush("jobs:free", "free")
    publish(redis_url, address="10.0.0.1:8188", tier="free")
    start()
    until(lambda: machines.sent, "a job was sent")
    assert machines.sent == [("10.0.0.1:8188", "free")]
    assert client.llen("jobs:pro") == 1


def test_a_job_that_fails_or_whose_gateway_dies_is_done_all_the_same(
    start: Start, redis_url: str, machines: Machines, client: redis.Redis
) -> None:
    machines.fail_once.add("job")
    publish(redis_url, address="10.0.0.1:8188")
    gateway = start()
    gateway.post("pro", "job")
    until(lambda: len(machines.sent) == 2, "it was sent again")
    until(lambda: not client.exists("jobs:pro:taken", "jobs:pro"), "it was done")

    machines.go_on.clear()
    gateway.post("pro", "other")
    until(lambda: len(machines.sent) == 3, "it was at work")
    gateway.kill()
    machines.go_on.set()
    start()
    until(lambda: machines.sent[3:] == [("10.0.0.1:8188", "other")], "it was sent again")


def test_a_tier_that_is_to_be_refused_is_refused_in_the_words_of_the_daemon(start: Start, client: redis.Redis) -> None:
    words = {"pool": "images", "expected_wait_s": 400.0, "retry_after_s": 90, "message": "We are busy."}
    refused = Admission(tier="free", accept=False, **words)  # type: ignore[arg-type]
    for name, text in encode_notice(Notice(at=0.0, valid_for_s=60.0, tiers=(refused,))).items():
        client.hset(KEYS.admission, name, text.decode())
    gateway = start()

    assert gateway.post("free", "job") == (503, {"error": "We are busy."}, "90")
    assert client.llen("jobs:free") == 0
    assert gateway.post("pro", "job")[0] == 202
    client.delete(KEYS.admission)  # as when no daemon has said anything for a while
    assert gateway.post("free", "job")[0] == 202


def test_the_rights_on_the_page_are_all_that_a_gateway_needs(
    start: Start, redis_url: str, machines: Machines, client: redis.Redis
) -> None:
    [line] = re.findall(r"^ACL SETUSER (gateway .*)$", PAGE.read_text(), flags=re.MULTILINE)
    rules = line.replace("{FLEET}", f"{{{FLEET}}}").replace(">PASSWORD", ">pw").split()
    asyncio.run(as_admin(redis_url, ("ACL", "SETUSER", *rules)))
    try:
        publish(redis_url, address="10.0.0.1:8188")
        gateway = start(redis_url.replace("redis://", "redis://gateway:pw@"))
        assert gateway.post("pro", "job")[0] == 202
        until(lambda: machines.sent, "the job was sent")
        until(lambda: not client.exists("jobs:pro:taken"), "it was done")
    finally:
        asyncio.run(as_admin(redis_url, ("ACL", "DELUSER", "gateway")))


# --- proxies ----------------------------------------------------------------------------------------------------------


class Proxy:
    """nginx by the files of deploy/gateway, in a directory of its own."""

    def __init__(self, directory: Path, redis_url: str) -> None:
        self.directory, self.port = directory, free_port()
        self.upstreams = directory / "upstreams.conf"
        site = (GATEWAY / "nginx.conf").read_text().replace("/etc/nginx/autoscaler", str(directory))
        (directory / "site.conf").write_text(site.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}"))
        paths = " ".join(
            f"{name}_temp_path {directory};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = f"daemon off; pid {directory}/pid; error_log {directory}/error.log; events {{}}"
        main += f" http {{ access_log off; {paths} include {directory}/site.conf; }}"
        (directory / "nginx.conf").write_text(main)
        self.command = ["nginx", "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log")]
        reload = " ".join([*self.command, "-s", "reload"])
        self._render = rendering(redis_url, "nginx", self.upstreams, "--then", reload)
        until(self.upstreams.exists, "there was a list of machines")
        self._nginx = subprocess.Popen(self.command)
        until(lambda: self.get()[0], "nginx answered")

    def get(self) -> tuple[int, str | None]:
        """What it answers on a path of the pool, and Retry-After."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/images/prompt", timeout=5) as answer:
                return answer.status, None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Retry-After"]
        except OSError:
            return 0, None

    def stop(self) -> None:
        for process in (self._render, self._nginx):
            process.terminate()
            process.wait()


def rendering(redis_url: str, *words: str | Path) -> subprocess.Popen[bytes]:
    """render.py as a process."""
    environment = {"PATH": os.environ["PATH"], "REDIS_URL": redis_url, "AUTOSCALER_FLEET": FLEET}
    return subprocess.Popen([sys.executable, GATEWAY / "render.py", *words], env=environment)


@pytest.fixture
def proxy(tmp_path: Path, redis_url: str) -> Iterator[Proxy]:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    started = Proxy(tmp_path, redis_url)
    yield started
    started.stop()


def test_nginx_sends_to_machines_that_are_hot_and_says_when_there_is_none(
    proxy: Proxy, redis_url: str, machines: Machines
) -> None:
    assert subprocess.run([*proxy.command, "-t"], check=False, capture_output=True).returncode == 0
    assert proxy.get() == (503, "10")

    publish(redis_url, address=f"127.0.0.1:{machines.port}", slots=2)
    until(lambda: proxy.get() == (200, None), "the machine answered")
    assert machines.sent[-1] == ("prompt", "")
    assert "max_conns=2" in proxy.upstreams.read_text()

    publish(redis_url, phase=Phase.DRAINING, address=f"127.0.0.1:{machines.port}")
    until(lambda: proxy.get() == (503, "10"), "a machine that drains was sent nothing")


def test_traefik_is_told_of_the_same_machines(tmp_path: Path, redis_url: str) -> None:
    publish(redis_url, address="10.0.0.1:8188")
    file = tmp_path / "autoscaler.yml"
    process = rendering(redis_url, "traefik", file, "--pools", "images,audio")
    try:
        until(file.exists, "it was written")
        written = json.loads(file.read_text())["http"]
        assert written["services"]["images"]["loadBalancer"]["servers"] == [{"url": "http://10.0.0.1:8188"}]
        assert written["services"]["audio"]["loadBalancer"]["servers"] == []
        assert written["routers"]["images"]["service"] == "images"
        assert set(written["routers"]["images"]["middlewares"]) <= written["middlewares"].keys()
    finally:
        process.terminate()
        process.wait()


def test_no_word_of_a_vendor_becomes_a_line_of_a_proxys_configuration(tmp_path: Path, redis_url: str) -> None:
    publish(redis_url, address="10.0.0.1:1; } include /etc/passwd; #")
    file = tmp_path / "upstreams.conf"
    process = rendering(redis_url, "nginx", file)
    try:
        until(file.exists, "it was written")
        assert file.read_text().count("server ") == 1
        assert "passwd" not in file.read_text()
    finally:
        process.terminate()
        process.wait()


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_shows_the_fields_that_are_published(redis_url: str, client: redis.Redis) -> None:
    endpoint, admission = map(json.loads, re.findall(r"^```json\n(.*)\n```$", PAGE.read_text(), flags=re.MULTILINE))
    publish(redis_url, address="10.0.0.1:8188")
    assert endpoint.keys() == endpoints(client)["m1"].keys()
    notice = Notice(at=0.0, valid_for_s=60.0, tiers=(Admission(pool="images", tier="free", accept=False),))
    assert admission.keys() == json.loads(encode_notice(notice)["images/free"]).keys()


def test_every_variable_on_the_page_is_read_by_both_with_that_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| `?([^`|]+?)`? \|", PAGE.read_text(), flags=re.MULTILINE)
    assert len(rows) == 4
    for name, default in rows:
        for source in ("gateway.py", "gateway.mjs"):
            text = (GATEWAY / source).read_text()
            assert name in text, source
            assert f'"{default}"' in text, source
