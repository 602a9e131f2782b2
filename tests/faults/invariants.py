"""The invariants of every run, whatever went wrong on its way."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from taskrunner.adapters.table_layout import JOBS
from taskrunner.model import api_view, step_path
from taskrunner.model.approval import Verdict
from taskrunner.model.artifact import EVIDENCE_BUNDLE
from taskrunner.model.journal import Event
from taskrunner.model.plan import StepKind
from taskrunner.model.run import RunStatus, StepStatus
from taskrunner.model.state.fold import fold
from tests.faults.order import guards
from tests.faults.service import TENANT
from tests.faults.stored import items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskrunner.model.journal import Entry
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import RunState, StepState
    from tests.faults.service import Service

_BEGINNINGS = frozenset({Event.STEP_STARTED, Event.GATE_AWAITING})
ENDS = {
    Event.RUN_COMPLETED: RunStatus.SUCCEEDED,
    Event.RUN_FAILED: RunStatus.FAILED,
    Event.RUN_SCHEDULE_FAILED: RunStatus.FAILED,
    Event.RUN_CANCELLED: RunStatus.CANCELLED,
}
# The partition attributes of the indexes in which an ended run with evidence has no item.
_LISTS = frozenset({"unfinished", "due", "tenant_open_approvals"})
# Attributes of a job that still waits, that is still due, or whose machine waits for an answer.
_OF_A_JOB = frozenset({"run_list", "due", "task_token"})
_DECISIONS = frozenset({Event.GATE_APPROVED, Event.GATE_REJECTED, Event.GATE_EXPIRED})


class Answered(NamedTuple):
    """A decision that the API has answered with 200."""

    approval: str
    subject: str
    decision: str
    resumed: bool


class Record:
    """Everything that is recorded of a run."""

    def __init__(self, service: Service, run_id: str) -> None:
        world = service.world()
        self.run_id = run_id
        self.run = world.runs.snapshot(TENANT, run_id).run
        self.plan: Plan = world.plans.get(TENANT, self.run.plan_hash)
        journal = world.runs.journal(TENANT, run_id)
        self.lines = [api_view.log_text(placed).rstrip("\n") for placed in journal]
        self.entries: list[Entry] = [placed.entry for placed in journal]
        self.state = self.fold(len(self.entries))
        self.approvals = {
            approval.id: world.approvals.get(TENANT, run_id, approval.id)
            for approval in self.plan.approvals
        }
        paths = [step.path for step in self.state.steps]
        self.outcomes = world.runs.outcomes(TENANT, run_id, paths)
        self.artifacts = world.artifacts.list(TENANT, run_id)

    def fold(self, length: int) -> RunState:
        """The state by the first *length* entries of the journal."""
        return fold(self.plan, self.entries[:length], self.run.created_at)


def problems(service: Service, record: Record, log: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with a run; *log* is what a follower has read of its log so far."""
    yield from _log_problems(record, log)
    yield from _order_problems(record)
    yield from _decision_problems(record)
    yield from _state_problems(record)
    yield from _attempt_problems(service, record.run_id)


def problems_at_the_end(service: Service, record: Record) -> Iterator[str]:
    """Yield what is left to do for a run that is said to be settled."""
    if record.run.outcome is None:
        yield "the run has not ended"
    if not record.run.sealed:
        yield "the run has no evidence"
    if not any(artifact.name == EVIDENCE_BUNDLE for artifact in record.artifacts):
        yield "no evidence is listed"
    yield from _left_to_do(service, record.run_id)
    for step in record.state.steps:
        if not step.has_ended:
            yield f"the step {step.path} is {step.status} {step.reason or ''}".rstrip()
    yield from _silent_failures(record)
    yield from _uncounted_ends(record)
    yield from _lacks_finally(record)


def _lacks_finally(record: Record) -> Iterator[str]:
    """A run whose steps have ended, and which was not cancelled, in which `finally` has not run.

    In the scenarios no execution is stopped that runs it.
    """
    events = Counter(entry.event for entry in record.entries)
    if not record.plan.final_steps or events[Event.RUN_CANCELLED]:
        return
    if not events[Event.RUN_STEPS_ENDED] and not events[Event.RUN_SCHEDULE_FAILED]:
        yield "finally has not begun"
    touched = {entry.step_path for entry in record.entries if entry.step_path is not None}
    has_run = any(_is_final(path, record) for path in touched)
    if events[Event.RUN_STEPS_ENDED] and not has_run:
        yield "finally has begun, and none of its steps has"


