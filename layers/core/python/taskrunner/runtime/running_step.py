"""A step of a run in progress, as the run's state machine reaches it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NoReturn

from taskrunner import expressions
from taskrunner.errors import StepFailedError
from taskrunner.expressions import ExpressionError
from taskrunner.model import step_path, timestamp
from taskrunner.model.entries import flow_entries, step_entries
from taskrunner.model.failure import stoppable_blocks
from taskrunner.model.plan import Conditional, Loop, MapStep
from taskrunner.model.run import Reason, StepOutcome, StepStatus
from taskrunner.ports.runs import NOTHING
from taskrunner.runtime.delivery import deliver_ended
from taskrunner.runtime.failures import stopped_by
from taskrunner.runtime.recorded_outcomes import time_path
from taskrunner.runtime.run_lifecycle import start_entries
from taskrunner.runtime.run_values import RunValues, reads_now
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.expressions import Reference
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import Plan, Step
    from taskrunner.model.run import StepReference
    from taskrunner.ports import RunSnapshot, World
    from taskrunner.ports.runs import Stops


_MOST_NAMED: Final = 5  # in a message, of the failed steps of a block
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStep:
    """A step, its run, and the values that its expressions read.

    *prefix* is that of the step's path: the iterations around it.
    """

    snapshot: RunSnapshot
    plan: Plan
    step: Step
    prefix: str
    values: RunValues
    world: World

    @property
    def path(self) -> str:
        """The step path."""
        return step_path.join(self.prefix, self.step.id)

    def now(self) -> str:
        """Return the time, as entries have it."""
        return timestamp.to_text(self.world.clock.now())

    def evaluate(
        self,
        text: str,
        prefix: str | None = None,
        *,
        iterations: int | None = None,
        now: str | None = None,
    ) -> Json:
        """Evaluate an expression of the step, as it is read from *prefix*.

        *iterations* is how many iterations the step, a loop, has had so far. *now* is as for
        `context`.

        Raises:
            StepFailedError: it cannot be evaluated, and so the step has failed.
            ConflictError: as for `append`.
        """
        expression = expressions.parse(text)
        try:
            return expression.evaluate(self.context(expression.references, prefix, now=now))
        except ExpressionError as error:
            self.fail(str(error), iterations=iterations)

    def context(
        self, references: Iterable[Reference], prefix: str | None = None, *, now: str | None = None
    ) -> JsonObject:
        """Return the names that *references* read, as seen from *prefix*.

        `run.now` is the time when the step was reached, unless *now* is given. It is recorded when
        it is first read, so that it is the same when the step is repeated.

        Raises:
            ConflictError: as for `append`.
        """
        names = list(references)
        where = self.prefix if prefix is None else prefix
        return self.values.context(names, where, now=now or self.time_reached(names))

    def time_reached(self, references: Iterable[Reference]) -> str | None:
        """Return when the step was reached, or None if none of *references* reads it.

        Raises:
            ConflictError: as for `append`.
        """
        if not reads_now(references):
            return None
        path = time_path(self.path)
        kept = self.values.outcome(path)
        if kept is None:
            now = self.now()
            kept = self.keep(path, now, flow_entries.time_reached(self.path, now))
        return str(kept.outputs)

    def is_skipped(self) -> bool:
        """Return whether the step's `when` is false; record a skip that planning did not decide.

        Raises:
            StepFailedError: it cannot be evaluated, and so the step has failed.
            ConflictError: as for `append`.
        """
        if self.step.when is None:
            return False
        if self.step.enabled is not None:
            return not self.step.enabled
        if expressions.truth(self.evaluate(self.step.when)):
            return False
        self.append(step_entries.step_skipped(self.path, self.now()))
        return True

    def check_outputs(self, *, iterations: int | None = None) -> None:
        """Assemble the outputs of the step, a conditional, map or loop that has ended.

        *iterations* is how many iterations a loop has had, unless that is recorded.

        Raises:
            StepFailedError: they cannot be, and so the step has failed.
        """
        assert isinstance(self.step, Conditional | MapStep | Loop)  # noqa: S101 - the compiler asks no other
        try:
            self.values.check_outputs(self.step, self.prefix, iterations)
        except ExpressionError as error:
            self.fail(str(error), iterations=iterations)

    def check_items(self, *, iterations: int | None = None) -> None:
        """Fail the step, a map or loop that has ended, if an item failed and stopped no other.

        *iterations* is as for `check_outputs`.

        Raises:
            StepFailedError: an item has failed, and so has the step.
        """
        if not self.step.fails_at_its_end:
            return
        failed = self.values.failures_in(self.path)
        if failed:
            named = ", ".join(failed[:_MOST_NAMED])
            more = f", and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
            self.fail(f"failed in {named}{more}", iterations=iterations)

    def fail(self, message: str, *, iterations: int | None = None) -> NoReturn:
        """Record that the step failed because it cannot be decided.

        Raises:
            StepFailedError: always; it is how the machine learns of it.
            ConflictError: as for `append`.
        """
        entry = step_entries.step_undecidable(self.path, message, self.now(), iterations=iterations)
        stops = self.stopped_by_failure(entry.occurred_at)
        self.append(entry, stops)
        self.deliver(stops)
        raise StepFailedError(
            f"step {self.path} failed; the run's log says why",
            reason=Reason.EXECUTOR_ERROR,
            cause=entry.message,
        )

    def append(self, entry: Entry, stops: Stops = NOTHING) -> None:
        """Add an entry to the journal, after the one that says that the run has started.

        Raises:
            ConflictError: the run, or a block around the step, has ended; nothing may begin.
        """
        entries = [*start_entries(self.snapshot, entry.occurred_at), entry]
        self.world.runs.append(self.snapshot, entries, inside=self.inside, stops=stops)

    def keep(self, path: str, value: Json, entry: Entry) -> StepOutcome:
        """Store *value* at *path*, where later steps look it up, together with an entry.

        The first of two calls counts, and its outcome is returned.

        Raises:
            ConflictError: as for `append`.
        """
        outcome = StepOutcome(path=path, attempt=1, status=StepStatus.SUCCEEDED, outputs=value)
        return self.decide(outcome, entry)

    def decide(
        self,
        outcome: StepOutcome,
        entry: Entry,
        stops: Stops = NOTHING,
        *,
        patience_s: float = 0,
    ) -> StepOutcome:
        """Record a decision that only the run could make; of two calls the first counts.

        The entry that says that the run has started is before it, as for `append`. The write is
        tried for *patience_s* seconds, and a few times at least.

        Raises:
            ConflictError: as for `append`.
        """
        entries = [*start_entries(self.snapshot, entry.occurred_at), entry]
        return self.world.runs.record_decision(
            self.snapshot,
            outcome,
            entries,
            inside=self.inside,
            stops=stops,
            patience_s=patience_s,
        )

    @property
    def inside(self) -> list[str]:
        """The blocks around the step that a failure beside it can stop."""
        return stoppable_blocks(self.plan, self.path)

    def stopped_by_failure(self, occurred_at: str) -> Stops:
        """Return what the failure of the step stops."""
        return stopped_by(
            [self.path],
            self.plan,
            occurred_at,
            StepFailedError.__name__,
            before=self.snapshot.run.steps_end,
        )

    def deliver(self, stops: Stops) -> None:
        """Answer the gates that *stops* has ended.

        The record stands, so no error of the answer fails the call: the machine would repeat it,
        and the reconciler answers the gates anyway. The log gets the kind of the error alone,
        because its text may hold a task token.
        """
        if stops == NOTHING:
            return
        try:
            deliver_ended(self.snapshot.run, self.plan, self.world)
        except Exception as error:  # noqa: BLE001 - see above
            run = self.snapshot.run
            fields = {"tenant": run.tenant, "run": run.run_id, "step": self.path}
            message = "not all gates that a failure has ended were answered; the reconciler will"
            _log.warning(message, extra={**fields, "error": type(error).__name__})


def find_step(reference: StepReference, world: World, *paths: str) -> RunningStep:
    """Return the step that the state machine of a run has reached; the run may have ended.

    The outcomes at *paths* are read in the same call if it can have them.

    Raises:
        NotFoundError: there is no such run.
    """
    snapshot = world.runs.snapshot(reference.tenant, reference.run_id, *paths)
    plan = world.plans.get(reference.tenant, snapshot.run.plan_hash)
    return running_step(reference, snapshot, plan, world)


def running_step(
    reference: StepReference, snapshot: RunSnapshot, plan: Plan, world: World
) -> RunningStep:
    """Return the step of a run that was read."""
    return RunningStep(
        snapshot=snapshot,
        plan=plan,
        step=plan.step(reference.step_id),
        prefix=reference.prefix,
        values=RunValues(plan, snapshot, world),
        world=world,
    )
