"""A TaskRunner service and an artifact store for tests: the contract's answers over real HTTP."""

import base64
import hashlib
import json
import re
from typing import Any

from tests.unit.cli.fake_http import Answer, Seen
from tests.unit.cli.fake_run import BROKEN, DEPLOY, SCAN, FakeRun

SECRET = "s3cret-of-{}"
REPORT = b'{"findings": []}\n'
ARTIFACT = {
    "name": "scan-report",
    "type": "file",
    "status": "captured",
    "sizeBytes": len(REPORT),
    "sha256": hashlib.sha256(REPORT).hexdigest(),
}
CALLERS = ("viewer", "operator", "approver", "admin", "other-tenant-operator")


class FakeStore:
    """Where presigned addresses point to."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.answer = Answer(200, REPORT)
        self.files: dict[str, bytes] = {}
        """What is answered instead for the artifacts of these names."""

    def route(self, request: Seen) -> Answer:
        self.seen.append(request)
        name = request.path.rpartition("/")[2]
        return Answer(200, self.files[name]) if name in self.files else self.answer


class FakeService:
    """The API and its token service; runs move on when `tick` is called."""

    def __init__(self, store_url: str) -> None:
        self.store_url = store_url
        self.runs: dict[str, FakeRun] = {}
        self.seen: list[Seen] = []
        self.tokens: set[str] = set()
        self.issued = 0
        self.token_life_s = 3600
        self.log_page = 2
        self.forgetful = False
        """Whether a repeated decision is answered unlike the first."""
        self.scripts = {"deploy-app": DEPLOY, "broken": BROKEN, "scan-deploy": SCAN, "hello": SCAN}
        self.instead: list[Answer] = []
        """Answers to give to the next calls of the API, whatever they are."""

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

    def route(self, request: Seen) -> Answer:
        self.seen.append(request)
        if request.path == "/token":
            return self._token(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return refused(401, "unauthorized", "The token is not accepted.")
        if self.instead:
            return self.instead.pop(0)
        words = request.path.removeprefix("/live/v1/task-runner/").split("/")
        match [request.method, *words]:
            case ["POST", "simulations"]:
                return Answer(200, simulation(request.document["manifest"]))
            case ["POST", "runs"]:
                return self._create(request)
            case ["GET", "runs"]:
                return self._page(request, "runs", [_summary(run) for run in self.runs.values()])
            case ["GET", "approvals"]:
                return self._page(request, "approvals", self._open())
            case [_, "runs", run_id, *rest] if run_id in self.runs:
                return self._of_run(request, self.runs[run_id], rest)
        return Answer(404)

    def _of_run(self, request: Seen, run: FakeRun, rest: list[str]) -> Answer:
        match [request.method, *rest]:
            case ["GET"]:
                return Answer(200, run.state())
            case ["GET", "logs"]:
                return self._logs(request, run)
            case ["GET", "artifacts"]:
                return Answer(200, run.artifacts)
            case ["GET", "artifacts", name] if name in {a["name"] for a in run.artifacts}:
                return Answer(302, headers={"Location": f"{self.store_url}/b/{name}?sig=presigned"})
            case ["POST", "approvals", "security-review"]:
                return self._decide(request, run)
            case ["POST", "cancel"]:
                return Answer(202, {"status": "cancelled"})
        return refused(404, "not_found", "There is no such thing.")

    def _token(self, request: Seen) -> Answer:
        basic = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        caller = basic.partition(":")[0]
        if basic != f"{caller}:{SECRET.format(caller)}":
            return Answer(400, {"error": "invalid_client"})
        self.issued += 1
        token = f"token-{self.issued}-of-{caller}"
        self.tokens.add(token)
        return Answer(200, {"access_token": token, "expires_in": self.token_life_s})

    def _create(self, request: Seen) -> Answer:
        wanted = request.document
        name = re.search(r"name: ([a-z-]+)", wanted["manifest"])
        run_id = wanted.get("runId") or f"run-{len(self.runs) + 1}"
        run = self.add(run_id, name[1] if name else "scan-deploy")
        run.plan_hash = plan_hash(wanted["manifest"])
        return Answer(201, run.state())

    def _decide(self, request: Seen, run: FakeRun) -> Answer:
        wanted = request.document
        if wanted["planHash"] != run.plan_hash:
            return refused(409, "plan_hash_mismatch", "The run has another plan.")
        again, run.decided = bool(run.decided), wanted["decision"]
        resumed = run.decided == "approved" and not (again and self.forgetful)
        return Answer(200, {"status": run.decided, "resumed": resumed})

    def _open(self) -> list[dict[str, Any]]:
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
            }
            for run in self.runs.values()
            if run.moment.status == "waiting" and not run.decided
        ]

    def _page(self, request: Seen, name: str, everything: list[dict[str, Any]]) -> Answer:
        """Pages of two at most, however many are asked for."""
        start = int(request.query.get("cursor", "0"))
        end = start + min(int(request.query["limit"]), 2)
        more = {"nextCursor": str(end)} if end < len(everything) else {}
        return Answer(200, {name: everything[start:end], **more})

    def _logs(self, request: Seen, run: FakeRun) -> Answer:
        start = int(request.query.get("cursor", "c0")[1:])
        lines = run.log[start : start + self.log_page]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        cursor = {"X-TaskRunner-Cursor": f"c{start + len(lines)}"}
        return Answer(200, text.encode(), {"Content-Type": "application/x-ndjson", **cursor})


def refused(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message, "traceId": "f62f3c2b"}})


def plan_hash(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def simulation(manifest: str) -> dict[str, Any]:
    gate = "gate:" in manifest
    wanted = {"build": "Pending", "approval": "RequiresApproval", "deploy": "Pending"}
    return {
        "planHash": plan_hash(manifest),
        "failurePolicy": {"maxAttempts": 1, "backoffSeconds": 0, "continueOnError": False},
        "steps": [
            {"id": i, "templateId": i, "kind": "Run", "enabled": True, "status": s, "children": []}
            for i, s in (wanted if gate else {"scan": "Pending"}).items()
        ],
        "outputs": [],
        "hasPendingApprovals": gate,
    }


def _summary(run: FakeRun) -> dict[str, Any]:
    state = run.state()
    return {
        name: value
        for name, value in state.items()
        if name in {"runId", "pack", "status", "planHash", "createdAt", "endedAt"}
    }
