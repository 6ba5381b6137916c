"""The agent of a rented machine: it tells the daemon what the worker does, and the worker when to end.

It needs redis-py, a Python of 3.8 or later and Linux, and nothing else: it can be copied alone into an image and run
there as ``python3 agent.py -- COMMAND…``, with ``machine.py`` and ``deadman.py`` beside it; docs/workers.md says how.
`Duty` decides and does no IO; the rest sees and acts.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import time
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import redis

if __package__:
    from autoscaler import deadman
    from autoscaler.machine import Gpu, Worker, collect_orphans, source
else:  # copied alone into an image
    import deadman  # type: ignore[import-not-found,no-redef]
    from machine import Gpu, Worker, collect_orphans, source  # type: ignore[import-not-found,no-redef]

if TYPE_CHECKING:  # so that older Pythons can run this
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Say = Callable[[str], None]
    Source = Callable[[], "int | None"]

BEAT_S = 5.0
"""Between two beats. The end of the worker is told at once."""
SETTLE_S, AGAIN_S = 15.0, 5.0
"""From the drain mark to the first look that counts of a service that is sent its jobs, and to the second."""
STEADY_S = 60.0
"""A worker that ended by itself sooner, and badly, has crashed."""
CRASHES = 3
"""So many in a row are trouble."""
LONGEST_PAUSE_S = 60.0
_REDIS_TIMEOUT_S = 3.0
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_PASSED = (*_ENDING, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


# --- what to say and to do --------------------------------------------------------------------------------------------


class Act(Enum):
    """What the worker needs."""

    NOTHING = "nothing"
    START = "start"
    DRAIN = "the drain signal"


class Look(NamedTuple):
    """What is seen of the machine at one moment."""

    runs: bool = True
    """The worker's process is there; of an agent that runs none, always."""
    left: bool = True
    """It, or another process of its session, is there."""
    jobs: int | None = None
    """As its source says; None when there is none, or it does not say."""
    gpu_util: float | None = None
    trouble: str = ""


