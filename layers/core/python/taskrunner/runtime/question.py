"""A question that a running machine asks about one of its steps, and how an answer is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from taskrunner import expressions
from taskrunner.errors import StepFailedError
from taskrunner.expressions import ExpressionError
from taskrunner.model import moment
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.run import Reason, StepOutcome, StepStatus
from taskrunner.runtime.liveness import run_started

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json
    from taskrunner.model.plan import Plan, Step
    from taskrunner.ports import Head
    from taskrunner.ports.world import World
    from taskrunner.runtime.values import Values

MAX_MESSAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question about one step of one run; *iteration* is where its machine stands."""

    head: Head
    plan: Plan
    step: Step
    path: str
    iteration: str
    values: Values
    world: World

    @property
    def at(self) -> str:
        """The time, as entries have it."""
        return moment.to_text(self.world.clock.now())

    def evaluated(self, text: str, iteration: str | None = None, **more: str) -> Json:
        """The value of an expression, or the failure of the step that it is an expression of."""
        expression = expressions.parse(text)
        where = self.iteration if iteration is None else iteration
        try:
            return expression.evaluate(self.values.context(expression.references, where))
        except ExpressionError as error:
            self.fail(str(error), **more)

    def fail(self, message: str, **more: str) -> NoReturn:
        """Record that the step failed, and tell the machine."""
        entry = Entry(
            id=f"{self.path}#undecidable",
            at=self.at,
            event=Event.STEP_FAILED,
            level=Level.ERROR,
            step=self.path,
            message=message[:MAX_MESSAGE],
            metadata={"reason": Reason.EXECUTOR_ERROR.value, **more},
        )
        self.world.runs.append(self.head, [*run_started(self.head, entry.at), entry])
        raise StepFailedError(f"step {self.path} failed; the run's log says why")

    def decided(self, question: str, value: str, **more: str) -> Entry:
        """The entry of a decision; the same question has one answer, so the id needs no more."""
        return Entry(
            id=f"{self.path}#{question}",
            at=self.at,
            event=Event.FLOW_DECIDED,
            step=self.path,
            message=f"Decided {question} of {self.path}: {value}",
            metadata={"ask": question, "value": value, **more},
        )

    def append(self, *entries: Entry) -> None:
        """Add entries to the journal, behind the one that says that the run has begun."""
        self.world.runs.append(self.head, [*run_started(self.head, self.at), *entries])

    def keep(self, path: str, value: Json, entry: Entry) -> None:
        """Keep a value that later steps look up, with the entry that says so."""
        outcome = StepOutcome(path=path, attempt=1, status=StepStatus.SUCCEEDED, outputs=value)
        self.world.runs.record_step(self.head, outcome, [entry])
