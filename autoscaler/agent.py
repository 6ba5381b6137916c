"""The agent of a rented machine: it tells the daemon what the worker does, and the worker when to end.

It needs redis-py, a Python of 3.8 or later and Linux, and nothing else: it can be copied alone into an image and run
there as ``python3 agent.py -- COMMAND…``, with ``duty.py``, ``machine.py`` and ``deadman.py`` beside it;
docs/workers.md says how. `Duty` decides and does no IO; the rest sees and acts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import redis

if __package__:
    from autoscaler import deadman
    from autoscaler.duty import Act, Duty, Look
    from autoscaler.machine import Gpu, Memory, Source, Worker, collect_orphans, source
else:  # copied alone into an image
    import deadman  # type: ignore[import-not-found,no-redef]
    from duty import Act, Duty, Look  # type: ignore[import-not-found,no-redef]
    from machine import (  # type: ignore[import-not-found,no-redef]
        Gpu,
        Memory,
        Source,
        Worker,
        collect_orphans,
        source,
    )

if TYPE_CHECKING:  # so that older Pythons can run this
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Say = Callable[[str], None]

BEAT_S = 5.0
"""Between two beats. The end of the worker is told at once."""
OTHER_S = 60.0
"""A beat of another agent for this machine makes this one's word doubtful for so long."""
_TWO = "another agent beats for this machine"
_REDIS_TIMEOUT_S = 3.0
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_PASSED = (*_ENDING, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


# --- Redis ------------------------------------------------------------------------------------------------------------


class Line:
    """The line to the daemon: one beat, and what stands in the store."""

    def __init__(self, url: str, fleet: str, instance: str, say: Say) -> None:
        """Take the URL of the Redis that holds the daemon's state.

        Raises:
            ValueError: it is none.
        """
        self._client = redis.Redis.from_url(
            url, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S, retry=None
        )
        self._fleet = f"autoscaler:{{{fleet}}}:"
        self._instance = instance
        self._say = say
        self._down = ""
        self._count, self._since = 0, f"{time.time():.3f}"  # noqa: TID251 - it stands alone
        self._took = False
        self.other = False
        """Whether, since the last beat, another agent beat for this machine."""

    def __call__(self, said: Mapping[str, Any], *, lease: bool) -> tuple[bool, bool] | str:
        """Beat; gives whether the drain mark is set and, if asked, whether a daemon leads. Else why that is not known.

        No beat is like another, also of an agent before this one.
        """
        self._count += 1
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hget(self._fleet + "workers", self._instance)
        beat = {**said, "beat": self._count, "since": self._since}
        pipeline.hset(self._fleet + "workers", self._instance, json.dumps(beat))
        pipeline.exists(f"{self._fleet}drain:{self._instance}")
        if lease:
            pipeline.exists(self._fleet + "lease")
        try:
            before, _, marked, *leads = pipeline.execute()
        except (redis.RedisError, OSError) as error:
            why = f"Redis does not take the beat: {error}"
            self._tell(why)
            return why
        self._tell("")
        self.other = self._took and before is not None and self._since not in str(before)
        self._took = True
        return bool(marked), bool(leads and leads[0])

    def _tell(self, down: str) -> None:
        """One line when Redis goes, and one when it is back."""
        if down and not self._down:
            self._say(f"{down}; the worker goes on, and so do the attempts")
        elif self._down and not down:
            self._say("Redis takes the beats again")
        self._down = down


# --- the process ------------------------------------------------------------------------------------------------------


class Held:
    """The dead-man switch, in the agent's hand: it drains its worker before the machine ends itself."""

    def __init__(self, after_s: float, ways: Sequence[deadman.Plea], say: Say) -> None:
        self._switch = deadman.Switch(after_s, say)
        self._plead = deadman.Plead(lambda: deadman.end(ways, say, deadman.send))

    def hear(self, now: float, heard: tuple[bool, bool] | str) -> bool:
        """Whether the machine is to end itself, by what the line gave."""
        return self._switch.hear(now, heard if isinstance(heard, str) else deadman.Word(leads=heard[1]))

    def plead(self, now: float, *, due: bool) -> None:
        """Ask for its end, if it is due."""
        self._plead.look(now, due=due)


class Agent:
    """Beats, looks for the drain mark, and keeps the worker."""

    def __init__(self, duty: Duty, worker: Worker | None, jobs: Source | None, line: Line, switch: Held | None) -> None:
        self._duty = duty
        self._worker = worker
        self._jobs = jobs
        self._line = line
        self._switch = switch
        self._gpu = Gpu()
        self._stopping = False
        self._code: int | None = None
        self._doubtful_until = float("-inf")
        self._woken, waking = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(waking, False)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # it only wakes
        for number in _PASSED:
            signal.signal(number, self._pass_on)

    def run(self) -> int:
        """Work until a signal ends it; gives the exit code of the worker.

        Raises:
            OSError: the worker cannot be started.
        """
        while True:
            now = time.monotonic()  # noqa: TID251 - it stands alone
            look = self._look(now)
            if self._stopping and not (self._worker and look.left):
                return self._code or 0
            doubtful = now < self._doubtful_until
            told = look._replace(left=True, jobs=None, trouble=_TWO) if doubtful else look
            heard = self._line(self._duty.beat(now, told), lease=self._switch is not None)
            if self._line.other:
                self._doubtful_until = now + OTHER_S
            silent = self._switch is not None and self._switch.hear(now, heard)
            act = self._duty.act(now, None if isinstance(heard, str) else heard[0], look, silent=silent)
            if self._switch is not None:
                self._switch.plead(now, due=silent and self._duty.drained)
            act = Act.NOTHING if self._stopping else act
            self._do(act, now)
            until_start_s = self._duty.start_at - now
            self._wait(0.0 if act is Act.START else min(BEAT_S, until_start_s) if until_start_s > 0 else BEAT_S)

    def _look(self, now: float) -> Look:
        self._gpu.look(now)
        seen = Look(gpu_util=self._gpu.use, trouble=self._gpu.trouble)
        if self._worker is not None:
            code = self._worker.ended()
            if code is not None:
                self._code = code
                if not self._stopping:
                    self._duty.ended(now, code, asked=self._worker.asked)
            collect_orphans({self._worker.pid, self._gpu.pid})
            seen = seen._replace(runs=self._worker.pid is not None, left=self._worker.left(), asked=self._worker.asked)
        if self._jobs is not None and (seen.left or self._jobs.outlasts):
            seen = seen._replace(jobs=self._jobs.tell())
        return seen

    def _do(self, act: Act, now: float) -> None:
        if self._worker is not None and act is Act.START:
            try:
                self._worker.start()
            except OSError as error:
                if self._code is None:
                    raise
                _log(f"error: {error}")
                self._duty.ended(now, 127, asked=False)
            if self._stopping:  # the signal came before there was a worker to hear it
                self._worker.drain()
        elif self._worker is not None and act is Act.DRAIN:
            self._worker.drain()

    def _pass_on(self, number: int, _frame: object) -> None:
        """The first that ends us asks the worker to end, as a drain does; a second one insists."""
        first = number in _ENDING and not self._stopping
        self._stopping |= number in _ENDING
        if self._worker is not None and first:
            self._worker.drain()
        elif self._worker is not None:
            self._worker.send(number)

    def _wait(self, seconds: float) -> None:
        """Wait, or until a signal comes."""
        if select.select([self._woken], [], [], seconds)[0]:
            os.read(self._woken, 4096)


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Be the agent of the machine with this environment; gives an exit code, that of the worker where there is one."""
    own, command = split(argv)
    options = _parser().parse_args(own)
    problems = list(_problems(options, command, env))
    for problem in problems:
        _log(f"error: {problem}")
    if problems:
        return 2
    ends = bool(command) and options.drain_signal != "none"
    line = Line(deadman.redis_url(env), env["AUTOSCALER_FLEET"], env["AUTOSCALER_INSTANCE"], _log)
    jobs = source(options.busy) if options.busy else None
    try:
        memory = Memory(env["AUTOSCALER_INSTANCE"])
    except BlockingIOError:
        _log("error: another agent of this machine runs: one speaks for all its slots")
        return 2
    number = signal.Signals[f"SIG{options.drain_signal}" if ends else "SIGTERM"]
    worker = Worker(command, number, memory) if command else None
    try:
        return Agent(Duty(options.slots, ends=ends, say=_log), worker, jobs, line, _held(env)).run()
    except OSError as error:
        _log(f"error: {error}")
        return 127


def split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is the agent's own, and the command after ``--``."""
    words = list(argv)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autoscaler agent" if __package__ else "agent.py",
        usage="%(prog)s [options] [-- COMMAND…]",
        description="Beat for this machine, pass the drain on to its worker, and run that, if a COMMAND is given.",
        epilog="docs/workers.md says how to run each job-queue library's worker under it.",
    )
    parser.add_argument(
        "--busy",
        metavar="HOW",
        help="where jobs at work are counted: 'dir PATH', with a file for each job, or 'comfyui :PORT'; "
        "without it a worker that runs counts as fully busy",
    )
    parser.add_argument("--slots", type=int, default=1, metavar="N", help="jobs worked on at the same time (default 1)")
    parser.add_argument(
        "--drain-signal",
        default="TERM",
        metavar="NAME",
        help="what makes the worker finish its jobs and end (default TERM); none: it is sent its jobs, and stays",
    )
    return parser