def _uncounted_ends(record: Record) -> Iterator[str]:
    """Run steps that have ended by the journal, and of which no outcome is recorded."""
    for step in record.state.steps:
        has_run = step.status in {StepStatus.SUCCEEDED, StepStatus.FAILED}
        if step.kind is StepKind.RUN and has_run and step.path not in record.outcomes:
            yield f"the step {step.path} is {step.status}, and has no outcome"


def _silent_failures(record: Record) -> Iterator[str]:
    """Run steps that are Failed without an entry that says so."""
    said = {entry.step_path for entry in record.entries if entry.event is Event.STEP_FAILED}
    for step in record.state.steps:
        is_failed_run_step = step.kind is StepKind.RUN and step.status is StepStatus.FAILED
        if is_failed_run_step and step.path not in said:
            yield f"no entry says that the step {step.path} is Failed"


def _left_to_do(service: Service, run_id: str) -> Iterator[str]:
    for execution in service.states.executions.values():
        if execution.status == "RUNNING":
            yield "its execution is running"
    for item in items():
        if not item["pk"].endswith(f"#{run_id}"):
            continue
        for name in item.keys() & _LISTS:
            yield f"{item['sk']} is still listed by {name}"
        for name in item.keys() & (_OF_A_JOB - _LISTS) if item["sk"].startswith(JOBS) else ():
            yield f"the job {item['sk']} still has its {name}"


def _log_problems(record: Record, log: Sequence[str]) -> Iterator[str]:
    if list(log) != record.lines:
        missing = [line for line in record.lines if line not in log]
        yield f"the follower read {len(log)} of {len(record.lines)} lines; not {missing}"
    for line, count in Counter(entry.id for entry in record.entries).items():
        if count > 1:
            yield f"the log has the entry {line} {count} times"


def _order_problems(record: Record) -> Iterator[str]:
    """Yield each step that began too late or too early."""
    guarding = guards(record.plan, {entry.step_path or "" for entry in record.entries})
    for number, entry in enumerate(record.entries):
        if entry.event not in _BEGINNINGS or entry.step_path is None:
            continue
        before = record.fold(number)
        if before.status in set(ENDS.values()):
            yield f"{entry.id} is behind the end of the run"
        statuses = {step.path: step for step in before.steps}
        failed = _fatal(statuses, record.plan)
        if _is_final(entry.step_path, record):
            yield from _finally_problems(entry, before, record, number)
        elif failed is not None:
            yield f"{entry.id} is behind the failure of {failed}"
        for block in _stopped(statuses, record.plan) & set(_blocks_around(entry.step_path, record)):
            yield f"{entry.id} is in {block}, which a failure has stopped"
        for gate, may_fail in guarding[entry.step_path]:
            status = statuses[gate].status if gate in statuses else StepStatus.PENDING
            passed = {StepStatus.SUCCEEDED, StepStatus.SKIPPED}
            if status not in passed and not (may_fail and status is StepStatus.FAILED):
                yield f"{entry.id} is behind the gate {gate}, which is {status}"


def _is_final(path: str, record: Record) -> bool:
    return record.plan.is_final(step_path.parse(path).step_id)


def _finally_problems(entry: Entry, before: RunState, record: Record, number: int) -> Iterator[str]:
    """A step of `finally` that begins before the steps have ended, or beside one that runs."""
    ends = [e for e in record.entries[:number] if e.event is Event.RUN_STEPS_ENDED]
    if len(ends) != 1:
        yield f"{entry.id} is behind {len(ends)} ends of the steps"
    for step in before.steps:
        is_active = step.status in {StepStatus.RUNNING, StepStatus.PENDING}
        if is_active and not _is_final(step.path, record):
            yield f"{entry.id} is in finally, and {step.path} is {step.status}"


def _fatal(steps: dict[str, StepState], plan: Plan) -> str | None:
    """The first step whose failure fails the run: nothing around it lets it pass."""
    failed = (step for step in steps.values() if step.status is StepStatus.FAILED)
    reached = ((step, _reached(step, steps, plan)) for step in failed)
    return next((step.path for step, (_, is_fatal) in reached if is_fatal), None)


