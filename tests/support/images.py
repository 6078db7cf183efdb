"""The images that tests, the quickstart and the benchmarks use, made from Debian's packages without the internet.

* ``busybox:latest``: Debian's busybox-static, its applets as hard links in /bin.
* ``centos:7.6.1810``: a small Debian by debootstrap with bash, ping, hostname, ip, ps, nc. The name is the tutorial's.

Making them takes about a minute; the result is kept in the user's cache::

    ~/.cache/sealane/images/KEY/     KEY: hash of the recipe and of the busybox program
    ├── busybox.tar.gz               the only layer, as it goes to a registry
    └── centos.tar.gz

A half-made cache is never seen: the folder is renamed into place.

scripts/make-images                      only make them, and print the folder
scripts/make-images --push 5050          put them into the registry on that port of loopback, as Docker Hub's
scripts/make-images --archive FILE       write an archive for ``sealane load`` or ``docker load``
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support.registry import BuiltImage, Registry, build_image, tar_of

BUSYBOX: Final = "busybox:latest"
CENTOS: Final = "centos:7.6.1810"
_RECIPE: Final = 2  # raise it when what is made below changes
_SUITE: Final = "bookworm"
_PACKAGES: Final = ("iputils-ping", "hostname", "iproute2", "procps", "netcat-openbsd")
_PROGRAM: Final = Path("/bin/busybox")
#: Of the small Debian, what containers do without; ``dev`` is the runtime's business.
_LEFT_OUT: Final = (
    "./dev/*", "./proc/*", "./sys/*", "./run/*", "./tmp/*", "./var/cache/*", "./var/lib/apt/lists/*", "./var/log/*",
    "./usr/share/doc/*", "./usr/share/info/*", "./usr/share/locale/*", "./usr/share/man/*", "./usr/share/zoneinfo/*",
    "./usr/share/bash-completion/*", "./etc/hostname", "./etc/resolv.conf",
)  # fmt: skip
_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FILES: Final[Mapping[str, str]] = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/udhcpc.script": (
        "#!/bin/sh\n"
        '[ "$1" = bound ] || [ "$1" = renew ] || exit 0\n'
        'ip addr replace "$ip/$mask" dev "$interface"\n'
        'for r in $router; do ip route replace default via "$r"; done\n'
    ),
}


@dataclass(frozen=True, slots=True)
class Images:
    """The images, ready to be put somewhere."""

    folder: Path

    def all(self) -> Iterator[tuple[str, BuiltImage]]:
        """(name with tag, image) of each."""
        yield BUSYBOX, _image(self.folder / "busybox.tar.gz", ["sh"])
        yield CENTOS, _image(self.folder / "centos.tar.gz", ["/bin/bash"])

    def push(self, registry: Registry) -> None:
        """Put them into a registry under the names that Docker Hub would serve them by."""
        for name, image in self.all():
            repository, _, tag = name.partition(":")
            registry.push(f"library/{repository}", tag, image)

    def archive(self, *names: str) -> bytes:
        """An archive of these images for ``docker load``."""
        wanted = {name: image for name, image in self.all() if name in names}
        return archive(wanted)


def make(cache: Path | None = None) -> Images:
    """The images from the cache, or made now (needs root and Debian's mirror; *cache* is for tests of this)."""
    base = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sealane"
    folder = base / "images" / _key()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as name:
            unfinished = Path(name) / "images"
            unfinished.mkdir()
            _busybox(unfinished / "busybox.tar.gz")
            _debian(Path(name) / "root", unfinished / "centos.tar.gz")
            try:
                unfinished.rename(folder)
            except OSError:  # somebody else was quicker
                if not folder.exists():
                    raise
    return Images(folder)


def _key() -> str:
    recipe = json.dumps([_RECIPE, _SUITE, _PACKAGES, _LEFT_OUT, dict(_FILES)])
    return hashlib.sha256(recipe.encode() + _PROGRAM.read_bytes()).hexdigest()[:16]


def _image(packed: Path, command: list[str]) -> BuiltImage:
    raw = packed.read_bytes()
    return build_image(
        [zlib.decompress(raw, wbits=31)],
        {"Cmd": command, "Env": [_PATH]},
        compress=lambda plain: raw,
        created="2018-12-05T21:20:32.123456789Z",
    )


def _busybox(to: Path) -> None:
    members: list[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]] = []
    for folder, mode in (("bin", 0o755), ("etc", 0o755), ("home", 0o755), ("root", 0o700), ("tmp", 0o1777)):
        info = tarfile.TarInfo(folder)
        info.type, info.mode = tarfile.DIRTYPE, mode
        members.append(info)
    program = tarfile.TarInfo("bin/busybox")
    program.mode = 0o755
    members.append((program, _PROGRAM.read_bytes()))
    applets = subprocess.run([_PROGRAM, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for applet in sorted(set(applets) - {"busybox"}):
        info = tarfile.TarInfo(f"bin/{applet}")
        info.type, info.linkname, info.mode = tarfile.LNKTYPE, "bin/busybox", 0o755
        members.append(info)
    for name, text in _FILES.items():
        info = tarfile.TarInfo(name)
        info.mode = 0o755 if text.startswith("#!") else 0o644
        members.append((info, text.encode()))
    to.write_bytes(gzip.compress(tar_of(*members), 6, mtime=0))


def _debian(root: Path, to: Path) -> None:
    print("making a small Debian for the images (about a minute, once) …", flush=True)
    included = ",".join(_PACKAGES)
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={included}", _SUITE, root, _mirror()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"debootstrap failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    left_out = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
    how = ["--create", "--numeric-owner", "--sort=name", "--xattrs", "--anchored"]
    command = ["tar", *how, *left_out, "-C", str(root), "."]
    with to.open("wb") as out:
        packing = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert packing.stdout is not None
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=5, mtime=0) as packed:
            shutil.copyfileobj(packing.stdout, packed, 1 << 20)
        if packing.wait():
            raise RuntimeError(f"tar failed with exit code {packing.returncode}")


def _mirror() -> str:
    """The mirror of Debian that apt on this machine uses."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Identifier: Packages"],
        capture_output=True,
        text=True,
    ).stdout
    for line in listed.splitlines():
        release, component, uri = line.split(maxsplit=2)
        if (release, component) == (_SUITE, "main"):
            return uri
    return "http://deb.debian.org/debian"


def archive(images: Mapping[str, BuiltImage]) -> bytes:
    """What ``docker save`` would write for *images* (by name with tag): image specification v1.2 with manifest.json."""
    files: dict[str, bytes] = {}
    entries: list[dict[str, Any]] = []
    for name, image in images.items():
        manifest = json.loads(image.manifest)
        config = manifest["config"]["digest"].removeprefix("sha256:") + ".json"
        files[config] = image.config
        layers = []
        for layer in manifest["layers"]:
            path = layer["digest"].removeprefix("sha256:") + "/layer.tar"
            files[path] = zlib.decompress(image.blobs[layer["digest"]], wbits=31)
            layers.append(path)
        entries.append({"Config": config, "RepoTags": [name], "Layers": layers})
    files["manifest.json"] = json.dumps(entries).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--push", metavar="PORT", type=int)
    parser.add_argument("--archive", metavar="FILE", type=Path)
    options = parser.parse_args()
    made = make()
    if options.push:
        made.push(Registry(Path(), port=options.push))
    if options.archive:
        options.archive.write_bytes(made.archive(BUSYBOX, CENTOS))
    print(made.folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
