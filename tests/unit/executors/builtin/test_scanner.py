"""builtin:scanner reports what the reference of an image shows, and what ECR has recorded."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.executors.builtin import scanner
from taskrunner.executors.work import ExecutorFailure
from taskrunner.model import image_reference
from taskrunner.model.json_types import JsonObject
from tests.fakes.executor_world import MemoryImages, a_work, mistakes

PIN = "@sha256:" + "e3b0c442" * 8


def scan(target: str, tmp_path: Path, **more: str) -> JsonObject:
    parameters = scanner.Parameters.model_validate({"target": target, **more})
    return scanner.execute(parameters, a_work(tmp_path))


def severities(target: str) -> dict[str, str]:
    found = scanner.reference_findings(image_reference.parse(target))
    return {finding.id: finding.severity for finding in found}


def test_scanner_finds_a_missing_digest_and_a_mutable_tag_in_the_contracts_example(
    tmp_path: Path,
) -> None:
    outputs = scan("registry.example.com/app:v1.2.3", tmp_path)

    findings = outputs.pop("findings")
    assert outputs == {
        "target": "registry.example.com/app:v1.2.3",
        "registry": "registry.example.com",
        "repository": "app",
        "tag": "v1.2.3",
        "digest": None,
        "critical": 0,
        "high": 0,
        "medium": 1,
        "low": 1,
    }
    assert findings == [
        {
            "id": "missing-digest",
            "severity": "medium",
            "title": "No digest is given",
            "detail": "Nothing proves that the image pulled is the image that was tested and "
            "approved.",
            "remedy": "Name the image by its digest: "
            "registry.example.com/app@sha256:<64 hex digits>",
        },
        {
            "id": "mutable-tag",
            "severity": "low",
            "title": "The tag can move",
            "detail": "Anyone who may push to the repository can point 'v1.2.3' to another image.",
            "remedy": "Name the image by its digest: "
            "registry.example.com/app@sha256:<64 hex digits>",
        },
    ]


@pytest.mark.parametrize("name", ["registry.example.com/app", "ghcr.io/team/app:latest"])
def test_scanner_finds_nothing_in_a_pinned_image_of_a_named_registry(name: str) -> None:
    assert severities(name + PIN) == {}


@pytest.mark.parametrize(
    ("tag", "severity"),
    [
        ("", "high"),
        (":latest", "high"),
        (":Stable", "high"),
        (":3", "medium"),
        (":v1.2", "medium"),
        (":1.2.3", "low"),
        (":20240131", "low"),
        (":2f1c9aa", "low"),
    ],
)
def test_scanner_rates_a_tag_by_how_often_it_moves(tag: str, severity: str) -> None:
    found = severities(f"registry.example.com/app{tag}")

    assert {"mutable-tag": severity, "missing-digest": "medium"} == found


@pytest.mark.parametrize(
    ("registry", "unpinned", "pinned"),
    [
        ("registry.example.com:80", "critical", "medium"),
        ("10.1.2.3:80", "critical", "medium"),
        ("localhost", "high", "low"),
        ("LOCALHOST:443", "high", "low"),
        ("registry.localhost:443", "high", "low"),
        ("127.0.0.1:8443", "high", "low"),
        ("[::1]:8443", "high", "low"),
        ("10.1.2.3", "high", "low"),
        ("172.31.0.1:443", "high", "low"),
        ("192.168.1.1:443", "high", "low"),
        ("[fd00::1]:443", "high", "low"),
        ("[::ffff:a01:203]:443", "high", "low"),
        ("registry.example.com:5000", "high", "low"),
        ("registry.example.com:443", None, None),
        ("8.8.8.8:443", None, None),
        ("172.32.0.1:443", None, None),
        ("[2001:4860:4860::8888]:443", None, None),
        ("notlocalhost.example.com", None, None),
    ],
)
def test_scanner_rates_an_insecure_registry_lower_with_a_digest(
    registry: str, unpinned: str | None, pinned: str | None
) -> None:
    assert unpinned == severities(f"{registry}/app:1.2.3").get("insecure-registry")
    assert pinned == severities(f"{registry}/app{PIN}").get("insecure-registry")


@pytest.mark.parametrize(
    ("target", "repository"), [("nginx", "library/nginx"), ("bitnami/nginx", "bitnami/nginx")]
)
def test_scanner_takes_an_unwritten_registry_for_docker_hub_and_reports_it(
    target: str, repository: str, tmp_path: Path
) -> None:
    outputs = scan(target + PIN, tmp_path)

    assert ("docker.io", repository) == (outputs["registry"], outputs["repository"])
    assert severities(target + PIN) == {"implicit-registry": "medium"}


def test_scanner_sorts_the_worst_finding_first_and_counts_them(tmp_path: Path) -> None:
    outputs = scan("registry.example.com:80/app", tmp_path)

    assert [finding["severity"] for finding in outputs["findings"]] == [
        "critical",
        "high",
        "medium",
    ]
    assert [outputs[severity] for severity in scanner.SEVERITIES] == [1, 1, 1, 0]


def test_scanner_writes_its_outputs_as_a_report(tmp_path: Path) -> None:
    outputs = scan("nginx", tmp_path)

    written = (tmp_path / "scan-report.json").read_bytes()
    assert outputs == json.loads(written)
    assert written.startswith(b'{\n  "target": "nginx",\n  "registry": "docker.io",\n')
    assert written.endswith(b'"low": 0\n}\n')


def test_scanner_writes_the_same_bytes_for_the_same_target(tmp_path: Path) -> None:
    reports = []
    for _ in range(2):
        scan("nginx:1", tmp_path)
        reports.append((tmp_path / "scan-report.json").read_bytes())

    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    ("fail_on", "named"),
    [
        ("critical", "insecure-registry (critical)"),
        ("high", "insecure-registry (critical), mutable-tag (high)"),
        ("low", "insecure-registry (critical), mutable-tag (high), missing-digest (medium)"),
    ],
)
def test_fail_on_names_each_finding_of_the_severity_or_worse(
    fail_on: str, named: str, tmp_path: Path
) -> None:
    with pytest.raises(ExecutorFailure) as failure:
        scan("registry.example.com:80/app", tmp_path, failOn=fail_on)

    expected = f"failOn is {fail_on}, and the scan found {named}; see scan-report.json"
    assert str(failure.value) == expected


def test_fail_on_ignores_lesser_findings(tmp_path: Path) -> None:
    outputs = scan("registry.example.com/app:v1.2.3", tmp_path, failOn="high")

    assert (outputs["medium"], outputs["low"]) == (1, 1)


def test_scanner_writes_its_report_before_it_fails(tmp_path: Path) -> None:
    with pytest.raises(ExecutorFailure):
        scan("nginx", tmp_path, failOn="low")

    assert (tmp_path / "scan-report.json").exists()


def test_scanner_fails_on_a_bad_reference_and_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(ExecutorFailure) as failure:
        scan("registry.example.com/App:1", tmp_path)

    assert str(failure.value).startswith(
        "'registry.example.com/App:1' is not an image reference: "
        "at character 22, 'App' is not a path component; use lower case letters and digits"
    )


def test_scanner_escapes_control_characters_in_its_message(tmp_path: Path) -> None:
    with pytest.raises(ExecutorFailure) as failure:
        scan("app\x1b[2J:1", tmp_path)

    assert str(failure.value).isprintable()
    assert "at character 4 there is '\\x1b'" in str(failure.value)


@given(target=st.text(max_size=400))
def test_scanner_scans_or_refuses_any_text(
    target: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        outputs = scan(target, tmp_path_factory.getbasetemp())
    except ExecutorFailure as failure:
        assert "is not an image reference" in str(failure)  # noqa: PT017 - the other outcome is fine too
    else:
        counted = sum(outputs[severity] for severity in scanner.SEVERITIES)
        assert len(outputs["findings"]) == counted


REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
IMAGE = f"{REGISTRY}/team/app"
DIGEST = PIN.removeprefix("@")


def scan_row(finding_id: str, severity: str, **more: str) -> JsonObject:
    empty = {"package": "", "version": "", "fixedIn": "", "description": "", "uri": ""}
    return {"id": finding_id, "severity": severity, **empty, **more}


def scan_ecr(target: str, tmp_path: Path, images: MemoryImages, **more: str) -> JsonObject:
    parameters = scanner.Parameters.model_validate({"target": target, **more})
    return scanner.execute(parameters, a_work(tmp_path, images=images))


def test_scanner_adds_and_counts_the_findings_that_ecr_recorded(tmp_path: Path) -> None:
    rows = [
        scan_row("CVE-2026-1", "critical", package="openssl", version="3.0.1", fixedIn="3.0.2"),
        scan_row("CVE-2026-2", "low", description="A long\n  story.", uri="https://a.example/2"),
    ]
    scanned: JsonObject = {"counts": {"critical": 1, "low": 1}, "findings": rows}
    images = MemoryImages({f"{IMAGE}@v1.2.3": scanned}, [REGISTRY])

    outputs = scan_ecr(f"{IMAGE}:v1.2.3", tmp_path, images)

    ids = [finding["id"] for finding in outputs["findings"]]
    assert ids == ["CVE-2026-1", "missing-digest", "CVE-2026-2", "mutable-tag"]
    assert [outputs[level] for level in scanner.SEVERITIES] == [1, 0, 1, 2]
    assert outputs["findings"][0] == {
        "id": "CVE-2026-1",
        "severity": "critical",
        "title": "CVE-2026-1 in openssl 3.0.1",
        "detail": "",
        "remedy": "Update openssl to 3.0.2.",
    }
    assert outputs["findings"][2] == {
        "id": "CVE-2026-2",
        "severity": "low",
        "title": "CVE-2026-2",
        "detail": "A long story.",
        "remedy": "See https://a.example/2",
    }


def test_scanner_looks_up_the_scan_by_digest_when_there_is_one(tmp_path: Path) -> None:
    images = MemoryImages({f"{IMAGE}@{DIGEST}": {"counts": {}, "findings": []}}, [REGISTRY])

    assert scan_ecr(f"{IMAGE}:v1{PIN}", tmp_path, images)["findings"] == []


def test_scanner_reports_a_registry_that_the_sandbox_does_not_allow(
    tmp_path: Path,
) -> None:
    outputs = scan_ecr(IMAGE + PIN, tmp_path, MemoryImages())

    [finding] = outputs["findings"]
    assert (finding["id"], finding["severity"], outputs["low"]) == ("unscanned", "low", 1)
    assert finding["title"] == "The registry's scan was not read"
    assert finding["remedy"] == f"List {REGISTRY} in spec.sandbox.egressAllowlist."


def test_scanner_reports_an_image_without_a_scan(tmp_path: Path) -> None:
    images = MemoryImages({f"{IMAGE}@{DIGEST}": None}, [REGISTRY])

    [finding] = scan_ecr(IMAGE + PIN, tmp_path, images)["findings"]

    assert (finding["id"], finding["severity"]) == ("unscanned", "low")
    assert finding["title"] == "The registry has no scan"


def test_scanner_fails_when_the_registry_has_no_such_image(tmp_path: Path) -> None:
    with pytest.raises(ExecutorFailure, match="the registry has no such image"):
        scan_ecr(f"{IMAGE}:gone", tmp_path, MemoryImages({}, [REGISTRY]))


@pytest.mark.parametrize(
    "target",
    [
        f"nginx{PIN}",
        f"ghcr.io/team/app{PIN}",
        f"public.ecr.aws/nginx/nginx{PIN}",
        f"{REGISTRY}.example.com/app{PIN}",
        f"{REGISTRY}:5000/app{PIN}",
    ],
)
def test_scanner_asks_no_registry_but_private_ecr(target: str, tmp_path: Path) -> None:
    outputs = scan_ecr(target, tmp_path, MemoryImages())

    assert "unscanned" not in {finding["id"] for finding in outputs["findings"]}


def test_scanner_counts_all_findings_and_lists_the_worst_that_fit(tmp_path: Path) -> None:
    rows = [scan_row("CVE-2026-0", "high", description="x" * 5000)]
    rows += [
        scan_row(f"CVE-2026-{number}", "medium", description="ü" * 5000) for number in range(1, 200)
    ]
    scanned: JsonObject = {"counts": {"high": 1, "medium": 5000}, "findings": rows}
    images = MemoryImages({f"{IMAGE}@{DIGEST}": scanned}, [REGISTRY])

    outputs = scan_ecr(IMAGE + PIN, tmp_path, images)

    assert outputs["medium"] == 5000
    assert outputs["findings"][0]["id"] == "CVE-2026-0"
    assert len(json.dumps(outputs, ensure_ascii=False).encode()) < 60 * 1024


def test_fail_on_judges_by_the_counts_and_names_the_first_eight(tmp_path: Path) -> None:
    rows = [scan_row(f"CVE-2026-{number:02}", "high") for number in range(20)]
    images = MemoryImages(
        {f"{IMAGE}@{DIGEST}": {"counts": {"high": 30}, "findings": rows}}, [REGISTRY]
    )

    with pytest.raises(ExecutorFailure) as failure:
        scan_ecr(IMAGE + PIN, tmp_path, images, failOn="high")

    named = ", ".join(f"CVE-2026-{number:02} (high)" for number in range(8))
    expected = f"failOn is high, and the scan found {named} and 22 more; see scan-report.json"
    assert str(failure.value) == expected


def test_scanner_refuses_an_unknown_severity() -> None:
    expected = [(("failOn",), "Input should be 'critical', 'high', 'medium' or 'low'")]

    assert mistakes(scanner.Parameters, {"target": "a", "failOn": "severe"}) == expected


def test_scanner_requires_the_target_and_refuses_the_python_name_of_fail_on() -> None:
    expected = [
        (("target",), "Field required"),
        (("fail_on",), "Extra inputs are not permitted"),
    ]

    assert mistakes(scanner.Parameters, {"fail_on": "high"}) == expected
