"""The way out of a sandbox, on the side of the parent, who alone makes connections.

The name is looked up once, here, and the connection goes to an address that was looked at. A second
look-up, which could say something else (DNS rebinding), never happens.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from taskrunner.executors.work import EgressDenied, ExecutorFailure
from taskrunner.model import egress
from taskrunner.model.egress import Allowlist, EgressError, Reach

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from taskrunner.model.egress import Address
    from taskrunner.model.plan import Sandbox

_LARGEST_PORT: Final = 65535
_LONGEST_S: Final = 900.0
_MAX_TRIED: Final = 8
_MAX_SHOWN: Final = 300


class Resolver(Protocol):
    """The form of `socket.getaddrinfo`."""

    def __call__(self, host: str, port: int, /, *, type: int) -> Sequence[tuple[Any, ...]]:  # noqa: A002 - its name
        """Addresses of *host*."""
        ...


class CheckedNetworks:
    """`usecases.ports.Networks`. *closed* are ports here and on our link that no list opens.

    On Lambda the interface is there by which the function gets its work, and its tenants' with it:
    at 127.0.0.1 in older environments, and at 169.254.100.1 in newer ones.
    """

    def __init__(self, closed: Collection[int] = ()) -> None:
        """Hold what is closed."""
        self._closed = frozenset(closed)

    def within(self, sandbox: Sandbox) -> CheckedNetwork:
        """See the port."""
        return CheckedNetwork(sandbox.mode, sandbox.egress_allowlist, closed=self._closed)


class CheckedNetwork:
    """`executors.work.Network` under one pack's sandbox; *closed* as CheckedNetworks has it."""

    def __init__(
        self,
        mode: str,
        allowlist: Iterable[str],
        resolver: Resolver = socket.getaddrinfo,
        *,
        closed: Collection[int] = (),
    ) -> None:
        """Hold the rules; nothing is connected yet."""
        self._mode = mode
        self._allowlist = Allowlist.read(allowlist)
        self._resolver = resolver
        self._closed = frozenset(closed)

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """See the protocol. Whoever asks is not trusted: every argument is looked at."""
        ends = time.monotonic() + _seconds(timeout_s)
        name = self._listed(host, port)
        where = _shown(name, port)
        literal = egress.address_of(name)
        found = [literal] if literal is not None else self._resolve(name, port, ends)
        allowed = [one for one in found if self._reaches(one, port)]
        if not allowed:
            raise EgressDenied(self._why_not(where, port, found))
        return _first(allowed[:_MAX_TRIED], port, where, ends)

    def _listed(self, host: object, port: object) -> str:
        if not isinstance(host, str) or not isinstance(port, int) or isinstance(port, bool):
            raise EgressDenied("a connection is asked for by a host and a port")
        try:
            name = egress.normal_host(host)
        except EgressError as error:
            # Told as a whole or not at all: in half a secret nobody finds the whole.
            size = len(host)
            shown = f"{host!a}" if size <= _MAX_SHOWN else f"a text of {size} characters"
            raise EgressDenied(f"{shown} {error}") from None
        if not 1 <= port <= _LARGEST_PORT:
            raise EgressDenied(f"{port} is no port; it is a number from 1 to {_LARGEST_PORT}")
        if not self._allowlist.allows(name, port):
            none = f"; it is {self._mode} and lists no host" if not self._allowlist.entries else ""
            raise EgressDenied(
                f"the sandbox allows no connection to {_shown(name, port)}{none}; "
                "list it in spec.sandbox.egressAllowlist"
            )
        return name

    def _resolve(self, name: str, port: int, ends: float) -> list[Address]:
        """All addresses of *name*, each once, in the resolver's order."""
        rows = _in_time(lambda: self._resolver(name, port, type=socket.SOCK_STREAM), name, ends)
        texts = dict.fromkeys(str(row[4][0]).partition("%")[0] for row in rows)
        return list(dict.fromkeys(egress.normal_address(text) for text in texts))

    def _reaches(self, address: Address, port: int) -> bool:
        return not self._is_closed(address, port) and self._allowlist.reaches(address, port)

    def _is_closed(self, address: Address, port: int) -> bool:
        return (address.is_loopback or address.is_link_local) and port in self._closed

    def _why_not(self, where: str, port: int, found: Sequence[Address]) -> str:
        if not found:
            return f"{where} has no address"
        shown = ", ".join(str(address) for address in found[:3])
        if any(
            egress.reach(one) is Reach.LISTED and not self._is_closed(one, port) for one in found
        ):
            return (
                f"{where} is at {shown}, which is no public address; "
                "list the address itself in spec.sandbox.egressAllowlist as well"
            )
        return f"{where} is at {shown}, which no step may connect to"


def _seconds(timeout_s: object) -> float:
    if not isinstance(timeout_s, int | float) or not 0 < timeout_s < math.inf:
        raise ExecutorFailure("no time is left to connect")
    return min(float(timeout_s), _LONGEST_S)


def _in_time(resolve: Any, name: str, ends: float) -> Sequence[tuple[Any, ...]]:  # noqa: ANN401
    """What *resolve* returns, if it does in time: a resolver knows no time limit of its own."""
    done: list[Sequence[tuple[Any, ...]] | Exception] = []

    def body() -> None:
        try:
            done.append(resolve())
        except (OSError, UnicodeError) as error:
            done.append(error)

    thread = threading.Thread(target=body, name=f"resolve {name}", daemon=True)
    thread.start()
    thread.join(max(ends - time.monotonic(), 0.0))
    if not done:
        raise ExecutorFailure(f"the name {name} was not resolved in time")
    if isinstance(done[0], Exception):
        raise ExecutorFailure(f"the name {name} cannot be resolved") from done[0]
    return done[0]


def _first(addresses: Sequence[Address], port: int, where: str, ends: float) -> socket.socket:
    """The first connection that comes about; each address has its share of what time is left."""
    why = "no time was left"
    for index, address in enumerate(addresses):
        share_s = (ends - time.monotonic()) / (len(addresses) - index)
        if share_s <= 0:
            break
        try:
            return _connected(address, port, share_s)
        except TimeoutError:
            why = "it did not answer in time"
        except OSError as error:
            why = error.strerror or type(error).__name__
    raise ExecutorFailure(f"{where} cannot be reached: {why}")


def _connected(address: Address, port: int, timeout_s: float) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect((str(address), port))
        connection.settimeout(None)  # the descriptor is handed on, and its new owner has times
    except BaseException:
        connection.close()
        raise
    return connection


def _shown(name: str, port: int) -> str:
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
