"""`gates`: the steps that each gate of a pack guards, without the service."""

from pathlib import Path

import pytest

from tests.packs import pack
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_service import FakeService

DEPLOY = str(Path(__file__).resolve().parents[3] / "examples/deploy-app.yaml")
MIXED = pack(
    """
    - {id: build, run: {uses: builtin:noop}}
    - {id: rules, gate: {policy: {policy: p, failureAction: warn}}}
    - {id: review, when: steps.build.outputs.odd, gate: {approval: {id: a}}}
    - {id: ship, when: inputs.go, run: {uses: builtin:noop}}
    """,
    spec="""
    inputs: [{name: go, type: boolean, required: true}]
    approvals: [{id: a}]
    policies: [{id: p, version: "1", rules: [{id: r, require: inputs}]}]
    """,
)


@pytest.fixture(name="mixed")
def _mixed(tmp_path: Path) -> str:
    path = tmp_path / "mixed.yaml"
    path.write_text(MIXED)
    return str(path)


def test_lists_the_steps_that_each_gate_guards(taskrunner: Command, service: FakeService) -> None:
    ended = taskrunner("gates", DEPLOY)

    assert ended.code == 0
    assert ended.out.splitlines()[1].split() == [
        "approval", "approval", "security-review", "deploy",
    ]  # fmt: skip
    assert "not guarded by any gate  build" in ended.out
    assert service.requests == []


def test_says_why_a_gate_guards_nothing(taskrunner: Command, mixed: str) -> None:
    ended = taskrunner("gates", mixed, "--input", "go=true")

    assert "it warns, and the run goes on" in ended.out
    assert "skipped unless steps.build.outputs.odd" in ended.out


def test_says_that_a_gate_guards_its_own_iteration(taskrunner: Command, tmp_path: Path) -> None:
    path = tmp_path / "each.yaml"
    path.write_text(
        pack(
            """
            - id: each
              map:
                items: {static: [1, 2]}
                steps:
                  - {id: ask, gate: {approval: {id: a}}}
                  - {id: ship, run: {uses: "builtin:noop"}}
            - {id: after, run: {uses: "builtin:noop"}}
            """,
            spec="approvals: [{id: a, scope: gate}]",
        )
    )

    as_text, as_json = (taskrunner("gates", str(path), *form) for form in ((), ("-o", "json")))

    assert "ship of the same iteration; after" in as_text.out
    assert as_json.document["gates"][0]["inIteration"] == ["ship"]


def test_prints_a_json_document(taskrunner: Command, mixed: str) -> None:
    ended = taskrunner("gates", mixed, "--input", "go=true", "--output", "json")

    assert ended.document["pack"] == {"name": "a-pack", "version": "1.0.0"}
    assert ended.document["gates"] == [
        {
            "stepId": "rules",
            "kind": "GatePolicy",
            "policyId": "p",
            "guards": [],
            "idle": "it warns, and the run goes on",
        },
        {
            "stepId": "review",
            "kind": "GateApproval",
            "approvalId": "a",
            "guards": ["ship"],
            "unless": "steps.build.outputs.odd",
        },
    ]
    assert ended.document["unguarded"] == ["build"]


def test_names_the_approval_that_overrides_a_policy(taskrunner: Command, tmp_path: Path) -> None:
    policy = "{policy: p, failureAction: requestOverride, override: {approval: a}}"
    spec = """
    approvals: [{id: a}]
    policies: [{id: p, version: "1", rules: [{id: r, require: inputs}]}]
    """
    (tmp_path / "p.yaml").write_text(
        pack(f"- {{id: rules, gate: {{policy: {policy}}}}}", spec=spec)
    )

    as_text = taskrunner("gates", str(tmp_path / "p.yaml"))
    as_json = taskrunner("gates", str(tmp_path / "p.yaml"), "-o", "json")

    assert "policy p or approval a" in as_text.out
    (gate,) = as_json.document["gates"]
    assert (gate["policyId"], gate["approvalId"]) == ("p", "a")


def test_says_that_a_pack_has_no_gates(taskrunner: Command, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(pack("- {id: build, run: {uses: builtin:noop}}"))

    ended = taskrunner("gates", str(tmp_path / "p.yaml"))

    assert ended.out.splitlines() == [
        "the pack has no gates",
        "not guarded by any gate  build",
    ]


def test_shows_the_place_of_a_plan_error_as_the_compiler_knows_it(
    taskrunner: Command, tmp_path: Path
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(pack("- {id: a, run: {uses: builtin:scaner}}"))

    ended = taskrunner("gates", str(file))

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines() == [
        "error: the pack cannot be planned: 1 error",
        f"  ✗ {file}:6:21  $.spec.steps[0].run.uses",
        "    there is no executor 'builtin:scaner'; did you mean 'builtin:scanner'?",
        "       6 │     - {id: a, run: {uses: builtin:scaner}}",
        "         │                     ^",
    ]


def test_prints_plan_errors_as_the_service_does(taskrunner: Command, mixed: str) -> None:
    ended = taskrunner("gates", mixed, "-o", "json")

    assert ended.code == 1
    assert ended.error["error"]["code"] == "invalid_inputs"
    assert ended.error["errors"] == [
        {"path": "$.inputs.go", "message": "the input 'go' is required"}
    ]
