"""`builtin:scanner` checks the reference of a container image, offline.

For an image in ECR it adds what the registry found when it scanned the image, if the sandbox allows
that registry; otherwise a finding says that the scan was not read.

Findings are less severe for an image that is pinned by a digest. With a digest, a client can prove
that it received the intended image, from any sender; without one it trusts the registry and the
network.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from pydantic import Field

from taskrunner.executors.parameters import ClosedParameters
from taskrunner.executors.work import EgressDenied, ExecutorFailure
from taskrunner.model import image_reference
from taskrunner.model.canonical_json import size_bytes
from taskrunner.model.image_reference import ImageReference, ImageReferenceError
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from taskrunner.executors.parameters import Given
    from taskrunner.executors.work import Work
    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import JsonObject

Severity: TypeAlias = Literal["critical", "high", "medium", "low"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)  # the worst first
REPORT_NAME: Final = "scan-report.json"

# Tags that are meant to be moved.
_MOVING_TAGS: Final = {
    "canary", "current", "dev", "develop", "edge", "head", "latest", "lts", "main", "master",
    "nightly", "prod", "production", "rolling", "snapshot", "stable", "staging", "testing",
    "trunk", "unstable",
}  # fmt: skip
# Versions that leave their last number open.
_OPEN_VERSION: Final = re.compile(r"v?[0-9]{1,3}(\.[0-9]{1,3})?")
# Written out, because Python's versions disagree on which addresses are private.
_LOOPBACK: Final = [ip_network(text) for text in ("127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128")]
_PRIVATE: Final = [
    ip_network(text)
    for text in (
        "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "fc00::/7", "fe80::/10",
    )
]  # fmt: skip
_HTTP_PORT: Final = 80
_PLAIN_REGISTRY_PORT: Final = 5000
_MAX_TARGET_CHARACTERS: Final = 300
_MAX_NAMED_FINDINGS: Final = 8
_MAX_TEXT_CHARACTERS: Final = 300
# The step's outputs have at most 64 KiB; the counts include the findings that are left out.
_MAX_FINDINGS_BYTES: Final = 40 * 1024


class Parameters(ClosedParameters):
    """The image, and the least severity that fails the step; None for no severity."""

    target: str
    fail_on: Severity | None = Field(default=None, alias="failOn")

    @classmethod
    def contradictions(cls, given: Given) -> Iterator[tuple[JsonPath, str]]:
        """Yield why the target is not an image reference, if it is known."""
        target = given.known("target")
        if isinstance(target, str):
            try:
                _reference(target)
            except ExecutorFailure as failure:
                yield ("target",), str(failure)


@dataclass(frozen=True, slots=True)
class Finding:
    """One weakness of an image: what it is, what may follow from it, and how to fix it."""

    id: str
    severity: Severity
    title: str
    detail: str
    remedy: str


def execute(parameters: Parameters, work: Work) -> JsonObject:
    """Write the report and return it: the reference's parts, the findings and their counts.

    Raises:
        ExecutorFailure: the target is not an image reference, the registry does not let us read
            the scan, or there is a finding of the severity *failOn* or worse.
    """
    reference = _reference(parameters.target)
    findings = reference_findings(reference)
    counts: dict[str, int] = {
        severity: sum(finding.severity == severity for finding in findings)
        for severity in SEVERITIES
    }
    if reference.ecr is not None:
        recorded, recorded_counts = _recorded_findings(reference, work)
        findings = sorted([*findings, *recorded], key=_worst_first)
        counts = {
            severity: counts[severity] + recorded_counts.get(severity, 0) for severity in SEVERITIES
        }
    report: JsonObject = {
        "target": parameters.target,
        "registry": reference.registry,
        "repository": reference.repository,
        "tag": reference.tag_pulled,
        "digest": reference.digest,
        "findings": _that_fit(findings),
    }
    report |= counts
    # Before the verdict, because the report of a failed scan is the one that people read.
    text = json.dumps(report, ensure_ascii=False, indent=2) + "\n"
    (work.output / REPORT_NAME).write_text(text, encoding="utf-8", newline="\n")
    _judge(report, parameters.fail_on)
    return report


def _reference(target: str) -> ImageReference:
    """Return the parts of *target*.

    Raises:
        ExecutorFailure: it is not an image reference.
    """
    try:
        return image_reference.parse(target)
    except ImageReferenceError as error:
        # Escaped, because messages are shown in terminals. Complete or not at all, because the
        # redactor would not find part of a secret.
        is_short = len(target) <= _MAX_TARGET_CHARACTERS
        shown = ascii(target) if is_short else f"a string of {len(target)} characters"
        raise ExecutorFailure(f"{shown} is not an image reference: {error}") from None


def reference_findings(reference: ImageReference) -> list[Finding]:
    """Return every weakness of the reference itself, the worst first."""
    checks = (_mutable_tag, _missing_digest, _implicit_registry, _insecure_registry)
    findings = [finding for check in checks if (finding := check(reference)) is not None]
    return sorted(findings, key=_worst_first)


def _worst_first(finding: Finding) -> tuple[int, str]:
    return SEVERITIES.index(finding.severity), finding.id


def _recorded_findings(
    reference: ImageReference, work: Work
) -> tuple[list[Finding], dict[str, int]]:
    """Return what the registry found, and its counts by severity, which may be higher."""
    image = reference.digest or reference.tag_pulled or ""
    try:
        scan = work.images.findings(reference.registry, reference.repository, image)
    except EgressDenied:
        title = "The registry's scan was not read"
        detail = "The sandbox does not allow the registry, so it was not asked what it found."
        remedy = f"List {reference.registry} in spec.sandbox.egressAllowlist."
    else:
        if scan is not None:
            return [_recorded_finding(row) for row in scan["findings"]], scan["counts"]
        title = "The registry has no scan"
        detail = "The registry has not scanned this image, so its content is unknown."
        remedy = "Turn on scanning of the repository, or start a scan of the image."
    return [Finding("unscanned", "low", title, detail, remedy)], {"low": 1}


def _recorded_finding(row: JsonObject) -> Finding:
    texts = {key: " ".join(str(value).split())[:_MAX_TEXT_CHARACTERS] for key, value in row.items()}
    package = f"{texts['package']} {texts['version']}".strip()
    title = f"{texts['id']} in {package}" if package else texts["id"]
    remedy = f"See {texts['uri']}" if texts["uri"] else "Ask the registry for its scan."
    if texts["fixedIn"]:
        remedy = f"Update {texts['package']} to {texts['fixedIn']}."
    return Finding(texts["id"], row["severity"], title, texts["description"], remedy)


def _that_fit(findings: Sequence[Finding]) -> list[JsonObject]:
    """Return the worst of *findings*, as many as the outputs have room for."""
    rows: list[JsonObject] = []
    left_bytes = _MAX_FINDINGS_BYTES
    for finding in findings:
        row = asdict(finding)
        left_bytes -= size_bytes(row)
        if left_bytes < 0:
            break
        rows.append(row)
    return rows


def _judge(report: JsonObject, fail_on: Severity | None) -> None:
    if fail_on is None:
        return
    failing = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    count = sum(report[severity] for severity in failing)
    if not count:
        return
    rows = [row for row in report["findings"] if row["severity"] in failing][:_MAX_NAMED_FINDINGS]
    named = ", ".join(f"{row['id']} ({row['severity']})" for row in rows)
    more = f" and {count - len(rows)} more" if count > len(rows) else ""
    raise ExecutorFailure(
        f"failOn is {fail_on}, and the scan found {named}{more}; see {REPORT_NAME}"
    )


def _mutable_tag(reference: ImageReference) -> Finding | None:
    tag = reference.tag_pulled
    if tag is None or reference.digest is not None:  # clients then use the digest alone
        return None
    severity: Severity = "low"
    detail = f"Anyone who may push to the repository can point '{tag}' to another image."
    if tag.lower() in _MOVING_TAGS:
        severity, detail = "high", f"'{tag}' is a tag that moves with every release."
    elif _OPEN_VERSION.fullmatch(tag):
        severity, detail = "medium", f"'{tag}' is an incomplete version, and moves with each patch."
    implied = "" if reference.tag else "No tag is written, which means 'latest'. "
    return Finding("mutable-tag", severity, "The tag can move", implied + detail, _pin(reference))


def _missing_digest(reference: ImageReference) -> Finding | None:
    if reference.digest is not None:
        return None
    detail = "Nothing proves that the image pulled is the image that was tested and approved."
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
        "The registry is not written",
        "Docker uses docker.io; other clients use the registries that they are configured with.",
        f"Write the registry: {reference.registry}/{reference.repository}",
    )


def _insecure_registry(reference: ImageReference) -> Finding | None:
    host, port = reference.host, reference.port
    is_pinned = reference.digest is not None
    severity: Severity = "low" if is_pinned else "high"
    if port == _HTTP_PORT:
        severity = "medium" if is_pinned else "critical"
        detail = "Port 80 is HTTP: nothing is encrypted, and nothing proves who answers."
    elif host == "localhost" or host.endswith(".localhost") or _is_in(host, _LOOPBACK):
        detail = f"Clients accept plain HTTP from '{host}', and it is each client's own machine."
    elif _is_in(host, _PRIVATE):
        detail = f"No public authority issues certificates for the private address {host}."
    elif port == _PLAIN_REGISTRY_PORT:
        detail = "A registry on port 5000 speaks plain HTTP unless it was configured otherwise."
    else:
        return None
    title = "The registry may not be genuine"
    remedy = "Use a registry with a DNS name and a certificate, on port 443."
    return Finding("insecure-registry", severity, title, detail, remedy)


def _is_in(host: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
