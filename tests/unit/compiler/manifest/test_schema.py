"""Stage 2: shapes. The messages are in tests/golden; here is what they do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.compiler.manifest import keys, schema, source
from taskrunner.compiler.manifest.step_shapes import RetriesShape
from taskrunner.compiler.problems import Problem
from taskrunner.errors import InvalidPackError
from tests.packs import pack

if TYPE_CHECKING:
    from taskrunner.compiler.manifest.shapes import Pack

NOOP = "- {id: a, run: {uses: builtin:noop}}"


def parsed(text: str) -> Pack:
    manifest = schema.parse(source.read(text))
    manifest.refuse(())
    return manifest.pack


def paths_refused(manifest: str) -> list[str]:
    with pytest.raises(InvalidPackError) as refused:
        parsed(manifest)
    return [found.path for found in refused.value.diagnostics]


def test_fills_in_the_defaults_of_the_language() -> None:
    spec = parsed(pack(NOOP, spec="approvals: [{id: review}]")).spec

    assert (spec.sandbox.mode, spec.sandbox.egress_allowlist) == ("sealed", [])
    assert spec.sandbox.cpu_limit_millicores == 1000
    assert spec.sandbox.memory_limit_mib == 512
    assert spec.sandbox.quota_seconds == 900
    assert spec.failure.retries == RetriesShape()
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
def test_reads_the_flat_form_as_the_nested_one(flat: str) -> None:
    nested = "- {id: a, when: inputs.x, timeoutSeconds: 5, run: {uses: builtin:noop, with: {x: 1}}}"

    assert parsed(pack(flat)) == parsed(pack(nested))


def test_reads_the_approval_of_a_flat_gate_from_approval() -> None:
    flat = parsed(pack("- {id: a, type: gate.approval, approval: review, message: m}"))

    assert flat == parsed(pack("- {id: a, gate: {approval: {id: review, message: m}}}"))


@pytest.mark.parametrize("name", ["a", "a-b", "0", "a" * 63])
def test_accepts_a_pack_name(name: str) -> None:
    assert parsed(pack(NOOP, name=f'"{name}"')).metadata.name == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "a\\n"])
def test_refuses_a_pack_name(name: str) -> None:
    assert paths_refused(pack(NOOP, name=f'"{name}"')) == ["$.metadata.name"]


# The examples of semver.org, by its own test suite.
@pytest.mark.parametrize(
    "version",
    ["0.0.4", "1.0.0-alpha.1", "1.0.0-0A.is.legal", "1.0.0+0.build.1-rc.10000aaa", "99999.0.0"],
)
def test_accepts_a_semantic_version(version: str) -> None:
    assert parsed(pack(NOOP).replace("1.0.0", version)).metadata.version == version


@pytest.mark.parametrize(
    "version", ["1", "1.2", "01.1.1", "1.2.3-0123", "1.2.3+", "alpha", "1.2.3.DEV", "v1.2.3"]
)
def test_refuses_a_version_that_is_not_semantic(version: str) -> None:
    assert paths_refused(pack(NOOP).replace("1.0.0", f'"{version}"')) == ["$.metadata.version"]


@pytest.mark.parametrize("step_id", ["a", "0", "A_b-", "a" * 63])
def test_accepts_a_step_id(step_id: str) -> None:
    manifest = pack(f'- {{id: "{step_id}", run: {{uses: builtin:noop}}}}')

    assert parsed(manifest).spec.steps[0].id == step_id


@pytest.mark.parametrize("step_id", ["", "_a", "-a", "a.b", "a b", "a[0]", "a::b", "é", "a" * 64])
def test_refuses_a_step_id(step_id: str) -> None:
    manifest = pack(f'- {{id: "{step_id}", run: {{uses: builtin:noop}}}}')

    assert paths_refused(manifest) == ["$.spec.steps[0].id"]


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("steps[0].timeoutSeconds", 1, 86400),
        ("steps[0].retries.maxAttempts", 1, 100),
        ("steps[0].retries.backoffSeconds", 0, 86400),
        ("sandbox.cpuLimitMillicores", 1, 6000),
        ("sandbox.memoryLimitMiB", 16, 10240),
        ("sandbox.quotaSeconds", 1, 604800),
        ("approvals[0].minApprovals", 1, 20),
        ("approvals[0].expiresAfterSeconds", 60, 31_449_600),
    ],
)
def test_refuses_a_number_outside_its_bounds(field: str, least: int, most: int) -> None:
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


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            f"- {{id: a, name: {'x' * 2001}, run: {{uses: builtin:noop}}}}",
            "at most 2000 characters",
        ),
        (
            "- {id: a, run: {uses: builtin:noop}, when: 5}",
            "must be an expression, not 5; put the expression in quotes",
        ),
    ],
)
def test_says_what_does_not_fit_without_words_of_the_library(steps: str, message: str) -> None:
    with pytest.raises(InvalidPackError) as refused:
        parsed(pack(steps))

    assert message in str(refused.value)
    assert "tring" not in str(refused.value)


def test_reports_problems_in_the_order_of_their_lines() -> None:
    manifest = pack("- {id: a}\n- {id: b, run: {}}", spec="slo: {x: 1}\nsecrets: {}")

    assert paths_refused(manifest) == [
        "$.spec.slo.x",
        "$.spec.secrets",
        "$.spec.steps[0]",
        "$.spec.steps[1].run.uses",
    ]


def test_refuses_later_problems_at_the_places_where_the_author_wrote_them() -> None:
    manifest = schema.parse(
        source.read(pack("- {id: a, type: run, uses: x}\n- {id: b, run: {uses: y}}"))
    )
    nested = [
        Problem(("spec", "steps", 1, "run", "uses"), "second"),
        Problem(("spec", "steps", 0, "run", "uses"), "first"),
    ]

    with pytest.raises(InvalidPackError) as refused:
        manifest.refuse(nested, code="invalid_inputs")

    assert [(found.path, found.message) for found in refused.value.diagnostics] == [
        ("$.spec.steps[0].uses", "line 6: first"),
        ("$.spec.steps[1].run.uses", "line 7: second"),
    ]
    assert refused.value.code == "invalid_inputs"
    manifest.refuse([])


def test_knows_the_keys_of_every_place() -> None:
    assert "memoryLimitMiB" in keys.keys_at(("spec", "sandbox"))
    assert keys.keys_at(("spec", "steps", 3, "loop", "body", 0, "run")) == {"uses", "with"}
    assert keys.keys_at(("spec", "steps", 0, "run", "with", "x")) == set()
    assert {"apiVersion", "else", "with", "maxIterations", "schema"} <= keys.all_keys()
