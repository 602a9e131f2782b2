"""The writes that end a run, or stop a block of it, in one transaction with the reason.

Nothing else in a run may begin after them: see `journal_chunks` for runs. A block that a failure
has stopped has an item, and whatever begins inside of a block that can be stopped requires in its
own transaction that there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.adapters.due_work import due_attributes, due_item
from taskrunner.adapters.run_items import ended_update, run_from_item, steps_ended_update
from taskrunner.adapters.table_layout import (
    BLOCKS,
    OPEN_APPROVAL,
    Key,
    approval_key,
    block_key,
    partition_of,
    queue_key,
    run_key,
)
from taskrunner.adapters.table_requests import Check, Put, Update, by_prefix
from taskrunner.model.due_work import DueKind
from taskrunner.model.failure import STEPS
from taskrunner.model.run import RunStatus, block_stopped, run_ended
from taskrunner.model.state.run_reason import run_reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from taskrunner.adapters.retention import Retention
    from taskrunner.adapters.table import Table
    from taskrunner.adapters.table_requests import Write
    from taskrunner.errors import ConflictError
    from taskrunner.model.due_work import DueItem
    from taskrunner.model.journal import Entry
    from taskrunner.model.run import Run, StepsEnd
    from taskrunner.ports.runs import Stops

_TRANSACTION_WRITES: Final = 100
_NONE_STOPPED: Final = "attribute_not_exists(pk)"


class RunEndings:
    """The ends of runs and of their blocks, as writes."""

    def __init__(self, table: Table, retention: Retention) -> None:
        """Keep the items of stopped blocks for as long as *retention* keeps their runs."""
        self._table = table
        self._retention = retention

    def of_run(
        self,
        run: Run,
        outcome: RunStatus,
        entries: Sequence[Entry],
        beside: Sequence[Write],
        failed_step: str | None = None,
    ) -> list[Write]:
        """Return the writes that end *run*, beside the writes *beside* and one of the journal.

        *entries* are those of the journal. The last one ends the run, because of *failed_step* if a
        step failed.

        The first one fails when the run has ended before. An approval that does not fit, or that
        *beside* writes, stays on the list of open ones until `approval_closings` removes it.
        """
        writes = self.of_run_without_approvals(run, outcome, entries, failed_step)
        room = _TRANSACTION_WRITES - len(beside) - len(writes) - 1
        written = {Key(*_key_of(write)) for write in beside}
        closings = [
            closing for closing in self.approval_closings(run) if closing.key not in written
        ]
        return writes + closings[: max(0, room)]

    def of_run_without_approvals(
        self,
        run: Run,
        outcome: RunStatus,
        entries: Sequence[Entry],
        failed_step: str | None = None,
    ) -> list[Write]:
        """Return the writes that end *run*, whose pack has no approvals; see `of_run`."""
        ended_at, reason = entries[-1].occurred_at, run_reason(entries, failed_step)
        return [ended_update(run, outcome, ended_at, reason), *_leave_queue(run)]

    def of_failure(
        self,
        run: Run,
        stops: Stops,
        entries: Sequence[Entry],
        beside: Sequence[Write],
        inside: Collection[str] = (),
    ) -> list[Write]:
        """Return the writes of what the failure in *entries* stops.

        *inside* are blocks that must still run.
        """
        if stops.run_failed is not None:
            checks = self.checks(run, inside)
            ending = self.of_run(
                run,
                RunStatus.FAILED,
                [*entries, stops.run_failed],
                [*beside, *checks],
                stops.failed_step,
            )
            return [*ending, *checks]
        checks = self.checks(run, [path for path in inside if path not in stops.blocks])
        return [*checks, *(self._stopped(run, path, stops, inside) for path in stops.blocks)]

    def checks(self, run: Run, inside: Iterable[str]) -> list[Write]:
        """Return the conditions that no failure has stopped a block of *inside*."""
        partition = partition_of(run)
        return [
            Check(key=block_key(partition, path), condition=_NONE_STOPPED)
            for path in dict.fromkeys(inside)
        ]

    def _stopped(self, run: Run, path: str, stops: Stops, inside: Collection[str]) -> Put:
        """Return the write that stops a block.

        It fails if the block was stopped before, when the failure must begin in the block. So it
        does for all steps before `finally`: only the first failure says why they failed.
        """
        key = block_key(partition_of(run), path)
        due = due_attributes(DueKind.BLOCK, stops.stopped_at) if path in stops.gated_blocks else {}
        return Put(
            item={**key._asdict(), "expires_at": self._retention.expires_at(run), **due},
            condition=_NONE_STOPPED if path in inside or path == STEPS else None,
        )

    def of_steps(self, run: Run, end: StepsEnd, ended_at: str, execution: str) -> list[Write]:
        """Return the writes that record the *end* of the steps before `finally`, once.

        The first one fails when the run or its steps have ended before. The second one fails when
        *end* is a success and a failure has stopped the steps.
        """
        update = steps_ended_update(run, end, ended_at, execution)
        if end.outcome is RunStatus.FAILED:  # the failure has stopped them
            return [update]
        key = block_key(partition_of(run), STEPS)
        item = {**key._asdict(), "expires_at": self._retention.expires_at(run)}
        return [update, Put(item=item, condition=_NONE_STOPPED)]

    def stopped_blocks(self, run: Run) -> dict[str, DueItem | None]:
        """Return the stopped blocks of *run* by step path, each with its due work if it has any."""
        items = self._table.query(by_prefix(block_key(partition_of(run), "")))
        return {
            item["sk"].removeprefix(BLOCKS): due_item(item) if "due" in item else None
            for item in items
        }

    def refusal(self, run: Run) -> ConflictError:
        """Return the reason why something may not begin: the run has ended, or a block of it."""
        outcome = self.outcome(run)
        if outcome is not None:
            return run_ended(run.run_id, outcome)
        return block_stopped(run.run_id)

    def outcome(self, run: Run) -> RunStatus | None:
        """Return how *run* has ended, or None if it goes on."""
        item = self._table.get(run_key(run))
        return None if item is None else run_from_item(item).outcome

    def approval_closings(self, run: Run) -> list[Update]:
        """Return the updates that remove the run's approvals from the list of open ones."""
        removal = f"REMOVE {', '.join(OPEN_APPROVAL)}"
        return [
            Update(key=Key(item["pk"], item["sk"]), expression=removal)
            for item in self._table.query(by_prefix(approval_key(partition_of(run), "")))
            if OPEN_APPROVAL[0] in item
        ]

    def close_approvals(self, run: Run) -> None:
        """Remove the approvals of *run* from the list of open ones."""
        closings = self.approval_closings(run)
        for start in range(0, len(closings), _TRANSACTION_WRITES):
            self._table.transact(closings[start : start + _TRANSACTION_WRITES])


def _key_of(write: Write) -> tuple[str, str]:
    if isinstance(write, Put):
        return str(write.item["pk"]), str(write.item["sk"])
    return write.key


def _leave_queue(run: Run) -> list[Write]:
    if run.queue_depth is None:
        return []
    return [
        Update(
            key=queue_key(run),
            expression="ADD unfinished_runs :minus_one",
            values={":minus_one": -1},
        )
    ]
