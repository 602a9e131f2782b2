"""A fake TaskRunner service and a fake artifact store, with the contract's answers."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from taskrunner_cli.api.documents import Artifact
from tests.unit.cli.fake_http import Answer, Request
from tests.unit.cli.fake_run import DEPLOY, FAILING_SCAN, SCAN, FakeRun

SECRET = "s3cret-of-{}"
REPORT = b'{"findings": []}\n'
ARTIFACT: Artifact = {
    "name": "scan-report",
    "type": "file",
    "status": "captured",
    "sizeBytes": len(REPORT),
    "sha256": hashlib.sha256(REPORT).hexdigest(),
}
COMPARISON = {
    "compareTo": "last-approved", "runId": "r0", "planHash": "sha256:00", "identical": False,
    "diff": {
        "total": 6,
        "changes": [
            {"change": "changed", "part": "inputs", "id": "image", "old": "a:1", "new": "a:2"},
            {"change": "added", "part": "steps", "id": "probe", "new": {"uses": "builtin:http"}},
            {"change": "removed", "part": "approvals", "id": "audit", "old": {"grants": []}},
            {"change": "moved", "part": "steps", "id": "deploy"},
            {"change": "changed", "part": "slo", "field": "/x", "new": "x" * 400},
        ],
    },
}  # fmt: skip
CALLERS = ("viewer", "operator", "approver", "admin", "other-tenant-operator")


class FakeStore:
    """The store that presigned addresses lead to."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer = Answer(200, REPORT)
        self.files: dict[str, bytes] = {}
        """The content of artifacts by name; for all others *answer* is sent."""

    def route(self, request: Request) -> Answer:
        self.requests.append(request)
        name = request.path.rpartition("/")[2]
        return Answer(200, self.files[name]) if name in self.files else self.answer


