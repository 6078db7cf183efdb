"""An image's configuration blob (OCI image-spec config.md, Docker's v1.2), typed. Pure."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec

from sealane.errors import InvalidArgument
from sealane.image.documents import UNREADABLE
from sealane.values import Digest, parse_digest

#: What overlayfs can stack (kernel, OVL_MAX_STACK).
_LAYERS_MAX: Final = 500
_TIME: Final = re.compile(r"^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)$")


#: Go's int64.
_Int = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_Set = dict[str, dict[str, str] | None]


class _Health(msgspec.Struct, rename="pascal"):
    test: list[str] | None = None
    interval: _Int | None = None
    timeout: _Int | None = None
    start_period: _Int | None = None
    start_interval: _Int | None = None
    retries: _Int | None = None


class _Settings(msgspec.Struct, rename="pascal"):
    """More than the engine uses: clients are shown all of it, and must be able to read it."""

    hostname: str | None = None
    domainname: str | None = None
    image: str | None = None
    mac_address: str | None = None
    attach_stdin: bool | None = None
    attach_stdout: bool | None = None
    attach_stderr: bool | None = None
    tty: bool | None = None
    open_stdin: bool | None = None
    stdin_once: bool | None = None
    args_escaped: bool | None = None
    network_disabled: bool | None = None
    stop_timeout: _Int | None = None
    user: str | None = None
    exposed_ports: _Set | None = None
    env: list[str] | None = None
    entrypoint: list[str] | str | None = None
    cmd: list[str] | str | None = None
    volumes: _Set | None = None
    working_dir: str | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    on_build: list[str] | None = None
    shell: list[str] | None = None
    healthcheck: _Health | None = None


class _History(msgspec.Struct):
    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class _RootFs(msgspec.Struct):
    type: str = "layers"
    diff_ids: list[str] | None = None


class _Blob(msgspec.Struct):
    architecture: str | None = None
    os: str | None = None
    variant: str | None = None
    created: str | None = None
    author: str | None = None
    comment: str | None = None
    docker_version: str | None = None
    config: _Settings | None = None
    container_config: _Settings | None = None
    rootfs: _RootFs | None = None
    history: list[_History] | None = None


_FIRST: Final = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)
_LAST: Final = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class ImageHealth:
    test: tuple[str, ...]
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """One step of how the image was made; ``empty`` steps have no layer."""

    created_ns: int
    created_by: str
    comment: str
    empty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """``raw`` is the blob itself, whose digest is the image's id."""

    raw: bytes
    architecture: str = ""
    os: str = ""
    variant: str = ""
    created_ns: int = 0
    author: str = ""
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    onbuild: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()
    healthcheck: ImageHealth | None = None
    diff_ids: tuple[Digest, ...] = ()
    history: tuple[History, ...] = ()


def parse_time(text: str | None) -> int:
    """RFC 3339 to nanoseconds since the epoch; 0 for a missing or unreadable one, or one that is no date in UTC."""
    found = _TIME.fullmatch(text or "")
    if found is None:
        return 0
    try:
        moment = datetime.datetime.fromisoformat(found[1] + ("+00:00" if found[3] in "zZ" else found[3]))
    except ValueError:
        return 0
    if not _FIRST <= moment <= _LAST:
        return 0
    return int(moment.timestamp()) * 1_000_000_000 + int((found[2] or "0")[:9].ljust(9, "0"))


def format_time(moment_ns: int) -> str:
    """Nanoseconds since the epoch to RFC 3339 in UTC."""
    seconds, fraction = divmod(moment_ns, 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{fraction:09d}Z"  # strftime does not pad years


def parse_config(raw: bytes) -> ImageConfig:
    """Read a configuration blob. Raises InvalidArgument saying what is wrong in it."""
    try:
        blob = msgspec.json.decode(raw, type=_Blob)
        diff_ids = tuple(parse_digest(item) for item in (blob.rootfs or _RootFs()).diff_ids or ())
    except UNREADABLE as error:
        raise InvalidArgument(f"invalid image configuration: {error}") from error
    if b"\\u0000" in raw:  # JSON has no other way to write it
        _refuse_nul([msgspec.to_builtins(part) for part in (blob.config, blob.container_config)])
    if len(diff_ids) > _LAYERS_MAX:
        raise InvalidArgument(
            f"invalid image configuration: {len(diff_ids)} layers; at most {_LAYERS_MAX} are possible"
        )
    settings = blob.config or _Settings()
    return ImageConfig(
        raw=raw,
        architecture=blob.architecture or "",
        os=blob.os or "",
        variant=blob.variant or "",
        created_ns=parse_time(blob.created),
        author=blob.author or "",
        entrypoint=_words(settings.entrypoint),
        cmd=_words(settings.cmd),
        env=tuple(settings.env or ()),
        working_dir=settings.working_dir or "",
        user=settings.user or "",
        exposed_ports=tuple(settings.exposed_ports or ()),
        volumes=tuple(settings.volumes or ()),
        labels=settings.labels or {},
        stop_signal=settings.stop_signal or "",
        onbuild=tuple(settings.on_build or ()),
        shell=tuple(settings.shell or ()),
        healthcheck=_health(settings.healthcheck),
        diff_ids=diff_ids,
        history=tuple(
            History(parse_time(h.created), h.created_by or "", h.comment or "", bool(h.empty_layer))
            for h in blob.history or ()
        ),
    )


def _refuse_nul(value: Any) -> None:
    """No name, path or word of a process can hold a NUL."""
    if isinstance(value, dict):
        _refuse_nul([*value, *value.values()])
    elif isinstance(value, list):
        for item in value:
            _refuse_nul(item)
    elif isinstance(value, str) and "\0" in value:
        raise InvalidArgument("invalid image configuration: a setting contains a NUL character")


def _words(value: list[str] | str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def _health(found: _Health | None) -> ImageHealth | None:
    if found is None or not found.test:
        return None
    numbers = (found.interval, found.timeout, found.start_period, found.start_interval, found.retries)
    return ImageHealth(tuple(found.test), *(number or 0 for number in numbers))
