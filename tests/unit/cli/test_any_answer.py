"""Answers that lack what the API's document calls optional, or whose members have other types."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from taskrunner_cli.api import documents
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer, Request
from tests.unit.cli.fake_service import FakeService

ROOT = Path(__file__).resolve().parents[3]
PACK = str(ROOT / "examples" / "deploy-app.yaml")
SCHEMAS = yaml.load((ROOT / "functions/describe_api/openapi.yaml").read_text(), yaml.CSafeLoader)[
    "components"
]["schemas"]
TIME = "2025-12-06T12:00:00Z"
HASH = "sha256:" + "0" * 64
STEP = {
    "stepId": "ask", "kind": "GateApproval", "enabled": True, "continueOnError": False,
    "status": "Succeeded", "attempts": 1, "name": "Ask", "templateId": "ask", "parentId": "all",
    "approvalId": "review", "gateMessage": "Well?", "lastTransitionAt": TIME, "maxParallel": 2,
    "nextAttemptAt": TIME, "statusReason": "awaiting-approval", "errorMessage": "it broke",
}  # fmt: skip
COUNTED = {"counts": {"Failed": 1, "Pending": 2}, "childrenOmitted": 2}
POLICY = {"maxAttempts": 1, "backoffSeconds": 0, "continueOnError": False}
PACK_NAME = {"name": "a-pack", "version": "1.0.0"}
RUN = {
    "runId": "r1", "planHash": HASH, "failurePolicy": POLICY, "createdAt": TIME, "updatedAt": TIME,
    "steps": [{**STEP, "stepId": "all", "kind": "Map", "parentId": "", **COUNTED}, STEP],
    "status": "cancelled", "pack": PACK_NAME, "tenantId": "t", "definitionHash": HASH,
    "startedAt": TIME, "endedAt": TIME, "createdBy": "ana", "stepsOmitted": 3,
}  # fmt: skip
SIMULATED = {
    "id": "ask", "templateId": "ask", "kind": "GateApproval", "enabled": True, "status": "Pending",
    "children": [], "statusReason": "why", "uses": "builtin:noop", "approvalId": "review",
    "gateMessage": "Well?", "maxParallel": 2,
    "mapInfo": {"mode": "inline", "iterator": "i", "index": "n", "itemCount": 3},
    "loopInfo": {"itemsExpression": "inputs.x", "aggregationMode": "collect", "maxIterations": 3},
    "conditionalInfo": {"branches": [{"condition": "inputs.go", "stepCount": 1}],
                        "elseStepCount": 0, "outputUnion": False},
    "policyInfo": {"policyId": "p", "policyVersion": "1", "failureAction": "abort"},
}  # fmt: skip
SIMULATION = {
    "planHash": HASH, "failurePolicy": POLICY,
    "steps": [{**SIMULATED, "children": [{"id": "in", "status": "Pending"}]}],
    "outputs": [{"name": "report", "type": "file", "requiresRuntimeValue": False,
                 "pathExpression": "/x"}],
    "hasPendingApprovals": True, "pack": PACK_NAME, "definitionHash": HASH,
    "budget": {"historyEvents": 9, "stateTransitions": 5, "estimatedCostUsd": 0.1},
}  # fmt: skip
APPROVAL = {
    "runId": "r1", "approvalId": "review", "stepId": "ask", "grants": ["packs.approve"],
    "openedAt": TIME, "expiresAt": TIME, "planHash": HASH, "message": "Well?", "pack": PACK_NAME,
    "requestedBy": "ana", "minApprovals": 2, "distinctFromRequester": True, "inputs": {"a": [1]},
    "inputsOmitted": 2, "secrets": ["s"], "approvedBy": [{"approver": "bo", "decidedAt": TIME}],
    "canDecide": False, "cannotDecideReason": {"code": "self_approval", "message": "You did."},
}  # fmt: skip
RUN_APPROVAL = {
    **{name: value for name, value in APPROVAL.items() if name != "approvedBy"},
    "status": "waiting",
    "gates": [
        {
            "stepId": "ask", "templateId": "ask", "kind": "GateApproval", "message": "Well?",
            "guards": ["ship"], "guardsOmitted": 2, "unless": "steps.a", "openedAt": TIME,
            "guardsNothingBecause": "it warns", "findings": [{"name": "steps.a.b", "value": 1}],
        },
    ],
    "decisions": [
        {
            "decision": "approved", "approver": "bo", "decidedAt": TIME, "actorId": "b@example.com",
            "summary": "fine",
        },
    ],
}  # fmt: skip
RUN_PLAN = {
    "runId": "r1", "planHash": HASH, "definitionHash": HASH, "plan": {}, "gates": [],
    "comparison": {
        "compareTo": "last-approved", "runId": "r0", "planHash": HASH, "identical": False,
        "reason": "",
        "diff": {
            "total": 2, "truncated": True,
            "changes": [
                {"change": "changed", "part": "inputs", "id": "a", "field": "/x", "old": 1,
                 "new": 2},
            ],
        },
    },
}  # fmt: skip
STEP_DETAIL = {
    **STEP, "uses": "builtin:noop", "startedAt": TIME, "endedAt": TIME, "outputs": {"a": 1},
    "outputsOmitted": False,
    "retries": {"maxAttempts": 3, "backoffSeconds": 2, "backoffRate": 2, "on": ["timeout"]},
    "attemptHistory": [
        {
            "attempt": 1, "status": "Failed", "startedAt": TIME, "endedAt": TIME, "reason": "why",
            "message": "no", "nextAttemptAt": TIME,
        },
    ],
}  # fmt: skip
SUMMARY = {
    "runId": "r1", "pack": PACK_NAME, "status": "failed", "planHash": HASH, "createdAt": TIME,
    "endedAt": TIME,
    "statusReason": {"stepId": "ship", "reason": "timeout", "message": "It took too long."},
}  # fmt: skip
ARTIFACT = {
    "name": "report", "type": "file", "status": "captured", "sourcePath": "/x", "notes": "n",
    "storedPath": "/s", "capturedAt": TIME, "expressionJson": "1", "sizeBytes": 1, "sha256": HASH,
}  # fmt: skip
ENTRY = {
    "timestamp": TIME, "level": "info", "eventType": "gate.rejected", "message": "no",
    "stepId": "ask", "cursor": "c1", "metadata": {"approver": "client:ana", "summary": "late"},
}  # fmt: skip

# The command, the document that answers it, and the schema of that document or of its entries.
# The document gives a cancellation's answer no named schema; all of its members are optional.
CASES: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "runs": (("runs",), {"runs": [SUMMARY], "nextCursor": ""}, "RunPage"),
    "approvals": (("approvals",), {"approvals": [APPROVAL], "nextCursor": ""}, "OpenApprovalPage"),
    "show": (("show", "r1"), RUN, "RunStateResponse"),
    "watch": (("show", "r1", "--watch"), RUN, "RunStateResponse"),
    "run": (("run", PACK, "--detach"), RUN, "RunStateResponse"),
    "question": (("approve", "r1", "review", "--yes"), RUN, "RunStateResponse"),
    "approval": (("approve", "r1", "review", "--yes"), RUN_APPROVAL, "RunApprovalResponse"),
    "plan": (("approve", "r1", "review", "--yes"), RUN_PLAN, "RunPlanResponse"),
    "outputs": (("outputs", "r1", "ask"), STEP_DETAIL, "RunStepResponse"),
    "simulate": (("simulate", PACK), SIMULATION, "SimulationResponse"),
    "artifacts": (("artifacts", "r1"), [ARTIFACT], "RunArtifact"),
    "logs": (("logs", "r1"), ENTRY, "RunLogEntry"),
    "cancel": (("cancel", "r1"), {"status": "cancelled", "runStatus": "failed"}, ""),
    "decision": (
        ("approve", "r1", "review", "--plan-hash", HASH),
        {"status": "approved", "resumed": True},
        "ApprovalDecisionResponse",
    ),
}
OTHER_VALUES: tuple[Any, ...] = (None, 7, -1.5, "other", "", True, [], [[]], {}, {"a": 1})


class OneAnswer(FakeService):
    """A service that answers each operation with its own document, except the tested one."""

    def __init__(self) -> None:
        super().__init__("http://store")
        self.case = ""
        self.document: Any = None

    def route(self, request: Request) -> Answer:
        if request.path == "/token":
            return super().route(request)
        operation = _operation(request)
        tested = {"watch": "show", "run": "show", "question": "show"}.get(self.case, self.case)
        document = self.document if operation == tested else CASES[operation][1]
        if operation == "logs":
            is_first = "cursor" not in request.query
            end = {**ENTRY, "eventType": "run.cancelled"}
            lines = "".join(json.dumps(entry) + "\n" for entry in (document, end) if is_first)
            return Answer(200, lines.encode(), {"X-TaskRunner-Cursor": "c1"})
        return Answer(200, document)


def _operation(request: Request) -> str:
    last = request.path.rpartition("/")[2]
    if "/steps/" in request.path:
        return "outputs"
    match request.method, last:
        case "GET", "review":
            return "approval"
        case "POST", "review":
            return "decision"
        case "POST", "simulations":
            return "simulate"
        case "POST", "runs":
            return "show"
        case _, "r1":
            return "show"
        case _:
            return last


def _without_optional_members(document: Any, schema: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return *document* with only the members that *schema* requires, at all depths."""
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    parts = [schema, *schema.get("allOf", [])]
    if len(parts) > 1:
        parts = [SCHEMAS[p["$ref"].rpartition("/")[2]] if "$ref" in p else p for p in parts]
    if isinstance(document, list):
        return [_without_optional_members(entry, schema.get("items", schema)) for entry in document]
    if not isinstance(document, dict):
        return document
    required = {name for part in parts for name in part.get("required", [])}
    members = {name: s for part in parts for name, s in part.get("properties", {}).items()}
    return {
        name: _without_optional_members(value, members.get(name, {}))
        for name, value in document.items()
        if name in required
    }


