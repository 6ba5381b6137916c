"""Reload over HTTP: what the daemon's file would change, and then exactly that.

Both take the token: what is shown are settings, which not everybody who may look at the fleet has to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from aiohttp import web

from autoscaler.core.errors import SettingsError
from autoscaler.reload import FileChanged, Reloading
from autoscaler.web.forms import ProblemForm, ProblemsForm, ReloadForm
from autoscaler.web.guarded import problem
from autoscaler.web.orders import Who, Words
from autoscaler.web.routes import FORM, Answer, Route, read_body


@dataclass(frozen=True, kw_only=True, slots=True)
class ReloadRequest:
    """A look at what the file would change; with its digest, the word that it is to take effect."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORM

    by: Who
    """Who asks."""
    why: Words = ""
    """For the journal."""
    digest: Words | None = None
    """Of the answer that showed what is to take effect; without it nothing takes effect."""


def reload_route(reloading: Reloading) -> Route:
    """The one route."""

    async def reload(request: web.Request) -> web.Response:
        asked = await read_body(request, ReloadRequest)
        try:
            if asked.digest is None:
                found = await reloading.preview()
            else:
                found = await reloading.apply(asked.by, asked.why, digest=asked.digest)
        except SettingsError as error:
            answer = {"error": "; ".join(error.problems), "problems": list(error.problems)}
            return web.json_response(answer, status=422)
        except FileChanged as error:
            return problem(409, str(error))
        applied = asked.digest is not None and bool(found.lines)
        return web.json_response({"diff": list(found.lines), "digest": found.digest, "applied": applied})

    return Route(
        method="POST",
        path="/api/v1/reload",
        handler=reload,
        summary="what the configuration's file would change; with the digest of that, let it take effect",
        body=ReloadRequest,
        answers={
            200: Answer(text="What changes.", form=ReloadForm),
            409: Answer(text="The file, or what is in force, is not what was shown any more.", form=ProblemForm),
            422: Answer(text="The file has problems, or needs a restart; nothing has changed.", form=ProblemsForm),
            503: Answer(
                text="The store is away, and without it nobody knows which machines there are.", form=ProblemForm
            ),
        },
    )
