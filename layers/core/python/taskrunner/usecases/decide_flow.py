"""Answer what only a running run can tell: conditions, branches, items, turns and policies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NoReturn, assert_never

from taskrunner.compiler import expressions, parameters
from taskrunner.compiler.expressions import ExpressionError
from taskrunner.errors import StepFailedError
from taskrunner.model import moment, plan_document
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.plan import (
    MAX_ITERATIONS,
    Conditional,
    FailureAction,
    Iterated,
    Loop,
    MapStep,
    PolicyGate,
    Step,
)
from taskrunner.model.run import Reason, StepOutcome, StepStatus
from taskrunner.usecases.live import check_live, run_started
from taskrunner.usecases.values import Values, items_path, turns_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import StepReference
    from taskrunner.usecases.ports import Head
    from taskrunner.usecases.world import World

_MAX_MESSAGE: Final = 1000


class Question(StrEnum):
    """What a state machine may ask; the values stand in its definition."""

    CONDITION = "condition"
    BRANCH = "branch"
    ITEMS = "items"
    TURN = "turn"
    LEAVE = "leave"
    POLICY = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
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
        return moment.to_text(self.world.clock.now())

    def evaluated(self, text: str, iteration: str | None = None) -> Json:
        """The value of an expression, or the failure of the step that it is an expression of."""
        expression = expressions.parse(text)
        where = self.iteration if iteration is None else iteration
        try:
            return expression.evaluate(self.values.context(expression.references, where))
        except ExpressionError as error:
            self.fail(str(error))

    def fail(self, message: str) -> NoReturn:
        """Record that the step failed, and tell the machine."""
        entry = Entry(
            id=f"{self.path}#undecidable",
            at=self.at,
            event=Event.STEP_FAILED,
            level=Level.ERROR,
            step=self.path,
            message=message[:_MAX_MESSAGE],
            metadata={"reason": Reason.EXECUTOR_ERROR.value},
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
        self.world.runs.append(self.head, [*run_started(self.head, self.at), *entries])

    def keep(self, path: str, value: Json, entry: Entry) -> None:
        """Keep a value that later steps look up, with the entry that says so."""
        outcome = StepOutcome(path=path, attempt=1, status=StepStatus.SUCCEEDED, outputs=value)
        self.world.runs.record_step(self.head, outcome, [entry])


def decide_flow(reference: StepReference, question: Question, world: World) -> JsonObject:
    """Answer *question* as `{"value": ...}`; asked again, it answers the same.

    * condition   whether the step is run: a boolean
    * branch      the branch of a conditional by its number; their count means `else`
    * items       the indexes of a map's or loop's items, from 0
    * turn        `{more, path}`: whether a loop goes on, and the iteration path to go on with
    * leave       `{path}`: where to go on when an iteration of a loop with `until` has failed
    * policy      passed, warned, retry, override or branch

    Raises:
        StepFailedError: the step failed by this, which is in the journal.
        ConflictError: the run has ended meanwhile.
    """
    head = world.runs.head(reference.tenant, reference.run_id)
    check_live(head.run)
    plan = plan_document.from_document(world.plans.get(reference.tenant, head.run.plan_hash))
    step = plan.step(reference.step_id)
    outer, _ = _turn_of(step, reference.iteration)
    asked = _Asked(
        head=head,
        plan=plan,
        step=step,
        path=outer + step.id,
        iteration=outer,
        values=Values(plan, head, world),
        world=world,
    )
    match question:
        case Question.CONDITION:
            return {"value": _condition(asked)}
        case Question.BRANCH:
            return {"value": _branch(asked)}
        case Question.ITEMS:
            return {"value": list(range(len(_items(asked))))}
        case Question.TURN:
            return {"value": _turn(asked, reference.iteration)}
        case Question.LEAVE:
            return {"value": {"path": outer}}
        case Question.POLICY:
            return {"value": _policy(asked)}
        case _:
            assert_never(question)


def _condition(asked: _Asked) -> bool:
    if expressions.truth(asked.evaluated(asked.step.when or "")):
        return True
    asked.append(
        Entry(
            id=f"{asked.path}#skipped",
            at=asked.at,
            event=Event.STEP_SKIPPED,
            step=asked.path,
            message=f"Step skipped: {asked.path}, its condition is false",
            metadata={"reason": Reason.CONDITION_FALSE.value},
        )
    )
    return False


def _branch(asked: _Asked) -> int:
    step = asked.step
    assert isinstance(step, Conditional)  # noqa: S101 - the compiler asks this of no other
    taken = len(step.branches)
    for number, branch in enumerate(step.branches):
        if expressions.truth(asked.evaluated(branch.condition)):
            taken = number
            break
    asked.append(asked.decided("branch", str(taken)))
    return taken


def _items(asked: _Asked) -> Sequence[Json]:
    """The items of a map or loop; evaluated once and kept, because each iteration looks one up."""
    step = asked.step
    assert isinstance(step, MapStep | Loop)  # noqa: S101 - the compiler asks this of no other
    if step.items.values is not None:
        return step.items.values
    kept = asked.values.outcome(items_path(asked.path))
    if kept is not None:
        return list(kept.outputs)
    items = asked.evaluated(step.items.expression or "")
    _check_items(asked, step, items)
    entry = asked.decided("items", str(len(items)))
    asked.keep(items_path(asked.path), items, entry)
    return list(items)


def _check_items(asked: _Asked, step: Iterated, items: Json) -> None:
    if not isinstance(items, list):
        asked.fail(f"the items of {asked.path} are no list")
    most = step.max_iterations if isinstance(step, Loop) else MAX_ITERATIONS
    if len(items) > most:
        asked.fail(f"{len(items)} items are more than the {most} iterations allowed")


def _turn_of(step: Step, iteration: str) -> tuple[str, int]:
    """The iteration around *step*, and the turn of *step* itself that the machine stands at.

    A loop with `until` is asked from outside at first, and from its own iteration afterwards.
    """
    own = re.search(rf"(?:^|::)(?P<own>{re.escape(step.id)}\[(?P<turn>[0-9]+)\]::)$", iteration)
    if own is None:
        return iteration, -1
    return iteration[: own.start("own")], int(own["turn"])


def _turn(asked: _Asked, iteration: str) -> JsonObject:
    step = asked.step
    assert isinstance(step, Loop)  # noqa: S101 - the compiler asks this of no other
    outer, turn = _turn_of(step, iteration)
    count = len(_items(asked))
    is_done = turn + 1 >= count
    if turn >= 0 and not is_done and step.until is not None:
        is_done = expressions.truth(asked.evaluated(step.until, iteration))
    if not is_done:
        return {"more": True, "path": f"{asked.path}[{turn + 1}]::"}
    turns = turn + 1
    asked.keep(turns_path(asked.path), turns, asked.decided("end", str(turns)))
    return {"more": False, "path": outer}


def _policy(asked: _Asked) -> str:
    step = asked.step
    assert isinstance(step, PolicyGate)  # noqa: S101 - the compiler asks this of no other
    previous = asked.values.outcome(asked.path)
    if previous is not None and previous.final:
        return _again(asked, previous)
    number = 1 if previous is None else previous.attempt + 1
    failures = _failures(asked, step)
    if not failures:
        return _record(asked, number, "passed", failures)
    if number < step.retries.max_attempts:
        return _record(asked, number, "retry", failures)
    verdict = {
        FailureAction.ABORT: "failed",
        FailureAction.WARN: "warned",
        FailureAction.REQUEST_OVERRIDE: "override",
        FailureAction.BRANCH: "branch",
    }[step.failure_action]
    return _record(asked, number, verdict, failures)


def _again(asked: _Asked, outcome: StepOutcome) -> str:
    verdict = str(outcome.outputs["verdict"])
    if verdict == "failed":
        raise StepFailedError(f"policy gate {asked.path} failed; the run's log says why")
    return verdict


def _failures(asked: _Asked, step: PolicyGate) -> list[str]:
    """What to say of each rule that does not hold."""
    policy = asked.plan.policy(step.policy_id)
    read = parameters.references(step.parameters)
    try:
        given = parameters.fill(step.parameters, asked.values.context(read, asked.iteration))
        failures = []
        for rule in policy.rules:
            expression = expressions.parse(rule.require)
            context = asked.values.context(expression.references, asked.iteration)
            if not expressions.truth(expression.evaluate(context | {"with": given})):
                failures.append(f"{rule.id}: {rule.message or rule.require}")
    except ExpressionError as error:
        # A rule that cannot be evaluated does not hold.
        return [str(error)]
    return failures


def _record(asked: _Asked, number: int, verdict: str, failures: list[str]) -> str:
    step = asked.step
    assert isinstance(step, PolicyGate)  # noqa: S101 - as the caller proved
    entry = _policy_entry(asked, step, number, verdict, failures)
    outcome = StepOutcome(
        path=asked.path,
        attempt=number,
        status=StepStatus.FAILED if verdict in {"failed", "retry"} else StepStatus.SUCCEEDED,
        outputs={"verdict": verdict, "failures": failures},
        final=verdict != "retry",
    )
    recorded = asked.world.runs.record_step(asked.head, outcome, [entry])
    return _again(asked, recorded)


def _policy_entry(
    asked: _Asked, step: PolicyGate, number: int, verdict: str, failures: list[str]
) -> Entry:
    policy = asked.plan.policy(step.policy_id)
    metadata = {
        "attempt": str(number),
        "policyId": policy.id,
        "policyVersion": policy.version,
        "ask": "policy",
        "value": verdict,
    }
    event, level, word = {
        "passed": (Event.STEP_COMPLETED, Level.INFO, "holds"),
        "warned": (Event.STEP_COMPLETED, Level.WARN, "does not hold, which is only a warning"),
        "retry": (Event.STEP_FAILED, Level.WARN, "does not hold yet"),
        "failed": (Event.STEP_FAILED, Level.ERROR, "does not hold"),
        "override": (Event.FLOW_DECIDED, Level.WARN, "does not hold; an override is asked for"),
        "branch": (Event.FLOW_DECIDED, Level.WARN, "does not hold; its branch is run"),
    }[verdict]
    if verdict == "warned":
        metadata["reason"] = Reason.POLICY_WARNED.value
    if event is Event.STEP_FAILED:
        metadata["reason"] = Reason.POLICY_FAILED.value
    if verdict == "retry":
        pause = timedelta(seconds=max(1, step.retries.backoff_s))
        metadata["nextAttemptAt"] = moment.to_text(asked.world.clock.now() + pause)
    told = "; ".join(failures)
    message = f"Policy {policy.id} {word}" + (f": {told}" if told else "")
    return Entry(
        id=f"{asked.path}#{number}#policy",
        at=asked.at,
        event=event,
        level=level,
        step=asked.path,
        message=message[:_MAX_MESSAGE],
        metadata=metadata,
    )