class Duty:
    """Decides what is said of the worker, and when it is started and drained.

    It says `drained` only of what it knows: that no process of the worker is left, or, where the worker is not ended
    (`ends` is false) because it is sent its jobs, that it held none at two looks, some time after the drain mark.
    A worker is only started when Redis has just taken a beat that does not say `drained`: the daemon may act on that
    word, and an agent before this one may have said it.
    """

    def __init__(self, slots: int, *, ends: bool, say: Say) -> None:
        self._slots = slots
        self._ends = ends
        self._say = say
        self._draining = False
        self._since = self._idle_at = 0.0
        self._signalled = False
        self.drained = False
        """Whether the last beat said so."""
        self.start_at = float("-inf")
        """Not before this is the worker started again."""
        self._began_at = float("-inf")
        self._crashes, self._code = 0, 0

    def beat(self, now: float, look: Look) -> dict[str, Any]:
        """What to say now. `now` is monotonic."""
        if look.runs and now - self._began_at >= STEADY_S:
            self._crashes = 0
        jobs = look.jobs if look.left else 0
        self.drained = self._draining and (not look.left if self._ends else self._quiet(now, jobs))
        least = int(look.left and self._draining and not self.drained)
        said: dict[str, Any] = {
            "busy": self._slots if jobs is None else max(jobs, least),
            "drained": self.drained,
            "slots": self._slots,
        }
        if look.gpu_util is not None:
            said["gpu_util"] = look.gpu_util
        crashing = f"the worker ended with {self._code}, {self._crashes} times in a row"
        trouble = [crashing] * (self._crashes >= CRASHES) + [look.trouble] * bool(look.trouble)
        if trouble:
            said["trouble"] = "; ".join(trouble)
        return said

    def _quiet(self, now: float, jobs: int | None) -> bool:
        """Whether a service that is sent its jobs has none, and will get none any more."""
        if jobs != 0 or now < self._since + SETTLE_S:
            self._idle_at = float("inf")
            return False
        self._idle_at = min(self._idle_at, now)
        return now >= self._idle_at + AGAIN_S

    def act(self, now: float, marked: bool | None, look: Look, *, silent: bool = False) -> Act:
        """What the worker needs, after the last beat: `marked` is the answer to it, None where there was none.

        `silent`: the machine is to end itself, as its daemon is gone.
        """
        draining = silent or (self._draining if marked is None else marked)
        if draining and not self._draining:
            self._say("draining" + (": the daemon is gone" if silent else ""))
            self._since, self._idle_at = now, float("inf")
        self._draining = draining
        if look.runs:
            if draining and self._ends and not self._signalled:
                self._signalled = True
                return Act.DRAIN
        elif marked is not None and not draining and not self.drained and now >= self.start_at:
            self._began_at, self._signalled = now, False
            return Act.START
        return Act.NOTHING

    def ended(self, now: float, code: int) -> None:
        """The worker's process ended."""
        lasted_s = now - self._began_at
        if self._signalled:
            self._crashes, self.start_at = 0, now
            self._say(f"the worker has drained, and ended with {code}")
            return
        self._crashes = self._crashes + 1 if code and lasted_s < STEADY_S else int(code != 0)
        self._code = code
        pause_s = min(2.0 ** max(0, self._crashes - 1), LONGEST_PAUSE_S)
        self.start_at = now + pause_s
        self._say(
            f"the worker ended by itself with {code} after {lasted_s:.0f}s; it is started again in {pause_s:.0f}s"
        )


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

    def __call__(self, said: Mapping[str, Any], *, lease: bool) -> tuple[bool, bool] | str:
        """Beat; gives whether the drain mark is set and, if asked, whether a daemon leads. Else why that is not known.

        No beat is like another, also of an agent before this one.
        """
        self._count += 1
        pipeline = self._client.pipeline(transaction=False)
        beat = {**said, "beat": self._count, "since": self._since}
        pipeline.hset(self._fleet + "workers", self._instance, json.dumps(beat))
        pipeline.exists(f"{self._fleet}drain:{self._instance}")
        if lease:
            pipeline.exists(self._fleet + "lease")
        try:
            _, marked, *leads = pipeline.execute()
        except (redis.RedisError, OSError) as error:
            why = f"Redis does not take the beat: {error}"
            self._tell(why)
            return why
        self._tell("")
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

    def __init__(self, duty: Duty, worker: Worker | None, jobs: Source, line: Line, switch: Held | None) -> None:
        self._duty = duty
        self._worker = worker
        self._jobs = jobs
        self._line = line
        self._switch = switch
        self._gpu = Gpu()
        self._stopping = False
        self._code = 0
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
                return self._code
            heard = self._line(self._duty.beat(now, look), lease=self._switch is not None)
            silent = self._switch is not None and self._switch.hear(now, heard)
            act = self._duty.act(now, None if isinstance(heard, str) else heard[0], look, silent=silent)
            if self._switch is not None:
                self._switch.plead(now, due=silent and self._duty.drained)
            act = Act.NOTHING if self._stopping else act
            self._do(act)
            until_start_s = self._duty.start_at - now
            self._wait(0.0 if act is Act.START else min(BEAT_S, until_start_s) if until_start_s > 0 else BEAT_S)

    def _look(self, now: float) -> Look:
        self._gpu.look(now)
        seen = Look(jobs=self._jobs(), gpu_util=self._gpu.use, trouble=self._gpu.trouble)
        if self._worker is None:
            return seen
        code = self._worker.ended()
        if code is not None:
            self._code = code
            if not self._stopping:
                self._duty.ended(now, code)
        collect_orphans({self._worker.pid, self._gpu.pid})
        return seen._replace(runs=self._worker.pid is not None, left=self._worker.left())

    def _do(self, act: Act) -> None:
        if self._worker is not None and act is Act.START:
            self._worker.start()
        elif self._worker is not None and act is Act.DRAIN:
            self._worker.drain()

    def _pass_on(self, number: int, _frame: object) -> None:
        self._stopping |= number in _ENDING
        if self._worker is not None:
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
    worker = Worker(command, signal.Signals[f"SIG{options.drain_signal}"] if ends else 0) if command else None
    line = Line(_redis_url(env), env["AUTOSCALER_FLEET"], env["AUTOSCALER_INSTANCE"], _log)
    jobs = source(options.busy) if options.busy else lambda: None
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
    if options.drain_signal != "none" and f"SIG{options.drain_signal}" not in signal.Signals.__members__:
        yield f"--drain-signal {options.drain_signal}: expected the name of a signal, such as TERM, or none"
    if options.slots < 1:
        yield f"--slots {options.slots}: expected 1 or more"
    if options.busy:
        try:
            source(options.busy)
        except ValueError as error:
            yield f"--busy {options.busy}: {error}"
    elif not command or options.drain_signal == "none":
        yield "nothing would tell when the machine is idle: give a COMMAND after -- that ends when drained, or --busy"
    for name in ("AUTOSCALER_FLEET", "AUTOSCALER_INSTANCE"):
        if not env.get(name):
            yield f"{name}: not set; the daemon sets it on each machine that it rents"
    try:
        Line(_redis_url(env), "", "", _log)
    except ValueError as error:
        yield f"AUTOSCALER_REDIS_URL or REDIS_URL: {error}; it is where the daemon keeps its state"


def _redis_url(env: Mapping[str, str]) -> str:
    return env.get("AUTOSCALER_REDIS_URL") or env.get("REDIS_URL") or ""


def _held(env: Mapping[str, str]) -> Held | None:
    """The dead-man switch, where the daemon asks for one and the vendor gives the means."""
    after = env.get("AUTOSCALER_DEAD_MAN_S")
    if not after:
        return None
    ways = deadman.pleas(env)
    if not ways:
        _log("no dead-man switch: neither Vast.ai's nor RunPod's variables are here; the worker runs without it")
        return None
    return Held(float(after), ways, _log)


def _log(text: str) -> None:
    sys.stderr.write(f"agent: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
