"""Addresses of the web: one spelling of each, and where a redirect leads.

Whoever checks a URL and whoever follows it must take the same for its host. So what different
programs read differently (RFC 3986, the WHATWG URL standard, browsers, proxies) is refused: user
names, backslashes, control characters, numbers that are meant as hosts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import quote, urljoin, urlsplit

from taskrunner.model import egress
from taskrunner.model.egress import EgressError

Scheme: TypeAlias = Literal["http", "https"]

MAX_CHARACTERS: Final = 8000

_DEFAULT_PORT: Final = {"http": 80, "https": 443}
_LARGEST_PORT: Final = 65535
_STRANGE: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\\ud800-\udfff]|\s")
_AUTHORITY: Final = re.compile(r"(?P<host>\[[^]]*\]|[^:]*)(?::(?P<port>[0-9]*))?")
# What may stand as it is in path and query (RFC 3986), and the escapes that are there already.
_TARGET: Final = "/?:@!$&'()*+,;=-._~%"


class WebAddressError(Exception):
    """The text is no address; the message says why and never repeats it: it may hold a secret."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where a request goes. *host* is in its normal form; *target* is path and query."""

    scheme: Scheme
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the Host header says: the port only when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port: who is talked to, and all of the address that may be told."""
        return f"{self.scheme}://{self.authority}"


def read(text: str) -> WebAddress:
    """Read an absolute address of http or https.

    Raises:
        WebAddressError: it is none.
    """
    if len(text) > MAX_CHARACTERS:
        raise WebAddressError(f"it is longer than {MAX_CHARACTERS} characters")
    if _STRANGE.search(text):
        raise WebAddressError("it has a space, a control character or a backslash in it")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise WebAddressError("its host cannot be read") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORT:
        raise WebAddressError("it begins with neither https:// nor http://")
    if "@" in parts.netloc:
        raise WebAddressError("it has a user name in it; write an Authorization header instead")
    host, port = _authority(parts.netloc, scheme)
    path = quote(parts.path or "/", safe=_TARGET)
    query = f"?{quote(parts.query, safe=_TARGET)}" if parts.query else ""
    return WebAddress(cast("Scheme", scheme), host, port, path + query)


def follow(address: WebAddress, location: str) -> WebAddress:
    """Where `Location: *location*` leads from *address*.

    Raises:
        WebAddressError: to no address of the web, or from https to http.
    """
    if len(location) > MAX_CHARACTERS or _STRANGE.search(location):
        raise WebAddressError("it is too long, or has a space, control character or backslash")
    try:
        found = read(urljoin(address.origin + address.target, location))
    except ValueError:
        raise WebAddressError("its host cannot be read") from None
    if address.scheme == "https" and found.scheme == "http":
        raise WebAddressError("it leads from https to http, where anybody may read along")
    return found


def _authority(text: str, scheme: str) -> tuple[str, int]:
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise WebAddressError("its port is no number")
    port = int(match["port"] or _DEFAULT_PORT[scheme])
    if not 1 <= port <= _LARGEST_PORT:
        raise WebAddressError(f"its port is not from 1 to {_LARGEST_PORT}")
    try:
        return egress.normal_host(match["host"]), port
    except EgressError as error:
        raise WebAddressError(f"its host {error}") from None
