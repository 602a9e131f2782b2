"""A run of the fake service: a script of moments, each with a state and new log entries."""

from dataclasses import dataclass, field

from taskrunner_cli.api.documents import Artifact, LogEntry, RunState, RunStatus, Step, StepStatus

TIME = "2025-12-06T12:00:{:02}Z"


@dataclass(frozen=True)
class Moment:
    """A run's state, and its new log entries: each an event with its step id, or an empty one."""

    status: RunStatus
    steps: dict[str, StepStatus]
    log: list[tuple[str, str]] = field(default_factory=list)


SCAN = [
    Moment("queued", {"scan": "Pending"}, [("run.created", "")]),
    Moment("running", {"scan": "Running"}, [("run.started", ""), ("step.started", "scan")]),
    Moment("succeeded", {"scan": "Succeeded"}, [("step.completed", "scan"), ("run.completed", "")]),
]
FAILING_SCAN = [
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


def at_gates(count: int) -> list[Moment]:
    """Return the script of a run that waits at *count* gates in the iterations of a map."""
    gates: dict[str, StepStatus] = {
        f"regions[{number}]::approval": "Pending" for number in range(count)
    }
    return [Moment("waiting", gates, [("gate.awaiting", gate) for gate in gates])]


@dataclass
class FakeRun:
    """A run that moves to its next moment at each tick, and waits at its gate for a verdict."""

    run_id: str
    pack: str
    plan_hash: str
    script: list[Moment]
    position: int = 0
    verdict: str = ""
    log: list[LogEntry] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    artifacts_at_ticks: list[list[Artifact]] = field(default_factory=list)
    """The artifacts that each of the next ticks adds."""

    def __post_init__(self) -> None:
        self._write_log()

    @property
    def moment(self) -> Moment:
        return self.script[self.position]

    def tick(self) -> None:
        if self.artifacts_at_ticks:
            self.artifacts += self.artifacts_at_ticks.pop(0)
        waits = self.moment.status == "waiting" and not self.verdict
        if not waits and self.position + 1 < len(self.script):
            self.position += 1
            self._write_log()

    def add_entry(
        self, event: str, step_id: str = "", message: str = "", level: str = "info"
    ) -> None:
        number = len(self.log) + 1
        entry: LogEntry = {
            "timestamp": TIME.format(number),
            "level": level,
            "eventType": event,
            "message": message or f"about {step_id or 'the run'}",
            "cursor": f"c{number}",
        }
        if step_id:
            entry["stepId"] = step_id
        self.log.append(entry)

    def has_artifact(self, name: str) -> bool:
        return any(artifact["name"] == name for artifact in self.artifacts)

    def state(self) -> RunState:
        state: RunState = {
            "runId": self.run_id,
            "planHash": self.plan_hash,
            "failurePolicy": {"maxAttempts": 1, "backoffSeconds": 0, "continueOnError": False},
            "createdAt": TIME.format(0),
            "updatedAt": TIME.format(len(self.log)),
            "steps": [self._step(name, status) for name, status in self.moment.steps.items()],
            "status": self.moment.status,
            "tenantId": "tenant-prod",
            "pack": {"name": self.pack, "version": "1.0.0"},
            "createdBy": "operator",
        }
        if self.moment.status in {"succeeded", "failed", "cancelled"}:
            state["endedAt"] = TIME.format(9)
        return state

    def _write_log(self) -> None:
        for event, step_id in self.moment.log:
            self.add_entry(event, step_id)

    def _step(self, name: str, status: StepStatus) -> Step:
        is_gate = name.rpartition("::")[2] == "approval"
        step: Step = {
            "stepId": name,
            "kind": "GateApproval" if is_gate else "Run",
            "enabled": True,
            "continueOnError": False,
            "status": status,
            "attempts": 0 if is_gate or status == "Pending" else 1,
            "lastTransitionAt": TIME.format(self.position),
        }
        if is_gate:
            step["approvalId"] = "security-review"
            step["gateMessage"] = "Review before deploy"
        if is_gate and self.moment.status == "waiting":
            step["statusReason"] = "awaiting-approval"
        if status == "Failed":
            step["statusReason"] = "executor-error"
            step["errorMessage"] = "the scanner fell over"
        return step
