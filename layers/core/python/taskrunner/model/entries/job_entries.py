"""Entries about jobs: offered to a pool, lost with a worker, and the output of their scripts.

A worker that leases a job starts the step's attempt, and the entries of attempts are in
`step_entries`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.model.entries import fields
from taskrunner.model.job import labels_text
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.run import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# More than other messages have, because output comes in batches.
MAX_OUTPUT_CHARACTERS: Final = 4000


class LossCause(StrEnum):
    """The cause for which a worker does not end its attempt."""

    SILENT = "silent"
    GAVE_BACK = "gave-back"

    @property
    def words(self) -> str:
        """The end of a sentence about the worker."""
        if self is LossCause.GAVE_BACK:
            return "was stopped, and gave the job back"
        return "was lost: it has not reported for too long"


class JobOffered(NamedTuple):
    """An attempt waits for a worker of *pool* that has *labels*; *attempt* has not started.

    *labels* are in the form of `labels_text`. Entries of earlier releases have none.
    """

    attempt: int
    pool: str
    labels: str = ""


class WorkerLost(NamedTuple):
    """The *worker* of an attempt was lost, and the attempt waits for another one of *pool*.

    An entry that names no cause is of a silent worker.
    """

    attempt: int
    pool: str
    worker: str
    cause: LossCause = LossCause.SILENT


class OutputWritten(NamedTuple):
    """The script of an attempt wrote to its output."""

    attempt: int


JobFact = JobOffered | WorkerLost | OutputWritten


def job_offered(
    step_path: str,
    attempt: int,
    pool: str,
    occurred_at: str,
    *,
    labels: Mapping[str, str] | None = None,
) -> Entry:
    """The entry of an attempt that waits for a worker of *pool* with *labels*."""
    return Entry(
        id=f"{step_path}#{attempt}#offered",
        occurred_at=occurred_at,
        event=Event.STEP_OFFERED,
        step_path=step_path,
        message=f"Waiting for a worker of the pool {pool}: {step_path}",
        metadata=fields.without_none(
            {"attempt": str(attempt), "pool": pool, "labels": labels_text(labels or {}) or None}
        ),
    )


def worker_lost(  # noqa: PLR0913 - the fields of an entry
    step_path: str,
    attempt: int,
    pool: str,
    worker: str,
    occurred_at: str,
    *,
    losses: int,
    cause: LossCause,
) -> Entry:
    """The entry of an attempt whose *worker* was lost, after *losses* others; it waits again."""
    message = (
        f"The worker {worker} {cause.words}. "
        f"Waiting for another worker of the pool {pool}: {step_path}"
    )
    return Entry(
        id=f"{step_path}#{attempt}#lost#{losses + 1}",
        occurred_at=occurred_at,
        event=Event.STEP_WORKER_LOST,
        level=Level.WARN,
        step_path=step_path,
        message=message,
        metadata=fields.without_none(
            {
                "attempt": str(attempt),
                "pool": pool,
                "worker": worker,
                "reason": Reason.WORKER_LOST.value,
                "cause": None if cause is LossCause.SILENT else cause.value,
            }
        ),
    )


def output_written(  # noqa: PLR0913 - the fields of an entry
    step_path: str, attempt: int, text: str, occurred_at: str, *, number: str, stream: str
) -> Entry:
    """The entry of a batch of output, which is the *number* of the attempt on its worker."""
    return Entry(
        id=f"{step_path}#{attempt}#output#{number}",
        occurred_at=occurred_at,
        event=Event.STEP_OUTPUT,
        step_path=step_path,
        message=text[:MAX_OUTPUT_CHARACTERS],
        metadata={"attempt": str(attempt), "stream": stream},
    )


def output_cut(step_path: str, attempt: int, occurred_at: str) -> Entry:
    """The entry that says that the log takes no more output of an attempt."""
    return Entry(
        id=f"{step_path}#{attempt}#output#cut",
        occurred_at=occurred_at,
        event=Event.STEP_OUTPUT,
        level=Level.WARN,
        step_path=step_path,
        message=(
            "The log takes no more output of this attempt. If there is more, the artifact 'output' "
            "of this step has all of it.\n"
        ),
        metadata={"attempt": str(attempt), "stream": "stderr"},
    )


READERS: Final[Mapping[Event, Callable[[Entry], JobFact]]] = {
    Event.STEP_OFFERED: lambda entry: JobOffered(
        fields.attempt(entry), entry.metadata.get("pool", ""), entry.metadata.get("labels", "")
    ),
    Event.STEP_WORKER_LOST: lambda entry: WorkerLost(
        fields.attempt(entry),
        entry.metadata.get("pool", ""),
        entry.metadata.get("worker", ""),
        LossCause(entry.metadata.get("cause", LossCause.SILENT)),
    ),
    Event.STEP_OUTPUT: lambda entry: OutputWritten(fields.attempt(entry)),
}
