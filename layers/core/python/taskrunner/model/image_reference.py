"""References to container images: `registry.example.com/team/app:v1.2.3@sha256:...`.

    reference  = [ domain "/" ] path [ ":" tag ] [ "@" digest ]
    domain     = ( name *( "." name ) | "[" IPv6 "]" ) [ ":" port ]
    path       = component *( "/" component )

The grammar is that of github.com/distribution/reference, whose path and tag are those of the OCI
distribution spec v1.1 ("Pulling manifests"). This module is stricter than both: it takes only the
registered digests of the OCI image spec, ports that exist, valid IPv6 addresses, and at most 255
characters of domain and path together, which the distribution spec recommends to registries.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from taskrunner.model.hosts import LARGEST_PORT
from taskrunner.values import dataclass

DEFAULT_REGISTRY: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
MAX_NAME_CHARACTERS: Final = 255

_DIGEST_DIGITS: Final = {"sha256": 64, "sha512": 128}
_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN: Final = re.compile(
    rf"(?P<host>\[(?P<ipv6>[0-9A-Fa-f:]+)\]|{_NAME}(?:\.{_NAME})*)(?::(?P<port>[0-9]+))?"
)
_COMPONENT: Final = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html, with FIPS endpoints
_ECR: Final = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z]{2,3}(?:-[a-z]+)+-[0-9]{1,2})"
    r"\.amazonaws\.com(?:\.cn)?"
)
_HTTPS_PORT: Final = 443
_FORBIDDEN: Final = re.compile(r"[^!-~]")
_IMAGE_ID: Final = re.compile(r"[0-9a-f]{64}")


class ImageReferenceError(Exception):
    """The text is not an image reference; the message has the bad part, its place and the rule."""


@dataclass(frozen=True, slots=True)
class EcrRegistry:
    """A private registry of Amazon ECR: each account has one in each Region."""

    account: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """A reference as it was written; `str()` gives its text.

    The properties fill in what was omitted, as Docker does.
    """

    domain: str | None
    path: str
    tag: str | None
    digest: str | None

    def __str__(self) -> str:
        domain = "" if self.domain is None else f"{self.domain}/"
        tag = "" if self.tag is None else f":{self.tag}"
        digest = "" if self.digest is None else f"@{self.digest}"
        return domain + self.path + tag + digest

    @property
    def registry(self) -> str:
        """The registry, with its port when one was written."""
        if self.domain in {None, "index.docker.io"}:
            return DEFAULT_REGISTRY
        return str(self.domain)

    @property
    def repository(self) -> str:
        """The repository in the registry; on Docker Hub, one part alone is in `library/`."""
        if self.registry == DEFAULT_REGISTRY and "/" not in self.path:
            return f"library/{self.path}"
        return self.path

    @property
    def tag_pulled(self) -> str | None:
        """The tag that was written; `latest` when there is neither a tag nor a digest."""
        return self.tag or (DEFAULT_TAG if self.digest is None else None)

    @property
    def host(self) -> str:
        """The registry's host in lower case, an IPv6 address without its brackets."""
        match = _DOMAIN.fullmatch(self.registry)
        return "" if match is None else (match["ipv6"] or match["host"]).lower()

    @property
    def port(self) -> int | None:
        """The registry's port, or None when none was written."""
        match = _DOMAIN.fullmatch(self.registry)
        return None if match is None or match["port"] is None else int(match["port"])

    @property
    def ecr(self) -> EcrRegistry | None:
        """The private ECR registry that the image is in, or None when it is elsewhere."""
        match = _ECR.fullmatch(self.host)
        if match is None or self.port not in {None, _HTTPS_PORT}:
            return None
        return EcrRegistry(match["account"], match["region"])


def parse(text: str) -> ImageReference:
    """Read *text* as an image reference.

    Raises:
        ImageReferenceError: the text breaks the grammar.
    """
    if (forbidden := _FORBIDDEN.search(text)) is not None:
        raise ImageReferenceError(
            f"at character {forbidden.start() + 1} there is {forbidden[0]!a}; "
            "use printable ASCII without spaces"
        )
    tagged_name, at, digest = text.partition("@")
    # A colon before the last slash belongs to a port.
    tag_at = tagged_name.find(":", tagged_name.rfind("/") + 1)
    name, tag = tagged_name, None
    if tag_at >= 0:
        name, tag = tagged_name[:tag_at], tagged_name[tag_at + 1 :]
    domain, path = _split(name)
    _check_name(name)
    if domain is not None:
        _check_domain(domain)
    _check_path(path, start=len(name) - len(path))
    if tag is not None and _TAG.fullmatch(tag) is None:
        rule = "1 to 128 letters, digits, '_', '.' and '-', not beginning with '.' or '-'"
        raise _error("tag", tag, tag_at + 1, rule)
    if at:
        _check_digest(digest, start=len(tagged_name) + 1)
    return ImageReference(domain=domain, path=path, tag=tag, digest=digest if at else None)


def _split(name: str) -> tuple[str | None, str]:
    """Return domain and path; as in clients, the first part is a domain when it looks like one."""
    first, slash, rest = name.partition("/")
    is_domain = first == "localhost" or set(".:") & set(first) or first != first.lower()
    return (first, rest) if slash and is_domain else (None, name)


def _check_name(name: str) -> None:
    if not name:
        raise ImageReferenceError("it has no name; write it like registry.example.com/app:v1.2.3")
    if len(name) > MAX_NAME_CHARACTERS:
        raise ImageReferenceError(
            f"its name has {len(name)} characters, and at most {MAX_NAME_CHARACTERS} are allowed"
        )
    if _IMAGE_ID.fullmatch(name):
        raise ImageReferenceError(
            "it is an image id, and no registry finds images by id; write the repository"
        )


def _check_domain(domain: str) -> None:
    match = _DOMAIN.fullmatch(domain)
    if match is None:
        rule = "a DNS name, an IPv4 address, or an IPv6 address in brackets; then :port or nothing"
        raise _error("registry", domain, 0, rule)
    port = match["port"]
    if port is not None and not 1 <= int(port) <= LARGEST_PORT:
        raise _error("port", port, match.start("port"), f"a number from 1 to {LARGEST_PORT}")
    if match["ipv6"] is not None:
        try:
            IPv6Address(match["ipv6"])
        except AddressValueError:
            raise _error("registry", domain, 0, "a valid IPv6 address in brackets") from None


def _check_path(path: str, start: int) -> None:
    for component in path.split("/"):
        if _COMPONENT.fullmatch(component) is None:
            rule = (
                "lower case letters and digits, with one '.', one or two '_' or any number of "
                "'-' between them"
            )
            raise _error("path component", component, start, rule)
        start += len(component) + 1


def _check_digest(digest: str, start: int) -> None:
    algorithm, _, digits = digest.partition(":")
    length = _DIGEST_DIGITS.get(algorithm)
    if length is None or re.fullmatch(rf"[0-9a-f]{{{length}}}", digits) is None:
        rule = "sha256: with 64 digits, or sha512: with 128 digits, of 0-9 and a-f"
        raise _error("digest", digest, start, rule)


def _error(part: str, text: str, start: int, rule: str) -> ImageReferenceError:
    # Quoted completely or not at all: the redactor would not find part of a secret.
    size = len(text)
    shown = f"'{text}'" if size <= MAX_NAME_CHARACTERS else f"a string of {size} characters"
    problem = f"{shown} is not a {part}" if text else f"a {part} is missing"
    return ImageReferenceError(f"at character {start + 1}, {problem}; use {rule}")
