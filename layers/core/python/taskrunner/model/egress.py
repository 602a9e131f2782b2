"""Where a step may connect to: the rules of a pack's `egressAllowlist`, without a network.

    entry = ( host | "*." name ) [ ":" port ]
    host  = name | IPv4 address | "[" IPv6 address "]"

A name that is listed is reached at public addresses only, because whoever owns a name can point it
anywhere, also at what is private to the deployment. An address that is private, on this machine or
on its link is reached when it is listed itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Address: TypeAlias = IPv4Address | IPv6Address

DEFAULT_PORTS: Final = frozenset({80, 443})

_LARGEST_PORT: Final = 65535
_MAX_NAME: Final = 253
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
# What a URL's reader takes for an IPv4 address by its last part, as the WHATWG URL standard does.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Sharp s, final sigma and the two joiners: IDNA of 2003 and of 2008 make different names of them.
_DEVIATING: Final = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")


class Reach(Enum):
    """Who may be connected to at an address, from anybody to nobody."""

    PUBLIC = 0
    LISTED = 1  # who lists that address
    NEVER = 2


# Written out, because what Python calls private differs from one version to the next.
# IANA's registries of special addresses, https://www.iana.org/assignments/iana-ipv4-special-registry
_V4: Final = [
    (Reach.NEVER, ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4")),
    (
        Reach.LISTED,
        (
            "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        ),
    ),
]  # fmt: skip
_V6: Final = [
    (Reach.NEVER, ("::/128", "ff00::/8")),
    # 2002::/16 is 6to4, and 2001::/23 has Teredo: tunnels, whose other end nobody vouches for.
    (Reach.LISTED, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")),
    # The addresses that carry one of IPv4, which is looked at instead.
    (Reach.PUBLIC, ("2000::/3", "64:ff9b::/96", "::ffff:0:0/96")),
    (Reach.LISTED, ("::/0",)),
]
_RULES_V4: Final = [(reach, IPv4Network(one)) for reach, some in _V4 for one in some]
_RULES_V6: Final = [(reach, IPv6Network(one)) for reach, some in _V6 for one in some]
# Where in an IPv6 address an IPv4 address stands: a network, and how many bits are behind it.
_EMBEDDED: Final = [
    (IPv6Network(network), shift)
    for network, shift in (
        ("::/96", 0),  # IPv4-compatible
        ("::ffff:0:0/96", 0),  # IPv4-mapped
        ("::ffff:0:0:0/96", 0),  # IPv4-translated
        ("64:ff9b::/96", 0),  # NAT64
        ("64:ff9b:1::/48", 0),  # NAT64 within a site
        ("2002::/16", 80),  # 6to4
        ("2001::/32", 64),  # Teredo's server
    )
]
_TEREDO: Final = IPv6Network("2001::/32")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


class EgressError(Exception):
    """The text is no host or no entry; the message says why, to be read after the text."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry: *host* in its normal form, *below* for those that begin with `*.`."""

    host: str
    below: bool
    ports: frozenset[int]

    def matches(self, host: str, port: int) -> bool:
        same = host.endswith(f".{self.host}") if self.below else host == self.host
        return same and port in self.ports

    def covers(self, other: _Entry) -> bool:
        same = self.host == other.host and self.below == other.below
        is_within = same or (self.below and other.host.endswith(f".{self.host}"))
        return is_within and other.ports <= self.ports


@dataclass(frozen=True, slots=True)
class Allowlist:
    """What a pack lists."""

    entries: tuple[_Entry, ...]

    @classmethod
    def read(cls, entries: Iterable[str]) -> Allowlist:
        """Read a pack's entries.

        Raises:
            EgressError: one is none; a pack that was planned has no such entry.
        """
        return cls(tuple(_read(entry) for entry in entries))

    def allows(self, host: str, port: int) -> bool:
        """Whether *host*, in its normal form, is listed with that port."""
        return any(entry.matches(host, port) for entry in self.entries)

    def reaches(self, address: Address, port: int) -> bool:
        """Whether a connection to a listed host may go to this address of it."""
        match reach(address):
            case Reach.PUBLIC:
                return True
            case Reach.LISTED:
                return self.allows(str(address), port)
            case Reach.NEVER:
                return False


def problem(entry: str) -> str | None:
    """Why *entry* is none, with the cure, or None when it is one."""
    try:
        _read(entry)
    except EgressError as error:
        return f"{entry!r} {error}"
    return None


