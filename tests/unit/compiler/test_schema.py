"""Stage 2: shapes. The messages are in tests/golden; here is what they do not show."""

from __future__ import annotations

import pytest

from taskrunner.compiler import schema, source
from taskrunner.errors import InvalidPackError
from tests.packs import pack

NOOP = "- {id: a, run: {uses: builtin:noop}}"


def parsed(manifest: str) -> schema.Pack:
    return schema.parse(source.read(manifest))


def paths_refused(manifest: str) -> list[str]:
    with pytest.raises(InvalidPackError) as refused:
        parsed(manifest)
    return [one.path for one in refused.value.diagnostics]


def test_what_an_author_leaves_out_is_the_languages_default() -> None:
    spec = parsed(pack(NOOP, spec="approvals: [{id: review}]")).spec

    assert (spec.sandbox.mode, spec.sandbox.egress_allowlist) == ("sealed", [])
    assert spec.sandbox.cpu_limit_millicores == 1000
    assert spec.sandbox.memory_limit_mib == 512
    assert spec.sandbox.quota_seconds == 900
    assert spec.failure.retries == schema.RetriesShape()
    assert spec.failure.retries.max_attempts == 1
    assert spec.failure.retries.backoff_seconds == 0
    assert spec.failure.continue_on_error is False
    assert spec.approvals[0].min_approvals == 1
    assert spec.approvals[0].distinct_from_requester is False
    assert spec.approvals[0].expires_after_seconds == 604800


@pytest.mark.parametrize(
    "flat",
    [
        "- {id: a, type: run, uses: builtin:noop, with: {x: 1}, when: inputs.x, timeoutSeconds: 5}",
        "- {type: run, timeoutSeconds: 5, with: {x: 1}, uses: builtin:noop, when: inputs.x, id: a}",
    ],
)
def test_the_flat_form_is_the_nested_one(flat: str) -> None:
    nested = "- {id: a, when: inputs.x, timeoutSeconds: 5, run: {uses: builtin:noop, with: {x: 1}}}"

    assert parsed(pack(flat)) == parsed(pack(nested))


def test_the_flat_gate_names_its_approval_by_approval() -> None:
    flat = parsed(pack("- {id: a, type: gate.approval, approval: review, message: m}"))

    assert flat == parsed(pack("- {id: a, gate: {approval: {id: review, message: m}}}"))


@pytest.mark.parametrize("name", ["a", "a-b", "0", "a" * 63])
def test_a_pack_may_be_called(name: str) -> None:
    assert parsed(pack(NOOP, name=f'"{name}"')).metadata.name == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "a\\n"])
def test_a_pack_may_not_be_called(name: str) -> None:
    assert paths_refused(pack(NOOP, name=f'"{name}"')) == ["$.metadata.name"]


# The examples of semver.org, by its own test suite.
@pytest.mark.parametrize(
    "version",
    ["0.0.4", "1.0.0-alpha.1", "1.0.0-0A.is.legal", "1.0.0+0.build.1-rc.10000aaa", "99999.0.0"],
)
def test_a_version_is_a_semantic_one(version: str) -> None:
    assert parsed(pack(NOOP).replace("1.0.0", version)).metadata.version == version


@pytest.mark.parametrize(
    "version", ["1", "1.2", "01.1.1", "1.2.3-0123", "1.2.3+", "alpha", "1.2.3.DEV", "v1.2.3"]
)
def test_a_version_that_is_not_semantic_is_refused(version: str) -> None:
    assert paths_refused(pack(NOOP).replace("1.0.0", f'"{version}"')) == ["$.metadata.version"]


@pytest.mark.parametrize("step_id", ["a", "0", "A_b-", "a" * 63])
def test_a_step_may_be_called(step_id: str) -> None:
    manifest = pack(f'- {{id: "{step_id}", run: {{uses: builtin:noop}}}}')

    assert parsed(manifest).spec.steps[0].id == step_id


@pytest.mark.parametrize("step_id", ["", "_a", "-a", "a.b", "a b", "a[0]", "a::b", "é", "a" * 64])
def test_a_step_may_not_be_called(step_id: str) -> None:
    manifest = pack(f'- {{id: "{step_id}", run: {{uses: builtin:noop}}}}')

    assert paths_refused(manifest) == ["$.spec.steps[0].id"]


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("steps[0].timeoutSeconds", 1, 840),
        ("steps[0].retries.maxAttempts", 1, 100),
        ("steps[0].retries.backoffSeconds", 0, 86400),
        ("sandbox.cpuLimitMillicores", 1, 6000),
        ("sandbox.memoryLimitMiB", 16, 10240),
        ("sandbox.quotaSeconds", 1, 604800),
        ("approvals[0].minApprovals", 1, 20),
        ("approvals[0].expiresAfterSeconds", 60, 31_449_600),
    ],
)
def test_a_number_is_within_its_bounds(field: str, least: int, most: int) -> None:
    def manifest(number: int) -> str:
        section, _, key = field.rpartition(".")
        value = f"{{{key}: {number}}}"
        if section == "steps[0]":
            return pack(f"- {{id: a, {key}: {number}, run: {{uses: builtin:noop}}}}")
        if section == "steps[0].retries":
            return pack(f"- {{id: a, retries: {value}, run: {{uses: builtin:noop}}}}")
        if section == "sandbox":
            return pack(NOOP, spec=f"sandbox: {value}")
        return pack(NOOP, spec=f"approvals: [{{id: a, {key}: {number}}}]")

    assert parsed(manifest(least)).spec.steps
    assert parsed(manifest(most)).spec.steps
    assert paths_refused(manifest(least - 1)) == [f"$.spec.{field}"]
    assert paths_refused(manifest(most + 1)) == [f"$.spec.{field}"]


def test_problems_stand_in_the_order_of_their_lines() -> None:
    manifest = pack("- {id: a}\n- {id: b, run: {}}", spec="slo: {x: 1}\nsecrets: {}")

    assert paths_refused(manifest) == [
        "$.spec.slo.x",
        "$.spec.secrets",
        "$.spec.steps[0]",
        "$.spec.steps[1].run.uses",
    ]
