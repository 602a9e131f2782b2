"""builtin:scanner says what a reference alone gives away."""

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
    found = scanner.findings(image_reference.parse(target))
    return {finding.id: finding.severity for finding in found}


def test_the_contracts_example_has_a_medium_and_a_low_finding(tmp_path: Path) -> None:
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
            "detail": "What is pulled cannot be proved to be what was tested and approved.",
            "remedy": "Name the image by its digest: "
            "registry.example.com/app@sha256:<64 hex digits>",
        },
        {
            "id": "mutable-tag",
            "severity": "low",
            "title": "The tag can move",
            "detail": "Whoever may push to the repository can make 'v1.2.3' another image.",
            "remedy": "Name the image by its digest: "
            "registry.example.com/app@sha256:<64 hex digits>",
        },
    ]


@pytest.mark.parametrize("name", ["registry.example.com/app", "ghcr.io/team/app:latest"])
def test_a_pinned_image_of_a_named_registry_has_no_findings(name: str) -> None:
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
def test_a_tag_is_as_bad_as_it_moves(tag: str, severity: str) -> None:
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
def test_a_registry_that_may_not_be_genuine_is_worse_without_a_digest(
    registry: str, unpinned: str | None, pinned: str | None
) -> None:
    assert unpinned == severities(f"{registry}/app:1.2.3").get("insecure-registry")
    assert pinned == severities(f"{registry}/app{PIN}").get("insecure-registry")


@pytest.mark.parametrize(
    ("target", "repository"), [("nginx", "library/nginx"), ("bitnami/nginx", "bitnami/nginx")]
)
def test_an_unwritten_registry_is_docker_hub_and_a_finding(
    target: str, repository: str, tmp_path: Path
) -> None:
    outputs = scan(target + PIN, tmp_path)

    assert ("docker.io", repository) == (outputs["registry"], outputs["repository"])
    assert severities(target + PIN) == {"implicit-registry": "medium"}


def test_the_worst_finding_comes_first_and_the_counts_add_up(tmp_path: Path) -> None:
    outputs = scan("registry.example.com:80/app", tmp_path)

    assert [one["severity"] for one in outputs["findings"]] == ["critical", "high", "medium"]
    assert [outputs[severity] for severity in scanner.SEVERITIES] == [1, 1, 1, 0]


def test_the_report_is_the_outputs_as_a_file(tmp_path: Path) -> None:
    outputs = scan("nginx", tmp_path)

    written = (tmp_path / "scan-report.json").read_bytes()
    assert outputs == json.loads(written)
    assert written.startswith(b'{\n  "target": "nginx",\n  "registry": "docker.io",\n')
    assert written.endswith(b'"low": 0\n}\n')


def test_the_same_target_gives_the_same_report_byte_for_byte(tmp_path: Path) -> None:
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
def test_fail_on_names_each_finding_that_is_as_bad_or_worse(
    fail_on: str, named: str, tmp_path: Path
) -> None:
    with pytest.raises(ExecutorFailure) as failure:
        scan("registry.example.com:80/app", tmp_path, failOn=fail_on)

    expected = f"failOn is {fail_on}, and the scan found {named}; scan-report.json says more"
    assert str(failure.value) == expected


def test_fail_on_lets_lesser_findings_pass(tmp_path: Path) -> None:
    outputs = scan("registry.example.com/app:v1.2.3", tmp_path, failOn="high")

    assert (outputs["medium"], outputs["low"]) == (1, 1)


def test_a_scan_that_fails_its_step_leaves_its_report(tmp_path: Path) -> None:
    with pytest.raises(ExecutorFailure):
        scan("nginx", tmp_path, failOn="low")

    assert (tmp_path / "scan-report.json").exists()


def test_a_broken_reference_is_a_failure_that_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(ExecutorFailure) as failure:
        scan("registry.example.com/App:1", tmp_path)

    assert str(failure.value).startswith(
        "'registry.example.com/App:1' is no image reference: "
        "at character 22 'App' is no path component: it is lower case letters and digits"
    )


def test_a_failure_never_repeats_control_characters(tmp_path: Path) -> None:
    with pytest.raises(ExecutorFailure) as failure:
        scan("app\x1b[2J:1", tmp_path)

    assert str(failure.value).isprintable()
    assert "at character 4 stands '\\x1b'" in str(failure.value)


