"""A real registry (Debian's docker-registry) on a free port of loopback, and images made by hand to put into it.

with Registry(tmp_path / "registry") as registry:
    registry.push_image("library/centos", "7", [layer({"bin/sh": b"..."})])
    Puller(store, mirrors=[registry.url])
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_DEADLINE_S = 30.0


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def tar_of(*members: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive of exactly these members, in this order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for member in members:
            info, data = member if isinstance(member, tuple) else (member, b"")
            if data:
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def layer(files: Mapping[str, bytes]) -> bytes:
    """A plain tar archive of files, their directories included."""
    members: list[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]] = []
    folders: set[str] = set()
    for name, data in files.items():
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in folders:
                folders.add(folder)
                info = tarfile.TarInfo(folder)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                members.append(info)
        info = tarfile.TarInfo(name)
        info.mode = 0o755
        members.append((info, data))
    return tar_of(*members)


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image by hand: its blobs by digest, and the manifest that ties them together."""

    blobs: Mapping[str, bytes]
    config: bytes
    manifest: bytes
    media_type: str

    @property
    def id(self) -> str:
        return sha256(self.config)

    @property
    def digest(self) -> str:
        return sha256(self.manifest)


def build_image(
    layers: Sequence[bytes],
    config: Mapping[str, Any] | None = None,
    *,
    oci: bool = False,
    compress: Callable[[bytes], bytes] = lambda plain: gzip.compress(plain, 1, mtime=0),
    kind: str = "gzip",
    architecture: str = "amd64",
    **more: Any,
) -> BuiltImage:
    """*layers* are plain tar archives, lowest first; *config* is the ``config`` object; *more* goes beside it."""
    packed = [compress(plain) for plain in layers]
    suffix = f"+{kind}" if kind else ""
    layer_type = (
        f"application/vnd.oci.image.layer.v1.tar{suffix}"
        if oci
        else "application/vnd.docker.image.rootfs.diff.tar.gzip"
    )
    config_type = (
        "application/vnd.oci.image.config.v1+json" if oci else "application/vnd.docker.container.image.v1+json"
    )
    document: dict[str, Any] = {
        "architecture": architecture,
        "os": "linux",
        "created": "2018-12-05T21:20:32.123456789Z",
        "config": dict(config or {"Cmd": ["/bin/sh"]}),
        "rootfs": {"type": "layers", "diff_ids": [sha256(plain) for plain in layers]},
        "history": [{"created": "2018-12-05T21:20:32Z", "created_by": f"layer {n}"} for n in range(len(layers))],
        **more,
    }
    raw = json.dumps(document).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST if oci else DOCKER_MANIFEST,
            "config": {"mediaType": config_type, "digest": sha256(raw), "size": len(raw)},
            "layers": [{"mediaType": layer_type, "digest": sha256(blob), "size": len(blob)} for blob in packed],
        }
    ).encode()
    blobs = {sha256(blob): blob for blob in [raw, *packed]}
    return BuiltImage(blobs, raw, manifest, OCI_MANIFEST if oci else DOCKER_MANIFEST)


def build_index(images: Iterable[tuple[Mapping[str, str], BuiltImage]], *, oci: bool = False) -> bytes:
    """An index of images by platform."""
    entries = [
        {"mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest), "platform": dict(platform)}
        for platform, image in images
    ]
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX if oci else DOCKER_LIST, "manifests": entries}
    ).encode()


class Registry:
    """docker-registry with its blobs in *storage*. A context manager; `stop` is idempotent."""

    def __init__(self, storage: Path, *, extra: str = "", port: int = 0) -> None:
        """*port* 0 is a free one; one that is not started can still `push` to a registry that runs there already."""
        self._storage, self._extra = storage, extra
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def start(self) -> Self:
        self._storage.mkdir(parents=True, exist_ok=True)
        settings = self._storage / "config.yml"
        settings.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self._storage}/data}}, delete: {{enabled: true}}}}\n"
            f'http: {{addr: "{self.host}"}}\n{self._extra}',
            encoding="utf-8",
        )
        with (self._storage / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(settings)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _DEADLINE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = (self._storage / "log").read_text(encoding="utf-8", errors="replace")
                self.stop()
                raise RuntimeError(f"docker-registry does not answer: {text}")
        return self

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            os.kill(process.pid, signal.SIGTERM)
            try:
                process.wait(_DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def push_image(
        self, name: str, tag: str, layers: Sequence[bytes], config: Mapping[str, Any] | None = None, **how: Any
    ) -> BuiltImage:
        """Build an image (see `build_image`) and put it into the registry as *name*:*tag*."""
        image = build_image(layers, config, **how)
        self.push(name, tag, image)
        return image

    def push(self, name: str, tag: str, image: BuiltImage) -> None:
        for digest, data in image.blobs.items():
            self.push_blob(name, digest, data)
        self.push_manifest(name, tag, image.manifest, image.media_type)

    def push_blob(self, name: str, digest: str, data: bytes) -> None:
        started = self._call("POST", f"/v2/{name}/blobs/uploads/", b"", {})
        location = started["Location"]
        path = location[len(self.url) :] if location.startswith(self.url) else location
        mark = "&" if "?" in path else "?"
        self._call("PUT", f"{path}{mark}digest={digest}", data, {"Content-Type": "application/octet-stream"})

    def push_manifest(self, name: str, tag: str, raw: bytes, media_type: str) -> None:
        self._call("PUT", f"/v2/{name}/manifests/{tag}", raw, {"Content-Type": media_type})

    def _call(self, method: str, path: str, data: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        request = urllib.request.Request(self.url + path, data, dict(headers), method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_DEADLINE_S) as answer:
                return dict(answer.headers.items())
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()!r}") from error
