"""Runs as the fake service tells them: a script of moments, each with a state and new log lines."""

from dataclasses import dataclass, field
from typing import Any

from taskrunner_cli.api.documents import LogEntry, RunState, Step

NOON = "2025-12-06T12:00:{:02}Z"


@dataclass(frozen=True)
class Moment:
    """How a run stands, and what its log gains: (event type, step id or nothing)."""

    status: str
    steps: dict[str, str]
    log: list[tuple[str, str]] = field(default_factory=list)


SCAN = [
    Moment("queued", {"scan": "Pending"}, [("run.created", "")]),
    Moment("running", {"scan": "Running"}, [("run.started", ""), ("step.started", "scan")]),
    Moment("succeeded", {"scan": "Succeeded"}, [("step.completed", "scan"), ("run.completed", "")]),
]
BROKEN = [
    Moment("queued", {"scan": "Pending"}, [("run.created", "")]),
    Moment("running", {"scan": "Running"}, [("step.started", "scan")]),
    Moment("failed", {"scan": "Failed"}, [("step.failed", "scan"), ("run.failed", "")]),
]
DEPLOY = [
    Moment(
        "queued",
        {"build": "Pending", "approval": "Pending", "deploy": "Pending"},
        [("run.created", "")],
    ),
    Moment(
        "running",
        {"build": "Running", "approval": "Pending", "deploy": "Pending"},
        [("run.started", ""), ("step.started", "build")],
    ),
    Moment(
        "waiting",
        {"build": "Succeeded", "approval": "Pending", "deploy": "Pending"},
        [("step.completed", "build"), ("gate.awaiting", "approval")],
    ),
    Moment(
        "running",
        {"build": "Succeeded", "approval": "Succeeded", "deploy": "Running"},
        [("gate.approved", "approval"), ("step.started", "deploy")],
    ),
    Moment(
        "succeeded",
        {"build": "Succeeded", "approval": "Succeeded", "deploy": "Succeeded"},
        [("step.completed", "deploy"), ("run.completed", "")],
    ),
]


@dataclass
class FakeRun:
    """A run that moves to its next moment when told to, and waits at its gate until decided."""

    run_id: str
    pack: str
    plan_hash: str
    script: list[Moment]
    tenant: str = "tenant-prod"
    place: int = 0
    decided: str = ""
    log: list[LogEntry] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._write()

    @property
    def moment(self) -> Moment:
        return self.script[self.place]

    def tick(self) -> None:
        held = self.moment.status == "waiting" and not self.decided
        if not held and self.place + 1 < len(self.script):
            self.place += 1
            self._write()

    def say(self, event: str, step: str = "", message: str = "", level: str = "info") -> None:
        position = len(self.log) + 1
        entry: LogEntry = {
            "timestamp": NOON.format(position),
            "level": level,
            "eventType": event,
            "message": message or f"about {step or 'the run'}",
            "cursor": f"c{position}",
        }
        self.log.append({**entry, "stepId": step} if step else entry)

    def state(self) -> RunState:
        steps = [self._step(name, status) for name, status in self.moment.steps.items()]
        over = self.moment.status in {"succeeded", "failed", "cancelled"}
        state: dict[str, Any] = {
            "runId": self.run_id,
            "planHash": self.plan_hash,
            "failurePolicy": {"maxAttempts": 1, "backoffSeconds": 0, "continueOnError": False},
            "createdAt": NOON.format(0),
            "updatedAt": NOON.format(len(self.log)),
            "steps": steps,
            "status": self.moment.status,
            "tenantId": self.tenant,
            "pack": {"name": self.pack, "version": "1.0.0"},
            "createdBy": "operator",
            **({"endedAt": NOON.format(9)} if over else {}),
        }
        return state  # type: ignore[return-value] # built up field by field

    def _write(self) -> None:
        for event, step in self.moment.log:
            self.say(event, step)

    def _step(self, name: str, status: str) -> Step:
        gate = name == "approval"
        step: dict[str, Any] = {
            "stepId": name,
            "kind": "GateApproval" if gate else "Run",
            "enabled": True,
            "continueOnError": False,
            "status": status,
            "attempts": 0 if gate or status == "Pending" else 1,
            "lastTransitionAt": NOON.format(self.place),
        }
        if gate:
            step |= {"approvalId": "security-review", "gateMessage": "Review before deploy"}
        if gate and self.moment.status == "waiting":
            step["statusReason"] = "awaiting-approval"
        if status == "Failed":
            step |= {"statusReason": "executor-error", "errorMessage": "the scanner fell over"}
        return step  # type: ignore[return-value] # built up field by field
