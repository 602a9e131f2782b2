"""Chooses the steps of a run that matter most, where there is no room for all."""

from taskrunner_cli.api.documents import FINAL_STEP_STATUSES, Step
from taskrunner_cli.output.steps import StepRow, is_waiting
from taskrunner_cli.output.worker_steps import wait_message

_FAILED, _ACTIVE, _TO_COME, _ENDED = range(4)  # the order of relevance of steps


def most_relevant(rows: list[StepRow], count: int) -> list[StepRow]:
    """Return *count* of the rows, in the order of the pack.

    Steps that failed come first, then those that run or wait, then the next pending ones, and last
    the latest that ended: steps that succeeded long ago matter least. The first of many that
    failed are shown, in half of the rows at most while others run or wait.
    """
    ranks = {position: _rank(row.step, position) for position, row in enumerate(rows)}
    positions = sorted(ranks, key=ranks.__getitem__)
    failed = sum(rank == _FAILED for rank, _ in ranks.values())
    active = sum(rank == _ACTIVE for rank, _ in ranks.values())
    kept = min(failed, max(count - active, (count + 1) // 2))
    chosen = (positions[:kept] + positions[failed:])[:count]
    return [rows[position] for position in sorted(chosen)]


def _rank(step: Step, position: int) -> tuple[int, int]:
    """Return a step's place in the order of relevance, smallest first."""
    has_ended = step["status"] in FINAL_STEP_STATUSES
    nearness = -position if has_ended else position
    if step["status"] == "Failed":
        return _FAILED, position
    if step["status"] == "Running" or is_waiting(step) or wait_message(step):
        return _ACTIVE, nearness
    return (_ENDED if has_ended else _TO_COME), nearness
