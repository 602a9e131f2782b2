"""The outcomes of a run's steps, read once and only as far as they are needed.

The table has the outcomes of run steps and policy gates by step path. It also has four kinds of
values that only the run could find: the items of a map or loop, the number of iterations that a
loop has had that takes turns, the value of an iteration that the next one may read as `previous`,
and the time when a step was reached that reads `run.now`.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from taskrunner.model import step_path
from taskrunner.model.approval import Verdict
from taskrunner.model.plan import (
    ApprovalGate,
    ApprovalScope,
    Conditional,
    Iterated,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
    Step,
    children,
)
from taskrunner.model.run import Reason, StepStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from taskrunner.model.entries.gate_entries import DecisionRecorded
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import Json
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import StepOutcome, StepState
    from taskrunner.ports import RunSnapshot, World

# The reasons of a step that had not started when a failure elsewhere stopped it.
_CUT_SHORT: Final = frozenset({Reason.PARENT_SKIPPED, Reason.RUN_FAILED})


def items_path(path: str) -> str:
    """Return the path that keeps the items of a map or loop when planning cannot know them."""
    return f"{path}#items"


def iteration_count_path(path: str) -> str:
    """Return the path that keeps how many iterations a loop has had that takes turns."""
    return f"{path}#turns"


def value_path(path: str, iteration: int) -> str:
    """Return the path that keeps the value of an iteration of a loop."""
    return f"{step_path.below(path)}{iteration}]#value"


def time_path(path: str) -> str:
    """Return the path that keeps when a step was reached."""
    return f"{path}#time"


class RecordedOutcomes:
    """The outcomes of one run."""

    def __init__(self, plan: Plan, snapshot: RunSnapshot, world: World) -> None:
        """Read nothing yet: begin with the outcomes that *snapshot* has."""
        self._plan = plan
        self._run = snapshot.run
        self._runs = world.runs
        self._outcomes = dict(snapshot.outcomes)
        self._read_below: tuple[str, ...] = ()  # all outcomes at paths that begin with these
        self._entries: list[Entry] | None = None
        self._states: dict[str, StepState] | None = None
        self._decisions: dict[str, list[DecisionRecorded]] | None = None

    def load(self, steps: Iterable[tuple[Step, str]], paths: Collection[str] = ()) -> None:
        """Read the outcomes of *steps*, of the steps inside them, and at *paths*.

        Each of *steps* comes with the prefix of its path.
        """
        wanted = list(paths)
        blocks = []
        steps = list(steps)
        # A policy gate is part of no block's outputs, so it is read only for itself.
        wanted += [
            step_path.join(at, step.id) for step, at in steps if isinstance(step, PolicyGate)
        ]
        pending = list(steps)
        while pending:
            step, prefix = pending.pop()
            path = step_path.join(prefix, step.id)
            if isinstance(step, RunStep):
                wanted.append(path)
            elif isinstance(step, MapStep | Loop):
                wanted += [items_path(path), iteration_count_path(path)]
                blocks.append(path)
            else:
                pending += [(child, prefix) for child in children(step)]
        for below in map(step_path.below, blocks):
            if not below.startswith(self._read_below):
                tenant, run_id = self._run.tenant, self._run.run_id
                self._outcomes |= self._runs.outcomes_below(tenant, run_id, below)
                self._read_below += (below,)
        self._fetch(wanted)

    def find(self, path: str) -> StepOutcome | None:
        """Return the outcome at *path*, which is read now unless it was loaded."""
        self._fetch([path])
        return self._outcomes[path]

    def loaded(self, path: str) -> StepOutcome | None:
        """Return the outcome at *path*, or None when it was not loaded or does not exist."""
        return self._outcomes.get(path)

    def items(self, step: Iterated, path: str) -> Sequence[Json]:
        """Return the items of a map or loop; there are none while they are not known."""
        if step.items.values is not None:
            return step.items.values
        outcome = self.find(items_path(path))
        return [] if outcome is None else list(outcome.outputs)

    def iteration_count(self, step: Iterated, path: str) -> int:
        """Return how many iterations a map or loop has had."""
        if isinstance(step, Loop) and step.until is not None:
            outcome = self.loaded(iteration_count_path(path))
            return 0 if outcome is None else int(outcome.outputs)
        return len(self.items(step, path))

    def has_any(self, step: Step, prefix: str) -> bool:
        """Return whether *step* or a step in it has a loaded outcome."""
        path = step_path.join(prefix, step.id)
        if isinstance(step, RunStep):
            return self.loaded(path) is not None
        if isinstance(step, MapStep | Loop):
            below = step_path.below(path)
            return any(
                found.startswith(below) for found, outcome in self._outcomes.items() if outcome
            )
        return any(self.has_any(child, prefix) for child in children(step))

    def status(self, step: Step, prefix: str) -> StepStatus:
        """Return the status of a step that is certainly earlier than the one that reads it."""
        path = step_path.join(prefix, step.id)
        outcome = self.loaded(path)
        if isinstance(step, RunStep) and outcome is not None:
            return outcome.status
        if step.enabled is False:
            return StepStatus.SKIPPED
        # The status of a gate or a block is in the journal, which is read only when it is needed.
        state = self._journal_states().get(path)
        status = StepStatus.PENDING if state is None else state.status
        if isinstance(step, RunStep) and status is not StepStatus.SKIPPED:
            # It is earlier and left no outcome: its function died, and the run went on.
            return StepStatus.FAILED
        is_block = isinstance(step, Parallel | MapStep | Loop | Conditional)
        if is_block and status is StepStatus.PENDING:
            # It is earlier and left no entry: there was nothing to do in it.
            return StepStatus.SUCCEEDED
        return status

    def failures_in(self, path: str) -> list[str]:
        """Return the paths of the steps directly in the block at *path* that failed and may not.

        All in it has ended. The journal is read, because only it has the states of blocks.
        """
        states = self._journal_states().values()
        return [state.path for state in states if state.parent_path == path and state.is_fatal]

    def has_failed(self, path: str) -> bool:
        """Return whether the journal says that the block at *path* has failed."""
        state = self._journal_states().get(path)
        return state is not None and state.status is StepStatus.FAILED

    def item_status(self, step: MapStep, path: str, number: int) -> StepStatus:
        """Return how item *number* of the map at *path* ended.

        It is Failed if it has failed the map, or would have, or was stopped after it had begun. It
        is Skipped if none of its steps was run: by their conditions, or because the map had ended
        before.
        """
        prefix = step_path.iteration_prefix(path, number)
        statuses = [(child, self._status_in_item(child, prefix)) for child in step.steps]
        if any(
            status is StepStatus.FAILED and not child.continue_on_error
            for child, status in statuses
        ):
            return StepStatus.FAILED
        if all(status is StepStatus.SKIPPED for _, status in statuses):
            return StepStatus.SKIPPED
        if any(
            status is StepStatus.SKIPPED and self._is_cut_short(child, prefix)
            for child, status in statuses
        ):
            return StepStatus.FAILED
        return StepStatus.SUCCEEDED

    def _is_cut_short(self, step: Step, prefix: str) -> bool:
        """Return whether a skipped step would have been reached without a failure elsewhere."""
        path = step_path.join(prefix, step.id)
        if step.enabled is False or self.loaded(path) is not None:
            return False  # its own condition skipped it
        state = self._journal_states().get(path)
        return state is not None and state.reason in _CUT_SHORT

    def _status_in_item(self, step: Step, prefix: str) -> StepStatus:
        path = step_path.join(prefix, step.id)
        outcome = self.loaded(path)
        is_known = step.enabled is False or (isinstance(step, RunStep) and outcome is not None)
        # If there are too many iterations, the journal's fold has those that have begun.
        if not is_known and path not in self._journal_states():
            return StepStatus.SKIPPED
        return self.status(step, prefix)

    def reason(self, step: Step, prefix: str) -> str | None:
        """Return why an earlier step has its status, as its state says."""
        state = self._journal_states().get(step_path.join(prefix, step.id))
        if state is not None and state.has_ended:
            return None if state.reason is None else state.reason.value
        is_lost = self.status(step, prefix) is StepStatus.FAILED
        return Reason.EXECUTOR_ERROR.value if is_lost else None

    def error(self, step: Step, prefix: str) -> str | None:
        """Return the message of the failure of an earlier step; None if it has not failed."""
        state = self._journal_states().get(step_path.join(prefix, step.id))
        return None if state is None else state.error_message

    def decisions(self, gate: ApprovalGate, path: str) -> Sequence[DecisionRecorded]:
        """Return the decisions that count for the gate at *path*, its last one at the end.

        A gate that opens when its approval is decided has an entry of the last decision alone, at
        the time when it opened. The gates that waited have the others, and the times.
        """
        by_gate = self._decisions_by_gate()
        own = by_gate.get(path, [])
        if not own or self._plan.approval(gate.approval_id).scope is ApprovalScope.GATE:
            return own
        last = own[-1]
        first: dict[tuple[str | None, Verdict], DecisionRecorded] = {}
        for found in sorted(chain.from_iterable(by_gate.values()), key=lambda f: f.recorded_at):
            if found.approval_id == gate.approval_id and found.verdict is not Verdict.EXPIRED:
                first.setdefault((found.approver, found.verdict), found)
        deciding = first.pop((last.approver, last.verdict), last)
        approvals = [
            found
            for found in first.values()
            if found.verdict is Verdict.APPROVED and found.recorded_at <= deciding.recorded_at
        ]
        return [*approvals, last._replace(recorded_at=deciding.recorded_at)]

    def _decisions_by_gate(self) -> Mapping[str, list[DecisionRecorded]]:
        if self._decisions is None:
            # Imported here, because few expressions read the outputs of a gate.
            from taskrunner.model.entries.gate_entries import DecisionRecorded  # noqa: PLC0415
            from taskrunner.model.entries.reading import read  # noqa: PLC0415

            self._decisions = {}
            for entry in self._journal():
                fact = read(entry)
                if isinstance(fact, DecisionRecorded) and entry.step_path is not None:
                    self._decisions.setdefault(entry.step_path, []).append(fact)
        return self._decisions

    def _journal(self) -> Sequence[Entry]:
        if self._entries is None:
            journal = self._runs.journal(self._run.tenant, self._run.run_id)
            self._entries = [placed.entry for placed in journal]
        return self._entries

    def _journal_states(self) -> Mapping[str, StepState]:
        if self._states is None:
            # Imported here, because few expressions read the status of a gate or a block.
            from taskrunner.model.state.fold import fold  # noqa: PLC0415

            state = fold(self._plan, self._journal(), self._run.created_at)
            self._states = {step.path: step for step in state.steps}
        return self._states

    def _fetch(self, paths: Iterable[str]) -> None:
        unknown = [path for path in dict.fromkeys(paths) if path not in self._outcomes]
        # A step that was not run in an iteration would otherwise be looked for in each of them.
        missing = [path for path in unknown if not path.startswith(self._read_below)]
        self._outcomes |= dict.fromkeys(unknown)
        if missing:
            found = self._runs.outcomes(self._run.tenant, self._run.run_id, missing)
            self._outcomes |= {path: found.get(path) for path in missing}
