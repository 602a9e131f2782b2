"""The blocks whose end is a question: their outputs may turn out to be wrong, which fails them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.model.plan import Aggregation, Conditional, Loop, MapStep, RunStep

if TYPE_CHECKING:
    from taskrunner.model.plan import Step

# The beginning of a reference to an executor that is a function of the account.
FUNCTION_PREFIX: Final = "lambda:"


def is_checked_at_its_end(step: Step) -> bool:
    """Return whether *step* is a block whose outputs can fail, though all in it succeeded.

    An expression can. So can a merge of what functions answered, which may be any JSON; all other
    steps output objects. A loop that takes turns is not meant: it asks after each iteration anyway.
    """
    match step:
        case Loop() if not step.takes_turns:
            merges = step.aggregation is Aggregation.MERGE
            return step.output is not None or (merges and _calls_function(step.steps[-1]))
        case MapStep():
            return step.output is not None
        case Conditional():
            return step.union and any(_calls_function(child) for arm in step.arms for child in arm)
        case _:
            return False


def _calls_function(step: Step) -> bool:
    return isinstance(step, RunStep) and step.uses.startswith(FUNCTION_PREFIX)
