"""The values that expressions read while a run is running.

Outputs of run steps are in the table by path. Those of blocks are put together from them when
somebody asks, so that a block costs no write: a parallel's or conditional's by child, a map's in
the order of its items, a loop's as its mode says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, assert_never

from taskrunner import expressions
from taskrunner.model.fold import fold
from taskrunner.model.plan import (
    Aggregation,
    ApprovalGate,
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
from taskrunner.model.run import StepStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from taskrunner.expressions import Reference
    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import StepOutcome
    from taskrunner.ports import Head
    from taskrunner.ports.world import World

_SEGMENT: Final = re.compile(r"([^\[\]:]+)\[([0-9]+)\]::")


def items_path(path: str) -> str:
    """Where the items of a map or loop are kept that only the run could tell."""
    return f"{path}#items"


def turns_path(path: str) -> str:
    """Where the number of iterations is kept that a loop with `until` came to."""
    return f"{path}#turns"


class Values:
    """What a run has come to so far, read once and only as far as it is asked for."""

    def __init__(self, plan: Plan, head: Head, world: World) -> None:
        """Read nothing yet."""
        self._plan = plan
        self._head = head
        self._world = world
        self._outcomes: dict[str, StepOutcome | None] = {}
        self._statuses: dict[str, str] | None = None

    def read(self, references: Iterable[Reference], iteration: str = "", *also: str) -> None:
        """Read what *references* need, and the outcomes at the paths *also*, in one go."""
        asked = list(references)
        wanted = _steps_of(asked)
        items = self._item_lists({one[0] for one in asked}, iteration)
        self._load(
            [(self._plan.step(one), self._prefix(one, iteration)) for one in wanted],
            [*also, *items],
        )

    def context(self, references: Iterable[Reference], iteration: str = "") -> JsonObject:
        """The names that *references* read, as seen from *iteration*.

        Raises:
            ExpressionError: the expression of a loop's outputs cannot be evaluated.
        """
        run = self._head.run
        asked = list(references)
        wanted = _steps_of(asked)
        self.read(asked, iteration)
        statuses = {ref[1] for ref in asked if ref[0] == "steps" and ref[2:3] == ("status",)}
        return {
            "inputs": self._plan.inputs,
            "run": {"id": run.run_id, "tenant": run.tenant, "createdAt": run.created_at},
            "steps": {
                step_id: self._step(step_id, iteration, with_status=step_id in statuses)
                for step_id in wanted
            },
            **dict(self._iterators({one[0] for one in asked}, iteration)),
        }

    def outcome(self, path: str) -> StepOutcome | None:
        """How the step of that path ended, from what `context` has read or else now."""
        if path not in self._outcomes:
            self._read([path])
        return self._outcomes[path]

    def items(self, step: Iterated, path: str) -> Sequence[Json]:
        """The items that *step* goes over; empty while they are not known."""
        if step.items.values is not None:
            return step.items.values
        outcome = self.outcome(items_path(path))
        return [] if outcome is None else list(outcome.outputs)

    def _prefix(self, step_id: str, iteration: str) -> str:
        """The iterations around *step_id*, as far as they are those around who asks."""
        depth = len(self._plan.iterations(step_id))
        return "".join(match[0] for match in list(_SEGMENT.finditer(iteration))[:depth])

    def _around(self, iteration: str) -> Iterator[tuple[Iterated, str, int]]:
        """The maps and loops around *iteration*: each with its path and the index it stands at."""
        before = ""
        for match in _SEGMENT.finditer(iteration):
            step = self._plan.step(match[1])
            assert isinstance(step, MapStep | Loop)  # noqa: S101 - only these have iterations
            yield step, before + step.id, int(match[2])
            before += match[0]

    def _item_lists(self, names: Collection[str], iteration: str) -> list[str]:
        """Where the lists are kept that *names* read an item of, as far as no plan has them."""
        return [
            items_path(path)
            for step, path, _ in self._around(iteration)
            if step.iterator in names and step.items.values is None
        ]

    def _iterators(self, names: Collection[str], iteration: str) -> Iterator[tuple[str, Json]]:
        """The indexes, and those items that *names* read: a list may be long, and is read whole."""
        for step, path, index in self._around(iteration):
            if step.iterator in names:
                items = self.items(step, path)
                yield step.iterator, items[index] if index < len(items) else None
            yield step.index, index

    def _load(self, asked: Iterable[tuple[Step, str]], also: Collection[str]) -> None:
        """Read the outcomes of the steps that are asked for, and of all that is in them."""
        paths = list(also)
        below = []
        todo = list(asked)
        while todo:
            step, prefix = todo.pop()
            if isinstance(step, RunStep):
                paths.append(prefix + step.id)
            elif isinstance(step, MapStep | Loop):
                paths += [items_path(prefix + step.id), turns_path(prefix + step.id)]
                below.append(f"{prefix}{step.id}[")
            else:
                todo += [(child, prefix) for child in children(step)]
        run = self._head.run
        for beginning in below:
            found = self._world.runs.outcomes_below(run.tenant, run.run_id, beginning)
            self._outcomes |= found
        self._read(paths)

    def _read(self, paths: Iterable[str]) -> None:
        missing = [path for path in dict.fromkeys(paths) if path not in self._outcomes]
        run = self._head.run
        found = self._world.runs.outcomes(run.tenant, run.run_id, missing) if missing else {}
        self._outcomes |= {path: found.get(path) for path in missing}

    def _step(self, step_id: str, iteration: str, *, with_status: bool) -> JsonObject:
        step, prefix = self._plan.step(step_id), self._prefix(step_id, iteration)
        view = {"outputs": self._outputs(step, prefix)}
        if with_status:
            view["status"] = self._status(step, prefix)
        return view

    def _status(self, step: Step, prefix: str) -> str:
        if isinstance(step, RunStep):
            outcome = self._outcomes.get(prefix + step.id)
            if outcome is not None:
                return outcome.status.value
        if step.enabled is False:
            return StepStatus.SKIPPED.value
        # A gate's or a block's is in the journal, which is read only when one is asked for.
        status = self._journal().get(prefix + step.id, StepStatus.PENDING.value)
        if isinstance(step, RunStep) and status != StepStatus.SKIPPED.value:
            # It was before this one and left no outcome: it broke down, and the pack said go on.
            return StepStatus.FAILED.value
        is_block = isinstance(step, Parallel | MapStep | Loop | Conditional)
        if is_block and status == StepStatus.PENDING.value:
            # It is behind us and left no trace: there was nothing to do in it.
            return StepStatus.SUCCEEDED.value
        return status

    def _journal(self) -> Mapping[str, str]:
        if self._statuses is None:
            run = self._head.run
            journal = self._world.runs.journal(run.tenant, run.run_id)
            state = fold(self._plan, (placed.entry for placed in journal), run.created_at)
            self._statuses = {step.step_id: step.status.value for step in state.steps}
        return self._statuses

    def _outputs(self, step: Step, prefix: str) -> Json:
        """The outputs of *step*; None when it was not run or has none."""
        if not self._ran(step, prefix):
            return None
        match step:
            case RunStep():
                outcome = self._outcomes.get(prefix + step.id)
                return None if outcome is None else outcome.outputs
            case ApprovalGate() | PolicyGate():
                return None
            case Parallel():
                return self._by_child(step.steps, prefix)
            case Conditional():
                ran = self._by_child(children(step), prefix)
                if not step.union:
                    return ran
                merged: JsonObject = {}
                for outputs in ran.values():
                    merged |= outputs if isinstance(outputs, dict) else {}
                return merged
            case MapStep():
                return {"results": self._results(step, prefix)}
            case Loop():
                return _aggregated(step.aggregation, self._results(step, prefix))
            case _:
                assert_never(step)

    def _by_child(self, steps: Iterable[Step], prefix: str) -> JsonObject:
        """The outputs of those of *steps* that ran, by id."""
        outputs = {step.id: self._outputs(step, prefix) for step in steps}
        return {step_id: value for step_id, value in outputs.items() if value is not None}

    def _ran(self, step: Step, prefix: str) -> bool:
        """Whether *step* was run; of what was skipped nothing has an outcome."""
        if step.enabled is False:
            return False
        if isinstance(step, RunStep | ApprovalGate | PolicyGate):
            return self._outcomes.get(prefix + step.id) is not None
        if self._has_outcomes(step, prefix):
            return True
        # Nothing in it was run: only the journal knows whether it was passed or skipped.
        return self._status(step, prefix) != StepStatus.SKIPPED.value

    def _has_outcomes(self, step: Step, prefix: str) -> bool:
        path = prefix + step.id
        if isinstance(step, RunStep):
            return self._outcomes.get(path) is not None
        if isinstance(step, MapStep | Loop):
            return any(one.startswith(f"{path}[") for one, found in self._outcomes.items() if found)
        return any(self._has_outcomes(child, prefix) for child in children(step))

    def _results(self, step: Iterated, prefix: str) -> list[Json]:
        """The value of each iteration, in the order of the items."""
        path = prefix + step.id
        count = len(self.items(step, path))
        turns = self._outcomes.get(turns_path(path))
        if isinstance(step, Loop) and step.until is not None:
            count = 0 if turns is None else int(turns.outputs)
        return [self._value(step, f"{path}[{index}]::") for index in range(count)]

    def _value(self, step: Iterated, iteration: str) -> Json:
        if isinstance(step, Loop) and step.output is not None:
            expression = expressions.parse(step.output)
            return expression.evaluate(self.context(expression.references, iteration))
        return self._outputs(step.steps[-1], iteration)


def _steps_of(references: Iterable[Reference]) -> list[str]:
    """The ids of the steps that are read, each once."""
    return list(dict.fromkeys(one[1] for one in references if one[0] == "steps" and len(one) > 1))


def _aggregated(mode: Aggregation, results: list[Json]) -> JsonObject:
    match mode:
        case Aggregation.COLLECT:
            return {"results": results}
        case Aggregation.MERGE:
            merged: JsonObject = {}
            for result in results:
                merged |= result if isinstance(result, dict) else {}
            return {"result": merged}
        case Aggregation.FIRST:
            return {"result": results[0] if results else None}
        case Aggregation.LAST:
            return {"result": results[-1] if results else None}
        case Aggregation.NONE:
            return {}
        case _:
            assert_never(mode)
