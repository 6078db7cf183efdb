"""HTTP to one registry for one pull: redirects, authentication, errors in Docker's words.

Contract: a `Session` belongs to one pull of one repository from one endpoint, and is closed with it. Credentials go to
the registry's own endpoint and to the token service that it names, to nobody else, and never over plain HTTP unless
that host may be spoken to so. Redirects are followed by hand for that reason.

Sources: OCI distribution-spec; distribution's "Token Authentication Specification" and "OAuth 2" pages.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urljoin, urlsplit

import msgspec

from sealane import VERSION
from sealane.errors import Unauthorized, Unavailable
from sealane.image.documents import UNREADABLE
from sealane.image.registry.challenge import Challenge, parse_challenges
from sealane.image.registry.credentials import Credentials, basic
from sealane.image.registry.endpoints import Endpoint, Registries

if TYPE_CHECKING:
    import aiohttp
    import yarl

_REDIRECTS_MAX: Final = 10
_ERROR_MAX: Final = 64 << 10
_TOKEN_MAX: Final = 1 << 20
#: What OpenSSL says of an answer that is no TLS.
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")


class Refused(Exception):
    """The registry answered with an error. ``detail`` is its own words, ``code: message``."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Errors(msgspec.Struct):
    errors: list[_Error] = msgspec.field(default_factory=list)


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class Session:
    """An async context manager around one HTTP client session."""

    def __init__(
        self, endpoint: Endpoint, registries: Registries, scope: str, credentials: Credentials | None, stall_s: float
    ) -> None:
        self._endpoint, self._registries, self._scope = endpoint, registries, scope
        self._credentials = credentials if endpoint.own else None
        self._stall_s = stall_s
        self._authorization: str | None = None
        if self._credentials is not None and self._credentials.registry_token:
            self._authorization = f"Bearer {self._credentials.registry_token}"
        self._login = asyncio.Lock()
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        import aiohttp  # costs more time than the rest of the engine's start, and most days nobody pulls

        self._client = aiohttp.ClientSession(
            auto_decompress=False,  # digests are of what travels
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._stall_s, sock_read=self._stall_s),
            headers={"User-Agent": f"sealane/{VERSION}", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful answer whose body is still to be read.

        Raises Refused for an error of the registry, Unavailable when it cannot be reached, Unauthorized when the
        credentials are refused. Failures while the body is read are the caller's to see (aiohttp.ClientError).
        """
        used = self._authorization  # taken now: while the answer is on its way another request may renew it
        response = await self._get(url, headers)
        try:
            if response.status == 401:
                challenges = parse_challenges(response.headers.getall("WWW-Authenticate", []))
                detail = await _detail(response)
                response.close()
                if not await self._log_in(challenges, used):
                    raise Refused(401, detail)
                response = await self._get(url, headers)
            if response.status >= 400:
                raise Refused(response.status, await _detail(response))
            yield response
        finally:
            response.close()

    async def check(self) -> None:
        """Log in to the registry, and be sure that it lets us in. Raises Unauthorized, Unavailable."""
        url = f"{self._endpoint.base}/v2/"
        try:
            async with self.get(url, {}):
                pass
        except Refused as error:
            if error.status == 401:
                raise Unauthorized(f"login attempt to {url} failed with status: 401 Unauthorized") from error
            raise Unavailable(f'Get "{url}": {error.detail}') from error

    async def _get(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        home = urlsplit(url)
        for _ in range(_REDIRECTS_MAX):
            sent = dict(headers)
            here = urlsplit(url)
            if self._authorization is not None and (here.scheme, here.netloc) == (home.scheme, home.netloc):
                sent["Authorization"] = self._authorization
            response = await self._send("GET", url, sent)
            if response.status not in (301, 302, 303, 307, 308):
                return response
            target = urljoin(url, response.headers.get("Location", ""))
            response.close()
            if home.scheme == "https" and not self._registries.may_be_plain(target):
                raise Unavailable(f'Get "{url}": the registry redirects to {target}, which has no TLS')
            url = target
        raise Unavailable(f'Get "{url}": stopped after {_REDIRECTS_MAX} redirects')

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> aiohttp.ClientResponse:
        import aiohttp

        if self._client is None:
            raise ValueError("the session is closed")
        try:
            return await self._client.request(
                method,
                _exact(url),
                headers=headers,
                data=form,
                allow_redirects=False,
                proxy=_proxy(url),
                ssl=self._endpoint.verify or not self._registries.is_insecure(urlsplit(url).netloc),
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f'{method.capitalize()} "{url}": {reason(error)}') from error

    # authentication

    async def _log_in(self, challenges: tuple[Challenge, ...], used: str | None) -> bool:
        """Answer a challenge; False when there is nothing to answer it with. *used* is what was refused just now."""
        async with self._login:
            if self._authorization != used:
                return True  # another request of this pull has got a token meanwhile
            for challenge in challenges:
                if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                    self._authorization = f"Bearer {await self._token(challenge.parameters)}"
                    return True
                if challenge.scheme == "basic" and self._credentials is not None and self._credentials.username:
                    answer = basic(self._credentials)
                    if answer != used:
                        self._authorization = answer
                        return True
            return False

    async def _token(self, parameters: Mapping[str, str]) -> str:
        realm = parameters["realm"]
        if self._endpoint.base.startswith("https:") and not self._registries.may_be_plain(realm):
            raise Unavailable(f"cannot log in: the registry's token service {realm} has no TLS")
        query = {"service": parameters.get("service", ""), "scope": parameters.get("scope") or self._scope}
        query = {key: value for key, value in query.items() if value}
        if self._credentials is not None and self._credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": self._credentials.identity_token,
                "client_id": "sealane",
                **query,
            }
            response = await self._send("POST", realm, {}, form)
        else:
            response = await self._send("GET", _with_query(realm, query | self._account()), self._basic())
        try:
            if response.status >= 400:
                raise Unauthorized(f'Get "{realm}": {await _detail(response)}')
            raw = await read_body(response, _TOKEN_MAX)
        finally:
            response.close()
        try:
            answer = msgspec.json.decode(raw, type=_Token)
        except UNREADABLE as error:
            raise Unavailable(f"cannot log in: {realm} did not answer with a token: {error}") from error
        token = answer.token or answer.access_token
        if not token or not token.isascii() or not token.isprintable():
            raise Unavailable(f"cannot log in: {realm} did not answer with a token")
        return token

    def _account(self) -> dict[str, str]:
        return {"account": self._credentials.username} if self._credentials and self._credentials.username else {}

    def _basic(self) -> dict[str, str]:
        if self._credentials is not None and self._credentials.username:
            return {"Authorization": basic(self._credentials)}
        return {}


def _with_query(url: str, query: Mapping[str, str]) -> str:
    from urllib.parse import urlencode

    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url


def _exact(url: str) -> str | yarl.URL:
    """*url* as it is: aiohttp would rewrite escapes that mean the same, and a signed address is only good letter by
    letter. What is no proper URL yet is left to aiohttp to mend."""
    from yarl import URL

    return URL(url, encoded=True) if url.isascii() and url.isprintable() and " " not in url else url


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for *url*."""
    import urllib.request

    parts = urlsplit(url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies_environment().get(parts.scheme)


def reason(error: BaseException) -> str:
    """Why a transfer failed, in a few words."""
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    inner = error.__cause__ if isinstance(error.__cause__, OSError) else getattr(error, "os_error", error)
    if isinstance(inner, socket.gaierror):
        return f"lookup {getattr(error, 'host', 'host')}: {(inner.strerror or str(inner)).lower()}"
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {inner.verify_message}"
    if isinstance(inner, ssl.SSLError):  # its errno is not the system's
        if inner.reason in _NO_TLS:
            return "http: server gave HTTP response to HTTPS client"
        return f"tls: {str(inner.reason or inner).lower().replace('_', ' ')}"
    number = getattr(inner, "errno", None)
    if isinstance(number, int) and number in errno.errorcode:
        return f"connect: {os.strerror(number).lower()}"
    return str(inner) or type(error).__name__


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body. Raises Unavailable when it is longer than *limit* or breaks off."""
    import aiohttp

    parts: list[bytes] = []
    size = 0
    try:
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > limit:
                raise Unavailable(f'Get "{response.url}": the answer is longer than {limit} bytes')
            parts.append(piece)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unavailable(f'Get "{response.url}": {reason(error)}') from error
    return b"".join(parts)


async def _detail(response: aiohttp.ClientResponse) -> str:
    """The registry's own words for an error."""
    try:
        found = msgspec.json.decode(await read_body(response, _ERROR_MAX), type=_Errors).errors
    except (*UNREADABLE, Unavailable):
        found = []
    if not found:
        return f"received unexpected HTTP status: {response.status} {response.reason}"
    return "; ".join(f"{item.code.lower().replace('_', ' ')}: {item.message}" for item in found[:3])