class FakeService:
    """The API and its token service; `tick` advances every run."""

    def __init__(self, store_url: str) -> None:
        self.store_url = store_url
        self.runs: dict[str, FakeRun] = {}
        self.requests: list[Request] = []
        self.tokens: set[str] = set()
        self.issued = 0
        self.token_lifetime_s: object = 3600
        self.log_page_size = 2
        self.tails: Literal["known", "ignored", "refused"] = "known"
        self.approval_facts: dict[str, Any] = {}
        """The members of each open approval beside its run and its gate."""
        self.approval: dict[str, Any] | None = None
        """The answer about one approval; None for that of a service without it."""
        self.comparison: dict[str, Any] | None = None
        """The comparison of plans; None for a service without it."""
        self.can_rerun = True
        self.is_forgetful = False
        """Whether the answer to a repeated decision differs from the first."""
        self.scripts = {
            "deploy-app": DEPLOY,
            "failing": FAILING_SCAN,
            "scan-deploy": SCAN,
            "hello": SCAN,
        }
        self.next_answers: list[Answer] = []
        """The answers to the next calls of the API, regardless of the request."""
        self.next_token_answers: list[Answer] = []
        """The answers to the next calls of the token service."""

    def tick(self) -> None:
        for run in self.runs.values():
            run.tick()

    def add(self, run_id: str, pack: str = "scan-deploy", *, ticks: int = 0) -> FakeRun:
        run = FakeRun(run_id, pack, plan_hash(pack), self.scripts[pack])
        if pack == "hello":
            run.artifacts.append(ARTIFACT)
        for _ in range(ticks):
            run.tick()
        self.runs[run_id] = run
        return run

    def route(self, request: Request) -> Answer:
        self.requests.append(request)
        if request.path == "/token":
            return self._token(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return refused(401, "unauthorized", "The token is not accepted.")
        if self.next_answers:
            return self.next_answers.pop(0)
        words = request.path.removeprefix("/live/v1/task-runner/").split("/")
        match [request.method, *words]:
            case ["POST", "simulations"]:
                answer = simulation(request.document["manifest"])
                if self.comparison is not None and "compareTo" in request.document:
                    answer["comparison"] = self.comparison
                return Answer(200, answer)
            case ["POST", "runs"]:
                return self._create(request)
            case ["GET", "runs"]:
                return self._page(request, "runs", [_summary(run) for run in self.runs.values()])
            case ["GET", "approvals"]:
                return self._page(request, "approvals", self._open_approvals())
            case [_, "runs", run_id, *rest] if run_id in self.runs:
                return self._route_run(request, self.runs[run_id], rest)
        return Answer(404)

    def _route_run(self, request: Request, run: FakeRun, rest: list[str]) -> Answer:
        match [request.method, *rest]:
            case ["GET"]:
                return Answer(200, run.state())
            case ["GET", "logs"]:
                return self._logs(request, run)
            case ["GET", "artifacts"]:
                return Answer(200, run.artifacts)
            case ["GET", "artifacts", name] if run.has_artifact(name):
                return Answer(302, headers={"Location": f"{self.store_url}/b/{name}?sig=presigned"})
            case ["POST", "approvals", "security-review"]:
                return self._decide(request, run)
            case ["POST", "cancel"]:
                return Answer(202, {"status": "cancelled"})
        return self._route_newer(request, run, rest)

    def _route_newer(self, request: Request, run: FakeRun, rest: list[str]) -> Answer:
        """Answer the operations that an older service does not have."""
        match [request.method, *rest]:
            case ["POST", "rerun"] if self.can_rerun:
                again = self.add(request.document.get("runId", f"{run.run_id}-again"), run.pack)
                return Answer(201, again.state())
            case ["GET", "steps", step_id]:
                return Answer(200, step_detail(step_id))
            case ["GET", "approvals", "security-review"] if self.approval is not None:
                return Answer(200, self.approval)
            case ["GET", "plan"] if self.comparison is not None:
                plan = {"planHash": run.plan_hash, "comparison": self.comparison}
                return Answer(200, plan)
        return refused(404, "not_found", "There is no such resource.")

    def _token(self, request: Request) -> Answer:
        if self.next_token_answers:
            return self.next_token_answers.pop(0)
        basic = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        caller = basic.partition(":")[0]
        if basic != f"{caller}:{SECRET.format(caller)}":
            return Answer(400, {"error": "invalid_client"})
        self.issued += 1
        token = f"token-{self.issued}-of-{caller}"
        self.tokens.add(token)
        return Answer(200, {"access_token": token, "expires_in": self.token_lifetime_s})

    def _create(self, request: Request) -> Answer:
        body = request.document
        name = re.search(r"name: ([a-z-]+)", body["manifest"])
        run_id = body.get("runId") or f"run-{len(self.runs) + 1}"
        run = self.add(run_id, name[1] if name else "scan-deploy")
        run.plan_hash = plan_hash(body["manifest"])
        return Answer(201, run.state())

    def _decide(self, request: Request, run: FakeRun) -> Answer:
        body = request.document
        if body["planHash"] != run.plan_hash:
            return refused(409, "plan_hash_mismatch", "The run has another plan.")
        is_repeated, run.verdict = bool(run.verdict), body["decision"]
        resumed = run.verdict == "approved" and not (is_repeated and self.is_forgetful)
        return Answer(200, {"status": run.verdict, "resumed": resumed})

    def _open_approvals(self) -> list[dict[str, Any]]:
        return [
            {
                "runId": run.run_id,
                "approvalId": "security-review",
                "stepId": "approval",
                "message": "Review before deploy",
                "grants": ["packs.approve"],
                "openedAt": "2025-12-06T12:00:05Z",
                "expiresAt": "2025-12-13T12:00:05Z",
                "planHash": run.plan_hash,
                **self.approval_facts,
            }
            for run in self.runs.values()
            if run.moment.status == "waiting" and not run.verdict
        ]

    def _page(self, request: Request, name: str, entries: Sequence[object]) -> Answer:
        """Answer with two entries at most, even if the request allows more."""
        start = int(request.query.get("cursor", "0"))
        end = start + min(int(request.query["limit"]), 2)
        more = {"nextCursor": str(end)} if end < len(entries) else {}
        return Answer(200, {name: entries[start:end], **more})

    def _logs(self, request: Request, run: FakeRun) -> Answer:
        start = int(request.query.get("cursor", "c0")[1:])
        lines = run.log[start : start + self.log_page_size]
        if "tail" in request.query and self.tails != "ignored":
            if self.tails == "refused":
                return refused(400, "invalid_request", "tail is not a parameter")
            start = max(0, len(run.log) - int(request.query["tail"]))
            lines = run.log[start:]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        cursor = {"X-TaskRunner-Cursor": f"c{start + len(lines)}"}
        return Answer(200, text.encode(), {"Content-Type": "application/x-ndjson", **cursor})


def step_detail(step_id: str) -> dict[str, Any]:
    return {
        "stepId": step_id,
        "status": "Failed",
        "uses": "builtin:scanner",
        "statusReason": "executor-error",
        "errorMessage": "the scanner fell over",
        "outputs": {"a key": "a value"},
        "attemptHistory": [
            {"attempt": 1, "status": "Failed", "reason": "executor-error", "message": "it fell"}
        ],
    }


def refused(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message, "traceId": "f62f3c2b"}})


def plan_hash(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def simulation(manifest: str) -> dict[str, Any]:
    has_gate = "gate:" in manifest
    gated = {"build": "Pending", "approval": "RequiresApproval", "deploy": "Pending"}
    return {
        "planHash": plan_hash(manifest),
        "failurePolicy": {"maxAttempts": 1, "backoffSeconds": 0, "continueOnError": False},
        "steps": [
            {
                "id": step_id,
                "templateId": step_id,
                "kind": "Run",
                "enabled": True,
                "status": status,
                "children": [],
            }
            for step_id, status in (gated if has_gate else {"scan": "Pending"}).items()
        ],
        "outputs": [],
        "hasPendingApprovals": has_gate,
    }


def _summary(run: FakeRun) -> dict[str, Any]:
    state = run.state()
    return {
        name: value
        for name, value in state.items()
        if name in {"runId", "pack", "status", "planHash", "createdAt", "endedAt"}
    }
