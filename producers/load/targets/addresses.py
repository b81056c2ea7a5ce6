"""Which system a URL leads to, and whether it may be loaded: somebody else's only if the user says so.

In: a URL. Out: the addresses that requests go to, or an error that says what is allowed.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from schemas.errors import BadInputError, UnreachableError

PORTS: Final = {"http": 80, "https": 443}
EXAMPLE: Final = "give it whole, such as http://127.0.0.1:8080/webhook"


@dataclass(frozen=True)
class Place:
    """A URL and where it leads. Requests go to these addresses, whatever its name resolves to later."""

    url: str
    host: str
    addresses: tuple[str, ...]

    @property
    def loopback(self) -> bool:
        """Whether every address is this machine's own."""
        return all(_is_loopback(address) for address in self.addresses)

    def in_words(self) -> str:
        """Return the URL, with the addresses that it leads to where it does not name them."""
        return self.url if self.host in self.addresses else f"{self.url} ({', '.join(self.addresses)})"


def check_target(url: str, *, yes: bool) -> Place:
    """Return where a URL leads, if it may be loaded.

    Args:
        url: with its scheme, http or https.
        yes: whether the user has confirmed that a target beyond this machine may be loaded.

    Raises:
        BadInputError: if it is no such URL, or needs to be confirmed.
        UnreachableError: if its host is unknown.
    """
    host, port = _host_and_port(url)
    place = Place(url, host, _resolved(host, port))
    if not (place.loopback or yes):
        found = f"{url} is at {', '.join(place.addresses)}, which is not this machine"
        raise BadInputError("target", found, "add --yes if that system is yours to load, or use 127.0.0.1")
    return place


def _host_and_port(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInputError("target", f"{url!r}: {error}", EXAMPLE) from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise BadInputError("target", f"{url!r} is not an http or https URL", EXAMPLE)
    if parts.username is not None or parts.password is not None:
        raise BadInputError("target", f"the URL of {parts.hostname} carries a user or password", "leave it out")
    if parts.fragment or any(letter.isspace() for letter in url):
        raise BadInputError("target", f"{url!r} has a fragment or a space", EXAMPLE)
    return parts.hostname, PORTS[parts.scheme] if port is None else port


def _resolved(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnreachableError("target", f"{host}: {error.strerror or error}", "check the name") from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
