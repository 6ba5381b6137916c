"""Lets a script be told what to do by lines of JSON on standard input; see tests/support/library.py.

Standard library only: it runs in the environments of the job-queue libraries.
"""

import asyncio
import inspect
import json
import os
import sys
import traceback


def serve(deeds):
    """Do what each line says until there are no more; ``deeds`` are functions, async ones too, by name."""
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            said = json.loads(line)
            try:
                gives = deeds[said.pop("do")](**said)
                if inspect.isawaitable(gives):
                    gives = runner.run(_awaited(gives))
                answer = {"gives": gives}
            except Exception:  # noqa: BLE001 - whoever asked is told
                answer = {"failed": traceback.format_exc()}
            answers.write(json.dumps(answer) + "\n")


async def _awaited(gives):
    return await gives
