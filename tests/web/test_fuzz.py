"""Whatever is sent to a running daemon: no bug is met, and each answer is as the OpenAPI document has it."""

from __future__ import annotations

import itertools
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.support.daemon_process import DaemonProcess, a_config
from tests.support.redis_server import RedisServer
from tests.support.served import TOKEN, WITH_TOKEN

FUZZED = settings(
    derandomize=True,
    max_examples=15,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

STREAM = "/api/v1/events"
"""It does not end by itself, so it is asked apart."""

SIGNED = "POST /hooks/"
"""Whoever asks there proves himself by a signature, in place of the token."""

TOO_LONG = "Got more than 8190 bytes"
"""So the HTTP library refuses a request line before anything of ours has seen it."""

NOT_CHECKED: list[Any] = [
    not_a_server_error,  # 503 is an answer
    positive_data_acceptance,  # an order may be well formed and make no sense here: a pool that there is not
]


@pytest.fixture(scope="module")
def daemon(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    directory = tmp_path_factory.mktemp("fuzz")
    config = a_config(directory, redis_server.url)
    config["http"]["token"] = TOKEN
    started = DaemonProcess(directory, config)
    started.start()
    try:
        started.wait_ready()
        yield started
        assert started.process.poll() is None
        assert started.events("request_failed") == []
        assert "Traceback" not in started.log.read_text()
        assert TOKEN not in started.log.read_text()
    finally:
        started.kill()


def can_be_wrong(operation: Any) -> bool:
    """Whether something may be sent that it is not made for; any text is good enough for a name in a path."""
    return "requestBody" in operation or any(each["in"] == "query" for each in operation.get("parameters", ()))


def fuzz(daemon: DaemonProcess, headers: dict[str, str]) -> Counter[tuple[str, int]]:
    """Ask every route for what it is made for and for what it is not; gives how often each answered with what."""
    schema = schemathesis.openapi.from_url(f"{daemon.url}/api/v1/openapi.json").exclude(path=STREAM)
    schema.validate()
    answers: Counter[tuple[str, int]] = Counter()
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    for operation, mode in itertools.product(operations, GenerationMode):
        if mode is GenerationMode.NEGATIVE and not can_be_wrong(operation.definition.raw):
            continue

        @FUZZED
        @given(case=operation.as_strategy(generation_mode=mode))
        def asked(case: schemathesis.Case[Any]) -> None:
            response = case.call(headers=headers)
            if TOO_LONG in response.text:
                return
            case.validate_response(response, headers=headers, excluded_checks=NOT_CHECKED)
            answers[case.operation.label, response.status_code] += 1
            assert response.status_code != 500

        asked()
    return answers


def test_with_the_token_each_answer_is_as_described(daemon: DaemonProcess) -> None:
    answers = fuzz(daemon, WITH_TOKEN)
    assert answers["POST /api/v1/orders", 400]
    assert {status for route, status in answers if route == "GET /api/v1/journal"} == {200, 400}


def test_without_the_token_each_answer_is_as_described_and_nothing_is_changed(daemon: DaemonProcess) -> None:
    before = daemon.ask("/api/v1/orders")
    answers = fuzz(daemon, {})
    assert {status for route, status in answers if not route.startswith(("GET", SIGNED))} == {401}
    assert {status for route, status in answers if route.startswith(SIGNED)} == {404}, "no vendor is listened to"
    assert daemon.ask("/api/v1/orders") == before


@pytest.mark.parametrize("query", ["", "?x=%00", "?" + "x" * 5000])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT"])
def test_a_stream_begins_or_is_refused(daemon: DaemonProcess, method: str, query: str) -> None:
    connection = HTTPConnection(daemon.url.removeprefix("http://"), timeout=10.0)
    connection.request(method, STREAM + query)
    with closing(connection), connection.getresponse() as response:
        assert (response.status, response.headers["Content-Type"]) == (
            (200, "text/event-stream") if method in ("GET", "HEAD") else (405, "application/json; charset=utf-8")
        )


LONG = b"x" * 1_000_000
HEAD = b"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n" % TOKEN.encode()


def posted(body: bytes, headers: bytes = b"Content-Type: application/json\r\n") -> bytes:
    return HEAD + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


GARBAGE = {
    "nothing but noise": bytes(range(256)) * 40,
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no version": b"GET /\r\n\r\n",
    "a long path": b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % LONG,
    "a long header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: %b\r\n\r\n" % LONG,
    "many headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (b"X: y\r\n" * 10_000),
    "a header with control characters": b"GET / HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a length that is none": HEAD + b"Content-Length: -1\r\n\r\n{}",
    "a token of other bytes": b"DELETE /api/v1/orders/x HTTP/1.1\r\nAuthorization: Bearer \xff\xfe\xc3\x28\r\n\r\n",
    "a path of other bytes": b"GET /%ff%fe/%00/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a query of half characters": b"GET /api/v1/admission?tier=%ED%A0%80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a metrics format of its own": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: ;q=x,\xff\r\n\r\n",
    "a megabyte": posted(LONG),
    "half a character": posted(rb'{"kind": "pause", "by": "\ud800"}'),
    "other bytes": posted(b'{"kind": "pause", "by": "\xff\xfe"}'),
    "a number beyond all": posted(b'{"kind": "floor", "by": "a", "count": %b}' % (b"9" * 5000)),
    "no number": posted(b'{"kind": "pause", "by": "a", "for_s": NaN}'),
    "a deep nest": posted(b"[" * 60_000),
    "a body that ends too early": posted(b"{}" * 1000)[:-1000],
    "a packed body": posted(b"\x1f\x8b", b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n"),
    "an unknown charset": posted(b"{}", b"Content-Type: application/json; charset=nonsense\r\n"),
    "chunks that are none": HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "something expected": HEAD + b"Expect: the unexpected\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_refused_in_words_and_the_next_request_is_served(daemon: DaemonProcess, sent: bytes) -> None:
    answer = told(daemon, sent)
    status = int(answer.split(None, 2)[1]) if answer else 400
    assert status in range(200, 500), answer
    assert b"Traceback" not in answer
    assert TOKEN.encode() not in answer
    assert daemon.ask("/healthz")[0] == 200


def told(daemon: DaemonProcess, sent: bytes) -> bytes:
    """The first piece of what comes back for some bytes; empty where the connection is just closed."""
    host, _, port = daemon.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10.0) as connection, suppress(ConnectionError):
        with suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(65_536)
    return b""
