"""Each web address is read in one way, and a redirect cannot get around the checks."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskrunner.executors.builtin.http import web_address
from taskrunner.executors.builtin.http.web_address import WebAddress, WebAddressError
from taskrunner.model import hosts

_TEXTS = st.text(max_size=80) | st.text("htps:/@.\\[]#?%0123456789abcx \r\n", max_size=60)
_LIKELY = st.builds(
    "{}://{}{}".format,
    st.sampled_from(["http", "https", "HTTP", "ftp"]),
    st.sampled_from(["example.com", "[::1]", "a@b", "127.1", "BÜCHER.example:8080", "a:0"]),
    st.text("/?#&=.%é<>\"{}|^`[]';, \\\r\n", max_size=20),
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://example.com", WebAddress("http", "example.com", 80, "/")),
        ("HTTPS://Example.COM.", WebAddress("https", "example.com", 443, "/")),
        ("http://example.com:443/", WebAddress("http", "example.com", 443, "/")),
        ("https://example.com?a=b#c", WebAddress("https", "example.com", 443, "/?a=b")),
        ("http://[::FFFF:10.0.0.1]:8080/a", WebAddress("http", "10.0.0.1", 8080, "/a")),
        ("http://a.example/ü%20|", WebAddress("http", "a.example", 80, "/%C3%BC%20%7C")),
        (
            "http://a.example/100%?q=%zz%2f%ü",
            WebAddress("http", "a.example", 80, "/100%25?q=%25zz%2f%25%C3%BC"),
        ),
        ("http://a.example/..//.", WebAddress("http", "a.example", 80, "/..//.")),
        ("http://a.example/@b:c", WebAddress("http", "a.example", 80, "/@b:c")),
    ],
)
def test_an_address_is_read_into_its_parts(text: str, address: WebAddress) -> None:
    assert web_address.read(text) == address


@given(_TEXTS | _LIKELY)
@example("http://a\u2100b.example")
@example("http://[v1.a]/")
def test_any_text_is_an_address_or_is_refused_in_one_line(text: str) -> None:
    try:
        address = web_address.read(text)
    except WebAddressError as error:
        assert str(error).isprintable()  # noqa: PT017 - the text may also be an address
        return
    assert address.host == hosts.normal_host(address.host)
    assert address.target.isascii()
    assert address.target.isprintable()
    assert " " not in address.target
    assert re.fullmatch("(?:[^%]|%[0-9A-Fa-f]{2})*", address.target)
    assert web_address.read(address.origin + address.target) == address


@given(_TEXTS | _LIKELY, st.sampled_from(["http", "https"]))
def test_a_redirect_leads_to_an_address_and_never_from_https_to_http(
    location: str, scheme: str
) -> None:
    start = web_address.read(f"{scheme}://start.example:8443/a/b?c")

    try:
        target = web_address.follow(start, location)
    except WebAddressError:
        return
    assert target == web_address.read(target.origin + target.target)
    assert not (scheme == "https" and target.scheme == "http")


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ("", "http://a.example/b/c?d"),
        ("?e", "http://a.example/b/c?e"),
        ("e", "http://a.example/b/e"),
        ("../../../e", "http://a.example/e"),
        ("//b.example", "http://b.example/"),
        ("https://b.example:8443/é", "https://b.example:8443/%C3%A9"),
    ],
)
def test_a_location_is_resolved_against_the_address_of_the_request(
    location: str, found: str
) -> None:
    address = web_address.follow(web_address.read("http://a.example/b/c?d"), location)

    assert address.origin + address.target == found


def test_an_origin_contains_neither_path_nor_query() -> None:
    assert web_address.read("https://a.example/hooks/secret?key=x").origin == "https://a.example"
