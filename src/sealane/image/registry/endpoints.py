"""Where an image may be fetched from: mirrors of Docker Hub, the registry itself, with TLS or without. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from sealane.errors import InvalidArgument
from sealane.image.reference import DOCKER_HUB, Reference, parse_reference

HUB: Final = "https://registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The root of a registry's API: ``base`` is scheme and host (and for mirrors perhaps a path).

    ``verify`` is False where the certificate need not be known. ``own`` is False for mirrors, which never get to see
    the user's credentials.
    """

    base: str
    verify: bool = True
    own: bool = True

    def url(self, repository: str, kind: str, name: str) -> str:
        return f"{self.base}/v2/{repository}/{kind}/{name}"


@dataclass(frozen=True, slots=True)
class Registries:
    """The configured part: *mirrors* are URLs, *insecure* entries ``host``, ``host:port`` or a CIDR."""

    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    hub: str = HUB

    def endpoints(self, name: Reference) -> tuple[Endpoint, ...]:
        """In the order in which they should be tried. Raises InvalidArgument for a mirror that is no URL."""
        if name.domain == DOCKER_HUB:
            mirrors = (found for mirror in self.mirrors for found in self._mirror(mirror))
            return (*mirrors, *self._at(self.hub, own=True))
        return self._host(name.domain)

    def of_server(self, server: str) -> tuple[Endpoint, ...]:
        """A registry that somebody logs in to: ``host:port``, a URL, or Docker Hub's old address.

        Raises InvalidArgument.
        """
        text = server.strip()
        try:
            host = urlsplit(text if "://" in text else f"//{text}").netloc
        except ValueError as error:
            raise InvalidArgument(f"invalid registry address {server!r}: {error}") from error
        if host in ("", DOCKER_HUB, f"index.{DOCKER_HUB}", urlsplit(HUB).netloc):
            return self._at(self.hub, own=True)
        domain = parse_reference(f"{host}/x").domain
        if domain == DOCKER_HUB:
            raise InvalidArgument(f"invalid registry address {server!r}: no image name could lead there")
        return self._host(domain)

    def _host(self, host: str) -> tuple[Endpoint, ...]:
        if self.is_insecure(host):
            # As Docker does: TLS when the registry has it, and without when it has not.
            return (Endpoint(f"https://{host}", verify=False), Endpoint(f"http://{host}", verify=False))
        return (Endpoint(f"https://{host}"),)

    def _mirror(self, text: str) -> tuple[Endpoint, ...]:
        return self._at(text if "://" in text else f"https://{text}", own=False)

    def _at(self, text: str, *, own: bool) -> tuple[Endpoint, ...]:
        url = urlsplit(text)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or url.username:
            raise InvalidArgument(f"invalid mirror {text!r}: it should look like https://mirror.example:5000")
        base = f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"
        return (Endpoint(base, verify=not self.is_insecure(url.netloc), own=own),)

    def is_insecure(self, host: str) -> bool:
        """May *host* (``name``, ``name:port``, ``[v6]:port``) be spoken to without a known certificate?"""
        name = urlsplit(f"//{host}").hostname or ""
        try:
            address = ip_address(name)
        except ValueError:
            return name == "localhost" or host in self.insecure or name in self.insecure
        return address.is_loopback or host in self.insecure or name in self.insecure or _inside(address, self.insecure)

    def may_be_plain(self, url: str) -> bool:
        """May *url*, to which a registry sent us, be fetched? Not when that would drop TLS behind the user's back."""
        parts = urlsplit(url)
        plain_mirrors = (urlsplit(item).netloc for item in self.mirrors if item.startswith("http://"))
        return parts.scheme == "https" or (
            parts.scheme == "http" and (self.is_insecure(parts.netloc) or parts.netloc in plain_mirrors)
        )


def _inside(address: object, ranges: Sequence[str]) -> bool:
    for text in ranges:
        try:
            if address in ip_network(text, strict=False):
                return True
        except ValueError:  # a name
            continue
    return False
