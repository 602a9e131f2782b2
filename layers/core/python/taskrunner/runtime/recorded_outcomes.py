"""The outcomes of a run's steps, read once and only as far as they are needed.

The table has the outcomes of run steps and policy gates by step path. It also has three kinds of
values that only the run could find: the items of a map or loop, the number of iterations that a
loop with `until` has had, and the time when a step was reached that reads `run.now`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model import step_path
from taskrunner.model.plan import (
    Conditional,
    Iterated,
    Loop,
    MapStep,
    Parallel,
    RunStep,
    Step,
    children,
)
from taskrunner.model.run import StepStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from taskrunner.model.json_types import Json
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import StepOutcome
    from taskrunner.ports import RunSnapshot, World


def items_path(path: str) -> str:
    """Return the path that keeps the items of a map or loop when planning cannot know them."""
    return f"{path}#items"


def iteration_count_path(path: str) -> str:
    """Return the path that keeps how many iterations a loop with `until` has had."""
    return f"{path}#turns"


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
        self._statuses: dict[str, StepStatus] | None = None

    def load(self, steps: Iterable[tuple[Step, str]], paths: Collection[str] = ()) -> None:
        """Read the outcomes of *steps*, of the steps inside them, and at *paths*.

        Each of *steps* comes with the prefix of its path.
        """
        wanted = list(paths)
        blocks = []
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
        for path in blocks:
            self._outcomes |= self._runs.outcomes_below(
                self._run.tenant, self._run.run_id, step_path.below(path)
            )
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
        status = self._journal_statuses().get(path, StepStatus.PENDING)
        if isinstance(step, RunStep) and status is not StepStatus.SKIPPED:
            # It is earlier and left no outcome: its function died, and the run went on.
            return StepStatus.FAILED
        is_block = isinstance(step, Parallel | MapStep | Loop | Conditional)
        if is_block and status is StepStatus.PENDING:
            # It is earlier and left no entry: there was nothing to do in it.
            return StepStatus.SUCCEEDED
        return status

    def _journal_statuses(self) -> Mapping[str, StepStatus]:
        if self._statuses is None:
            # Imported here, because few expressions read the status of a gate or a block.
            from taskrunner.model.state.fold import fold  # noqa: PLC0415

            run = self._run
            journal = self._runs.journal(run.tenant, run.run_id)
            state = fold(self._plan, (placed.entry for placed in journal), run.created_at)
            self._statuses = {step.path: step.status for step in state.steps}
        return self._statuses

    def _fetch(self, paths: Iterable[str]) -> None:
        missing = [path for path in dict.fromkeys(paths) if path not in self._outcomes]
        if missing:
            found = self._runs.outcomes(self._run.tenant, self._run.run_id, missing)
            self._outcomes |= {path: found.get(path) for path in missing}
