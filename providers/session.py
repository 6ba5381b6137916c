"""Requests over a real connection: one session an account, with time-outs, a limit on answers, and a key kept quiet."""

from __future__ import annotations

from importlib.metadata import version

import aiohttp
from yarl import URL

from autoscaler.core.errors import Transient, UnclearOutcome
from providers.http import Answer, Request, Service

_CONNECT_TIMEOUT_S = 10.0
_READ_AT_ONCE = 65536


class Session:
    """The way to a vendor's API over the network."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Answer:
        """The answer to a request, whatever its status; see :class:`providers.http.Http`."""
        url = URL(self._service.url + request.path, encoded=True).with_query(dict(request.query))
        try:
            # A redirect would carry the key to wherever it points.
            async with self._opened().request(
                request.method, url, data=request.body or None, headers=dict(request.headers), allow_redirects=False
            ) as response:
                body = await self._read(response)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer(status=response.status, headers=headers, body=body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Transient(f"{url.host} cannot be reached: {self._quiet(error)}") from None
        except TimeoutError:
            raise UnclearOutcome(f"no answer from {url.host} within {self._service.timeout_s:g}s") from None
        except aiohttp.ClientError as error:
            raise UnclearOutcome(f"no answer from {url.host}: {self._quiet(error)}") from None

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """The session; opened with the first request, for it belongs to the event loop that runs then."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={
                    "Authorization": f"Bearer {self._service.key.reveal()}",
                    "User-Agent": f"gpu-autoscaler/{version('gpu-autoscaler')}",
                    "Accept": "application/json",
                },
                timeout=aiohttp.ClientTimeout(total=self._service.timeout_s, connect=_CONNECT_TIMEOUT_S),
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_READ_AT_ONCE):
            body += chunk
            if len(body) > self._service.most_bytes:
                raise UnclearOutcome(f"an answer of more than {self._service.most_bytes} bytes was not read")
        return bytes(body)

    def _quiet(self, error: Exception) -> str:
        return str(error).replace(self._service.key.reveal(), "***") or type(error).__name__
