"""A token service, as a private registry names it: it gives whoever knows the password a signed token.

with TokenService(tmp_path / "tokens", "me", "pw") as tokens:
    with Registry(tmp_path / "registry", extra=tokens.settings) as registry:

Source: distribution's "Token Authentication Specification".
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

_SERVICE: Final = "registry.test"
_ISSUER: Final = "sealane's tests"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class TokenService:
    """On a free port of loopback; ``asked`` holds the scopes of every request that was granted."""

    def __init__(self, folder: Path, user: str, password: str) -> None:
        folder.mkdir(parents=True)
        self._key, self._certificate = folder / "key.pem", folder / "certificate.pem"
        self._answer_to = basic(user, password)
        self.asked: list[str] = []
        self._make_key()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="tokens")

    def _make_key(self) -> None:
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens"]
        files = ["-keyout", str(self._key), "-out", str(self._certificate)]
        subprocess.run([*command, *files], check=True, capture_output=True)

    @property
    def settings(self) -> str:
        """What the registry's configuration says about it."""
        port = self._server.server_address[1]
        return (
            f'auth: {{token: {{realm: "http://127.0.0.1:{port}/token", service: {_SERVICE}, '
            f'issuer: "{_ISSUER}", rootcertbundle: "{self._certificate}"}}}}\n'
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(*service.answer(self.path, self.headers.get("Authorization", "")))

            def _reply(self, status: int, body: dict[str, Any]) -> None:
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        """Status and body for one request."""
        if authorization != self._answer_to:
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]}
        scopes = parse_qs(urlsplit(path).query).get("scope", [])
        self.asked += scopes
        return 200, {"token": self._sign([_access(scope) for scope in scopes]), "expires_in": 300}

    def _sign(self, access: list[dict[str, Any]]) -> str:
        now = int(time.time())
        lines = self._certificate.read_text().splitlines()
        head = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(line for line in lines if "-----" not in line)]}
        claims = {
            "iss": _ISSUER, "sub": "me", "aud": _SERVICE, "jti": str(len(self.asked)),
            "nbf": now - 60, "iat": now, "exp": now + 300, "access": access,
        }  # fmt: skip
        text = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
        signing = ["openssl", "dgst", "-sha256", "-sign", str(self._key)]
        signature = subprocess.run(signing, input=text.encode(), check=True, capture_output=True).stdout
        return f"{text}.{_base64(signature)}"


def _access(scope: str) -> dict[str, Any]:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
