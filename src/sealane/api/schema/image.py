"""Images. Pure."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from sealane.api.schema.base import Int, Wire
from sealane.api.schema.container import Config
from sealane.api.schema.container_view import GraphDriver


class ImageSummary(Wire, kw_only=True):
    """One entry of ``GET /images/json``. ``Containers`` and ``SharedSize`` are -1 when they were not counted."""

    Containers: Int = -1
    Created: Int
    Id: str
    Labels: dict[str, str] | None = None
    ParentId: str = ""
    RepoDigests: list[str] = field(default_factory=list)
    RepoTags: list[str] = field(default_factory=list)
    SharedSize: Int = -1
    Size: Int = 0
    VirtualSize: Int | UnsetType = UNSET


class RootFS(Wire):
    Type: str = "layers"
    Layers: list[str] | UnsetType = UNSET


class ImageMetadata(Wire):
    LastTagTime: str = "0001-01-01T00:00:00Z"


class Image(Wire):
    """``GET /images/{name}/json``."""

    Id: str
    RepoTags: list[str]
    RepoDigests: list[str]
    Parent: str = ""
    Comment: str = ""
    Created: str = ""
    ContainerConfig: Config = field(default_factory=Config)
    DockerVersion: str = ""
    Author: str = ""
    Config: Config = field(default_factory=Config)
    Architecture: str = ""
    Variant: str | UnsetType = UNSET
    Os: str = ""
    Size: Int = 0
    VirtualSize: Int | UnsetType = UNSET
    GraphDriver: GraphDriver = field(default_factory=GraphDriver)
    RootFS: RootFS = field(default_factory=RootFS)
    Metadata: ImageMetadata = field(default_factory=ImageMetadata)


class ImageBlobRoot(Wire):
    type: str = "layers"
    diff_ids: list[str] | None = None


class ImageBlob(Wire):
    """An image's configuration blob (OCI image spec, config.md), as far as inspect shows it."""

    created: str = ""
    author: str = ""
    architecture: str = ""
    variant: str = ""
    os: str = ""
    docker_version: str = ""
    comment: str = ""
    config: Config = field(default_factory=Config)
    container_config: Config = field(default_factory=Config)
    rootfs: ImageBlobRoot | None = None


class HistoryLine(Wire):
    Comment: str
    Created: Int
    CreatedBy: str
    Id: str
    Size: Int
    Tags: list[str] | None


class ImageRemoved(Wire, omit_defaults=True):
    """One line of the answer to ``DELETE /images/{name}``."""

    Untagged: str = ""
    Deleted: str = ""


class ImagesPruned(Wire):
    ImagesDeleted: list[ImageRemoved] | None = None
    SpaceReclaimed: Int = 0


class ProgressDetail(Wire, omit_defaults=True):
    current: Int = 0
    total: Int = 0


class ErrorDetail(Wire):
    message: str


class ProgressLine(Wire, omit_defaults=True):
    """One line of a stream of progress (pull, push, load, import)."""

    stream: str = ""
    status: str = ""
    progressDetail: ProgressDetail | None = None
    progress: str = ""
    id: str = ""
    errorDetail: ErrorDetail | None = None
    error: str = ""


class RegistryAuth(Wire):
    """X-Registry-Auth before base64, and the body of ``POST /auth``."""

    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class AuthAnswer(Wire):
    Status: str
    IdentityToken: str = ""
