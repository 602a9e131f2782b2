"""What a deployment allows packs to ask for at most. Not part of a plan, and of no hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ANYTHING: Final = "*"
# An entry that names no port means these.
_DEFAULT_PORTS: Final = frozenset({"80", "443"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """The most of each; None is as much as the language allows.

    *egress* has what packs may list in their `egressAllowlist`, in the form of its entries: a host
    or `*.domain`, with or without a port, or `*` for anything.
    """

    memory_limit_mib: int | None = None
    cpu_limit_millicores: int | None = None
    quota_s: int | None = None
    egress: tuple[str, ...] = (ANYTHING,)

    @property
    def any_egress(self) -> bool:
        """Whether packs may list what they like."""
        return ANYTHING in self.egress

    def allows_egress(self, entry: str) -> bool:
        """Whether a pack may list *entry*: all that it opens must be within one of *egress*."""
        return self.any_egress or any(_covers(wide, entry) for wide in self.egress)


NO_CEILINGS: Final = Ceilings()


def _covers(wide: str, narrow: str) -> bool:
    wide_host, wide_ports = _parts(wide)
    host, ports = _parts(narrow)
    within = wide_host == host or (wide_host.startswith("*.") and host.endswith(wide_host[1:]))
    return within and ports <= wide_ports


def _parts(entry: str) -> tuple[str, frozenset[str]]:
    """Host and ports of an entry; one that is misspelt is within nothing but itself."""
    host, colon, port = entry.strip().lower().rpartition(":")
    if not colon or not port.isdecimal():  # no port, or the end of an IPv6 address in brackets
        host, ports = entry.strip().lower(), _DEFAULT_PORTS
    else:
        ports = frozenset({port})
    return host.removesuffix("."), ports
