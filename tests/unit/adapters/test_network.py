"""CheckedNetwork connects only to hosts that are listed, at addresses that were checked."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.adapters.network import CheckedNetwork
from taskrunner.executors.work import EgressDenied, ExecutorFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "api.example.com"


class Resolver:
    """Answers every name with the same addresses; *lookups* lists what was looked up."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.lookups: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int, /, *, type: int) -> list[tuple[Any, ...]]:  # noqa: A002
        assert type == socket.SOCK_STREAM
        self.lookups.append((host, port))
        return [(None, type, 6, "", (address, port)) for address in self.addresses]


def unknown_name(host: str, port: int, /, *, type: int) -> list[tuple[Any, ...]]:  # noqa: A002, ARG001
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture(name="listener")
def _listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def a_closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return port_of(listener)


def loopback_network(*entries: str, resolver: Any = unknown_name) -> CheckedNetwork:  # noqa: ANN401
    return CheckedNetwork("open", entries, resolver)


def test_a_listed_address_is_connected_to_without_a_look_up(listener: socket.socket) -> None:
    port = port_of(listener)

    with closing(loopback_network(f"127.0.0.1:{port}").connect("127.0.0.1", port, 5)) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)
        assert connection.gettimeout() is None


def test_a_name_is_looked_up_once_and_its_checked_address_is_used(
    listener: socket.socket,
) -> None:
    port = port_of(listener)
    resolver = Resolver("127.0.0.1")
    network = loopback_network(f"{NAME}:{port}", f"127.0.0.1:{port}", resolver=resolver)

    with closing(network.connect("API.example.com.", port, 5)) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)
    assert resolver.lookups == [(NAME, port)]


def test_only_the_allowed_addresses_of_a_name_are_tried(listener: socket.socket) -> None:
    port = port_of(listener)
    resolver = Resolver("10.0.0.1", "169.254.169.254", "::1", "127.0.0.1")
    network = loopback_network(f"{NAME}:{port}", f"127.0.0.1:{port}", resolver=resolver)

    with closing(network.connect(NAME, port, 5)) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)


def test_the_next_address_is_tried_when_one_refuses(listener: socket.socket) -> None:
    port = port_of(listener)
    resolver = Resolver("127.0.0.2", "127.0.0.1")  # on Linux all of 127.0.0.0/8 is this machine
    network = loopback_network(
        f"{NAME}:{port}", f"127.0.0.1:{port}", f"127.0.0.2:{port}", resolver=resolver
    )

    with closing(network.connect(NAME, port, 5)) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)


def test_a_refused_connection_fails_with_the_host() -> None:
    port = a_closed_port()
    network = loopback_network(
        f"{NAME}:{port}", f"127.0.0.1:{port}", resolver=Resolver("127.0.0.1")
    )

    with pytest.raises(ExecutorFailure) as failure:
        network.connect(NAME, port, 5)

    assert str(failure.value) == f"{NAME}:{port} cannot be reached: Connection refused"
    assert not isinstance(failure.value, EgressDenied)


@pytest.mark.parametrize("mode", ["sealed", "open"])
def test_an_empty_allowlist_denies_everything_without_a_look_up(mode: str) -> None:
    resolver = Resolver("1.1.1.1")

    with pytest.raises(EgressDenied) as denial:
        CheckedNetwork(mode, [], resolver).connect(NAME, 443, 5)

    assert str(denial.value) == (
        f"the sandbox allows no connection to {NAME}:443; it is {mode} and lists no host; "
        "list it in spec.sandbox.egressAllowlist"
    )
    assert resolver.lookups == []


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("other.example.com", 443),
        (NAME, 8443),
        ("1.1.1.1", 443),
        (f"{NAME}.evil.example", 443),
        (f"{NAME}\n", 443),
        (f"user@{NAME}", 443),
        ("2130706433", 443),
        ("0x7f.1", 443),
        ("", 443),
        (NAME, 0),
        (NAME, 65536),
        (NAME, True),
        (NAME, "443"),
        (None, 443),
    ],
)
def test_a_host_that_is_malformed_or_not_listed_is_denied_without_a_look_up(
    host: Any,  # noqa: ANN401 - an executor may send anything
    port: Any,  # noqa: ANN401 - the same
) -> None:
    resolver = Resolver("1.1.1.1")

    with pytest.raises(EgressDenied) as denial:
        CheckedNetwork("sealed", [NAME], resolver).connect(host, port, 5)

    assert str(denial.value).isprintable()
    assert resolver.lookups == []


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.0.0.1", "which is not a public address; list the address itself"),
        ("::ffff:10.0.0.1", "which is not a public address; list the address itself"),
        ("127.0.0.1", "which is not a public address; list the address itself"),
        ("169.254.169.254", "which is not a public address; list the address itself"),
        ("fe80::1%eth0", "which is not a public address; list the address itself"),
        ("224.0.0.1", "which no step may connect to"),
        ("64:ff9b::a9fe:a9fe", "which is not a public address; list the address itself"),
    ],
)
def test_a_listed_name_does_not_lead_to_an_address_that_is_not_public(
    address: str, why: str
) -> None:
    network = CheckedNetwork("sealed", [NAME], Resolver(address))

    with pytest.raises(EgressDenied, match=why):
        network.connect(NAME, 443, 5)