def _members(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """Yield the path of every member of *document*."""
    names = document if isinstance(document, dict) else range(len(document))
    for name in names:
        yield (*path, name)
        if isinstance(document[name], dict | list):
            yield from _members(document[name], (*path, name))


def _changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:  # noqa: ANN401
    changed = copy.deepcopy(document)
    parent = changed
    for name in path[:-1]:
        parent = parent[name]
    parent[path[-1]] = value
    return changed


@pytest.fixture(name="service")
def _service() -> OneAnswer:
    return OneAnswer()


@pytest.mark.parametrize("case", CASES)
def test_shows_answers_without_any_optional_member(
    taskrunner: Command, terminal: Command, service: OneAnswer, case: str
) -> None:
    arguments, document, schema = CASES[case]
    service.case, service.document = (
        case,
        _without_optional_members(document, SCHEMAS.get(schema, {})),
    )

    piped, live, programs = (
        taskrunner(*arguments),
        terminal(*arguments),
        taskrunner(*arguments, "-o", "json"),
    )

    assert service.document != document or case == "decision"  # which has no optional member
    for ended in (piped, live, programs):
        assert ended.code == (1 if case == "watch" else 0), ended
        assert "not shown" not in ended.err
    assert piped.out
    if case not in {"logs", "watch", "run", "question", "approval", "plan"}:
        assert programs.document == service.document


def test_a_gate_without_a_message_hides_no_other_approval(
    taskrunner: Command, service: OneAnswer
) -> None:
    bare = {name: value for name, value in APPROVAL.items() if name not in {"message", "grants"}}
    service.case = "approvals"
    service.document = {"approvals": [bare, {**APPROVAL, "runId": "r2"}]}

    lines = taskrunner("approvals").out.splitlines()

    assert [line.split()[0] for line in lines] == ["run", "r1", "r2"]
    assert "Well?" in lines[2]


@pytest.mark.parametrize("case", sorted({*CASES} - {"watch", "run", "question"}))  # as `show`
def test_a_member_of_another_type_is_not_a_crash(
    taskrunner: Command, service: OneAnswer, case: str
) -> None:
    arguments, document, _ = CASES[case]
    service.case = case
    tried = 0
    for number, path in enumerate(_members(document)):
        value = OTHER_VALUES[number % len(OTHER_VALUES)]
        service.document = _changed(document, path, value)

        ended = taskrunner(*arguments)

        assert ended.code in {0, 1, 3}, (path, value, ended)
        assert ended.out or ended.err
        tried += 1
    assert tried >= len(document)


def test_an_entry_that_cannot_be_shown_is_reported_and_hides_no_other(
    taskrunner: Command, service: OneAnswer
) -> None:
    service.case = "runs"
    service.document = {"runs": [{"pack": PACK_NAME}, SUMMARY]}

    ended = taskrunner("runs")

    assert ended.code == 0
    assert ended.out.splitlines()[1].startswith("r1")
    assert "not shown, because runs[0].runId is missing; --output json prints it" in ended.err


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (documents.RunState, "RunStateResponse"),
        (documents.Step, "RunStateStep"),
        (documents.RunSummary, "RunSummary"),
        (documents.OpenApproval, "OpenApproval"),
        (documents.LogEntry, "RunLogEntry"),
        (documents.Artifact, "RunArtifact"),
        (documents.SimulatedStep, "SimulationStep"),
        (documents.OpenApproval, "RunApprovalResponse"),
        (documents.WaitingGate, "WaitingGate"),
        (documents.Finding, "Finding"),
        (documents.RecordedDecision, "RecordedDecision"),
        (documents.Approver, "ApproverReference"),
        (documents.Reason, "CannotDecideReason"),
        (documents.RunPlan, "RunPlanResponse"),
        (documents.PlanDiff, "PlanDiff"),
        (documents.PlanChange, "PlanChange"),
        (documents.StepAttempt, "StepAttempt"),
        (documents.DecisionAnswer, "ApprovalDecisionResponse"),
    ],
)
def test_requires_only_what_the_apis_document_requires(kind: Any, schema: str) -> None:  # noqa: ANN401
    assert kind.__required_keys__ <= set(SCHEMAS[schema]["required"])