def _stopped(steps: dict[str, StepState], plan: Plan) -> set[str]:
    """The blocks in which nothing begins any more, although the run goes on after them.

    A failure climbs until something around it lets it pass. All that it has passed on its way
    stops.
    """
    stopped = set()
    for step in steps.values():
        if step.status is StepStatus.FAILED:
            last, is_fatal = _reached(step, steps, plan)
            if last is not step and not is_fatal:
                stopped.add(last.path)
    return stopped


def _reached(step: StepState, steps: dict[str, StepState], plan: Plan) -> tuple[StepState, bool]:
    """The last step or block that the failure of *step* stops, and whether it fails the run."""
    last = step
    while not last.continue_on_error:
        if not last.parent_path:
            return last, True
        around = steps[last.parent_path]
        if not plan.step(around.template_id).stops_at_failure:
            break  # its remaining items run, and it has a failure of its own at its end
        last = around
    return last, False


def _blocks_around(path: str, record: Record) -> Iterator[str]:
    parents = {step.path: step.parent_path for step in record.state.steps}
    around = parents.get(path)
    while around is not None:
        yield around
        around = parents.get(around)


def _decision_problems(record: Record) -> Iterator[str]:
    decided: dict[str, list[str]] = {}
    for entry in record.entries:
        if entry.event in _DECISIONS and entry.step_path is not None:
            verdict = entry.event.value.removeprefix("gate.")
            decided.setdefault(entry.step_path, []).append(verdict)
            approval = record.approvals[entry.metadata["approvalId"]]
            if approval.verdict is not None and approval.verdict != verdict:
                yield f"{entry.step_path} is {verdict}, and its approval {approval.verdict}"
    for path, verdicts in decided.items():
        if len(verdicts) > 1:
            yield f"{path} was decided {len(verdicts)} times"


def _state_problems(record: Record) -> Iterator[str]:
    """Yield each difference between the table and the fold of the journal."""
    ends = [entry for entry in record.entries if entry.event in ENDS]
    if len(ends) > 1:
        yield f"the run ended {len(ends)} times"
    folded = ENDS[ends[0].event] if ends else None
    if folded is not record.run.outcome:
        yield f"the run is {record.run.outcome}, and its journal says {folded}"
    for step in record.state.steps:
        outcome = record.outcomes.get(step.path)
        if outcome is None or not outcome.final:
            continue
        has_ended = step.status in {StepStatus.SUCCEEDED, StepStatus.FAILED}
        is_gate = "verdict" in (outcome.outputs or {})
        if not is_gate and not has_ended:
            yield f"{step.path} has the outcome {outcome.status}, and its journal {step.status}"
        if not is_gate and has_ended and step.status is not outcome.status:
            yield f"{step.path} is {step.status}, and its outcome {outcome.status}"


def answer_problems(record: Record, answers: Sequence[Answered]) -> Iterator[str]:
    """Yield each decision that was answered as counted and is missing from the record."""
    resumed: dict[str, set[str]] = {}
    for answered in answers:
        approval = record.approvals[answered.approval]
        made = {(decision.approver, decision.verdict.value) for decision in approval.decisions}
        if (answered.subject, answered.decision) not in made:
            yield f"{answered.subject} {answered.decision} {answered.approval}, and nothing says so"
        if answered.resumed:
            resumed.setdefault(answered.approval, set()).add(answered.subject)
            if approval.verdict is not Verdict.APPROVED:
                yield f"{answered.approval} let the run go on, and is {approval.verdict}"
    for name, subjects in resumed.items():
        if len(subjects) > 1:
            yield f"{name} let the run go on by the decisions of {sorted(subjects)}"


def served_problems(record: Record, served: Mapping[str, Any]) -> Iterator[str]:
    """Yield where the state that the API serves is not the fold of the journal."""
    folded = {
        step.path: (step.status.value, step.reason.value if step.reason else None)
        for step in record.state.steps
    }
    listed = {
        step["stepId"]: (step["status"], step.get("statusReason")) for step in served["steps"]
    }
    if served["status"] != record.state.status.value:
        yield f"the run is served as {served['status']}, and its journal says {record.state.status}"
    for path in folded.keys() | listed.keys():
        if folded.get(path) != listed.get(path):
            yield f"{path} is served as {listed.get(path)}, and its journal says {folded.get(path)}"


def _attempt_problems(service: Service, run_id: str) -> Iterator[str]:
    executed = Counter(service.sandbox.executed)
    for (of_run, path, attempt), count in executed.items():
        if of_run == run_id and count > 1:
            yield f"attempt {attempt} of {path} was executed {count} times"
