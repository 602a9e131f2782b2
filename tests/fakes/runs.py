"""Runs in memory, with their journals, outcomes and artifacts."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskrunner.errors import ConflictError, NotFoundError, TooManyRunsError
from taskrunner.model.due_work import DueKind
from taskrunner.model.failure import STEPS
from taskrunner.model.journal import Entry, PlacedEntry, Position
from taskrunner.model.run import RunStatus, block_stopped, lease_lost, run_ended
from taskrunner.model.run_filters import ALL_RUNS, RunFilters
from taskrunner.model.state import tail
from taskrunner.model.state.run_reason import run_reason, waiting_reason
from taskrunner.ports.runs import NOTHING, RunSnapshot, Stops
from tests.fakes.atomic import atomic
from tests.fakes.due_work import MemoryDueWork
from tests.fakes.page import page

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.due_work import DueItem
    from taskrunner.model.job import Job
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run, StepOutcome, StepsEnd
    from taskrunner.ports import Page

_CHUNK_ENTRIES = 8


@dataclass
class StoredRun:
    """All that is stored of one run."""

    run: Run
    due_work: MemoryDueWork
    ended_at: str | None = None
    reason: JsonObject | None = None
    journal: list[Entry] = field(default_factory=list)
    outcomes: dict[str, StepOutcome] = field(default_factory=dict)
    artifacts: dict[tuple[str, str | None], Artifact] = field(default_factory=dict)
    used_s: float = 0
    stopped: set[str] = field(default_factory=set)
    brief: JsonObject = field(default_factory=dict)
    is_approved: bool = False
    has_closed_approvals: bool = False

    def refusal(self, inside: Collection[str]) -> ConflictError | None:
        """The reason why nothing may begin inside of these blocks, if there is one."""
        if self.run.outcome is not None:
            return run_ended(self.run.run_id, self.run.outcome)
        return None if self.stopped.isdisjoint(inside) else block_stopped(self.run.run_id)

    def stop(self, stops: Stops) -> None:
        """End the run or its blocks, with the entry that says so."""
        if stops.steps_failed is not None:
            if STEPS in self.stopped:
                return
            self.journal.append(stops.steps_failed)
        self.stopped.update(stops.blocks)
        for path in stops.gated_blocks:
            self.due_work.add(DueKind.BLOCK, self.run, stops.stopped_at, path)
        if stops.run_failed is not None:
            self.end(RunStatus.FAILED, [stops.run_failed], stops.failed_step)

    def end(
        self, outcome: RunStatus, entries: Sequence[Entry], failed_step: str | None = None
    ) -> None:
        self.run = replace(self.run, outcome=outcome)
        self.ended_at = entries[-1].occurred_at
        self.journal += entries
        if self.reason is None or outcome is not RunStatus.FAILED:
            self.reason = run_reason(self.journal, failed_step)
        self.due_work.add(DueKind.ENDED, self.run, self.ended_at)

    def append(self, entries: Iterable[Entry]) -> None:
        """Add the entries that the last chunk lacks: the table looks back no further."""
        last = len(self.journal) % _CHUNK_ENTRIES or _CHUNK_ENTRIES
        known = {entry.id for entry in self.journal[-last:]}
        self.journal += [entry for entry in entries if entry.id not in known]

    def placed(self, first: int = 0) -> list[PlacedEntry]:
        """Return the entries from number *first* on."""
        return [
            PlacedEntry(Position(*divmod(number, _CHUNK_ENTRIES)), entry)
            for number, entry in enumerate(self.journal[first:], first)
        ]

    def tail(self) -> list[Entry]:
        last = len(self.journal) % _CHUNK_ENTRIES or _CHUNK_ENTRIES
        return self.journal[-last:]

    @property
    def status(self) -> RunStatus:
        return self.run.outcome or tail.status(self.tail())

    def capture(self, artifacts: Iterable[Artifact], step: str | None = None) -> None:
        """Add artifacts of the run, or of an attempt of *step*, which replaces earlier attempts."""
        for stale in [key for key in self.artifacts if step and key[1] == step]:
            del self.artifacts[stale]
        for artifact in artifacts:
            self.artifacts[artifact.name, step] = replace(artifact, step_path=step)


@dataclass
class KnownRun:
    """A run as this process last saw it, with the paths of the steps that had entries."""

    run: Run
    length: int = 0
    used_s: float = 0
    paths: set[str] = field(default_factory=set)


@dataclass
class MemoryRuns:
    """Runs by tenant and id. *waits_for* is whether a run waits for an approval.

    *end_job* lets a job be done, and returns False if it is not as it was read.
    """

    stored: dict[tuple[str, str], StoredRun] = field(default_factory=dict)
    known: dict[tuple[str, str], KnownRun] = field(default_factory=dict)
    keys: dict[tuple[str, str, str], str] = field(default_factory=dict)
    due_work: MemoryDueWork = field(default_factory=MemoryDueWork)
    waits_for: Callable[[Run, str], bool] = lambda _run, _approval_id: False
    end_job: Callable[[Job, str | None], bool] = lambda _job, _recorded_at: False

    @atomic
    def create(
        self,
        run: Run,
        entries: Sequence[Entry],
        brief: JsonObject | None = None,
        *,
        watch_at: str | None = None,
    ) -> bool:
        key = (run.tenant, run.created_by, str(run.idempotency_key))
        if (run.tenant, run.run_id) in self.stored or (
            run.tenant,
            self.keys.get(key),
        ) in self.stored:
            return False
        if run.queue_depth is not None:
            counted = [
                stored.run
                for stored in self.stored.values()
                if (stored.run.tenant, stored.run.pack_name) == (run.tenant, run.pack_name)
                and stored.run.outcome is None
                and stored.run.queue_depth is not None
            ]
            if len(counted) >= run.queue_depth:
                raise TooManyRunsError(run.pack_name, run.queue_depth)
        self.stored[run.tenant, run.run_id] = StoredRun(run, self.due_work, brief=brief or {})
        self.stored[run.tenant, run.run_id].append(entries)
        if run.idempotency_key is not None:
            self.keys[key] = run.run_id
        self.due_work.add(DueKind.RUN, run, run.created_at)
        if watch_at is not None:
            self.due_work.watch(run, "", watch_at)
        return True

    @atomic
    def record_breach(self, snapshot: RunSnapshot, entry: Entry, watch: DueItem) -> bool:
        if not self.due_work.is_unchanged(watch):
            return False
        self.of(snapshot.run.tenant, snapshot.run.run_id).append([entry])
        self.due_work.remove(watch.kind, snapshot.run, watch.name)
        return True

    @atomic
    def move(self, run: Run, machine: str) -> bool:
        stored = self.of(run.tenant, run.run_id)
        if stored.run.outcome is not None:
            return False
        stored.run = replace(stored.run, machine=machine)
        return True

    @atomic
    def keyed(self, tenant: str, creator: str, idempotency_key: str) -> str | None:
        return self.keys.get((tenant, creator, idempotency_key))

    def of(self, tenant: str, run_id: str) -> StoredRun:
        if (tenant, run_id) not in self.stored:
            raise NotFoundError(f"run {run_id}")
        return self.stored[tenant, run_id]

    @atomic
    def snapshot(self, tenant: str, run_id: str, *paths: str) -> RunSnapshot:
        stored = self.of(tenant, run_id)
        self._see(stored)
        tail = stored.placed(len(stored.journal) - len(stored.tail()))
        outcomes = {path: stored.outcomes.get(path) for path in paths}
        return RunSnapshot(stored.run, tail, stored.used_s, outcomes)

    @atomic
    def remembered(self, tenant: str, run_id: str, path: str) -> RunSnapshot | None:
        known = self.known.get((tenant, run_id))
        if known is None or path in known.paths or known.run.outcome or known.run.steps_end:
            return None
        first = known.length - (known.length % _CHUNK_ENTRIES or _CHUNK_ENTRIES)
        tail = self.of(tenant, run_id).placed(first)[: known.length - first]
        return RunSnapshot(known.run, tail, known.used_s, {path: None})

    @atomic
    def append_if_unchanged(
        self, snapshot: RunSnapshot, entries: Sequence[Entry], *, inside: Collection[str] = ()
    ) -> bool:
        stored = self.of(snapshot.run.tenant, snapshot.run.run_id)
        if stored.refusal(inside) or stored.placed(len(stored.journal) - 1) != [
            *snapshot.last_entries[-1:]
        ]:
            return False
        with self._adding(stored):
            stored.append(entries)
        return True

    def _see(self, stored: StoredRun) -> None:
        """Remember a run as it is."""
        key = stored.run.tenant, stored.run.run_id
        if key not in self.known and len(stored.journal) > _CHUNK_ENTRIES:
            return  # it has not seen the beginning
        known = self.known.get(key) or KnownRun(stored.run)
        added = stored.journal[known.length :]
        known.paths.update(entry.step_path for entry in added if entry.step_path is not None)
        self.known[key] = KnownRun(stored.run, len(stored.journal), stored.used_s, known.paths)

    @contextmanager
    def _adding(self, stored: StoredRun) -> Iterator[None]:
        """Remember what is added to a run that is as it is remembered."""
        known = self.known.get((stored.run.tenant, stored.run.run_id))
        is_known = known is not None and known.length == len(stored.journal)
        yield
        if is_known:
            self._see(stored)

    @atomic
    def journal(
        self, tenant: str, run_id: str, *, after: Position | None = None, limit: int | None = None
    ) -> Sequence[PlacedEntry]:
        stored = self.stored.get((tenant, run_id))
        placed = [] if stored is None else stored.placed()
        return [entry for entry in placed if after is None or entry.position > after][:limit]

    def journal_end(
        self, tenant: str, run_id: str, count: int, *, before: Position | None = None
    ) -> Sequence[PlacedEntry]:
        entries = self.journal(tenant, run_id)
        return [e for e in entries if before is None or e.position < before][-count:]

    @atomic
    def append(
        self,
        snapshot: RunSnapshot,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
        stops: Stops = NOTHING,
    ) -> None:
        stored = self.of(snapshot.run.tenant, snapshot.run.run_id)
        refusal = stored.refusal(inside)
        if refusal is None:
            with self._adding(stored):
                stored.append(entries)
                stored.stop(stops)
        elif stops.run_failed not in stored.journal[-1:]:
            raise refusal

    @atomic
    def outcomes(self, tenant: str, run_id: str, paths: Collection[str]) -> dict[str, StepOutcome]:
        known = self.of(tenant, run_id).outcomes
        return {path: copy.deepcopy(known[path]) for path in paths if path in known}

    def outcomes_below(self, tenant: str, run_id: str, beginning: str) -> dict[str, StepOutcome]:
        known = self.of(tenant, run_id).outcomes
        return self.outcomes(tenant, run_id, [path for path in known if path.startswith(beginning)])

    @atomic
    def record_step(  # noqa: PLR0913 - as in the port
        self,
        snapshot: RunSnapshot,
        outcome: StepOutcome,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
        used_s: float = 0,
        *,
        stops: Stops = NOTHING,
        patience_s: float = 0,  # noqa: ARG002 - no other writer is in the way
        job: Job | None = None,
    ) -> StepOutcome:
        stored = self.of(snapshot.run.tenant, snapshot.run.run_id)
        first = stored.outcomes.get(outcome.path)
        if first is not None and first.attempt >= outcome.attempt:
            return first
        recorded_at = entries[-1].occurred_at if entries else None
        if job is not None and not self.end_job(job, recorded_at):
            raise lease_lost(outcome.path)
        if stored.run.outcome is RunStatus.CANCELLED:
            stored.append(entries)
            return outcome
        with self._adding(stored):
            stored.journal += entries
            stored.outcomes[outcome.path] = outcome
            stored.used_s += used_s
            if stored.run.takes_artifacts:
                stored.capture(artifacts, outcome.path)
            if stored.run.outcome is None:
                stored.stop(stops)
        return outcome

    @atomic
    def record_decision(  # noqa: PLR0913 - as in the port
        self,
        snapshot: RunSnapshot,
        outcome: StepOutcome,
        entries: Sequence[Entry],
        *,
        inside: Collection[str] = (),
        stops: Stops = NOTHING,
        patience_s: float = 0,  # noqa: ARG002 - no other writer is in the way
    ) -> StepOutcome:
        stored = self.of(snapshot.run.tenant, snapshot.run.run_id)
        first = stored.outcomes.get(outcome.path)
        if first is not None and first.attempt >= outcome.attempt:
            return first
        if (refusal := stored.refusal(inside)) is not None:
            raise refusal
        with self._adding(stored):
            stored.journal += entries
            stored.outcomes[outcome.path] = outcome
            stored.stop(stops)
        return outcome

    @atomic
    def stopped_blocks(self, run: Run) -> dict[str, DueItem | None]:
        stopped = self.of(run.tenant, run.run_id).stopped
        return {path: self.due_work.find(DueKind.BLOCK, run, path) for path in stopped}

    @atomic
    def end_steps(
        self, snapshot: RunSnapshot, end: StepsEnd, entries: Sequence[Entry], execution: str
    ) -> Run:
        stored = self.of(snapshot.run.tenant, snapshot.run.run_id)
        run = stored.run
        if run.outcome is not None:
            raise run_ended(run.run_id, run.outcome)
        if run.steps_end is not None:
            return run
        if end.outcome is RunStatus.SUCCEEDED and STEPS in stored.stopped:
            raise block_stopped(run.run_id)
        stored.stopped.add(STEPS)
        stored.append(entries)
        stored.reason = end.status_reason
        if execution != run.execution:
            self.due_work.add(DueKind.RUN, run, entries[-1].occurred_at)
        stored.run = replace(run, steps_end=end, execution=execution)
        return stored.run

    @atomic
    def end(
        self,
        snapshot: RunSnapshot,
        outcome: RunStatus,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
        *,
        has_approvals: bool = True,  # noqa: ARG002 - the list of open approvals looks at the outcome
    ) -> RunStatus:
        stored = self.of(snapshot.run.tenant, snapshot.run.run_id)
        if stored.run.outcome is not None:
            return stored.run.outcome
        stored.end(outcome, entries)
        stored.capture(artifacts)
        return outcome

    @atomic
    def settle(self, run: Run) -> None:
        stored = self.of(run.tenant, run.run_id)
        stored.run = replace(stored.run, settled=True)

    @atomic
    def record_outputs(self, run: Run, artifacts: Sequence[Artifact]) -> None:
        stored = self.of(run.tenant, run.run_id)
        if not stored.run.sealed:
            stored.capture(artifacts)

    @atomic
    def close_approvals(self, run: Run) -> None:
        self.of(run.tenant, run.run_id).has_closed_approvals = True

    @atomic
    def seal(
        self,
        run: Run,
        bundle: Artifact,
        *,
        look_at: str | None = None,
        has_approvals: bool = True,  # noqa: ARG002 - as in `end`
    ) -> bool:
        stored = self.of(run.tenant, run.run_id)
        if stored.run.outcome is None or stored.run.sealed:
            return False
        stored.run = replace(stored.run, sealed=True)
        self.due_work.remove(DueKind.ENDED, run)
        if look_at is not None:
            self.due_work.look_at_ended(run, look_at)
        stored.capture([bundle])
        return True

    @atomic
    def list(
        self, tenant: str, limit: int, cursor: str | None, filters: RunFilters = ALL_RUNS
    ) -> Page:
        listed = {
            f"{stored.run.created_at}#{run_id}": stored
            for (owner, run_id), stored in self.stored.items()
            if owner == tenant and self._is_listed(stored, filters)
        }
        rows = {key: _run_summary(stored) for key, stored in listed.items()}
        return page(rows, sorted(rows, reverse=True), limit, cursor, repr(filters))

    def _is_listed(self, stored: StoredRun, filters: RunFilters) -> bool:
        return (
            filters.admits(stored.run)
            and (filters.approval is None or self.waits_for(stored.run, filters.approval))
            and filters.status in {None, stored.status}
        )

    @atomic
    def last_approved(self, tenant: str, pack_name: str, besides: str | None) -> Run | None:
        approved = [
            stored.run
            for (owner, run_id), stored in self.stored.items()
            if (owner, stored.run.pack_name) == (tenant, pack_name)
            and stored.is_approved
            and run_id != besides
        ]
        return max(approved, key=lambda run: (run.created_at, run.run_id), default=None)

    @atomic
    def count_unfinished(self, tenant: str, pack_name: str, at_most: int) -> int:
        runs = [stored.run for (owner, _), stored in self.stored.items() if owner == tenant]
        unfinished = [run for run in runs if run.pack_name == pack_name and run.outcome is None]
        return min(len(unfinished), at_most)


def _run_summary(stored: StoredRun) -> JsonObject:
    run = stored.run
    summary: JsonObject = {
        "runId": run.run_id,
        "pack": {"name": run.pack_name, "version": run.pack_version},
        "planHash": run.plan_hash,
        "createdAt": run.created_at,
        "createdBy": run.created_by,
        "status": stored.status.value,
    }
    if run.created_by_name is not None:
        summary["createdByName"] = run.created_by_name
    if stored.ended_at is not None:
        summary["endedAt"] = stored.ended_at
    reason = stored.reason
    if stored.status is RunStatus.WAITING:
        reason = waiting_reason(stored.tail())
    if reason is not None:
        summary["statusReason"] = reason
    return summary
