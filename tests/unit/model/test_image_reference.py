"""The grammar of image references, and the place that a refusal names."""

from string import ascii_letters, digits

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskrunner.model.image_reference import ImageReference, ImageReferenceError, parse

HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA256 = "sha256:" + HEX
SHA512 = "sha512:" + HEX * 2

_ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"
_WORDS = st.text(_ALNUM, min_size=1, max_size=6)
_SEPARATORS = st.sampled_from([".", "_", "__", "-", "--", "-----"])
_NAMES = st.builds("{}{}{}".format, _WORDS, st.sampled_from(["", "-", "--", "A"]), _WORDS)
_HOSTS = st.one_of(
    _NAMES,
    st.lists(_NAMES, min_size=2, max_size=4).map(".".join),
    st.ip_addresses(v=6).map(lambda ip: f"[{ip}]"),
)
_IN_TAGS = ascii_letters + digits + "_"
_TAGS = st.none() | st.builds(
    str.__add__, st.sampled_from(_IN_TAGS), st.text(_IN_TAGS + ".-", max_size=127)
)
_DIGESTS = st.sampled_from([None, SHA256, SHA512])


@st.composite
def components(draw: st.DrawFn) -> str:
    component = draw(_WORDS)
    for _ in range(draw(st.integers(0, 2))):
        component += draw(_SEPARATORS) + draw(_WORDS)
    return component


@st.composite
def domains(draw: st.DrawFn) -> str:
    port = ":" + str(draw(st.integers(1, 65535)))
    host = draw(_HOSTS)
    # A single name is read as a domain only with a port, else as the first part of the path.
    needs_port = "." not in host and ":" not in host and host == host.lower()
    return host + (port if needs_port or draw(st.booleans()) else "")


_DOMAINS = st.none() | domains() | st.just("localhost")
_PATHS = st.lists(components(), min_size=1, max_size=4)


@st.composite
def references(draw: st.DrawFn) -> ImageReference:
    domain = draw(_DOMAINS)
    path = "/".join(draw(_PATHS))
    first, more, _ = path.partition("/")
    if domain is None and more and ("." in first or first == "localhost"):
        path = first  # followed by a slash, it would be read as a domain
    return ImageReference(
        domain=domain,
        path=path,
        tag=draw(_TAGS),
        digest=draw(_DIGESTS),
    )


@given(references().filter(lambda reference: len(reference.path) <= 64))
def test_a_reference_is_read_back_unchanged(reference: ImageReference) -> None:
    assert reference == parse(str(reference))


@given(st.text(_ALNUM + "A./:@-_[]", max_size=60) | st.text(max_size=30))
@example("a" * 300 + "/" * 300)
@example("[::" + "1" * 250 + "]/a")
@example("a:" + "9" * 5000)
def test_any_text_is_read_unchanged_or_refused(text: str) -> None:
    try:
        assert text == str(parse(text))
    except ImageReferenceError as error:
        assert str(error).isprintable()  # noqa: PT017 - the text may also be a reference


