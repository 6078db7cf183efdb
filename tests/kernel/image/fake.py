"""A registry that misbehaves on request, in the test's own event loop."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

from aiohttp import web

from support.registry import BuiltImage, sha256


@dataclass
class FakeRegistry:
    """Serves *blobs* and *manifests*; the other fields say what goes wrong. ``log`` lists what was asked."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    #: The connection is cut after so many bytes of a blob's answer; one number for each answer, then no more cuts.
    cuts: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    wrong_range: bool = False
    #: Blobs that are elsewhere: digest → URL.
    elsewhere: dict[str, str] = field(default_factory=dict)
    #: Blobs whose answer waits until the event is set, after so many bytes of it (none unless *pauses* says so).
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    pauses: dict[str, int] = field(default_factory=dict)
    status: int = 0  # answered to everything
    content_digest: str = ""
    auth: str = ""  # "", basic, bearer
    user: tuple[str, str] | None = None  # who gets in; None: anybody with a token
    realm: str = ""
    tokens: list[str] = field(default_factory=list)
    token_uses: int = 1_000_000  # a token is good for so many requests
    log: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def add(self, name: str, tag: str, image: BuiltImage) -> None:
        self.blobs.update(image.blobs)
        for reference in (tag, image.digest):
            self.manifests[f"{name}/{reference}"] = (image.manifest, image.media_type)

    @contextlib.asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeRegistry]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    def asked(self, part: str) -> list[dict[str, str]]:
        """The headers of every request whose path has *part* in it."""
        return [headers for _, path, headers in self.log if part in path]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.log.append((request.method, request.path_qs, {k.lower(): v for k, v in request.headers.items()}))
        if self.status:
            return web.json_response(
                {"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}, status=self.status
            )
        if request.path == "/token":
            return await self._token(request)
        if (refusal := self._check(request)) is not None:
            return refusal
        kind, _, name = request.path.rpartition("/")
        if kind.endswith("/manifests"):
            return self._manifest(request, f"{kind.removeprefix('/v2/').removesuffix('/manifests')}/{name}")
        if kind.endswith("/blobs") and name in self.blobs:
            if name in self.elsewhere:
                return web.Response(status=307, headers={"Location": self.elsewhere[name]})
            return await self._blob(request, name)
        return _error(404, "BLOB_UNKNOWN", "blob unknown to registry")

    def _manifest(self, request: web.Request, name: str) -> web.Response:
        if name not in self.manifests:
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        raw, media_type = self.manifests[name]
        headers = {"Content-Type": media_type, "Docker-Content-Digest": self.content_digest or sha256(raw)}
        return web.Response(body=raw, headers=headers)

    async def _blob(self, request: web.Request, digest: str) -> web.StreamResponse:
        if digest in self.gates and digest not in self.pauses:
            await self.gates[digest].wait()
        data, offset = self.blobs[digest], 0
        asked = request.headers.get("Range", "")
        response = web.StreamResponse()
        if asked and self.ranges:
            offset = int(asked.removeprefix("bytes=").rstrip("-"))
            response.set_status(206)
            start = 0 if self.wrong_range else offset
            response.headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        response.content_length = len(data) - offset
        await response.prepare(request)
        cuts = self.cuts.get(digest, [])
        if cuts:
            await response.write(data[offset : offset + cuts.pop(0)])
            assert request.transport is not None
            request.transport.close()
            return response
        if digest in self.pauses and offset < self.pauses[digest]:
            await response.write(data[offset : self.pauses[digest]])
            offset = self.pauses[digest]
            await self.gates[digest].wait()
        await response.write(data[offset:])
        return response

    # authentication

    def _check(self, request: web.Request) -> web.Response | None:
        sent = request.headers.get("Authorization", "")
        if self.auth == "basic" and sent != _basic(self.user):
            return _error(401, "UNAUTHORIZED", "authentication required", 'Basic realm="here"')
        if self.auth == "bearer":
            token = sent.removeprefix("Bearer ")
            if token in self.tokens and self.log.count(("USE", token, {})) < self.token_uses:
                self.log.append(("USE", token, {}))
                return None
            realm = self.realm or f"{self.url}/token"
            scope = "repository:library/app:pull"
            return _error(
                401, "UNAUTHORIZED", "authentication required", f'Bearer realm="{realm}",service="svc",scope="{scope}"'
            )
        return None

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post() if request.method == "POST" else None
        if self.user is not None:
            good = form["refresh_token"] == self.user[1] if form is not None else (
                request.headers.get("Authorization") == _basic(self.user)
            )  # fmt: skip
            if not good:
                return web.json_response({"details": "incorrect username or password"}, status=401)
        self.tokens.append(f"token-{len(self.tokens)}")
        if form is not None:
            self.log.append(("FORM", urlencode({k: str(v) for k, v in form.items()}), {}))
        return web.json_response({"access_token" if form else "token": self.tokens[-1], "expires_in": 60})


def _basic(user: tuple[str, str] | None) -> str:
    return "Basic " + base64.b64encode(":".join(user or ("", "")).encode()).decode()


def _error(status: int, code: str, message: str, challenge: str = "") -> web.Response:
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    return web.json_response({"errors": [{"code": code, "message": message}]}, status=status, headers=headers)