def test_a_closed_port_of_this_machine_stays_closed_when_it_is_listed(
    listener: socket.socket,
) -> None:
    port = port_of(listener)
    listed = [f"127.0.0.1:{port}", f"[::1]:{port}", f"localhost:{port}"]
    network = CheckedNetwork("open", listed, Resolver("::1"), closed_ports=[port])

    for host in ("127.0.0.1", "[::1]", "localhost"):
        with pytest.raises(EgressDenied, match="which no step may connect to"):
            network.connect(host, port, 5)


@pytest.mark.parametrize("address", ["169.254.100.1", "169.254.76.1", "fe80::1"])
def test_a_closed_port_is_closed_on_the_link_of_this_machine_too(address: str) -> None:
    """Newer Lambda environments have their interface at 169.254.100.1:9001, not 127.0.0.1."""
    shown = f"[{address}]" if ":" in address else address
    listed = [f"{shown}:9001", f"{NAME}:9001"]
    network = CheckedNetwork("open", listed, Resolver(address), closed_ports=[9001])

    for host in (address, NAME):
        with pytest.raises(EgressDenied, match="which no step may connect to"):
            network.connect(host, 9001, 0.1)


@given(st.lists(st.ip_addresses(), min_size=1, max_size=4))
def test_no_look_up_leads_to_an_address_that_is_not_global(
    addresses: list[Any],
) -> None:
    texts = [str(each) for each in addresses if not each.is_global or each.is_multicast]
    not_global = [text for text in texts if getattr(ip_address(text), "ipv4_mapped", None) is None]
    network = CheckedNetwork("open", [NAME], Resolver(*not_global))

    with pytest.raises(EgressDenied):
        network.connect(NAME, 443, 5)


def test_a_name_without_an_address_fails() -> None:
    with pytest.raises(ExecutorFailure, match=f"^the name {NAME} cannot be resolved$"):
        CheckedNetwork("sealed", [NAME], unknown_name).connect(NAME, 443, 5)


def test_a_look_up_that_takes_too_long_fails() -> None:
    answered = threading.Event()

    def slow(host: str, port: int, /, *, type: int) -> list[tuple[Any, ...]]:  # noqa: A002, ARG001
        answered.wait()
        return []

    with pytest.raises(ExecutorFailure, match=f"^the name {NAME} was not resolved in time$"):
        CheckedNetwork("sealed", [NAME], slow).connect(NAME, 443, 0.01)
    answered.set()


def test_a_host_that_does_not_answer_fails_when_the_time_is_over() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = port_of(full)
        waiting = [socket.socket() for _ in range(8)]
        for connection in waiting:  # until the queue of connections is full
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
        with pytest.raises(ExecutorFailure, match=r"cannot be reached: it did not answer in time$"):
            loopback_network(f"127.0.0.1:{port}").connect("127.0.0.1", port, 0.05)
        for connection in waiting:
            connection.close()


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), "5", None])
def test_a_timeout_that_is_not_a_positive_number_is_refused(timeout_s: Any) -> None:  # noqa: ANN401
    with pytest.raises(ExecutorFailure, match=r"^no time is left to connect$"):
        loopback_network("127.0.0.1").connect("127.0.0.1", 80, timeout_s)