@given(target=st.text(max_size=400))
def test_any_text_is_scanned_or_refused_and_nothing_else(
    target: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        outputs = scan(target, tmp_path_factory.getbasetemp())
    except ExecutorFailure as failure:
        assert "is no image reference" in str(failure)  # noqa: PT017 - the other outcome is fine too
    else:
        counted = sum(outputs[severity] for severity in scanner.SEVERITIES)
        assert len(outputs["findings"]) == counted


REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
IMAGE = f"{REGISTRY}/team/app"
DIGEST = PIN.removeprefix("@")


def row(finding_id: str, severity: str, **more: str) -> JsonObject:
    empty = {"package": "", "version": "", "fixedIn": "", "description": "", "uri": ""}
    return {"id": finding_id, "severity": severity, **empty, **more}


def scan_ecr(target: str, tmp_path: Path, images: MemoryImages, **more: str) -> JsonObject:
    parameters = scanner.Parameters.model_validate({"target": target, **more})
    return scanner.execute(parameters, a_work(tmp_path, images=images))


def test_what_ecr_recorded_stands_among_the_findings_and_is_counted(tmp_path: Path) -> None:
    rows = [
        row("CVE-2026-1", "critical", package="openssl", version="3.0.1", fixedIn="3.0.2"),
        row("CVE-2026-2", "low", description="A long\n  story.", uri="https://a.example/2"),
    ]
    scanned: JsonObject = {"counts": {"critical": 1, "low": 1}, "findings": rows}
    images = MemoryImages({f"{IMAGE}@v1.2.3": scanned}, [REGISTRY])

    outputs = scan_ecr(f"{IMAGE}:v1.2.3", tmp_path, images)

    ids = [one["id"] for one in outputs["findings"]]
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


def test_the_digest_is_asked_for_when_there_is_one(tmp_path: Path) -> None:
    images = MemoryImages({f"{IMAGE}@{DIGEST}": {"counts": {}, "findings": []}}, [REGISTRY])

    assert scan_ecr(f"{IMAGE}:v1{PIN}", tmp_path, images)["findings"] == []


def test_a_registry_that_the_sandbox_does_not_allow_is_not_asked_and_a_finding_says_so(
    tmp_path: Path,
) -> None:
    outputs = scan_ecr(IMAGE + PIN, tmp_path, MemoryImages())

    [finding] = outputs["findings"]
    assert (finding["id"], finding["severity"], outputs["low"]) == ("unscanned", "low", 1)
    assert finding["title"] == "The registry's scan was not read"
    assert finding["remedy"] == f"List {REGISTRY} in spec.sandbox.egressAllowlist."


def test_an_image_that_was_not_scanned_is_a_finding(tmp_path: Path) -> None:
    images = MemoryImages({f"{IMAGE}@{DIGEST}": None}, [REGISTRY])

    [finding] = scan_ecr(IMAGE + PIN, tmp_path, images)["findings"]

    assert (finding["id"], finding["severity"]) == ("unscanned", "low")
    assert finding["title"] == "The registry has no scan"


def test_an_image_that_is_not_there_fails_the_step(tmp_path: Path) -> None:
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
def test_no_other_registry_is_asked(target: str, tmp_path: Path) -> None:
    outputs = scan_ecr(target, tmp_path, MemoryImages())

    assert "unscanned" not in {one["id"] for one in outputs["findings"]}


def test_more_findings_than_fit_are_counted_and_the_worst_are_told(tmp_path: Path) -> None:
    rows = [row("CVE-2026-0", "high", description="x" * 5000)]
    rows += [
        row(f"CVE-2026-{number}", "medium", description="ü" * 5000) for number in range(1, 200)
    ]
    scanned: JsonObject = {"counts": {"high": 1, "medium": 5000}, "findings": rows}
    images = MemoryImages({f"{IMAGE}@{DIGEST}": scanned}, [REGISTRY])

    outputs = scan_ecr(IMAGE + PIN, tmp_path, images)

    assert outputs["medium"] == 5000
    assert outputs["findings"][0]["id"] == "CVE-2026-0"
    assert len(json.dumps(outputs, ensure_ascii=False).encode()) < 60 * 1024


def test_fail_on_judges_by_the_counts_and_names_the_first(tmp_path: Path) -> None:
    rows = [row(f"CVE-2026-{number:02}", "high") for number in range(20)]
    images = MemoryImages(
        {f"{IMAGE}@{DIGEST}": {"counts": {"high": 30}, "findings": rows}}, [REGISTRY]
    )

    with pytest.raises(ExecutorFailure) as failure:
        scan_ecr(IMAGE + PIN, tmp_path, images, failOn="high")

    named = ", ".join(f"CVE-2026-{number:02} (high)" for number in range(8))
    expected = f"failOn is high, and the scan found {named} and 22 more; scan-report.json says more"
    assert str(failure.value) == expected


def test_a_misspelt_severity_is_told_the_four() -> None:
    expected = [(("failOn",), "Input should be 'critical', 'high', 'medium' or 'low'")]

    assert mistakes(scanner.Parameters, {"target": "a", "failOn": "severe"}) == expected


def test_the_target_is_required_and_the_python_name_of_fail_on_is_unknown() -> None:
    expected = [
        (("target",), "Field required"),
        (("fail_on",), "Extra inputs are not permitted"),
    ]

    assert mistakes(scanner.Parameters, {"fail_on": "high"}) == expected
