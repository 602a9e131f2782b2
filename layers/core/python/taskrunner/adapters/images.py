"""The scans that ECR has on record of images, for steps whose sandbox allows the registry.

AWS is asked with the rights of this deployment, and not with those of the pack's author. So a pack
learns the findings of images whose scans the deployment may read, and nothing else about them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, EndpointConnectionError

from taskrunner.adapters import aws_errors
from taskrunner.executors.work import EgressDenied, ExecutorFailure
from taskrunner.model import hosts, image_reference
from taskrunner.model.egress import Allowlist
from taskrunner.model.image_reference import ImageReferenceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from taskrunner.model.image_reference import ImageReference
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Sandbox

MAX_FINDINGS: Final = 200

_HTTPS_PORT: Final = 443
_PAGE_SIZE: Final = 1000
_MAX_PAGES: Final = 10
# ECR's severities, the worst first. INFORMATIONAL is not among them, so it is left out.
_SEVERITIES: Final = {
    "CRITICAL": "critical",
    "HIGH": "high",
    "MEDIUM": "medium",
    "LOW": "low",
    "UNDEFINED": "low",
    "UNTRIAGED": "low",
}
_ORDER: Final = tuple(dict.fromkeys(_SEVERITIES.values()))
_DONE_STATUSES: Final = frozenset({"ACTIVE", "COMPLETE"})
_PENDING_STATUSES: Final = frozenset({"IN_PROGRESS", "PENDING"})
_REFUSALS: Final = {
    "AccessDeniedException": "does not let this deployment read its scans",
    "ImageNotFoundException": "has no such image",
    "InvalidParameterException": "does not know this image",
    "RegistryPolicyNotFoundException": "does not let this deployment read its scans",
    "RepositoryNotFoundException": "has no such repository",
    "ValidationException": "cannot report what it found in this image",
}


class EcrRegistries:
    """`ports.Registries`; *ecr* returns a client for a Region."""

    def __init__(self, ecr: Callable[[str], Any]) -> None:
        """Make no client yet."""
        self._ecr = ecr

    def within(self, sandbox: Sandbox) -> EcrImages:
        """See the port."""
        return EcrImages(sandbox.egress_allowlist, self._ecr)


class EcrImages:
    """`executors.work.Images` for one pack's sandbox; *ecr* returns a client for a Region."""

    def __init__(self, allowlist: Iterable[str], ecr: Callable[[str], Any]) -> None:
        """Make no client yet."""
        self._allowlist = Allowlist.parse(allowlist)
        self._ecr = ecr

    def findings(self, registry: str, repository: str, reference: str) -> JsonObject | None:
        """See the protocol. The executor is not trusted: every argument is checked."""
        image = _image(registry, repository, reference)
        if not self._allowlist.allows(hosts.normal_host(image.host), _HTTPS_PORT):
            raise EgressDenied(
                f"the sandbox does not allow the registry {image.host}; "
                "list it in spec.sandbox.egressAllowlist"
            )
        try:
            with aws_errors.translated(f"read the scan of {image}"):
                return self._scan(image)
        except ClientError as error:
            code = aws_errors.code(error)
            if code == "ScanNotFoundException":
                return None
            if code in _REFUSALS:
                raise ExecutorFailure(f"{image}: the registry {_REFUSALS[code]}") from error
            raise

    def _scan(self, image: ImageReference) -> JsonObject | None:
        rows: list[JsonObject] = []
        counts: dict[str, int] = {}
        for page in self._pages(image):
            status = page.get("imageScanStatus", {}).get("status", "COMPLETE")
            if status in _PENDING_STATUSES:
                raise ExecutorFailure(
                    f"{image}: the registry is still scanning it; give the step `retries` to wait"
                )
            if status not in _DONE_STATUSES:
                return None
            scan = page.get("imageScanFindings", {})
            counts = scan.get("findingSeverityCounts") or counts
            rows += map(_basic_finding, scan.get("findings", ()))
            rows += map(_enhanced_finding, scan.get("enhancedFindings", ()))
        rated = [row for row in rows if row["severity"] in _ORDER]
        rated.sort(key=lambda row: (_ORDER.index(row["severity"]), row["id"], row["package"]))
        return {"counts": _counts(counts, rated), "findings": rated[:MAX_FINDINGS]}

    def _pages(self, image: ImageReference) -> Iterator[JsonObject]:
        assert image.ecr is not None  # noqa: S101 - _image has checked it
        client = self._ecr(image.ecr.region)
        is_tagged = image.digest is None
        request = {
            "registryId": image.ecr.account,
            "repositoryName": image.repository,
            "imageId": {"imageTag": image.tag} if is_tagged else {"imageDigest": image.digest},
            "maxResults": _PAGE_SIZE,
        }
        for _ in range(_MAX_PAGES):
            try:
                page = client.describe_image_scan_findings(**request)
            except EndpointConnectionError as error:
                raise ExecutorFailure(f"{image}: the registry cannot be reached") from error
            yield page
            if not page.get("nextToken"):
                return
            request["nextToken"] = page["nextToken"]


def _image(registry: str, repository: str, reference: str) -> ImageReference:
    separator = "@" if ":" in str(reference) else ":"
    try:
        image = image_reference.parse(f"{registry}/{repository}{separator}{reference}")
    except ImageReferenceError as error:
        raise ExecutorFailure(f"this is not an image reference: {error}") from None
    if image.ecr is None:
        raise ExecutorFailure(f"{image.registry} is not a private ECR registry")
    return image


def _counts(ecr_counts: dict[str, int], rows: list[JsonObject]) -> dict[str, int]:
    """Return the counts by our severities: the registry's, or of *rows* when it gives none."""
    counts = dict.fromkeys(_ORDER, 0)
    if ecr_counts:
        for name, severity in _SEVERITIES.items():
            counts[severity] += ecr_counts.get(name, 0)
    else:
        for row in rows:
            counts[row["severity"]] += 1
    return counts


def _basic_finding(finding: JsonObject) -> JsonObject:
    """Return a finding of ECR's basic scanning in the form of `executors.work.Images`."""
    attributes = {each["key"]: each.get("value", "") for each in finding.get("attributes", ())}
    return {
        "id": finding.get("name", ""),
        "severity": _SEVERITIES.get(finding.get("severity", ""), ""),
        "package": attributes.get("package_name", ""),
        "version": attributes.get("package_version", ""),
        "fixedIn": "",
        "description": finding.get("description", ""),
        "uri": finding.get("uri", ""),
    }


def _enhanced_finding(finding: JsonObject) -> JsonObject:
    """Return a finding of ECR's enhanced scanning, which Amazon Inspector does, in that form."""
    details = finding.get("packageVulnerabilityDetails", {})
    package: JsonObject = next(iter(details.get("vulnerablePackages", ())), {})
    return {
        "id": details.get("vulnerabilityId") or finding.get("title", ""),
        "severity": _SEVERITIES.get(finding.get("severity", ""), ""),
        "package": package.get("name", ""),
        "version": package.get("version", ""),
        "fixedIn": package.get("fixedInVersion", "").removeprefix("NotAvailable"),
        "description": finding.get("description", ""),
        "uri": details.get("sourceUrl", ""),
    }