def _problems(options: argparse.Namespace, command: Sequence[str], env: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with options and environment; no value of the latter is repeated, for some are secrets."""
    known = {name for name in signal.Signals.__members__ if name not in ("SIGKILL", "SIGSTOP")}
    if options.drain_signal != "none" and f"SIG{options.drain_signal}" not in known:
        yield f"--drain-signal {options.drain_signal}: expected a signal that a worker can obey, as TERM, or none"
    if options.slots < 1:
        yield f"--slots {options.slots}: expected 1 or more"
    if options.busy:
        try:
            source(options.busy)
        except ValueError as error:
            yield f"--busy {options.busy}: {error}"
    elif not command or options.drain_signal == "none":
        yield "nothing would tell when the machine is idle: give a COMMAND after -- that ends when drained, or --busy"
    yield from deadman.unset(env)
    if env.get("AUTOSCALER_DEAD_MAN_S"):
        yield from deadman.unsound(env)
    try:
        Line(deadman.redis_url(env), "", "", _log)
    except ValueError as error:
        yield f"AUTOSCALER_REDIS_URL or REDIS_URL: {error}; it is where the daemon keeps its state"


def _held(env: Mapping[str, str]) -> Held | None:
    """The dead-man switch, where the daemon asks for one and the vendor gives the means."""
    if not env.get("AUTOSCALER_DEAD_MAN_S"):
        return None
    ways = deadman.pleas(env)
    if not ways:
        _log("no dead-man switch: neither Vast.ai's nor RunPod's variables are here; the worker runs without it")
        return None
    return Held(float(env["AUTOSCALER_DEAD_MAN_S"]), ways, _log)


def _log(text: str) -> None:
    with contextlib.suppress(OSError):  # who read it is gone: no reason to end
        sys.stderr.write(f"agent: {text}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
