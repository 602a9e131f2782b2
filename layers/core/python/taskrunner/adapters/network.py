"""The network of a sandbox, in the parent process: it makes every connection.

A name is looked up once, here, and the connection goes to an address that was checked. There is no
second look-up that could give another address (DNS rebinding).
"""

from __future__ import annotations

import math
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from taskrunner.executors.work import EgressDenied, ExecutorFailure
from taskrunner.model import egress, hosts
from taskrunner.model.egress import Allowlist, Reach
from taskrunner.model.hosts import LARGEST_PORT, HostError, with_port

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from taskrunner.model.hosts import Address
    from taskrunner.model.plan import Sandbox

    _Rows = Sequence[tuple[Any, ...]]  # as socket.getaddrinfo returns them

_MAX_TIMEOUT_S: Final = 900.0
_MAX_ADDRESSES: Final = 8
_MAX_SHOWN_CHARACTERS: Final = 300


class Resolver(Protocol):
    """The interface of `socket.getaddrinfo`."""

    def __call__(self, host: str, port: int, /, *, type: int) -> Sequence[tuple[Any, ...]]:  # noqa: A002 - its name
        """Return a row for each address of *host*."""
        ...


class CheckedNetworks:
    """`ports.Networks`.

    *closed_ports* are closed on this machine and its link, whatever a pack lists. One of them is
    Lambda's own interface, from which the function gets the events of all its tenants: at 127.0.0.1
    in older environments, and at 169.254.100.1 in newer ones.
    """

    def __init__(self, closed_ports: Collection[int] = ()) -> None:
        """Connect to nothing yet."""
        self._closed_ports = frozenset(closed_ports)

    def within(self, sandbox: Sandbox) -> CheckedNetwork:
        """See the port."""
        return CheckedNetwork(
            sandbox.mode, sandbox.egress_allowlist, closed_ports=self._closed_ports
        )


class CheckedNetwork:
    """`executors.work.Network` for one pack's sandbox; *closed_ports* as for CheckedNetworks."""

    def __init__(
        self,
        mode: str,
        allowlist: Iterable[str],
        resolver: Resolver = socket.getaddrinfo,
        *,
        closed_ports: Collection[int] = (),
    ) -> None:
        """Connect to nothing yet."""
        self._mode = mode
        self._allowlist = Allowlist.parse(allowlist)
        self._resolver = resolver
        self._closed_ports = frozenset(closed_ports)

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """See the protocol. The executor is not trusted: every argument is checked."""
        deadline = time.monotonic() + _checked_timeout_s(timeout_s)
        name = self._listed_host(host, port)
        destination = with_port(name, port)
        literal = hosts.address_of(name)
        addresses = [literal] if literal is not None else self._resolve(name, port, deadline)
        allowed = [address for address in addresses if self._reaches(address, port)]
        if not allowed:
            raise EgressDenied(self._why_denied(destination, port, addresses))
        return _connect_to_first(allowed[:_MAX_ADDRESSES], port, destination, deadline)

    def _listed_host(self, host: object, port: object) -> str:
        """Return *host* in its normal form, if the pack lists it with that port."""
        if not isinstance(host, str) or not isinstance(port, int) or isinstance(port, bool):
            raise EgressDenied("a connection needs a host, which is text, and a port, a number")
        try:
            name = hosts.normal_host(host)
        except HostError as error:
            # Quoted completely or not at all: the redactor would not find part of a secret.
            size = len(host)
            is_short = size <= _MAX_SHOWN_CHARACTERS
            shown = f"{host!a}" if is_short else f"a string of {size} characters"
            raise EgressDenied(f"{shown} {error}") from None
        if not 1 <= port <= LARGEST_PORT:
            raise EgressDenied(f"{port} is not a port; use a number from 1 to {LARGEST_PORT}")
        if not self._allowlist.allows(name, port):
            is_empty = not self._allowlist.entries
            state = f"; it is {self._mode} and lists no host" if is_empty else ""
            raise EgressDenied(
                f"the sandbox allows no connection to {with_port(name, port)}{state}; "
                "list it in spec.sandbox.egressAllowlist"
            )
        return name

    def _resolve(self, name: str, port: int, deadline: float) -> list[Address]:
        """Return the addresses of *name*, each once, in the resolver's order."""
        rows = _in_time(lambda: self._resolver(name, port, type=socket.SOCK_STREAM), name, deadline)
        texts = dict.fromkeys(str(row[4][0]).partition("%")[0] for row in rows)
        return list(dict.fromkeys(hosts.normal_address(text) for text in texts))

    def _reaches(self, address: Address, port: int) -> bool:
        return not self._is_closed(address, port) and self._allowlist.reaches(address, port)

    def _is_closed(self, address: Address, port: int) -> bool:
        return (address.is_loopback or address.is_link_local) and port in self._closed_ports

    def _why_denied(self, destination: str, port: int, addresses: Sequence[Address]) -> str:
        if not addresses:
            return f"{destination} has no address"
        shown = ", ".join(str(address) for address in addresses[:3])
        if any(
            egress.reach(address) is Reach.LISTED and not self._is_closed(address, port)
            for address in addresses
        ):
            return (
                f"{destination} is at {shown}, which is not a public address; "
                "list the address itself in spec.sandbox.egressAllowlist as well"
            )
        return f"{destination} is at {shown}, which no step may connect to"


def _checked_timeout_s(timeout_s: object) -> float:
    if not isinstance(timeout_s, int | float) or not 0 < timeout_s < math.inf:
        raise ExecutorFailure("no time is left to connect")
    return min(float(timeout_s), _MAX_TIMEOUT_S)


def _in_time(resolve: Callable[[], _Rows], name: str, deadline: float) -> _Rows:
    """Return what *resolve* returns, in a thread, because a resolver has no time limit of its own.

    Raises:
        ExecutorFailure: the name has no address, or there was no answer in time.
    """
    outcomes: list[_Rows | Exception] = []

    def run() -> None:
        try:
            outcomes.append(resolve())
        except (OSError, UnicodeError) as error:
            outcomes.append(error)

    thread = threading.Thread(target=run, name=f"resolve {name}", daemon=True)
    thread.start()
    thread.join(max(deadline - time.monotonic(), 0.0))
    if not outcomes:
        raise ExecutorFailure(f"the name {name} was not resolved in time")
    if isinstance(outcomes[0], Exception):
        raise ExecutorFailure(f"the name {name} cannot be resolved") from outcomes[0]
    return outcomes[0]


def _connect_to_first(
    addresses: Sequence[Address], port: int, destination: str, deadline: float
) -> socket.socket:
    """Connect to the first address that answers; each gets its share of the time that is left."""
    problem = "no time was left"
    for index, address in enumerate(addresses):
        share_s = (deadline - time.monotonic()) / (len(addresses) - index)
        if share_s <= 0:
            break
        try:
            return _connect(address, port, share_s)
        except TimeoutError:
            problem = "it did not answer in time"
        except OSError as error:
            problem = error.strerror or type(error).__name__
    raise ExecutorFailure(f"{destination} cannot be reached: {problem}")


def _connect(address: Address, port: int, timeout_s: float) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect((str(address), port))
        connection.settimeout(None)  # the child gets the descriptor, and sets its own timeouts
    except BaseException:
        connection.close()
        raise
    return connection
