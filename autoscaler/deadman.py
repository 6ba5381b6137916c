"""The dead-man switch of a rented machine: when its daemon has been silent for too long, the machine ends itself.

It hears the daemon through Redis, where a living daemon keeps its lease. It needs nothing but this file and a Python of
3.8 or later, so that it can be copied alone into an image and run there as ``python3 deadman.py &``; docs/dead-man.md
says how. `Switch` decides and does no IO; the rest of the file listens for it and acts on it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import sys
import time
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, NoReturn
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

if TYPE_CHECKING:  # so that older Pythons can run this
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Say = Callable[[str], None]
    Reply = bytes | str | None
    """A text is a refusal."""

LOOKS = 20
"""How often it listens within the time of silence, at the least."""
LONGEST_PAUSE_S = 30.0
FIRST_RETRY_S, LONGEST_RETRY_S = 5.0, 300.0
"""Pauses between attempts to end the machine; each is twice the one before."""
_REDIS_TIMEOUT_S, _HTTP_TIMEOUT_S = 10.0, 30.0


class Word(NamedTuple):
    """What Redis says at one look."""

    leads: bool
    """A daemon holds the lease of the fleet."""
    beat: bytes | None = None
    """The last heartbeat of this machine's worker, as it was written."""


class Switch:
    """Decides whether the machine is to end.

    Only silence that was listened to counts: the time between two looks is taken for two pauses at most, so that a
    clock that jumps, or a machine that was frozen, ends nothing.
    """

    def __init__(self, after_s: float, say: Say) -> None:
        self.after_s = after_s
        self.pause_s = min(after_s / LOOKS, LONGEST_PAUSE_S)
        self._say = say
        self._looked_at: float | None = None
        self._silent_s: float | None = None
        self._beat: bytes | None = None
        self._beat_age_s = 0.0

    def hear(self, now: float, word: Word | str) -> bool:
        """Take what Redis says, or why it says nothing; gives whether the machine is to end. `now` is monotonic."""
        gap_s = 0.0 if self._looked_at is None else min(now - self._looked_at, 2 * self.pause_s)
        self._looked_at = now
        self._beat_age_s += gap_s
        if isinstance(word, Word):
            if word.beat != self._beat:
                self._beat, self._beat_age_s = word.beat, 0.0
            if word.leads:
                if self._silent_s is not None:
                    self._say(f"the daemon is heard again, after {self._silent_s:.0f}s")
                self._silent_s = None
                return False
        if self._silent_s is None:
            why = word if isinstance(word, str) else "no daemon holds the lease"
            self._say(f"silence begins: {why}; after {self.after_s:g}s of it this machine ends itself")
            self._silent_s = 0.0
        else:
            self._silent_s += gap_s
        return self._silent_s >= self.after_s and not self._busy()

    def _busy(self) -> bool:
        """Whether the worker says that it is busy: a word that stays the same for too long is a dead worker's."""
        return _says_busy(self._beat) and self._beat_age_s < 2 * self.after_s


def _says_busy(beat: bytes | None) -> bool:
    """Whether a heartbeat, ``{"busy": 1, …}`` or a bare number, is of a busy worker; what cannot be read is."""
    if beat is None:
        return False
    try:
        told = json.loads(beat)
        return int(told["busy"] if isinstance(told, dict) else told) > 0
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return True


