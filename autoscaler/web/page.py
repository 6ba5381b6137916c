"""The dashboard's files: the page at `/`, what it loads, and the charts' library out of its own package.

A file is read when somebody first asks for it, and kept packed: a daemon at which nobody looks holds none of them.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from aiohttp import ETag, web

from autoscaler.web.forms import ProblemForm
from autoscaler.web.guarded import problem
from autoscaler.web.routes import Answer, Route

_STATIC = Path(__file__).parent / "static"
_PAGE = "index.html"
_PIECE = 65_536  # bytes
_MEDIA = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""What the page may do: run and show what this daemon serves, ask this daemon, and nothing else."""
_TAKES_PACKED = re.compile(r"gzip(?!\s*;\s*q=0(\.0*)?\s*(,|$))", re.IGNORECASE)  # q=0 refuses it
_KNOWN = Answer(text="It is as it was: If-None-Match has its ETag.")


class Files:
    """The files by name, and the routes to them."""

    def __init__(self) -> None:
        shipped = {path.name: path for path in sorted(_STATIC.glob("*")) if path.suffix in _MEDIA}
        library = _charts_library()
        self._files = {name: _File(path) for name, path in (shipped | {library.name: library}).items()}

    def routes(self) -> list[Route]:
        """The page, and what it loads."""
        return [
            Route(
                method="GET",
                path="/",
                handler=self._page,
                summary="the dashboard",
                answers={200: Answer(text="The page.", media=(_MEDIA[".html"],)), 304: _KNOWN},
            ),
            Route(
                method="GET",
                path="/static/{name}",
                handler=self._static,
                summary="what the dashboard is made of",
                names={"name": "A file's name."},
                answers={
                    200: Answer(text="The file.", media=tuple(_MEDIA.values())),
                    304: _KNOWN,
                    404: Answer(text="There is no such file.", form=ProblemForm),
                },
            ),
        ]

    async def _page(self, request: web.Request) -> web.Response:
        response = await self._files[_PAGE].answer(request)
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    async def _static(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["name"])
        return problem(404, "there is no such file") if file is None else await file.answer(request)


@dataclass(frozen=True, slots=True)
class _Packed:
    etag: ETag
    """Weak: what is packed and what is not bear the same."""
    body: bytes


class _File:
    """One file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._packed: _Packed | None = None
        self._reading = asyncio.Lock()

    async def answer(self, request: web.Request) -> web.Response:
        packed = await self._read()
        response = web.Response(headers={"Cache-Control": "no-cache", "Vary": "Accept-Encoding"})  # no-cache: 304s do
        response.etag = packed.etag
        if any(known.value in (packed.etag.value, "*") for known in request.if_none_match or ()):
            response.set_status(304)
            return response
        response.content_type, response.charset = _MEDIA[self._path.suffix], "utf-8"
        if _TAKES_PACKED.search(request.headers.get("Accept-Encoding", "")):
            response.headers["Content-Encoding"] = "gzip"
            response.body = packed.body
        else:
            response.body = _unpacked(packed.body)
        return response

    async def _read(self) -> _Packed:
        async with self._reading:
            if self._packed is None:
                self._packed = await asyncio.to_thread(_pack, self._path)
            return self._packed


async def _unpacked(packed: bytes) -> AsyncIterator[bytes]:
    """What is packed, in pieces, none of which is made before the last one was sent."""
    with gzip.GzipFile(fileobj=BytesIO(packed)) as file:
        while piece := file.read(_PIECE):
            yield piece


def _pack(path: Path) -> _Packed:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:20]
    return _Packed(ETag(value=digest, is_weak=True), gzip.compress(content, mtime=0))


def _charts_library() -> Path:
    """The one file that we need of the package `plotly`, which is large and stays unimported."""
    package = find_spec("plotly")
    folders = package.submodule_search_locations if package else None
    if not folders:
        raise FileNotFoundError("the package plotly is not installed")
    return Path(folders[0]) / "package_data" / "plotly.min.js"
