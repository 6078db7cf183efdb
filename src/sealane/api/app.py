"""From a request to a reply: find the route, call its handler, turn every error into Docker's error body."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from sealane.api.backend import Engine
from sealane.api.errors import UNEXPECTED, status_of
from sealane.api.http import Reply, Request, Response, json_bytes
from sealane.api.router import Router
from sealane.errors import Internal, SealaneError

log: Final = logging.getLogger(__name__)


class Application:
    """The Engine API over one engine. Raises nothing but CancelledError and the like."""

    def __init__(self, engine: Engine, router: Router, now_ns: Callable[[], int]) -> None:
        self._engine = engine
        self._router = router
        self._now_ns = now_ns

    async def __call__(self, request: Request) -> Reply:
        try:
            found = self._router.find(request.method, request.path)
            request.params, request.version, request.now_ns = found.params, found.version, self._now_ns()
            return await found.route.handler(self._engine, request)
        except SealaneError as error:
            if status_of(error) == 500:  # 501 and 503 are the client's affair
                log.warning("%s %s: %s", request.method, request.path, error)
            return error_reply(error)
        except ConnectionResetError:
            raise
        except Exception:
            log.exception("%s %s failed unexpectedly", request.method, request.path)
            return error_reply(Internal(UNEXPECTED))


def error_reply(error: SealaneError) -> Response:
    """Docker's answer for *error*: its status and ``{"message": …}`` (nothing for 304)."""
    status = status_of(error)
    if status == 304:
        return Response(status)
    return Response(status, json_bytes({"message": error.message}), "application/json")
