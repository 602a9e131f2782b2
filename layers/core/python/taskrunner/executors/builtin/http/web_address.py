"""Addresses of the web: the one spelling of each, and where a redirect leads.

The check of a URL and the request to it must agree on its host. So everything that programs read
differently (RFC 3986, the WHATWG URL standard, browsers, proxies) is refused: user names,
backslashes, control characters, numbers that stand for hosts.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import quote, urljoin, urlsplit

from taskrunner.model import hosts
from taskrunner.model.hosts import LARGEST_PORT, HostError
from taskrunner.values import dataclass

Scheme: TypeAlias = Literal["http", "https"]

MAX_CHARACTERS: Final = 8000

_DEFAULT_PORT: Final = {"http": 80, "https": 443}
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\\ud800-\udfff]|\s")
_AUTHORITY: Final = re.compile(r"(?P<host>\[[^]]*\]|[^:]*)(?::(?P<port>[0-9]*))?")
# Characters that may stand unescaped in path and query (RFC 3986), and `%`, to keep escapes.
_TARGET_CHARACTERS: Final = "/?:@!$&'()*+,;=-._~%"
_PERCENT_SIGN: Final = re.compile("%(?![0-9A-Fa-f]{2})")


class WebAddressError(Exception):
    """The text is not a web address; the message never quotes it, because it may hold a secret."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """The address of a request. *host* is in its normal form; *target* is path and query."""

    scheme: Scheme
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The Host header: with the port, unless it is the scheme's own."""
        is_default = self.port == _DEFAULT_PORT[self.scheme]
        return hosts.with_port(self.host, None if is_default else self.port)

    @property
    def origin(self) -> str:
        """Scheme, host and port: the part of the address that messages may show."""
        return f"{self.scheme}://{self.authority}"


def read(text: str) -> WebAddress:
    """Read an absolute http or https address.

    Raises:
        WebAddressError: *text* is not one.
    """
    if len(text) > MAX_CHARACTERS:
        raise WebAddressError(f"it is longer than {MAX_CHARACTERS} characters")
    if _FORBIDDEN.search(text):
        raise WebAddressError("it contains a space, a control character or a backslash")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise WebAddressError("its host cannot be read") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORT:
        raise WebAddressError("it begins with neither https:// nor http://")
    if "@" in parts.netloc:
        raise WebAddressError("it contains a user name; use an Authorization header instead")
    host, port = _host_and_port(parts.netloc, scheme)
    path = _escaped(parts.path or "/")
    query = f"?{_escaped(parts.query)}" if parts.query else ""
    return WebAddress(cast("Scheme", scheme), host, port, path + query)


def _escaped(text: str) -> str:
    """Return *text* with all escaped that may not stand in a target, also a `%` by itself."""
    return _PERCENT_SIGN.sub("%25", quote(text, safe=_TARGET_CHARACTERS))


def follow(address: WebAddress, location: str) -> WebAddress:
    """Return the address that `Location: *location*` leads to from *address*.

    Raises:
        WebAddressError: it is not a web address, or leads from https to http.
    """
    if len(location) > MAX_CHARACTERS or _FORBIDDEN.search(location):
        raise WebAddressError(
            "it is too long, or contains a space, a control character or a backslash"
        )
    try:
        target = read(urljoin(address.origin + address.target, location))
    except ValueError:
        raise WebAddressError("its host cannot be read") from None
    if address.scheme == "https" and target.scheme == "http":
        raise WebAddressError("it leads from https to http, which others can read")
    return target


def _host_and_port(authority: str, scheme: str) -> tuple[str, int]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise WebAddressError("its port is not a number")
    port = int(match["port"] or _DEFAULT_PORT[scheme])
    if not 1 <= port <= LARGEST_PORT:
        raise WebAddressError(f"its port is not from 1 to {LARGEST_PORT}")
    try:
        return hosts.normal_host(match["host"]), port
    except HostError as error:
        raise WebAddressError(f"its host {error}") from None