def is_covered(entry: str, allowed: Iterable[str]) -> bool:
    """Return whether one of the *allowed* entries opens everything that *entry* opens.

    Text that is not an entry covers nothing and is covered by nothing.
    """
    try:
        narrow = _read(entry)
    except EgressError:
        return False
    for text in allowed:
        try:
            if _read(text).covers(narrow):
                return True
        except EgressError:
            continue
    return False


def normal_host(text: str) -> str:
    """The one spelling of a host: a name in lower case ASCII without a dot behind, or an address.

    An IPv6 address may stand in brackets, and has none in its normal form.

    Raises:
        EgressError: it is no host.
    """
    if text.startswith("["):
        if not text.endswith("]"):
            raise EgressError("has a bracket that is not closed")
        return _ipv6(text[1:-1])
    if ":" in text:
        return _ipv6(text)
    name = _ascii(text).lower().removesuffix(".")
    if not name:
        raise EgressError("has no host; write a name such as api.example.com")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(name)
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise EgressError(
            "is no host; it is a name such as api.example.com, an IPv4 address, or an IPv6 "
            "address in brackets, without a scheme and a path"
        )
    return name


def normal_address(text: str) -> Address:
    """The address that *text* is; an IPv4 address that is written as one of IPv6 is IPv4's.

    Raises:
        EgressError: it is no address.
    """
    host = normal_host(text)
    address = address_of(host)
    if address is None:
        raise EgressError("is no address")
    return address


def address_of(host: str) -> Address | None:
    """The address that a host in its normal form is, or None when it is a name."""
    if ":" in host:
        return IPv6Address(host)
    return IPv4Address(host) if _NUMBER.fullmatch(host.rpartition(".")[2]) else None


def reach(address: Address) -> Reach:
    """Who may connect there; an address that carries others is as bad as the worst of them."""
    rules: Sequence[tuple[Reach, IPv4Network | IPv6Network]]
    rules = _RULES_V4 if isinstance(address, IPv4Address) else _RULES_V6
    own = next((reach for reach, network in rules if address in network), Reach.PUBLIC)
    reaches = [own, *(reach(one) for one in _carried(address))]
    return max(reaches, key=lambda one: one.value)


def _carried(address: Address) -> Iterator[IPv4Address]:
    if isinstance(address, IPv4Address):
        return
    bits = int(address)
    if bits <= 1:  # unspecified, and loopback: they only look as if they carried one
        return
    for network, shift in _EMBEDDED:
        if address in network:
            yield IPv4Address(bits >> shift & 0xFFFFFFFF)
    if address in _TEREDO:
        yield IPv4Address(~bits & 0xFFFFFFFF)  # the client's, with each bit turned over
    if bits >> 32 & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(bits & 0xFFFFFFFF)


def _read(entry: str) -> _Entry:
    below = entry.startswith("*.")
    text, ports = _split(entry.removeprefix("*."))
    host = normal_host(text)
    if below and (address_of(host) is not None or "." not in host):
        raise EgressError("is too wide; after `*.` stands a name of two parts or more")
    return _Entry(host, below, ports)


def _split(text: str) -> tuple[str, frozenset[int]]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (text.startswith("[") and "]" not in text):
        return text, DEFAULT_PORTS
    if ":" in host and not host.endswith("]"):
        if "/" in text:
            raise EgressError("is no host; leave out the scheme and the path")
        raise EgressError("has more than one colon; an IPv6 address stands in brackets")
    if _PORT.fullmatch(port) is None or int(port) > _LARGEST_PORT:
        if port.startswith("//"):
            raise EgressError("is no host; leave out the scheme and the path")
        raise EgressError(f"has no port after its colon; it is a number from 1 to {_LARGEST_PORT}")
    return host, frozenset({int(port)})


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    if len(text) > _MAX_NAME:
        raise EgressError("is no host; it is too long")
    if _DEVIATING & set(text):
        raise EgressError("is read differently by different programs; write the form with xn--")
    try:
        return text.encode("idna").decode()
    except UnicodeError:
        raise EgressError("is no internationalised name; write the form with xn--") from None


def _ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise EgressError(
            "ends like an IPv4 address and is none; that is four numbers from 0 to 255, "
            "without zeros in front"
        ) from None


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise EgressError("is no IPv6 address") from None
    if address.scope_id is not None:
        raise EgressError("has a zone; an address with one is on this machine's own links")
    # Python's versions write such an address in two ways; to the network it is IPv4's.
    return str(address.ipv4_mapped or address)
