"""What every operation on images needs of the store: looking up, naming, adding, removing. See ``store`` for the tree.

Methods run in the event loop; work on files goes to threads.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sealane.errors import InvalidArgument
from sealane.image.blobs import Blobs
from sealane.image.catalogue import Catalogue, Lease, RefStore
from sealane.image.config import ImageConfig
from sealane.image.image import HistoryLine, Image, ImageUse, Removed, history_of
from sealane.image.layers import Layer, Layers, Staged, chain_ids
from sealane.image.reference import Reference, parse_reference
from sealane.image.removal import Holders, decide_by_id, decide_by_name
from sealane.image.threads import in_thread
from sealane.values import Digest, ImageId

InUse = Callable[[ImageId], Sequence[ImageUse]]


class BaseStore:
    """One engine at a time per *root*."""

    def __init__(self, root: Path, refs: RefStore) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for leftovers in (root / "tmp", root / "downloads"):
            shutil.rmtree(leftovers, ignore_errors=True)
        self.blobs = Blobs(root)
        self.layers = Layers(root, self.blobs)
        self._catalogue = Catalogue(root, self.blobs, self.layers, refs)
        self._bury_garbage()()

    # asking

    def get(self, ref: str) -> Image:
        """By name, id or beginning of an id. Raises NotFound with Docker's "No such image: X"."""
        return self._catalogue.image(self._catalogue.resolve(ref)[0])

    def all(self) -> list[Image]:
        """Every image, newest first."""
        images = [self._catalogue.image(image) for image in self._catalogue.ids()]
        return sorted(images, key=lambda image: (-image.created_ns, image.id))

    def image(self, identifier: ImageId) -> Image:
        """Raises NotFound."""
        return self._catalogue.image(identifier)

    def resolve(self, text: str) -> tuple[ImageId, Reference | None]:
        """The image that *text* means, and the name if it was one. Raises NotFound."""
        return self._catalogue.resolve(text)

    def layer_paths(self, image: ImageId) -> tuple[Path, ...]:
        """The unpacked layers, topmost first. Also of an image that was removed under a stopped container."""
        return tuple(self.layers.path(layer.chain_id) for layer in reversed(self._catalogue.known(image).layers))

    def config(self, image: ImageId) -> ImageConfig:
        """Also of an image that was removed under a stopped container."""
        return self._catalogue.known(image).config

    def history(self, ref: str) -> tuple[HistoryLine, ...]:
        return history_of(self.get(ref))

    def find(self, name: Reference) -> ImageId | None:
        return self._catalogue.named(name)

    def tagged(self, repository: Reference) -> list[Reference]:
        """Every tag of a repository that an image has here."""
        return self._catalogue.tags(repository)

    def repo_digest(self, name: Reference) -> str:
        return self._catalogue.digest(name)

    # names

    def give_name(self, source: str, target: str, now_ns: int) -> ImageId:
        """Give an image another name. Raises NotFound, InvalidArgument."""
        image, _ = self._catalogue.resolve(source)
        name = parse_reference(target)
        if name.digest is not None:
            raise InvalidArgument("refusing to create a tag with a digest reference")
        self._catalogue.put_names([name], image)
        self.note_name(image, now_ns)
        return image

    def note_name(self, image: ImageId, now_ns: int) -> None:
        """Remember when somebody here gave *image* a name."""
        self._catalogue.tagged(image, now_ns)

    def name(self, image: ImageId, names: Sequence[Reference], digest: str = "") -> None:
        """Point *names* at *image*; *digest* is that of the manifest behind them."""
        self._catalogue.put_names(names, image, digest)

    # making

    def lease(self) -> contextlib.AbstractContextManager[Lease]:
        """Keep blobs and layers from being swept while an operation puts an image together."""
        return self._catalogue.lease()

    def add(self, config: ImageConfig, layers: Sequence[Layer], parent: ImageId | None = None) -> ImageId:
        """Record an image whose layers are in place."""
        return self._catalogue.add(config, layers, parent)

    async def add_layer(self, staged: Staged, lower: Sequence[Digest], lease: Lease) -> Layer:
        """Put a staged layer above *lower* (chain ids, lowest first), held by *lease*. Raises OSError."""
        lease.add(staged.archive, chain_ids([*lower[-1:], staged.diff_id])[-1])
        return await in_thread(lambda _: self.layers.commit(staged, lower), "layer")

    async def discard(self, staged: Staged) -> None:
        """Remove what is left of a staged layer: nothing when it was put into place."""
        if staged.folder.exists():
            await in_thread(lambda _: self.layers.discard(staged), "sweep")

    # removing

    async def remove(self, ref: str, force: bool, in_use: InUse, *, prune: bool = True) -> list[Removed]:
        """Docker's ``rmi``. Raises NotFound, Conflict. *prune* takes nameless parents along.

        An image that stopped containers were made from is only removed by *force*, and then its layers stay until
        `collect` finds those containers gone.
        """
        image, name = self._catalogue.resolve(ref)
        held = self._holders(image, in_use)
        decision = decide_by_name(held, name, ref, force) if name is not None else decide_by_id(held, force)
        self._catalogue.drop_names(decision.untag)
        lines = [Removed(untagged=item.familiar()) for item in decision.untag]
        if decision.delete:
            lines += await self._delete(image, bool(held.uses), in_use, prune)
        return lines

    def _holders(self, image: ImageId, in_use: InUse) -> Holders:
        return Holders(
            image, self._catalogue.names(image), tuple(in_use(image)), children=self._catalogue.children(image)
        )

    async def _delete(self, image: ImageId, hide: bool, in_use: InUse, prune: bool) -> list[Removed]:
        parent = self._catalogue.known(image).parent
        if hide:
            self._catalogue.hide(image)
            return [Removed(deleted=image)]
        self._catalogue.forget(image)
        lines = [Removed(deleted=image), *await self.sweep()]
        if prune and parent is not None and parent in self._catalogue:
            held = self._holders(parent, in_use)
            if not held.names and not held.uses and not held.children:
                lines += await self._delete(parent, False, in_use, prune)
        return lines

    async def prune(
        self, dangling: bool, in_use: InUse, keep: Callable[[Image], bool] = lambda _: False
    ) -> tuple[list[Removed], int]:
        """Remove unused images, only nameless ones if *dangling*. Returns what went, and the bytes of their layers."""
        lines: list[Removed] = []
        reclaimed = 0
        for image in self.all():
            if in_use(image.id) or (dangling and image.tags) or self._catalogue.children(image.id) or keep(image):
                continue
            sizes = {layer.chain_id: layer.size for layer in image.layers}
            names = self._catalogue.names(image.id)
            self._catalogue.drop_names(names)
            lines += [Removed(untagged=name.familiar()) for name in names]
            gone = await self._delete(image.id, False, in_use, True)
            reclaimed += sum(sizes.get(Digest(line.deleted), 0) for line in gone)
            lines += gone
        return lines, reclaimed

    async def collect(self, in_use: InUse) -> None:
        """Let go of removed images whose last container is gone."""
        gone = [image for image in self._catalogue.hidden() if not in_use(image)]
        for image in gone:
            self._catalogue.forget(image)
        if gone:
            await self.sweep()

    async def sweep(self) -> list[Removed]:
        """Remove blobs and layers that nothing refers to; the layers are reported."""
        dig = self._bury_garbage()
        return [Removed(deleted=layer) for layer in await in_thread(lambda _: dig(), "sweep")]

    def _bury_garbage(self) -> Callable[[], list[Digest]]:
        """Take the garbage out of sight now; the returned function, which may run anywhere, frees its space."""
        blobs, layers = self._catalogue.garbage()
        if not blobs and not layers:
            return list
        grave = Path(tempfile.mkdtemp(dir=self.blobs.scratch, prefix="gone-"))
        for digest in blobs:
            self.blobs.path(digest).rename(grave / f"blob-{digest[7:]}")
        for chain_id in layers:
            self.layers.bury(chain_id, grave / f"layer-{chain_id[7:]}")

        def dig() -> list[Digest]:
            shutil.rmtree(grave)
            return layers

        return dig
