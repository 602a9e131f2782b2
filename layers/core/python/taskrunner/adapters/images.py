"""What ECR has on record about images, for steps whose sandbox allows the registry.

AWS is asked by this deployment's own rights, and not by the pack's author. So what a pack may learn
here are the findings of images that the deployment may read, and nothing of the images themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, EndpointConnectionError

from taskrunner.adapters import aws_errors
from taskrunner.executors.work import EgressDenied, ExecutorFailure
from taskrunner.model import egress, image_reference
from taskrunner.model.egress import Allowlist
from taskrunner.model.image_reference import ImageReferenceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from taskrunner.model.image_reference import ImageReference
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Sandbox

MAX_FINDINGS: Final = 200

_HTTPS: Final = 443
_PAGE: Final = 1000
_MAX_PAGES: Final = 10
# ECR's words for how bad something is, the worst first. What only informs is no finding of ours.
_SEVERITIES: Final = {
    "CRITICAL": "critical",
    "HIGH": "high",
    "MEDIUM": "medium",
    "LOW": "low",
    "UNDEFINED": "low",
    "UNTRIAGED": "low",
}
_ORDER: Final = tuple(dict.fromkeys(_SEVERITIES.values()))
_DONE: Final = frozenset({"ACTIVE", "COMPLETE"})
_UNDER_WAY: Final = frozenset({"IN_PROGRESS", "PENDING"})
_REFUSALS: Final = {
    "AccessDeniedException": "does not let this deployment read its scans",
    "ImageNotFoundException": "has no such image",
    "InvalidParameterException": "knows no such image",
    "RegistryPolicyNotFoundException": "does not let this deployment read its scans",
    "RepositoryNotFoundException": "has no such repository",
    "ValidationException": "cannot say what it found in this image",
}


class EcrRegistries:
    """`usecases.ports.Registries`; *ecr* makes a client of a region."""

    def __init__(self, ecr: Callable[[str], Any]) -> None:
        """Make no client yet."""
        self._ecr = ecr

    def within(self, sandbox: Sandbox) -> EcrImages:
        """See the port."""
        return EcrImages(sandbox.egress_allowlist, self._ecr)


class EcrImages:
    """`executors.work.Images` under one pack's sandbox; *ecr* makes a client of a region."""

    def __init__(self, allowlist: Iterable[str], ecr: Callable[[str], Any]) -> None:
        """Hold the rules; no client is made yet."""
        self._allowlist = Allowlist.read(allowlist)
        self._ecr = ecr

    def findings(self, registry: str, repository: str, reference: str) -> JsonObject | None:
        """See the protocol. Whoever asks is not trusted: every argument is looked at."""
        image = _image(registry, repository, reference)
        if not self._allowlist.allows(egress.normal_host(image.host), _HTTPS):
            raise EgressDenied(
                f"the sandbox does not allow to ask {image.host}; "
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
            if status in _UNDER_WAY:
                raise ExecutorFailure(
                    f"{image}: the registry is still scanning it; `retries` of the step wait for it"
                )
            if status not in _DONE:
                return None
            found = page.get("imageScanFindings", {})
            counts = found.get("findingSeverityCounts") or counts
            rows += map(_basic, found.get("findings", ()))
            rows += map(_enhanced, found.get("enhancedFindings", ()))
        known = [row for row in rows if row["severity"] in _ORDER]
        known.sort(key=lambda row: (_ORDER.index(row["severity"]), row["id"], row["package"]))
        return {"counts": _counts(counts, known), "findings": known[:MAX_FINDINGS]}

    def _pages(self, image: ImageReference) -> Iterator[JsonObject]:
        assert image.ecr is not None  # noqa: S101 - _image saw to it
        client = self._ecr(image.ecr.region)
        which = {"imageTag": image.tag} if image.digest is None else {"imageDigest": image.digest}
        asked = {
            "registryId": image.ecr.account,
            "repositoryName": image.repository,
            "imageId": which,
            "maxResults": _PAGE,
        }
        for _ in range(_MAX_PAGES):
            try:
                page = client.describe_image_scan_findings(**asked)
            except EndpointConnectionError as error:
                raise ExecutorFailure(f"{image}: the registry cannot be reached") from error
            yield page
            if not page.get("nextToken"):
                return
            asked["nextToken"] = page["nextToken"]


def _image(registry: str, repository: str, reference: str) -> ImageReference:
    separator = "@" if ":" in str(reference) else ":"
    try:
        image = image_reference.parse(f"{registry}/{repository}{separator}{reference}")
    except ImageReferenceError as error:
        raise ExecutorFailure(f"this is no image: {error}") from None
    if image.ecr is None:
        raise ExecutorFailure(f"{image.registry} is no private registry of ECR")
    return image


def _counts(told: dict[str, int], rows: list[JsonObject]) -> dict[str, int]:
    """By our severities: as the registry counts them, or as we do when it does not."""
    counts = dict.fromkeys(_ORDER, 0)
    if told:
        for name, severity in _SEVERITIES.items():
            counts[severity] += told.get(name, 0)
    else:
        for row in rows:
            counts[row["severity"]] += 1
    return counts


def _basic(found: JsonObject) -> JsonObject:
    """A finding of basic scanning."""
    attributes = {one["key"]: one.get("value", "") for one in found.get("attributes", ())}
    return {
        "id": found.get("name", ""),
        "severity": _SEVERITIES.get(found.get("severity", ""), ""),
        "package": attributes.get("package_name", ""),
        "version": attributes.get("package_version", ""),
        "fixedIn": "",
        "description": found.get("description", ""),
        "uri": found.get("uri", ""),
    }


def _enhanced(found: JsonObject) -> JsonObject:
    """A finding of enhanced scanning, by Amazon Inspector."""
    details = found.get("packageVulnerabilityDetails", {})
    package: JsonObject = next(iter(details.get("vulnerablePackages", ())), {})
    return {
        "id": details.get("vulnerabilityId") or found.get("title", ""),
        "severity": _SEVERITIES.get(found.get("severity", ""), ""),
        "package": package.get("name", ""),
        "version": package.get("version", ""),
        "fixedIn": package.get("fixedInVersion", "").removeprefix("NotAvailable"),
        "description": found.get("description", ""),
        "uri": details.get("sourceUrl", ""),
    }
