"""`builtin:scanner` tells what can be told of a container image from its reference alone, offline.

Of an image in ECR there is more to be told: what the registry found when it scanned it. That is
asked for where the sandbox allows the registry, and a finding says so where it was not read.

A finding's severity depends on whether a digest pins the image. With one, a client proves that what
it got is what was meant, whoever it got it from; without one it believes the registry and the wire.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from pydantic import Field

from taskrunner.executors.work import ClosedParameters, EgressDenied, ExecutorFailure
from taskrunner.model import image_reference
from taskrunner.model.image_reference import ImageReference, ImageReferenceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network

    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

Severity: TypeAlias = Literal["critical", "high", "medium", "low"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)  # the worst first
REPORT_NAME: Final = "scan-report.json"

# Names that exist to be moved, and versions that leave their last number open.
_MOVING = {
    "canary", "current", "dev", "develop", "edge", "head", "latest", "lts", "main", "master",
    "nightly", "prod", "production", "rolling", "snapshot", "stable", "staging", "testing",
    "trunk", "unstable",
}  # fmt: skip
_OPEN_VERSION = re.compile(r"v?[0-9]{1,3}(\.[0-9]{1,3})?")
# Written out, because what Python calls private differs from one version to the next.
_LOOPBACK = [ip_network(text) for text in ("127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128")]
_PRIVATE = [
    ip_network(text)
    for text in (
        "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "fc00::/7", "fe80::/10",
    )
]  # fmt: skip
_HTTP_PORT: Final = 80
_PLAIN_REGISTRY_PORT: Final = 5000
_MAX_SHOWN: Final = 300
_MAX_NAMED: Final = 8
_MAX_TEXT: Final = 300
# The step's outputs have 64 KiB; the counts tell of what is left out here.
_MAX_FINDINGS_BYTES: Final = 40 * 1024


class Parameters(ClosedParameters):
    """The image, and from which severity on a finding fails the step; without it none does."""

    target: str
    fail_on: Severity | None = Field(default=None, alias="failOn")


@dataclass(frozen=True, slots=True)
class Finding:
    """One weakness of a reference: what it is, what follows from it, and what to write instead."""

    id: str
    severity: Severity
    title: str
    detail: str
    remedy: str


def execute(parameters: Parameters, work: Work) -> JsonObject:
    """Write the report and return the same: the reference's parts, its findings and their counts.

    Raises:
        ExecutorFailure: the target is no image reference, or has a finding that `failOn` names.
    """
    try:
        reference = image_reference.parse(parameters.target)
    except ImageReferenceError as error:
        # Escaped, because this text is the caller's and ends up in somebody's terminal. Never cut:
        # in half a secret nobody finds the whole.
        size = len(parameters.target)
        shown = ascii(parameters.target) if size <= _MAX_SHOWN else f"a text of {size} characters"
        raise ExecutorFailure(f"{shown} is no image reference: {error}") from None
    found = findings(reference)
    counts: dict[str, int] = {
        level: sum(one.severity == level for one in found) for level in SEVERITIES
    }
    if reference.ecr is not None:
        recorded, further = _recorded(reference, work)
        found = sorted([*found, *recorded], key=_worst_first)
        counts = {level: counts[level] + further.get(level, 0) for level in SEVERITIES}
    report: JsonObject = {
        "target": parameters.target,
        "registry": reference.registry,
        "repository": reference.repository,
        "tag": reference.tag_pulled,
        "digest": reference.digest,
        "findings": _that_fit(found),
    }
    report |= counts
    # Before the verdict: a scan that fails its step is the one whose report is read.
    text = json.dumps(report, ensure_ascii=False, indent=2) + "\n"
    (work.output / REPORT_NAME).write_text(text, encoding="utf-8", newline="\n")
    _judge(report, parameters.fail_on)
    return report


def findings(reference: ImageReference) -> list[Finding]:
    """Every weakness of *reference*, the worst first."""
    checks = (_mutable_tag, _missing_digest, _implicit_registry, _insecure_registry)
    found = [finding for check in checks if (finding := check(reference)) is not None]
    return sorted(found, key=_worst_first)


def _worst_first(finding: Finding) -> tuple[int, str]:
    return SEVERITIES.index(finding.severity), finding.id


def _recorded(reference: ImageReference, work: Work) -> tuple[list[Finding], dict[str, int]]:
    """What the registry found, and how much of each severity, which may be more than it names."""
    which = reference.digest or reference.tag_pulled or ""
    try:
        scan = work.images.findings(reference.registry, reference.repository, which)
    except EgressDenied:
        title = "The registry's scan was not read"
        why = "The sandbox does not allow its registry, so nobody asked what is in it."
        remedy = f"List {reference.registry} in spec.sandbox.egressAllowlist."
    else:
        if scan is not None:
            return [_of_the_scan(row) for row in scan["findings"]], scan["counts"]
        title = "The registry has no scan"
        why = "The registry has not scanned this image, so nobody knows what is in it."
        remedy = "Turn on scanning of the repository, or start a scan of the image."
    return [Finding("unscanned", "low", title, why, remedy)], {"low": 1}


def _of_the_scan(row: JsonObject) -> Finding:
    texts = {key: " ".join(str(value).split())[:_MAX_TEXT] for key, value in row.items()}
    package = f"{texts['package']} {texts['version']}".strip()
    title = f"{texts['id']} in {package}" if package else texts["id"]
    remedy = f"See {texts['uri']}" if texts["uri"] else "Ask the registry for its scan."
    if texts["fixedIn"]:
        remedy = f"Update {texts['package']} to {texts['fixedIn']}."
    return Finding(texts["id"], row["severity"], title, texts["description"], remedy)


def _that_fit(found: Sequence[Finding]) -> list[JsonObject]:
    """The worst of *found*, as many as the outputs have room for."""
    told: list[JsonObject] = []
    left_bytes = _MAX_FINDINGS_BYTES
    for finding in found:
        row = asdict(finding)
        left_bytes -= len(json.dumps(row, ensure_ascii=False).encode())
        if left_bytes < 0:
            break
        told.append(row)
    return told


def _judge(report: JsonObject, fail_on: Severity | None) -> None:
    if fail_on is None:
        return
    failing = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    count = sum(report[level] for level in failing)
    if not count:
        return
    found = [one for one in report["findings"] if one["severity"] in failing][:_MAX_NAMED]
    named = ", ".join(f"{one['id']} ({one['severity']})" for one in found)
    more = f" and {count - len(found)} more" if count > len(found) else ""
    raise ExecutorFailure(
        f"failOn is {fail_on}, and the scan found {named}{more}; {REPORT_NAME} says more"
    )


def _mutable_tag(reference: ImageReference) -> Finding | None:
    tag = reference.tag_pulled
    if tag is None or reference.digest is not None:  # clients go by the digest alone
        return None
    severity: Severity = "low"
    why = f"Whoever may push to the repository can make '{tag}' another image."
    if tag.lower() in _MOVING:
        severity, why = "high", f"'{tag}' is a tag that is moved with every release."
    elif _OPEN_VERSION.fullmatch(tag):
        severity, why = "medium", f"'{tag}' leaves the version open, and moves with each one."
    written = "" if reference.tag else "No tag is written, and that means 'latest'. "
    return Finding("mutable-tag", severity, "The tag can move", written + why, _pin(reference))


def _missing_digest(reference: ImageReference) -> Finding | None:
    if reference.digest is not None:
        return None
    detail = "What is pulled cannot be proved to be what was tested and approved."
    return Finding("missing-digest", "medium", "No digest is given", detail, _pin(reference))


def _pin(reference: ImageReference) -> str:
    name = f"{reference.registry}/{reference.repository}"
    return f"Name the image by its digest: {name}@sha256:<64 hex digits>"


def _implicit_registry(reference: ImageReference) -> Finding | None:
    if reference.domain is not None:
        return None
    return Finding(
        "implicit-registry",
        "medium",
        "The registry is left to the client",
        "Docker asks docker.io; other clients ask what they are configured to, in their order.",
        f"Write the registry: {reference.registry}/{reference.repository}",
    )


def _insecure_registry(reference: ImageReference) -> Finding | None:
    host, port = reference.host, reference.port
    pinned = reference.digest is not None
    severity: Severity = "low" if pinned else "high"
    if port == _HTTP_PORT:
        severity = "medium" if pinned else "critical"
        why = "Port 80 is HTTP: nothing is encrypted, and nothing says who answers."
    elif host == "localhost" or host.endswith(".localhost") or _is_in(host, _LOOPBACK):
        why = f"Clients take plain HTTP from '{host}', and it is another machine for each of them."
    elif _is_in(host, _PRIVATE):
        why = f"No public authority vouches for the private address {host}."
    elif port == _PLAIN_REGISTRY_PORT:
        why = "A registry on port 5000 speaks plain HTTP unless somebody saw to it."
    else:
        return None
    remedy = "Use a registry with a DNS name and a certificate, on port 443."
    return Finding("insecure-registry", severity, "The registry may not be genuine", why, remedy)


def _is_in(host: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
