"""Checks the addresses that people give, before anything is sent to them."""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from taskrunner_cli.errors import UsageError

_EXAMPLE: Final = "https://abc123.execute-api.eu-central-1.amazonaws.com/live"
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f]")


def check_address(name: str, url: str, *, is_base: bool = False) -> None:
    """Check that *url* is an HTTP address.

    *name* is that of the option or variable that has it. Paths are added to one that *is_base*.

    Raises:
        UsageError: it is not; the message says why, and the cure shows an address.

    """
    if fault := _fault(url, is_base=is_base):
        printable = url if url.isprintable() else repr(url)
        shown = "its value" if "@" in url else printable  # it may contain a password
        raise UsageError(
            f"{name}: {shown} is not an HTTP address that can be used: {fault}",
            cure=f"give the whole address, such as {_EXAMPLE}",
        )


def _fault(url: str, *, is_base: bool) -> str:
    """Return what is wrong with an address; nothing if it can be used."""
    if not url.lower().startswith(("https://", "http://")):
        return "it does not begin with https:// or http://"
    if _UNPRINTABLE.search(url):
        return "it has a blank or a control character"
    try:
        parts = urlsplit(url)
        return _fault_of_parts(parts, is_base=is_base) or _fault_of_host(url)
    except ValueError:  # brackets that are not closed around an IPv6 address
        return "its host is not a name or an IP address"


def _fault_of_parts(parts: SplitResult, *, is_base: bool) -> str:
    if not parts.hostname:
        return "it names no host"
    if "@" in parts.netloc:
        return "it has a user name or a password"
    if is_base and (parts.query or parts.fragment):
        return "it has a query or a fragment"
    try:
        is_port = parts.port != 0
    except ValueError:
        is_port = False
    return "" if is_port else "its port is not a number from 1 to 65535"


def _fault_of_host(url: str) -> str:
    """Return what is wrong with the host, as the client that calls it reads it."""
    import httpx  # noqa: PLC0415 -- takes longer than all else that this module does

    try:
        has_host = bool(httpx.URL(url).host)
    except (httpx.InvalidURL, ValueError):  # internationalized names raise either
        has_host = False
    return "" if has_host else "its host is not a name or an IP address"
