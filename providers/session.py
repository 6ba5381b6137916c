"""Requests over a real connection: one session an account, with time-outs, a limit on answers, and a key kept quiet."""

from __future__ import annotations

from importlib.metadata import version

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from yarl import URL

from autoscaler.core.errors import AuthFailed, Transient, UnclearOutcome
from providers.http import Answer, Request, Service

_CONNECT_TIMEOUT_S = 10.0
_READ_AT_ONCE = 65536
_LEAST_KEY = 8
"""What is shorter is no key, and stands in every other word of an answer."""
_MASK = "***"


class Session:
    """The way to a vendor's API over the network."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._key = service.key.reveal()
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Answer:
        """The answer to a request, whatever its status; see :class:`providers.http.Http`.

        Where the vendor repeats the key, it is masked, so that it stands in no error and no log.

        Raises:
            AuthFailed: the key can be in no header: it has a line break in it.
        """
        # Reading the path quotes what is not, and leaves alone what is.
        url = URL(self._service.url + request.path).with_query(dict(request.query))
        try:
            # A redirect would carry the key to wherever it points.
            async with self._opened().request(
                request.method, url, data=request.body or None, headers=dict(request.headers), allow_redirects=False
            ) as response:
                body = await self._read(response)
                headers = {name.lower(): self._quiet(value) for name, value in response.headers.items()}
                return Answer(status=response.status, headers=headers, body=body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Transient(f"{url.host} cannot be reached: {self._words(error)}") from None
        except TimeoutError:
            raise UnclearOutcome(f"no answer from {url.host} within {self._service.timeout_s:g}s") from None
        except aiohttp.ClientError as error:
            raise UnclearOutcome(f"no answer from {url.host}: {self._words(error)}") from None

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """The session; opened with the first request, for it belongs to the event loop that runs then."""
        if self._session is None:
            if not self._key.isprintable():
                raise AuthFailed("the API key has a line break or a control character in it; it is to be one word")
            self._session = aiohttp.ClientSession(
                headers={
                    "Authorization": f"Bearer {self._key}",
                    "User-Agent": f"gpu-autoscaler/{version('gpu-autoscaler')}",
                    "Accept": "application/json",
                },
                timeout=aiohttp.ClientTimeout(total=self._service.timeout_s, connect=_CONNECT_TIMEOUT_S),
                middlewares=(_send_once,),
            )
        return self._session

    async def _read(self, response: ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_READ_AT_ONCE):
            body += chunk
            if len(body) > self._service.most_bytes:
                raise UnclearOutcome(f"an answer of more than {self._service.most_bytes} bytes was not read")
        return self._quiet_bytes(bytes(body))

    def _words(self, error: Exception) -> str:
        return self._quiet(str(error)) or type(error).__name__

    def _quiet(self, text: str) -> str:
        return text.replace(self._key, _MASK) if len(self._key) >= _LEAST_KEY else text

    def _quiet_bytes(self, body: bytes) -> bytes:
        return body.replace(self._key.encode(), _MASK.encode()) if len(self._key) >= _LEAST_KEY else body


async def _send_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Keep aiohttp from sending a PUT, DELETE or GET again by itself where the connection broke off without an answer.

    It may have been carried out; a PUT that rents would rent twice.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientPayloadError(str(error)) from error
