"""The port Images: the scan that a registry has on record, if the sandbox allows the registry."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID

from taskrunner.adapters.images import MAX_FINDINGS, EcrImages
from taskrunner.errors import TryAgainError
from taskrunner.executors.work import EgressDenied, ExecutorFailure
from tests.fakes.executor_world import MemoryImages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.executors.work import Images
    from taskrunner.model.json_types import JsonObject

REGION = "eu-central-1"
REGISTRY = f"{DEFAULT_ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com"


def a_manifest(number: int) -> str:
    layer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "layers": [{"mediaType": layer, "size": 1, "digest": f"sha256:{number:064}"}],
    }
    return json.dumps(manifest)


def client(region: str) -> Any:  # noqa: ANN401 - boto3 has no static types
    return boto3.client(
        "ecr", region_name=region, aws_access_key_id="test", aws_secret_access_key="test"
    )


def in_memory(scanned: str, unscanned: str) -> Images:
    scan: JsonObject = {"counts": {"high": 1}, "findings": []}
    names = {"scanned": scan, scanned: scan, "unscanned": None, unscanned: None}
    return MemoryImages(
        {f"{REGISTRY}/app@{name}": value for name, value in names.items()}, [REGISTRY]
    )


@contextmanager
def in_ecr() -> Iterator[tuple[str, str]]:
    """Make a repository with two images; yield the digests of the scanned one and the other."""
    with mock_aws():
        ecr = client(REGION)
        ecr.create_repository(repositoryName="app")
        digests = []
        for number, tag in enumerate(("scanned", "unscanned")):
            put = ecr.put_image(
                repositoryName="app", imageManifest=a_manifest(number), imageTag=tag
            )
            digests.append(put["image"]["imageId"]["imageDigest"])
        ecr.start_image_scan(repositoryName="app", imageId={"imageTag": "scanned"})
        yield digests[0], digests[1]


@pytest.fixture(name="records", params=["memory", "aws"])
def _records(request: pytest.FixtureRequest) -> Iterator[tuple[Images, str, str]]:
    with in_ecr() as (scanned, unscanned):
        images: Images = EcrImages([REGISTRY], client)
        if request.param == "memory":
            images = in_memory(scanned, unscanned)
        yield images, scanned, unscanned


Records = tuple["Images", str, str]


def test_a_scan_is_found_by_tag_and_by_digest(records: Records) -> None:
    images, digest, _ = records

    by_tag = images.findings(REGISTRY, "app", "scanned")

    assert by_tag is not None
    assert by_tag["counts"]["high"] == 1
    assert by_tag == images.findings(REGISTRY, "app", digest)


def test_an_image_that_was_not_scanned_has_no_findings(records: Records) -> None:
    images, _, digest = records

    assert images.findings(REGISTRY, "app", "unscanned") is None
    assert images.findings(REGISTRY, "app", digest) is None


@pytest.mark.parametrize(("repository", "tag"), [("app", "gone"), ("other", "scanned")])
def test_an_image_that_does_not_exist_fails(records: Records, repository: str, tag: str) -> None:
    images, _, _ = records

    with pytest.raises(ExecutorFailure, match="the registry has no such"):
        images.findings(REGISTRY, repository, tag)


def test_a_registry_that_is_not_listed_is_denied(records: Records) -> None:
    images, _, _ = records

    with pytest.raises(EgressDenied):
        images.findings(REGISTRY.replace(REGION, "us-east-1"), "app", "scanned")


# moto does not have enhanced scanning, several pages or errors, so a fake client has them.


class ScriptedEcr:
    """A client with one answer for each call; it raises those that are errors."""

    def __init__(self, *answers: JsonObject | Exception) -> None:
        self._answers = iter(answers)
        self.requests: list[JsonObject] = []

    def describe_image_scan_findings(self, **request: Any) -> JsonObject:  # noqa: ANN401 - AWS's
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def findings_of(ecr: ScriptedEcr, allowlist: list[str] | None = None) -> JsonObject | None:
    images = EcrImages(["*.amazonaws.com"] if allowlist is None else allowlist, lambda _: ecr)
    return images.findings(REGISTRY, "team/app", "v1")


def a_page(found: JsonObject, status: str = "COMPLETE", **more: str) -> JsonObject:
    return {"imageScanStatus": {"status": status}, "imageScanFindings": found, **more}


def an_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeImageScanFindings")


def basic(name: str, severity: str) -> JsonObject:
    attributes = [
        {"key": "package_name", "value": "openssl"},
        {"key": "package_version", "value": "3.0.1"},
        {"key": "CVSS2_SCORE", "value": "9.3"},
    ]
    return {"name": name, "severity": severity, "uri": "https://a", "attributes": attributes}


def test_basic_findings_of_all_pages_are_sorted_the_worst_first() -> None:
    counts = {"LOW": 1, "CRITICAL": 2, "INFORMATIONAL": 9, "UNDEFINED": 3}
    ecr = ScriptedEcr(
        a_page(
            {
                "findings": [basic("CVE-3", "LOW"), basic("CVE-9", "INFORMATIONAL")],
                "findingSeverityCounts": counts,
            },
            nextToken="more",
        ),
        a_page({"findings": [basic("CVE-2", "CRITICAL"), basic("CVE-1", "CRITICAL")]}),
    )

    scan = findings_of(ecr)

    assert scan is not None
    assert scan["counts"] == {"critical": 2, "high": 0, "medium": 0, "low": 4}
    assert [row["id"] for row in scan["findings"]] == ["CVE-1", "CVE-2", "CVE-3"]
    assert scan["findings"][0] == {
        "id": "CVE-1",
        "severity": "critical",
        "package": "openssl",
        "version": "3.0.1",
        "fixedIn": "",
        "description": "",
        "uri": "https://a",
    }
    assert [request.get("nextToken") for request in ecr.requests] == [None, "more"]
    assert ecr.requests[0]["registryId"] == DEFAULT_ACCOUNT_ID
    assert ecr.requests[0]["imageId"] == {"imageTag": "v1"}


def test_enhanced_findings_name_the_package_and_its_fixed_version() -> None:
    found = {
        "severity": "HIGH",
        "title": "CVE-7 - openssl",
        "description": "Bad.",
        "packageVulnerabilityDetails": {
            "vulnerabilityId": "CVE-7",
            "sourceUrl": "https://b",
            "vulnerablePackages": [{"name": "openssl", "version": "3", "fixedInVersion": "4"}],
        },
    }
    scan = findings_of(ScriptedEcr(a_page({"enhancedFindings": [found]}, "ACTIVE")))

    assert scan == {
        "counts": {"critical": 0, "high": 1, "medium": 0, "low": 0},
        "findings": [
            {
                "id": "CVE-7",
                "severity": "high",
                "package": "openssl",
                "version": "3",
                "fixedIn": "4",
                "description": "Bad.",
                "uri": "https://b",
            }
        ],
    }


def test_the_number_of_pages_is_bounded() -> None:
    rows = [basic(f"CVE-{number}", "MEDIUM") for number in range(1000)]
    ecr = ScriptedEcr(*[a_page({"findings": rows}, nextToken="more") for _ in range(11)])

    scan = findings_of(ecr)

    assert scan is not None
    assert len(ecr.requests) == 10
    assert len(scan["findings"]) == MAX_FINDINGS


@pytest.mark.parametrize("status", ["IN_PROGRESS", "PENDING"])
def test_a_scan_in_progress_fails_and_suggests_retries(status: str) -> None:
    with pytest.raises(ExecutorFailure, match="is still scanning it; give the step `retries`"):
        findings_of(ScriptedEcr(a_page({}, status)))


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED_IMAGE", "FINDINGS_UNAVAILABLE"])
def test_a_scan_that_failed_has_no_findings(status: str) -> None:
    assert findings_of(ScriptedEcr(a_page({}, status))) is None


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("ImageNotFoundException", "has no such image"),
        ("RepositoryNotFoundException", "has no such repository"),
        ("AccessDeniedException", "does not let this deployment read its scans"),
    ],
)
def test_an_error_of_ecr_is_reported_with_its_meaning(code: str, why: str) -> None:
    with pytest.raises(ExecutorFailure, match=f"^{REGISTRY}/team/app:v1: the registry {why}$"):
        findings_of(ScriptedEcr(an_error(code)))


@pytest.mark.parametrize("code", ["ThrottlingException", "ServerException"])
def test_a_transient_error_may_be_tried_again(code: str) -> None:
    with pytest.raises(TryAgainError):
        findings_of(ScriptedEcr(an_error(code)))


def test_an_unknown_client_error_is_raised_unchanged() -> None:
    with pytest.raises(ClientError):
        findings_of(ScriptedEcr(an_error("KmsException")))


def test_a_region_that_cannot_be_reached_fails() -> None:
    error = EndpointConnectionError(endpoint_url="https://a")

    with pytest.raises(ExecutorFailure, match=r"the registry cannot be reached$"):
        findings_of(ScriptedEcr(error))


@pytest.mark.parametrize(
    ("registry", "repository", "reference"),
    [
        ("evil.example", "app", "v1"),
        (f"{REGISTRY}.evil.example", "app", "v1"),
        (REGISTRY, "../app", "v1"),
        (REGISTRY, "app", ""),
        (REGISTRY, "app", "sha256:zz"),
        (REGISTRY, "app@sha256:" + "0" * 64, "v1"),
        (None, None, None),
    ],
)
def test_an_image_outside_ecr_is_not_looked_up(
    registry: Any,  # noqa: ANN401 - whatever a step sends
    repository: Any,  # noqa: ANN401
    reference: Any,  # noqa: ANN401
) -> None:
    ecr = ScriptedEcr()

    with pytest.raises(ExecutorFailure):
        EcrImages(["*.amazonaws.com", "evil.example"], lambda _: ecr).findings(
            registry, repository, reference
        )
    assert ecr.requests == []


@pytest.mark.parametrize("allowlist", [[], ["example.com"], [f"{REGISTRY}:80"], ["amazonaws.com"]])
def test_an_allowlist_without_the_registry_denies_it(allowlist: list[str]) -> None:
    with pytest.raises(EgressDenied):
        findings_of(ScriptedEcr(), allowlist)
