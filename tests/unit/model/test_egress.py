"""Which hosts and addresses an allowlist opens: every spelling of one thing is treated alike."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from taskrunner.model import egress
from taskrunner.model.egress import Allowlist, EgressError, Reach

_LABELS = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,4})?", fullmatch=True)
_NAMES = st.lists(_LABELS, min_size=2, max_size=5).map(".".join)
_PORTS = st.integers(1, 65535)
_PRIVATE_V4 = st.sampled_from(["10.1.2.3", "100.64.0.1", "172.31.255.255", "192.168.0.1"])


def allows(entry: str, host: str, port: int) -> bool:
    return Allowlist.read([entry]).allows(egress.normal_host(host), port)


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
        ("*", "is no host"),
        ("*.com", "is too wide"),
        ("*.", "has no host"),
        ("*.*.example.com", "is no host"),
        ("a.*.example.com", "is no host"),
        ("*.10.0.0.1", "is too wide"),
        ("*.[::1]", "is too wide"),
        ("https://example.com", "is no host; leave out the scheme and the path"),
        ("https://example.com:443/a", "is no host; leave out the scheme and the path"),
        ("example.com/path", "is no host"),
        ("10.0.0.0/8", "is no host"),
        ("user@example.com", "is no host"),
        ("example.com:", "has no port after its colon"),
        ("example.com:0", "has no port after its colon"),
        ("example.com:080", "has no port after its colon"),
        ("example.com:65536", "has no port after its colon"),
        ("example.com:http", "has no port after its colon"),
        ("example..com", "is no host"),
        ("-a.example.com", "is no host"),
        ("a" * 64 + ".com", "is no host"),
        ("exa mple.com", "is no host"),
        ("example.com\n", "is no host"),
        ("%65xample.com", "is no host"),
        ("::1", "has more than one colon; an IPv6 address stands in brackets"),
        ("[::1", "has a bracket that is not closed"),
        ("[::g]", "is no IPv6 address"),
        ("[fe80::1%eth0]", "has a zone"),
        ("127.1", "ends like an IPv4 address and is none"),
        ("2130706433", "ends like an IPv4 address and is none"),
        ("0x7f.1", "ends like an IPv4 address and is none"),
        ("0x7f000001", "ends like an IPv4 address and is none"),
        ("0177.0.0.1", "ends like an IPv4 address and is none"),
        ("1.2.3.4.5", "ends like an IPv4 address and is none"),
        ("256.1.1.1", "ends like an IPv4 address and is none"),
        ("faß.example", "is read differently"),
        ("bü..example", "is no internationalised name"),
    ],
)
def test_what_is_no_entry_is_told_why(entry: str, why: str) -> None:
    told = egress.problem(entry)

    assert told is not None
    assert told.startswith(f"{entry!r} {why}")


@given(st.text(max_size=300) | st.text("*.:[]/@%0123456789abcdefx-_", max_size=60))
@example("\u0663.1.1.1")
@example("\uff11\uff12\uff17.0.0.1")
@example("[" * 300)
def test_any_text_is_an_entry_or_is_told_why_in_one_line(text: str) -> None:
    told = egress.problem(text)

    if told is None:
        assert Allowlist.read([text]).entries
    else:
        assert told.isprintable()


@given(_NAMES, _PORTS)
def test_a_host_alone_is_reached_at_the_ports_of_the_web(name: str, port: int) -> None:
    assert (port in {80, 443}) == allows(name, name, port)


@given(_NAMES, _PORTS, _PORTS)
def test_a_port_opens_itself_and_no_other(name: str, listed: int, asked: int) -> None:
    assert (listed == asked) == allows(f"{name}:{listed}", name, asked)


@given(_NAMES, _NAMES)
def test_a_star_opens_what_is_below_a_name_and_not_the_name(above: str, below: str) -> None:
    assert allows(f"*.{above}", f"{below}.{above}", 443)
    assert not allows(f"*.{above}", above, 443)
    assert not allows(f"*.{above}", f"{below}{above}", 443)
    assert not allows(above, f"{below}.{above}", 443)


@given(_NAMES, st.randoms(use_true_random=False))
def test_case_and_a_dot_at_the_end_make_no_difference(name: str, random: object) -> None:
    shouted = "".join(random.choice([c, c.upper()]) for c in name) + "."  # type: ignore[attr-defined]

    assert egress.normal_host(shouted) == name
    assert allows(shouted, name, 443)


@given(_NAMES, _NAMES)
def test_another_name_is_not_reached(listed: str, asked: str) -> None:
    assume(listed != asked)

    assert not allows(listed, asked, 443)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("example\u3002com", "example.com"),
        ("\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com", "example.com"),
        ("\uff11\uff12\uff17.0.0.1", "127.0.0.1"),
        ("[::FFFF:127.0.0.1]", "127.0.0.1"),
        ("[0:0::0001]", "::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_every_spelling_of_a_host_has_one_normal_form(written: str, normal: str) -> None:
    assert normal == egress.normal_host(written)
    assert normal == egress.normal_host(normal)


@given(st.text(max_size=60) | _NAMES | st.ip_addresses().map(str))
def test_a_normal_form_is_its_own(text: str) -> None:
    try:
        once = egress.normal_host(text)
    except EgressError:
        return
    assert once.isascii()
    assert once == egress.normal_host(once)


@given(st.ip_addresses())
def test_an_address_and_its_text_are_one_host(address: IPv4Address | IPv6Address) -> None:
    found = egress.normal_address(str(address))

    assert found in {address, getattr(address, "ipv4_mapped", None)}
    assert egress.address_of(str(found)) == found


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"],
)
def test_a_public_address_is_anybodys(address: str) -> None:
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
def test_a_private_address_is_for_who_lists_it(address: str) -> None:
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
def test_what_is_no_single_machine_is_for_nobody(address: str) -> None:
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
def test_this_machine_and_its_link_are_for_who_lists_them(address: str) -> None:
    assert reach(address) is Reach.LISTED


@given(st.ip_addresses(v=4))
def test_an_address_within_another_is_never_opened_further_by_it(inner: IPv4Address) -> None:
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
def test_what_python_calls_not_global_is_not_public(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast:
        carried = getattr(address, "ipv4_mapped", None)
        assert egress.reach(address) is not Reach.PUBLIC or (carried and carried.is_global)


@given(_PRIVATE_V4, _PORTS, _PORTS)
def test_a_private_address_is_reached_at_the_port_it_is_listed_with(
    address: str, listed: int, asked: int
) -> None:
    allowlist = Allowlist.read(["db.example.com:5432", f"{address}:{listed}"])

    assert (listed == asked) == allowlist.reaches(ip_address(address), asked)


def test_a_name_opens_this_machine_to_nobody() -> None:
    allowlist = Allowlist.read(["localhost", "metadata.example.com"])

    for address in ("127.0.0.1", "::1", "169.254.169.254"):
        assert not allowlist.reaches(ip_address(address), 80)


def test_an_empty_list_allows_nothing() -> None:
    assert not Allowlist.read([]).allows("example.com", 443)


def test_a_list_with_what_is_no_entry_is_not_read() -> None:
    with pytest.raises(EgressError):
        Allowlist.read(["example.com", "*"])


class TestIsCovered:
    @pytest.mark.parametrize(
        ("allowed", "entry"),
        [
            ("api.example.com", "api.example.com"),
            ("api.example.com", "API.Example.com."),
            ("api.example.com", "api.example.com:443"),
            ("api.example.com:5000", "api.example.com:5000"),
            ("*.example.com", "api.example.com"),
            ("*.example.com", "*.example.com"),
            ("*.example.com", "*.eu.example.com:80"),
            ("*.example.com:5000", "a.b.example.com:5000"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("[2001:db8::1]:5000", "[2001:db8:0:0::1]:5000"),
            ("bücher.example.com", "xn--bcher-kva.example.com"),
        ],
    )
    def test_an_entry_is_covered_by_an_equal_or_a_wider_one(self, allowed: str, entry: str) -> None:
        assert egress.is_covered(entry, ("other.example.org", allowed))

    @pytest.mark.parametrize(
        ("allowed", "entry"),
        [
            ("api.example.com", "example.com"),
            ("api.example.com", "*.api.example.com"),
            ("api.example.com", "xapi.example.com"),
            ("api.example.com", "api.example.com:22"),
            ("api.example.com:443", "api.example.com"),  # which is port 80 too
            ("api.example.com:443", "api.example.com:444"),
            ("*.example.com", "example.com"),
            ("*.example.com", "badexample.com"),
            ("*.eu.example.com", "*.example.com"),
            ("*.example.com", "*.example.com:22"),
            ("[2001:db8::1]", "[2001:db8::2]"),
        ],
    )
    def test_an_entry_that_opens_more_is_not_covered(self, allowed: str, entry: str) -> None:
        assert not egress.is_covered(entry, (allowed,))

    def test_text_that_is_not_an_entry_covers_nothing_and_is_covered_by_nothing(self) -> None:
        assert not egress.is_covered("https://api.example.com", ("https://api.example.com",))
        assert not egress.is_covered("api.example.com", ("https://api.example.com",))
        assert egress.is_covered("api.example.com", ("https://x", "*.example.com"))
        assert not egress.is_covered("api.example.com", ())