class Plead:
    """Asks for the machine's end, again and again with growing pauses, until it is dead, or need not end any more."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end
        self._pause_s, self._not_before = FIRST_RETRY_S, float("-inf")

    def look(self, now: float, *, due: bool) -> None:
        """Ask, if it is due and no pause is to be kept. `now` is monotonic."""
        if not due:
            self._pause_s, self._not_before = FIRST_RETRY_S, float("-inf")
        elif now >= self._not_before:
            self._end()
            self._not_before = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_RETRY_S)


def watch(
    switch: Switch,
    listen: Callable[[], Word | str],
    end: Callable[[], None],
    now: Callable[[], float],
    sleep: Callable[[float], None],
) -> NoReturn:
    """Listen, and end the machine when it is time."""
    plead = Plead(end)
    while True:
        due = switch.hear(now(), listen())
        plead.look(now(), due=due)
        sleep(switch.pause_s)


# --- Redis ------------------------------------------------------------------------------------------------------------


class Ear:
    """Listens to the daemon of a fleet, over a connection of its own at each look."""

    def __init__(self, url: str, fleet: str, instance: str) -> None:
        """Take the URL of the Redis that holds the daemon's state.

        Raises:
            ValueError: it is no redis:// or rediss:// URL.
        """
        self._url = urlsplit(url)
        if self._url.scheme not in ("redis", "rediss") or not self._url.hostname:
            raise ValueError("expected redis://HOST:PORT/DB or rediss://HOST:PORT/DB")
        self._address = self._url.hostname, self._url.port or 6379
        self._options = {name: values[-1] for name, values in parse_qs(self._url.query).items()}
        prefix = f"autoscaler:{{{fleet}}}:"
        self._commands = [*_opening(self._url, self._options)]
        self._commands += [("GET", prefix + "lease"), ("HGET", prefix + "workers", instance)]

    def __call__(self) -> Word | str:
        """What Redis says, or why it says nothing."""
        try:
            *openings, lease, beat = self._ask()
        except (OSError, ValueError) as error:
            return f"Redis at {self._address[0]}:{self._address[1]} does not answer: {error}"
        for reply in (*openings, lease):
            if isinstance(reply, str):
                return f"Redis at {self._address[0]}:{self._address[1]} refuses: {reply}"
        return Word(leads=lease is not None, beat=beat.encode() if isinstance(beat, str) else beat)

    def _ask(self) -> list[Reply]:
        with socket.create_connection(self._address, _REDIS_TIMEOUT_S) as plain, self._secured(plain) as connection:
            connection.sendall(b"".join(map(_encoded, self._commands)))
            with connection.makefile("rb") as replies:
                return [_reply(replies) for _ in self._commands]

    def _secured(self, plain: socket.socket) -> socket.socket:
        if self._url.scheme == "redis":
            return plain
        context = ssl.create_default_context(cafile=self._options.get("ssl_ca_certs"))
        if self._options.get("ssl_cert_reqs") == "none":  # as redis-py reads it, so that one URL serves the worker, too
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname=self._url.hostname)


def _opening(url: SplitResult, options: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """What a connection begins with: user and password, and the database."""
    if url.password:
        user = [unquote(url.username)] if url.username else []
        yield ("AUTH", *user, unquote(url.password))
    database = options.get("db") or url.path.strip("/")
    if database:
        yield ("SELECT", database)


def _encoded(command: tuple[str, ...]) -> bytes:
    words = [word.encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _reply(replies: BinaryIO) -> Reply:
    """The next reply in RESP2, of the kinds that our commands have."""
    line = replies.readline()
    kind, rest = line[:1], line[1:-2]
    if not line.endswith(b"\r\n") or kind not in b"+-:$":
        raise ValueError("that is no answer of a Redis")
    if kind == b"-":
        return rest.decode(errors="replace")
    if kind != b"$":
        return rest
    length = int(rest)
    if length < 0:
        return None
    text = replies.read(length + 2)
    if len(text) < length + 2:
        raise ValueError("the connection broke off")
    return text[:-2]


# --- the vendors ------------------------------------------------------------------------------------------------------


class Plea(NamedTuple):
    """A request that ends a machine."""

    method: str
    url: str
    key: str
    body: bytes = b""


def pleas(env: Mapping[str, str]) -> Sequence[Plea]:
    """How to end the machine that has this environment, best first; empty on a machine of no vendor we know.

    Vast.ai and RunPod give each machine its id and a key that is good for that machine alone. The addresses can be
    overridden with the variables that the vendors' own clients read.
    """
    pod, key = env.get("RUNPOD_POD_ID", ""), env.get("RUNPOD_API_KEY", "")
    if env.get("CONTAINER_ID") and env.get("CONTAINER_API_KEY"):
        base = env.get("VAST_URL") or "https://console.vast.ai"
        url = f"{base}/api/v0/instances/{env['CONTAINER_ID']}/"
        return [Plea("DELETE", url, env["CONTAINER_API_KEY"], b"{}")]
    if pod and key:
        base = env.get("RUNPOD_API_BASE_URL") or "https://api.runpod.io"
        query = f"mutation {{ podTerminate(input: {{ podId: {json.dumps(pod)} }}) }}"
        graphql = Plea("POST", f"{base}/graphql", key, json.dumps({"query": query}).encode())
        return [Plea("DELETE", f"{base}/v2/pods/{pod}", key), graphql]
    return []


def end(ways: Sequence[Plea], say: Say, send: Callable[[Plea], tuple[int, bytes]]) -> None:
    """Ask the vendor to end this machine, one way after the other until one is accepted."""
    for plea in ways:
        say(f"ending this machine: {plea.method} {plea.url}")
        try:
            status, body = send(plea)
        except (OSError, http.client.HTTPException) as error:
            say(f"no answer: {type(error).__name__}")
            continue
        if 200 <= status < 300 and not _refused(body):
            return
        say(f"refused with {status}")


def _refused(body: bytes) -> bool:
    """Whether an answer under 200 says no: Vast.ai by `success`, GraphQL by `errors`."""
    try:
        told = json.loads(body)
    except ValueError:
        return False
    return isinstance(told, dict) and (told.get("success") is False or bool(told.get("errors")))


def send(plea: Plea) -> tuple[int, bytes]:
    """Status and body of the answer; redirects are not followed, for they would carry the key away.

    Raises:
        OSError, http.client.HTTPException: there was none.
    """
    url = urlsplit(plea.url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=_HTTP_TIMEOUT_S)
    headers = {"Authorization": f"Bearer {plea.key}", "User-Agent": "gpu-autoscaler-deadman"}
    if plea.body:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(plea.method, url.path, plea.body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


# --- the process ------------------------------------------------------------------------------------------------------


def main(env: Mapping[str, str]) -> int:
    """Keep the switch of the machine with this environment; gives an exit code where there is none to keep."""
    if not env.get("AUTOSCALER_DEAD_MAN_S"):
        _log("off: AUTOSCALER_DEAD_MAN_S is not set; the daemon sets it where `machine.dead_man` is given")
        return 0
    problems = list(_problems(env))
    for problem in problems:
        _log(f"error: {problem}")
    if problems:
        return 2
    switch, ways = Switch(float(env["AUTOSCALER_DEAD_MAN_S"]), _log), pleas(env)
    _log(f"armed: this machine ends itself after {switch.after_s:g}s without its daemon")
    ear = Ear(redis_url(env), env["AUTOSCALER_FLEET"], env["AUTOSCALER_INSTANCE"])
    watch(switch, ear, lambda: end(ways, _log, send), time.monotonic, time.sleep)  # noqa: TID251 - it stands alone


def redis_url(env: Mapping[str, str]) -> str:
    """Where the daemon keeps its state."""
    return env.get("AUTOSCALER_REDIS_URL") or env.get("REDIS_URL") or ""


def _problems(env: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the environment; no value of it is repeated, for some are secrets."""
    yield from unsound(env)
    yield from unset(env)
    try:
        Ear(redis_url(env), "", "")
    except ValueError as error:
        yield f"AUTOSCALER_REDIS_URL or REDIS_URL: {error}, where the daemon keeps its state"
    if not pleas(env):
        yield (
            "not on Vast.ai (CONTAINER_ID, CONTAINER_API_KEY) nor on RunPod (RUNPOD_POD_ID, RUNPOD_API_KEY): "
            "set what is missing"
        )


def unsound(env: Mapping[str, str]) -> Iterator[str]:
    """Whether the time of silence is none."""
    try:
        sound = 0.0 < float(env["AUTOSCALER_DEAD_MAN_S"]) < float("inf")
    except ValueError:
        sound = False
    if not sound:
        yield "AUTOSCALER_DEAD_MAN_S: expected seconds, more than 0"


def unset(env: Mapping[str, str]) -> Iterator[str]:
    """What the daemon tells each machine, and is not there."""
    for name in ("AUTOSCALER_FLEET", "AUTOSCALER_INSTANCE"):
        if not env.get(name):
            yield f"{name}: not set; the daemon sets it on each machine that it rents"


def _log(text: str) -> None:
    with contextlib.suppress(OSError):  # who read it is gone: no reason to end
        sys.stderr.write(f"deadman: {text}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(os.environ))