# Most of these kinds are from the tests of github.com/distribution/reference.
@pytest.mark.parametrize(
    ("text", "domain", "path", "tag", "digest"),
    [
        ("nginx", None, "nginx", None, None),
        ("nginx:1.27", None, "nginx", "1.27", None),
        ("test_com", None, "test_com", None, None),
        ("test.com:5000", None, "test.com", "5000", None),
        ("localhost:5000", None, "localhost", "5000", None),
        ("localhost/app", "localhost", "app", None, None),
        ("test:5000/repo:tag", "test:5000", "repo", "tag", None),
        ("test:5000/repo@" + SHA256, "test:5000", "repo", None, SHA256),
        ("test:5000/repo:tag@" + SHA512, "test:5000", "repo", "tag", SHA512),
        ("lowercase:Uppercase", None, "lowercase", "Uppercase", None),
        ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", "xn--n3h.com", None),
        ("foo_bar.com:8080", None, "foo_bar.com", "8080", None),
        ("foo/foo_bar.com:8080", None, "foo/foo_bar.com", "8080", None),
        ("Team/app", "Team", "app", None, None),
        ("b.gcr.io/a.b/my--app:a.b", "b.gcr.io", "a.b/my--app", "a.b", None),
        ("[2001:db8::1]:5000/repo", "[2001:db8::1]:5000", "repo", None, None),
        ("192.168.1.1/repo", "192.168.1.1", "repo", None, None),
    ],
)
def test_a_reference_is_split_into_its_parts(
    text: str, domain: str | None, path: str, tag: str | None, digest: str | None
) -> None:
    expected = ImageReference(domain=domain, path=path, tag=tag, digest=digest)

    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "it has no name"),
        (":tag", "it has no name"),
        ("@" + SHA256, "it has no name"),
        ("Uppercase", "at character 1, 'Uppercase' is not a path component"),
        ("a.io/team/App:1", "at character 11, 'App' is not a path component"),
        ("a.io//app", "at character 6, a path component is missing"),
        ("a.io/app/", "at character 10, a path component is missing"),
        ("a.io/a..b", "at character 6, 'a..b' is not a path component"),
        ("a.io/a___b", "at character 6, 'a___b' is not a path component"),
        ("a.io/-a", "at character 6, '-a' is not a path component"),
        ("/app", "at character 1, a path component is missing"),
        ("a.io/app:", "at character 10, a tag is missing"),
        ("a.io/app:.1", "at character 10, '.1' is not a tag"),
        ("a.io/app:1:2", "at character 10, '1:2' is not a tag"),
        ("a.io/app:" + "a" * 129, "at character 10, 'aaa"),
        ("app@", "at character 5, a digest is missing"),
        ("app@sha256:34343", "at character 5, 'sha256:34343' is not a digest"),
        ("app@sha256:" + HEX.upper(), "at character 5, 'sha256:E3B0"),
        ("app@sha256:" + HEX * 2, "at character 5, 'sha256:e3b0"),
        ("app@md5:" + HEX, "at character 5, 'md5:e3b0"),
        ("app@" + SHA256 + "@" + SHA256, "at character 5, 'sha256:e3b0"),
        ("foo_bar.com/app", "at character 1, 'foo_bar.com' is not a registry"),
        ("-a.io/app", "at character 1, '-a.io' is not a registry"),
        ("a.io:/app", "at character 1, 'a.io:' is not a registry"),
        ("a.io:0/app", "at character 6, '0' is not a port"),
        ("a.io:65536/app", "at character 6, '65536' is not a port"),
        ("a.io:999999/app", "at character 6, '999999' is not a port"),
        ("https://a.io/app", "at character 1, 'https:' is not a registry"),
        ("[::1::]/app", "at character 1, '[::1::]' is not a registry"),
        ("[fe80::1%eth0]:5000/app", "at character 1, '[fe80::1%eth0]:5000' is not a registry"),
        ("a.io/app :1", "at character 9 there is ' '"),
        ("a.io/app:1\n", "at character 11 there is '\\n'"),
        ("a.io/äpp", "at character 6 there is '\\xe4'"),
        ("a/" * 127 + "ab", "its name has 256 characters, and at most 255 are allowed"),
        (HEX, "it is an image id"),
    ],
)
def test_a_text_that_is_not_a_reference_is_refused_with_the_place(text: str, place: str) -> None:
    with pytest.raises(ImageReferenceError) as refusal:
        parse(text)

    assert str(refusal.value).startswith(place)


def test_the_longest_name_and_tag_are_accepted() -> None:
    text = "a/" * 127 + "a:" + "t" * 128

    assert text == str(parse(text))


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag"),
    [
        ("nginx", "docker.io", "library/nginx", "latest"),
        ("team/app:1", "docker.io", "team/app", "1"),
        ("docker.io/nginx", "docker.io", "library/nginx", "latest"),
        ("index.docker.io/nginx", "docker.io", "library/nginx", "latest"),
        ("a.io:443/app", "a.io:443", "app", "latest"),
        ("a.io/app@" + SHA256, "a.io", "app", None),
        ("a.io/app:1@" + SHA256, "a.io", "app", "1"),
    ],
)
def test_omitted_parts_are_filled_in_as_docker_does(
    text: str, registry: str, repository: str, tag: str | None
) -> None:
    reference = parse(text)

    assert registry == reference.registry
    assert repository == reference.repository
    assert tag == reference.tag_pulled


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("nginx", "docker.io", None),
        ("A.IO/app", "a.io", None),
        ("a.io:0443/app", "a.io", 443),
        ("[::1]/app", "::1", None),
        ("[::1]:5000/app", "::1", 5000),
    ],
)
def test_host_and_port_are_those_of_the_registry(text: str, host: str, port: int | None) -> None:
    assert (host, port) == (parse(text).host, parse(text).port)


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com", ("123456789012", "us-east-1")),
        ("123456789012.DKR.ECR.us-gov-west-1.amazonaws.com:443", ("123456789012", "us-gov-west-1")),
        ("123456789012.dkr.ecr-fips.us-east-2.amazonaws.com", ("123456789012", "us-east-2")),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", ("123456789012", "cn-north-1")),
        ("12345678901.dkr.ecr.us-east-1.amazonaws.com", None),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example", None),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com:5000", None),
        ("123456789012.dkr.ecr.evil.example.amazonaws.com", None),
        ("a123456789012.dkr.ecr.us-east-1.amazonaws.com", None),
        ("public.ecr.aws", None),
        ("docker.io", None),
    ],
)
def test_a_private_ecr_registry_is_recognised_by_its_name(
    registry: str, expected: tuple[str, str] | None
) -> None:
    ecr = parse(f"{registry}/team/app:1").ecr

    assert expected == (None if ecr is None else (ecr.account, ecr.region))
