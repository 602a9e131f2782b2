"""The jobs of runs: those that workers lease from pools, and calls of state machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from taskrunner.errors import TaskRunnerError
    from taskrunner.model.job import Job, Lease
    from taskrunner.model.journal import Entry
    from taskrunner.model.run import Run
    from taskrunner.ports.runs import RunSnapshot


class Jobs(Protocol):
    """Jobs by run and step path.

    The task token of a job is stored with it, and leaves this port only towards Step Functions.
    A call that returns a boolean is one write. It changes nothing and returns False when the job is
    not as it was read.
    """

    def get(self, tenant: str, run_id: str, step_path: str) -> Job | None:
        """Return the last job of the step, or None when it had none."""
        ...

    def of_run(self, run: Run) -> Iterator[Job]:
        """Return the jobs of the run whose tokens have not been answered, by path."""
        ...

    def offer(
        self,
        snapshot: RunSnapshot,
        job: Job,
        token: str,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
    ) -> Job:
        """Offer a new job with *entries*, and return it; its machine waits with *token*.

        A job that has a lease already, because it calls a state machine, waits in no pool.

        A job of the same attempt that was offered before is kept as it is, and only its token is
        replaced: a machine that did not see the answer of a call repeats it with a new token.

        Raises:
            ConflictError: the run, or a block of *inside*, has ended; nothing may begin.
        """
        ...

    def waiting(self, tenant: str, pool: str, labels: Mapping[str, str]) -> Iterator[Job]:
        """Yield the jobs of the tenant in the pool that a worker with *labels* may take.

        The oldest come first, and each is read when it is asked for. If there are thousands of
        others, one call reads a part of them, and the next calls go on from there.
        The list follows the jobs within moments, so one may have been leased since.
        """
        ...

    def lease(
        self,
        snapshot: RunSnapshot,
        job: Job,
        lease: Lease,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
    ) -> bool:
        """Give the waiting *job* to a worker, with the *entries* that begin the attempt.

        Raises:
            ConflictError: the run, or a block of *inside*, has ended; nothing may begin.
        """
        ...

    def renew(
        self, snapshot: RunSnapshot, job: Job, lease: Lease, entries: Sequence[Entry]
    ) -> bool:
        """Replace the lease of *job* by *lease*, its renewal, and add *entries* to the log."""
        ...

    def give_back(self, snapshot: RunSnapshot, job: Job, entries: Sequence[Entry]) -> bool:
        """Let *job*, whose lease has ended, wait in its pool again, with one loss more.

        It waits from the time of the last entry on. The entries say that the worker was lost, and
        are added also if the run has ended.
        """
        ...

    def hasten(self, job: Job, now: str) -> bool:
        """Let the reconciler look at the leased *job* now, and not first when its lease ends."""
        ...

    def withdraw(self, job: Job) -> bool:
        """Remove *job* from its pool, or end its lease, because its run goes on without it."""
        ...

    def answer(self, job: Job, error: TaskRunnerError | None) -> None:
        """Answer the machine that waits for *job*, and end the job's due work. Idempotent.

        The state fails with the name of *error*; without one it succeeds.
        """
        ...

    def oldest(self, limit: int) -> Sequence[Job]:
        """Return the waiting jobs of all tenants and pools, the oldest first, at most *limit*."""
        ...
