"""CheckedNetwork connects to what was listed and looked at, and to nothing else."""

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
    """Answers names from a list; *asked* has every look-up."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int, /, *, type: int) -> list[tuple[Any, ...]]:  # noqa: A002
        assert type == socket.SOCK_STREAM
        self.asked.append((host, port))
        return [(None, type, 6, "", (address, port)) for address in self.addresses]


def nobody(host: str, port: int, /, *, type: int) -> list[tuple[Any, ...]]:  # noqa: A002, ARG001
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


def on_this_machine(*entries: str, resolver: Any = nobody) -> CheckedNetwork:  # noqa: ANN401
    return CheckedNetwork("open", entries, resolver)


def test_a_listed_address_is_connected_without_a_look_up(listener: socket.socket) -> None:
    port = port_of(listener)

    with closing(on_this_machine(f"127.0.0.1:{port}").connect("127.0.0.1", port, 5)) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)
        assert connection.gettimeout() is None


def test_a_name_is_looked_up_once_and_its_checked_address_is_called(
    listener: socket.socket,
) -> None:
    port = port_of(listener)
    resolver = Resolver("127.0.0.1")
    network = on_this_machine(f"{NAME}:{port}", f"127.0.0.1:{port}", resolver=resolver)

    with closing(network.connect("API.example.com.", port, 5)) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)
    assert resolver.asked == [(NAME, port)]


def test_of_several_addresses_only_the_allowed_ones_are_tried(listener: socket.socket) -> None:
    port = port_of(listener)
    resolver = Resolver("10.0.0.1", "169.254.169.254", "::1", "127.0.0.1")
    network = on_this_machine(f"{NAME}:{port}", f"127.0.0.1:{port}", resolver=resolver)

    with closing(network.connect(NAME, port, 5)) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)


def test_an_address_that_refuses_leaves_the_turn_to_the_next(listener: socket.socket) -> None:
    port = port_of(listener)
    resolver = Resolver("127.0.0.2", "127.0.0.1")  # on Linux all of 127.0.0.0/8 is this machine
    network = on_this_machine(
        f"{NAME}:{port}", f"127.0.0.1:{port}", f"127.0.0.2:{port}", resolver=resolver
    )

    with closing(network.connect(NAME, port, 5)) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)


def test_who_refuses_is_a_failure_that_names_the_host() -> None:
    port = a_closed_port()
    network = on_this_machine(f"{NAME}:{port}", f"127.0.0.1:{port}", resolver=Resolver("127.0.0.1"))

    with pytest.raises(ExecutorFailure) as failure:
        network.connect(NAME, port, 5)

    assert str(failure.value) == f"{NAME}:{port} cannot be reached: Connection refused"
    assert not isinstance(failure.value, EgressDenied)


@pytest.mark.parametrize("mode", ["sealed", "open"])
def test_without_a_list_nothing_is_reached_or_even_looked_up(mode: str) -> None:
    resolver = Resolver("1.1.1.1")

    with pytest.raises(EgressDenied) as denial:
        CheckedNetwork(mode, [], resolver).connect(NAME, 443, 5)

    assert str(denial.value) == (
        f"the sandbox allows no connection to {NAME}:443; it is {mode} and lists no host; "
        "list it in spec.sandbox.egressAllowlist"
    )
    assert resolver.asked == []


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
def test_what_is_not_listed_or_malformed_is_denied_without_a_look_up(host: Any, port: Any) -> None:  # noqa: ANN401
    resolver = Resolver("1.1.1.1")

    with pytest.raises(EgressDenied) as denial:
        CheckedNetwork("sealed", [NAME], resolver).connect(host, port, 5)

    assert str(denial.value).isprintable()
    assert resolver.asked == []


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.0.0.1", "which is no public address; list the address itself"),
        ("::ffff:10.0.0.1", "which is no public address; list the address itself"),
        ("127.0.0.1", "which is no public address; list the address itself"),
        ("169.254.169.254", "which is no public address; list the address itself"),
        ("fe80::1%eth0", "which is no public address; list the address itself"),
        ("224.0.0.1", "which no step may connect to"),
        ("64:ff9b::a9fe:a9fe", "which is no public address; list the address itself"),
    ],
)
def test_a_listed_name_does_not_lead_to_an_address_that_is_not_public(
    address: str, why: str
) -> None:
    network = CheckedNetwork("sealed", [NAME], Resolver(address))

    with pytest.raises(EgressDenied, match=why):
        network.connect(NAME, 443, 5)


def test_a_port_of_this_machine_that_is_closed_stays_so_though_it_is_listed(
    listener: socket.socket,
) -> None:
    port = port_of(listener)
    listed = [f"127.0.0.1:{port}", f"[::1]:{port}", f"localhost:{port}"]
    network = CheckedNetwork("open", listed, Resolver("::1"), closed=[port])

    for host in ("127.0.0.1", "[::1]", "localhost"):
        with pytest.raises(EgressDenied, match="which no step may connect to"):
            network.connect(host, port, 5)


@pytest.mark.parametrize("address", ["169.254.100.1", "169.254.76.1", "fe80::1"])
def test_a_port_that_is_closed_is_closed_on_this_machines_link_too(address: str) -> None:
    """Where newer environments of Lambda have it: 169.254.100.1:9001, and not 127.0.0.1."""
    shown = f"[{address}]" if ":" in address else address
    listed = [f"{shown}:9001", f"{NAME}:9001"]
    network = CheckedNetwork("open", listed, Resolver(address), closed=[9001])

    for host in (address, NAME):
        with pytest.raises(EgressDenied, match="which no step may connect to"):
            network.connect(host, 9001, 0.1)


@given(st.lists(st.ip_addresses(), min_size=1, max_size=4))
def test_no_answer_of_the_resolver_leads_to_an_address_that_is_not_global(
    addresses: list[Any],
) -> None:
    dangerous = [str(one) for one in addresses if not one.is_global or one.is_multicast]
    dangerous = [one for one in dangerous if getattr(ip_address(one), "ipv4_mapped", None) is None]
    network = CheckedNetwork("open", [NAME], Resolver(*dangerous))

    with pytest.raises(EgressDenied):
        network.connect(NAME, 443, 5)


def test_a_name_without_an_address_is_a_failure() -> None:
    with pytest.raises(ExecutorFailure, match=f"^the name {NAME} cannot be resolved$"):
        CheckedNetwork("sealed", [NAME], nobody).connect(NAME, 443, 5)


def test_a_resolver_that_does_not_answer_is_left_behind() -> None:
    answered = threading.Event()

    def slow(host: str, port: int, /, *, type: int) -> list[tuple[Any, ...]]:  # noqa: A002, ARG001
        answered.wait()
        return []

    with pytest.raises(ExecutorFailure, match=f"^the name {NAME} was not resolved in time$"):
        CheckedNetwork("sealed", [NAME], slow).connect(NAME, 443, 0.01)
    answered.set()


def test_who_does_not_answer_costs_no_more_than_the_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = port_of(full)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:  # until the queue of connections is full
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        with pytest.raises(ExecutorFailure, match=r"cannot be reached: it did not answer in time$"):
            on_this_machine(f"127.0.0.1:{port}").connect("127.0.0.1", port, 0.05)
        for one in waiting:
            one.close()


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), "5", None])
def test_a_time_that_is_none_is_refused(timeout_s: Any) -> None:  # noqa: ANN401
    with pytest.raises(ExecutorFailure, match=r"^no time is left to connect$"):
        on_this_machine("127.0.0.1").connect("127.0.0.1", 80, timeout_s)
