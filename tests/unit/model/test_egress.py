"""An allowlist allows the hosts and addresses that it lists, in any spelling."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from taskrunner.model import egress
from taskrunner.model.egress import Allowlist, Entry, Reach
from taskrunner.model.hosts import HostError, normal_host
from tests.unit.model.host_names import NAMES

_PORTS = st.integers(1, 65535)
_PRIVATE_V4 = st.sampled_from(["10.1.2.3", "100.64.0.1", "172.31.255.255", "192.168.0.1"])


def allows(entry: str, host: str, port: int) -> bool:
    return Allowlist.parse([entry]).allows(normal_host(host), port)


def reach(address: str) -> Reach:
    return egress.reach(ip_address(address))


@pytest.mark.parametrize(
    "entry",
    [
        "example.com",
        "EXAMPLE.com.",
        "example.com:8443",
        "*.example.com",
        "*.example.com:443",
        "*.EXAMPLE.com.:443",
        "registry",
        "my_bucket.example.com",
        "xn--bcher-kva.example",
        "bücher.example:80",
        "10.0.0.5",
        "10.0.0.5:5432",
        "[2001:db8::1]",
        "[::1]:8080",
    ],
)
def test_an_entry_is_a_host_with_or_without_a_port(entry: str) -> None:
    assert egress.problem(entry) is None


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("", "has no host"),
        (".", "has no host"),
        ("*", "is not a host"),
        ("*.com", "is too wide"),
        ("*.", "has no host"),
        ("*.*.example.com", "is not a host"),
        ("a.*.example.com", "is not a host"),
        ("*.10.0.0.1", "is too wide"),
        ("*.[::1]", "is too wide"),
        ("https://example.com", "is not a host; omit the scheme and the path"),
        ("https://example.com:443/a", "is not a host; omit the scheme and the path"),
        ("example.com/path", "is not a host"),
        ("10.0.0.0/8", "is not a host"),
        ("user@example.com", "is not a host"),
        ("example.com:", "has no port after its colon"),
        ("example.com:0", "has no port after its colon"),
        ("example.com:080", "has no port after its colon"),
        ("example.com:65536", "has no port after its colon"),
        ("example.com:http", "has no port after its colon"),
        ("example..com", "is not a host"),
        ("-a.example.com", "is not a host"),
        ("a" * 64 + ".com", "is not a host"),
        ("exa mple.com", "is not a host"),
        ("example.com\n", "is not a host"),
        ("%65xample.com", "is not a host"),
        ("::1", "has more than one colon; write an IPv6 address in brackets"),
        ("[::1", "has an opening bracket without a closing one"),
        ("[::g]", "is not an IPv6 address"),
        ("[fe80::1%eth0]", "has a zone"),
        ("127.1", "ends like an IPv4 address but is not one"),
        ("2130706433", "ends like an IPv4 address but is not one"),
        ("0x7f.1", "ends like an IPv4 address but is not one"),
        ("0x7f000001", "ends like an IPv4 address but is not one"),
        ("0177.0.0.1", "ends like an IPv4 address but is not one"),
        ("1.2.3.4.5", "ends like an IPv4 address but is not one"),
        ("256.1.1.1", "ends like an IPv4 address but is not one"),
        ("faß.example", "is read differently"),
        ("bü..example", "is not an internationalised name"),
    ],
)
def test_a_text_that_is_not_an_entry_is_refused_with_the_reason(entry: str, why: str) -> None:
    problem = egress.problem(entry)

    assert problem is not None
    assert problem.startswith(f"{entry!r} {why}")


@given(st.text(max_size=300) | st.text("*.:[]/@%0123456789abcdefx-_", max_size=60))
@example("\u0663.1.1.1")
@example("\uff11\uff12\uff17.0.0.1")
@example("[" * 300)
def test_any_text_is_an_entry_or_is_refused_in_one_line(text: str) -> None:
    problem = egress.problem(text)

    if problem is None:
        assert Allowlist.parse([text]).entries
    else:
        assert problem.isprintable()


@given(NAMES, _PORTS)
def test_an_entry_without_a_port_allows_80_and_443(name: str, port: int) -> None:
    assert (port in {80, 443}) == allows(name, name, port)


@given(NAMES, _PORTS, _PORTS)
def test_an_entry_with_a_port_allows_only_that_port(name: str, listed: int, asked: int) -> None:
    assert (listed == asked) == allows(f"{name}:{listed}", name, asked)


@given(NAMES, NAMES)
def test_a_wildcard_allows_names_below_a_name_and_not_the_name(above: str, below: str) -> None:
    assert allows(f"*.{above}", f"{below}.{above}", 443)
    assert not allows(f"*.{above}", above, 443)
    assert not allows(f"*.{above}", f"{below}{above}", 443)
    assert not allows(above, f"{below}.{above}", 443)


@given(NAMES, st.randoms(use_true_random=False))
def test_case_and_a_final_dot_make_no_difference(name: str, random: object) -> None:
    shouted = "".join(random.choice([c, c.upper()]) for c in name) + "."  # type: ignore[attr-defined]

    assert normal_host(shouted) == name
    assert allows(shouted, name, 443)


@given(NAMES, NAMES)
def test_another_name_is_not_allowed(listed: str, asked: str) -> None:
    assume(listed != asked)

    assert not allows(listed, asked, 443)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"],
)
def test_every_sandbox_may_reach_a_public_address(address: str) -> None:
    assert reach(address) is Reach.PUBLIC


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "100.64.0.1",
        "172.16.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.168.1.1",
        "198.19.0.1",
        "203.0.113.7",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "100::1",
        "2001:db8::1",
        "2002:101:101::1",
        "64:ff9b::a00:1",
        "64:ff9b:1::101:101",
        "::101:101",
        "::ffff:10.0.0.1",
        "2001:4860::5efe:a00:1",
    ],
)
def test_only_a_sandbox_that_lists_a_private_address_may_reach_it(address: str) -> None:
    assert reach(address) is Reach.LISTED


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "ff02::1",
        "::ffff:224.0.0.1",
        "2001:0:7f00:1::1",
    ],
)
def test_no_sandbox_may_reach_an_address_that_is_not_one_machine(address: str) -> None:
    assert reach(address) is Reach.NEVER


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "169.254.170.2",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::1",
        "2001:0:101:101::80ff:fffe",
        "2001:4860::200:5efe:7f00:1",
    ],
)
def test_only_a_sandbox_that_lists_an_address_of_this_machine_or_link_may_reach_it(
    address: str,
) -> None:
    assert reach(address) is Reach.LISTED


@given(st.ip_addresses(v=4))
def test_an_address_that_carries_another_has_no_wider_reach(inner: IPv4Address) -> None:
    bits = int(inner)
    carriers = [
        IPv6Address((0xFFFF << 32) | bits),
        IPv6Address((0x64FF9B << 96) | bits),
        IPv6Address((0x2002 << 112) | (bits << 80) | 1),
        IPv6Address((0x20010000 << 96) | (bits << 64)),
        IPv6Address((0x20010000 << 96) | (0x01010101 << 64) | (~bits & 0xFFFFFFFF)),
    ]

    for carrier in carriers:
        assert egress.reach(carrier).value >= egress.reach(inner).value


@given(st.ip_addresses())
def test_an_address_that_python_calls_not_global_is_not_public(
    address: IPv4Address | IPv6Address,
) -> None:
    if not address.is_global or address.is_multicast:
        carried = getattr(address, "ipv4_mapped", None)
        assert egress.reach(address) is not Reach.PUBLIC or (carried and carried.is_global)


@given(_PRIVATE_V4, _PORTS, _PORTS)
def test_a_private_address_is_reached_only_at_the_listed_port(
    address: str, listed: int, asked: int
) -> None:
    allowlist = Allowlist.parse(["db.example.com:5432", f"{address}:{listed}"])

    assert (listed == asked) == allowlist.reaches(ip_address(address), asked)


def test_a_listed_name_does_not_open_this_machine() -> None:
    allowlist = Allowlist.parse(["localhost", "metadata.example.com"])

    for address in ("127.0.0.1", "::1", "169.254.169.254"):
        assert not allowlist.reaches(ip_address(address), 80)


def test_an_empty_allowlist_allows_nothing() -> None:
    assert not Allowlist.parse([]).allows("example.com", 443)


def test_an_allowlist_with_a_bad_entry_is_refused() -> None:
    with pytest.raises(HostError):
        Allowlist.parse(["example.com", "*"])


@given(NAMES, _PORTS, _PORTS)
def test_an_entry_covers_itself_and_every_port_that_it_allows(
    name: str, first: int, second: int
) -> None:
    entry, wildcard = Entry.parse(f"{name}:{first}"), Entry.parse(f"*.{name}:{first}")
    other = Entry.parse(f"{name}:{second}")

    assert entry.covers(entry)
    assert wildcard.covers(wildcard)
    assert entry.covers(other) == (first == second)


@given(NAMES, NAMES, _PORTS)
def test_an_entry_covers_only_entries_that_allow_no_more(above: str, below: str, port: int) -> None:
    entries = [Entry.parse(f"{text}:{port}") for text in (above, f"{below}.{above}")]
    entries += [Entry.parse(f"*.{text}:{port}") for text in (above, f"{below}.{above}")]
    hosts = [above, f"{below}.{above}", f"a.{below}.{above}", f"a.{above}"]

    for wide in entries:
        for narrow in entries:
            allowed = [host for host in hosts if narrow.allows(host, port)]
            if wide.covers(narrow):
                assert all(wide.allows(host, port) for host in allowed)
            else:
                assert not all(wide.allows(host, port) for host in allowed)
