"""The port Runs: records, outcomes, ends and lists. Its journal is in test_journal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from taskrunner.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    TooManyRunsError,
)
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.entries import run_entries, step_entries
from taskrunner.model.entries.step_entries import AttemptReport, Failure
from taskrunner.model.failure import STEPS
from taskrunner.model.journal import Event
from taskrunner.model.run import Reason, RunStatus, StepOutcome, StepsEnd, StepStatus
from taskrunner.ports.runs import Stops
from tests.contract.samples import CANCELLED, CREATED, ENDED, a_run, an_entry, entry_ids, new_run

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json
    from taskrunner.model.run import Run
    from tests.contract.ports import Ports


def an_outcome(path: str = "ship", attempt: int = 1, outputs: Json = None) -> StepOutcome:
    return StepOutcome(
        path=path, attempt=attempt, status=StepStatus.SUCCEEDED, outputs=outputs, final=True
    )


def a_value(name: str, text: str = '"v1"') -> Artifact:
    return Artifact(
        name=name,
        type=ArtifactType.OBJECT,
        status=ArtifactStatus.CAPTURED,
        expression_json=text,
    )


class TestCreate:
    def test_reads_a_run_as_it_was_recorded(self, world: Ports) -> None:
        run = a_run(idempotency_key="k-1")

        assert world.runs.create(run, [CREATED])

        snapshot = world.runs.snapshot("acme", run.run_id)
        assert snapshot.run == run
        assert [placed.entry for placed in snapshot.last_entries] == [CREATED]

    def test_refuses_a_second_run_with_the_same_id(self, world: Ports) -> None:
        snapshot = new_run(world)

        is_created = world.runs.create(replace(snapshot.run, created_by="bob"), [an_entry("other")])

        assert not is_created
        assert world.runs.snapshot("acme", snapshot.run.run_id) == snapshot
        assert entry_ids(world, snapshot.run) == ["run.created"]

    def test_two_tenants_may_use_the_same_id(self, world: Ports) -> None:
        ours = new_run(world)

        assert world.runs.create(replace(ours.run, tenant="globex"), [CREATED])

        assert world.runs.snapshot("globex", ours.run.run_id).run.tenant == "globex"
        assert world.runs.snapshot("acme", ours.run.run_id).run.tenant == "acme"

    def test_a_run_moves_to_another_machine_until_it_has_ended(self, world: Ports) -> None:
        run = new_run(world).run

        assert world.runs.move(run, "another")

        moved = world.runs.snapshot("acme", run.run_id)
        assert moved.run == replace(run, machine="another")
        world.runs.end(moved, RunStatus.FAILED, [ENDED])
        assert not world.runs.move(run, "a-third")
        assert world.runs.snapshot("acme", run.run_id).run.machine == "another"

    def test_an_unknown_run_is_not_found(self, world: Ports) -> None:
        with pytest.raises(NotFoundError, match="run nowhere not found"):
            world.runs.snapshot("acme", "nowhere")

    @pytest.mark.parametrize("count", [8, 9, 1000])
    def test_records_any_number_of_first_entries(self, world: Ports, count: int) -> None:
        run = a_run()
        entries = [an_entry(f"e{number}", Event.STEP_SKIPPED) for number in range(count)]

        assert world.runs.create(run, entries)

        journal = world.runs.journal("acme", run.run_id)
        assert [placed.entry for placed in journal] == entries
        assert world.runs.snapshot("acme", run.run_id).last_entries[-1] == journal[-1]


class TestEndOfSteps:
    """The end of the steps before `finally`, and which execution runs it."""

    FAILED = StepsEnd(
        outcome=RunStatus.FAILED,
        failed_step="ship",
        reason="executor-error",
        status_reason={"stepId": "ship", "reason": "executor-error"},
    )
    SUCCEEDED = StepsEnd(outcome=RunStatus.SUCCEEDED)

    def test_is_recorded_once_with_the_execution_that_runs_finally(self, world: Ports) -> None:
        snapshot = new_run(world)
        entry = an_entry("run.steps-ended", Event.RUN_STEPS_ENDED)

        first = world.runs.end_steps(snapshot, self.FAILED, [entry], "another")
        second = world.runs.end_steps(snapshot, self.SUCCEEDED, [entry], snapshot.run.execution)

        recorded = replace(snapshot.run, steps_end=self.FAILED, execution="another")
        assert first == second == world.runs.snapshot("acme", snapshot.run.run_id).run == recorded
        assert entry_ids(world, snapshot.run) == ["run.created", "run.steps-ended"]
        listed = world.runs.list("acme", 1, None).items[0]
        assert listed["statusReason"] == self.FAILED.status_reason

    def test_is_recorded_once_if_the_run_was_read_before_and_its_journal_after(
        self, world: Ports
    ) -> None:
        """A query is not a snapshot: another process may end the steps while it reads."""
        snapshot = new_run(world)
        entry = an_entry("run.steps-ended", Event.RUN_STEPS_ENDED)
        first = world.in_another_process().end_steps(snapshot, self.FAILED, [entry], "another")
        world.runs.snapshot("acme", snapshot.run.run_id)

        second = world.runs.end_steps(snapshot, self.SUCCEEDED, [entry], snapshot.run.execution)

        assert first == second
        assert entry_ids(world, snapshot.run) == ["run.created", "run.steps-ended"]

    def test_lets_nothing_start_in_the_steps(self, world: Ports) -> None:
        snapshot = new_run(world)
        entry = an_entry("run.steps-ended", Event.RUN_STEPS_ENDED)
        world.runs.end_steps(snapshot, self.SUCCEEDED, [entry], snapshot.run.execution)

        with pytest.raises(ConflictError) as refused:
            world.runs.append(snapshot, [an_entry("late")], inside=[STEPS])
        world.runs.append(snapshot, [an_entry("final")])

        assert refused.value.code == "block_stopped"
        assert entry_ids(world, snapshot.run)[-1] == "final"

    def test_is_no_success_once_a_failure_has_stopped_the_steps(self, world: Ports) -> None:
        snapshot = new_run(world)
        failure = an_entry("run.steps-failed", Event.RUN_STEPS_FAILED)
        stops = Stops(blocks=(STEPS,), stopped_at=failure.occurred_at, steps_failed=failure)
        world.runs.append(snapshot, [], inside=[STEPS], stops=stops)

        with pytest.raises(ConflictError) as refused:
            world.runs.end_steps(snapshot, self.SUCCEEDED, [an_entry("e")], "another")

        assert refused.value.code == "block_stopped"
        assert world.runs.snapshot("acme", snapshot.run.run_id).run == snapshot.run

    def test_is_refused_in_a_run_that_has_ended(self, world: Ports) -> None:
        snapshot = new_run(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        with pytest.raises(ConflictError) as refused:
            world.runs.end_steps(snapshot, self.FAILED, [an_entry("e")], "another")

        assert refused.value.code == "run_ended"

    def test_of_two_failures_only_the_first_says_why_the_steps_failed(self, world: Ports) -> None:
        snapshot = new_run(world)
        for path in ("ship", "sail"):
            failure = an_entry(f"run.steps-failed-{path}", Event.RUN_STEPS_FAILED)
            stops = Stops(blocks=(STEPS,), stopped_at=failure.occurred_at, steps_failed=failure)
            world.runs.record_step(snapshot, an_outcome(path), [an_entry(path)], stops=stops)

        assert entry_ids(world, snapshot.run)[1:] == ["ship", "run.steps-failed-ship", "sail"]
        assert world.runs.stopped_blocks(snapshot.run).keys() == {STEPS}
        assert set(world.runs.outcomes("acme", snapshot.run.run_id, ["ship", "sail"])) == {
            "ship",
            "sail",
        }

    def test_lets_its_failure_stay_the_reason_when_finally_fails_too(self, world: Ports) -> None:
        snapshot = new_run(world)
        entry = an_entry("run.steps-ended", Event.RUN_STEPS_ENDED)
        world.runs.end_steps(snapshot, self.FAILED, [entry], snapshot.run.execution)
        now = world.runs.snapshot("acme", snapshot.run.run_id)

        world.runs.end(now, RunStatus.FAILED, [ENDED])

        listed = world.runs.list("acme", 1, None).items[0]
        assert listed["statusReason"] == self.FAILED.status_reason


class TestIdempotencyKeys:
    def test_finds_the_run_that_its_creator_created_with_a_key(self, world: Ports) -> None:
        run = new_run(world, a_run(idempotency_key=(key := str(uuid4())))).run

        assert world.runs.keyed("acme", run.created_by, key) == run.run_id
        assert world.runs.keyed("acme", "bob", key) is None
        assert world.runs.keyed("globex", run.created_by, key) is None
        assert world.runs.keyed("acme", run.created_by, key + "2") is None

    def test_a_run_without_a_key_is_not_found_by_any(self, world: Ports) -> None:
        run = new_run(world).run

        assert run.idempotency_key is None
        assert world.runs.keyed("acme", run.created_by, "None") is None

    def test_refuses_a_second_run_with_the_same_key(self, world: Ports) -> None:
        first = new_run(world, a_run(idempotency_key=(key := str(uuid4())))).run
        second = a_run(idempotency_key=key)

        assert not world.runs.create(second, [CREATED])

        assert world.runs.keyed("acme", first.created_by, key) == first.run_id
        with pytest.raises(NotFoundError):
            world.runs.snapshot("acme", second.run_id)

    def test_a_refused_run_leaves_its_key_unused(self, world: Ports) -> None:
        taken = new_run(world).run
        key = str(uuid4())

        assert not world.runs.create(replace(taken, idempotency_key=key), [CREATED])

        assert world.runs.keyed("acme", taken.created_by, key) is None

    def test_a_full_queue_is_not_taken_for_a_used_key(self, world: Ports) -> None:
        new_run(world, a_run(pack_name="full", queue_depth=1))

        with pytest.raises(TooManyRunsError):
            new_run(world, a_run(pack_name="full", queue_depth=1, idempotency_key=str(uuid4())))

    def test_one_of_several_simultaneous_runs_with_a_key_is_created(self, world: Ports) -> None:
        key = str(uuid4())
        runs = [a_run(idempotency_key=key) for _ in range(8)]

        with ThreadPoolExecutor(8) as pool:
            created = list(pool.map(lambda run: world.runs.create(run, [CREATED]), runs))

        assert created.count(True) == 1


class TestQueueDepth:
    """Never more runs of a pack are unfinished than its queue depth."""

    def test_refuses_a_run_until_another_has_ended(self, world: Ports) -> None:
        heads = [new_run(world, a_run(pack_name="narrow", queue_depth=2)) for _ in range(2)]
        with pytest.raises(TooManyRunsError) as caught:
            new_run(world, a_run(pack_name="narrow", queue_depth=2))
        assert caught.value.code == "too_many_runs"

        for _ in range(2):  # ending a run twice ends it once
            world.runs.end(heads[0], RunStatus.SUCCEEDED, [ENDED])

        new_run(world, a_run(pack_name="narrow", queue_depth=2))
        with pytest.raises(TooManyRunsError):
            new_run(world, a_run(pack_name="narrow", queue_depth=2))

    def test_admits_exactly_the_depth_of_simultaneous_runs(self, world: Ports) -> None:
        runs = [a_run(pack_name="crowded", queue_depth=3) for _ in range(12)]

        def is_admitted(run: Run) -> bool:
            try:
                return world.runs.create(run, [CREATED])
            except TooManyRunsError:
                return False

        with ThreadPoolExecutor(12) as pool:
            assert sum(pool.map(is_admitted, runs)) == 3

    def test_does_not_count_a_refused_id(self, world: Ports) -> None:
        run = a_run(pack_name="taken", queue_depth=2)
        new_run(world, run)

        assert world.runs.create(run, [CREATED]) is False
        new_run(world, a_run(pack_name="taken", queue_depth=2))

    def test_does_not_count_other_packs_other_tenants_and_runs_without_a_depth(
        self, world: Ports
    ) -> None:
        new_run(world, a_run(pack_name="own", queue_depth=1))

        new_run(world, a_run(pack_name="other", queue_depth=1))
        new_run(world, a_run(pack_name="own", queue_depth=1, tenant="other"))
        new_run(world, a_run(pack_name="own"))

    def test_reads_the_depth_as_it_was_recorded(self, world: Ports) -> None:
        assert new_run(world, a_run(pack_name="deep", queue_depth=7)).run.queue_depth == 7


class TestHead:
    def test_the_tail_is_the_end_of_the_journal_after_steps_have_ended(self, world: Ports) -> None:
        snapshot = new_run(world)

        world.runs.record_step(snapshot, an_outcome(), [an_entry("ship#1#ended")])

        later = world.runs.snapshot("acme", snapshot.run.run_id)
        assert [placed.entry.id for placed in later.last_entries] == ["run.created", "ship#1#ended"]


class TestOutcomes:
    def test_a_step_that_has_not_ended_has_no_outcome(self, world: Ports) -> None:
        snapshot = new_run(world)

        assert world.runs.outcomes("acme", snapshot.run.run_id, ["ship"]) == {}

    @pytest.mark.parametrize(
        "outputs",
        [None, {}, {"n": 1.5, "deep": [{"a": None}]}, {"text": "ä" * 30_000}, "text", 0, False],
        ids=["none", "empty", "deep", "large", "text", "zero", "false"],
    )
    def test_reads_outputs_as_they_were_recorded(self, world: Ports, outputs: Json) -> None:
        snapshot = new_run(world)
        outcome = an_outcome(outputs=outputs)

        world.runs.record_step(snapshot, outcome, [an_entry("ship#1#ended")])

        outcomes = world.runs.outcomes("acme", snapshot.run.run_id, ["ship", "other"])
        assert outcomes == {"ship": outcome}

    def test_reads_more_outcomes_than_one_request_returns(self, world: Ports) -> None:
        snapshot = new_run(world)
        paths = [f"map[{number}]::leaf" for number in range(101)]
        for path in paths:
            world.runs.record_step(snapshot, an_outcome(path), [])

        assert set(world.runs.outcomes("acme", snapshot.run.run_id, paths)) == set(paths)

    def test_the_next_attempt_replaces_the_outcome(self, world: Ports) -> None:
        snapshot = new_run(world)
        failed = replace(an_outcome(), status=StepStatus.FAILED, final=False)
        world.runs.record_step(snapshot, failed, [an_entry("ship#1#ended")])

        recorded = world.runs.record_step(
            snapshot, an_outcome(attempt=2, outputs=7), [an_entry("ship#2#ended")]
        )

        assert recorded == an_outcome(attempt=2, outputs=7)
        assert world.runs.outcomes("acme", snapshot.run.run_id, ["ship"])["ship"] == recorded
        assert entry_ids(world, snapshot.run) == ["run.created", "ship#1#ended", "ship#2#ended"]

    def test_a_repeated_attempt_gets_the_outcome_of_the_first_call(self, world: Ports) -> None:
        snapshot = new_run(world)
        first = replace(an_outcome(outputs="first"), status=StepStatus.FAILED)
        world.runs.record_step(snapshot, first, [an_entry("ship#1#ended")], [a_value("log")])

        recorded = world.runs.record_step(
            snapshot,
            an_outcome(outputs="second"),
            [an_entry("ship#1#ended", message="other")],
            [a_value("late")],
        )

        assert recorded == first
        assert world.runs.outcomes("acme", snapshot.run.run_id, ["ship"]) == {"ship": first}
        assert entry_ids(world, snapshot.run) == ["run.created", "ship#1#ended"]
        assert [a.name for a in world.artifacts.list("acme", snapshot.run.run_id)] == ["log"]

    def test_a_step_that_ends_after_its_run_was_cancelled_is_only_logged(
        self, world: Ports
    ) -> None:
        snapshot = new_run(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        world.runs.record_step(
            snapshot, an_outcome(), [an_entry("ship#1#ended")], [a_value("late")]
        )

        assert entry_ids(world, snapshot.run) == ["run.created", "run.cancelled", "ship#1#ended"]
        assert world.runs.outcomes("acme", snapshot.run.run_id, ["ship"]) == {}
        assert world.artifacts.list("acme", snapshot.run.run_id) == []

    def test_a_step_that_ends_after_its_run_has_succeeded_counts_without_artifacts(
        self, world: Ports
    ) -> None:
        snapshot = new_run(world)
        world.runs.end(snapshot, RunStatus.SUCCEEDED, [ENDED])

        for outputs in ("first", "second"):
            recorded = world.runs.record_step(
                snapshot, an_outcome(outputs=outputs), [an_entry("ship#1#ended")], [a_value("late")]
            )

        assert recorded == an_outcome(outputs="first")
        assert world.runs.outcomes("acme", snapshot.run.run_id, ["ship"]) == {"ship": recorded}
        assert entry_ids(world, snapshot.run) == ["run.created", ENDED.id, "ship#1#ended"]
        assert world.artifacts.list("acme", snapshot.run.run_id) == []

    def test_records_fifty_files_with_an_outcome(self, world: Ports) -> None:
        snapshot = new_run(world)
        files = [a_value(f"file-{number}") for number in range(50)]

        world.runs.record_step(snapshot, an_outcome(), [an_entry("ship#1#ended")], files)

        assert len(world.artifacts.list("acme", snapshot.run.run_id)) == 50

    def test_a_second_end_adds_no_artifacts(self, world: Ports) -> None:
        """However many there are: the list of artifacts may already be signed."""
        snapshot = new_run(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])
        values = [a_value(f"value-{number}") for number in range(30)]

        outcome = world.runs.end(snapshot, RunStatus.SUCCEEDED, [ENDED], values)

        assert outcome is RunStatus.CANCELLED
        assert world.artifacts.list("acme", snapshot.run.run_id) == []

    def test_ends_a_run_with_many_artifacts(self, world: Ports) -> None:
        snapshot = new_run(world)
        values = [a_value(f"value-{number}") for number in range(30)]

        world.runs.end(snapshot, RunStatus.SUCCEEDED, [ENDED], values)

        assert len(world.artifacts.list("acme", snapshot.run.run_id)) == 30


class TestUsedTime:
    def test_a_new_run_has_used_nothing(self, world: Ports) -> None:
        assert new_run(world).used_s == 0

    def test_adds_up_across_the_chunks_of_the_journal(self, world: Ports) -> None:
        snapshot = new_run(world)
        for number in range(1, 21):
            path = f"step-{number}"
            ended = [an_entry(f"{path}#1#ended")]
            world.runs.record_step(snapshot, an_outcome(path), ended, used_s=0.5)
            # The same old snapshot each time: a writer need not know the end of the journal.
            assert world.runs.snapshot("acme", snapshot.run.run_id).used_s == number / 2

    def test_adds_up_simultaneous_attempts(self, world: Ports) -> None:
        snapshot = new_run(world)

        def end_step(number: int) -> None:
            path = f"map[{number}]::leaf"
            ended = [an_entry(f"{path}#1#ended")]
            world.runs.record_step(snapshot, an_outcome(path), ended, used_s=0.25)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(end_step, range(40)))

        assert world.runs.snapshot("acme", snapshot.run.run_id).used_s == 10

    def test_counts_a_repeated_attempt_once(self, world: Ports) -> None:
        snapshot = new_run(world)

        for _ in range(2):
            world.runs.record_step(snapshot, an_outcome(), [an_entry("ship#1#ended")], used_s=3)

        assert world.runs.snapshot("acme", snapshot.run.run_id).used_s == 3

    def test_other_entries_add_nothing(self, world: Ports) -> None:
        snapshot = new_run(world)
        world.runs.record_step(snapshot, an_outcome(), [an_entry("ship#1#ended")], used_s=3)

        world.runs.append(snapshot, [an_entry(f"e{number}") for number in range(30)])
        world.runs.append(snapshot, [an_entry("last")])

        assert world.runs.snapshot("acme", snapshot.run.run_id).used_s == 3


class TestEnd:
    def test_a_second_end_gets_the_first_outcome(self, world: Ports) -> None:
        snapshot = new_run(world)

        first = world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])
        second = world.runs.end(snapshot, RunStatus.SUCCEEDED, [ENDED], [a_value("late")])

        assert (first, second) == (RunStatus.CANCELLED, RunStatus.CANCELLED)
        assert world.runs.snapshot("acme", snapshot.run.run_id).run.outcome is RunStatus.CANCELLED
        assert entry_ids(world, snapshot.run) == ["run.created", "run.cancelled"]
        assert world.artifacts.list("acme", snapshot.run.run_id) == []

    def test_one_of_several_simultaneous_ends_wins(self, world: Ports) -> None:
        for _ in range(5):
            snapshot = new_run(world)
            ends = [(RunStatus.CANCELLED, CANCELLED), (RunStatus.SUCCEEDED, ENDED)] * 2

            with ThreadPoolExecutor(len(ends)) as pool:
                outcomes = set(
                    pool.map(
                        lambda end, snapshot=snapshot: world.runs.end(snapshot, end[0], [end[1]]),
                        ends,
                    )
                )

            assert outcomes == {world.runs.snapshot("acme", snapshot.run.run_id).run.outcome}
            assert len(entry_ids(world, snapshot.run)) == 2

    def test_stores_a_hundred_and_one_large_values(self, world: Ports) -> None:
        snapshot = new_run(world)
        values = [a_value(f"value-{number}", '"' + "x" * 100_000 + '"') for number in range(101)]

        world.runs.end(snapshot, RunStatus.SUCCEEDED, [ENDED], values)

        names = {a.name for a in world.artifacts.list("acme", snapshot.run.run_id)}
        assert names == {value.name for value in values}


class TestList:
    def test_lists_the_newest_first_page_by_page(self, world: Ports) -> None:
        for day in (3, 1, 2):
            at = f"2025-12-0{day}T00:00:00.000Z"
            new_run(world, a_run(f"day-{day}", tenant="pages", created_at=at))

        first = world.runs.list("pages", 2, None)
        second = world.runs.list("pages", 2, first.cursor)

        assert [item["runId"] for item in first.items] == ["day-3", "day-2"]
        assert [item["runId"] for item in second.items] == ["day-1"]
        assert second.cursor is None

    def test_a_summary_has_the_outcome_and_the_time_of_the_end(self, world: Ports) -> None:
        snapshot = new_run(world, a_run(tenant="summaries"))
        (before,) = world.runs.list("summaries", 10, None).items

        world.runs.end(
            snapshot, RunStatus.SUCCEEDED, [replace(ENDED, occurred_at="2025-12-06T13:00:00.000Z")]
        )

        (after,) = world.runs.list("summaries", 10, None).items
        assert before == {
            "runId": snapshot.run.run_id,
            "pack": {"name": "deploy-app", "version": "1.4.0"},
            "planHash": snapshot.run.plan_hash,
            "createdAt": snapshot.run.created_at,
            "createdBy": "ana",
            "createdByName": "nightly-build",
            "status": "queued",
        }
        assert after == before | {"status": "succeeded", "endedAt": "2025-12-06T13:00:00.000Z"}

    def test_a_summary_says_which_step_failed_the_run_and_why(self, world: Ports) -> None:
        snapshot = new_run(world, a_run(tenant="reasons"))
        failure = Failure(Reason.TIMEOUT, "It took\ntoo long: " + "x" * 500, None)
        report = AttemptReport(1, 1.0, 1.0, 64, ())
        failed = step_entries.step_failed("ship", report, failure, "2025-12-06T13:00:00.000Z")
        end = run_entries.run_failed("step ship failed", "2025-12-06T13:00:00.000Z")

        world.runs.record_step(
            snapshot,
            replace(an_outcome(), status=StepStatus.FAILED),
            [failed],
            stops=Stops(end, failed_step="ship"),
        )

        (listed,) = world.runs.list("reasons", 10, None).items
        assert listed["status"] == "failed"
        assert listed["statusReason"]["stepId"] == "ship"
        assert listed["statusReason"]["reason"] == "timeout"
        assert listed["statusReason"]["message"].startswith("It took too long: xxx")
        assert len(listed["statusReason"]["message"]) == 303

    def test_a_summary_says_how_a_run_ended_that_no_step_failed(self, world: Ports) -> None:
        snapshot = new_run(world, a_run(tenant="timeouts"))
        end = run_entries.run_failed("its execution ended with States.Timeout", ENDED.occurred_at)

        world.runs.end(snapshot, RunStatus.FAILED, [end])

        (listed,) = world.runs.list("timeouts", 10, None).items
        assert listed["statusReason"] == {
            "message": "Run failed: its execution ended with States.Timeout."
        }

    @pytest.mark.parametrize(
        ("name", "who"), [(None, "ana"), ("nightly-build", "nightly-build (ana)")]
    )
    def test_a_summary_says_who_cancelled_the_run(
        self, world: Ports, name: str | None, who: str
    ) -> None:
        tenant = f"cancelled-by-{name or 'ana'}"
        snapshot = new_run(world, a_run(tenant=tenant))
        request = run_entries.cancel_requested("ana", ENDED.occurred_at, name=name)

        world.runs.end(snapshot, RunStatus.CANCELLED, [request, CANCELLED])

        (listed,) = world.runs.list(tenant, 10, None).items
        assert listed["statusReason"] == {"reason": "cancelled", "message": f"Cancelled by {who}."}

    def test_omits_runs_of_another_tenant(self, world: Ports) -> None:
        new_run(world, a_run(tenant="somebody"))

        assert world.runs.list("nobody", 10, None).items == []

    def test_rejects_a_cursor_that_no_list_has_returned(self, world: Ports) -> None:
        with pytest.raises(InvalidRequestError, match="cursor"):
            world.runs.list("acme", 10, "nonsense")


class TestCountUnfinished:
    def test_counts_the_unfinished_runs_of_a_pack_up_to_a_limit(self, world: Ports) -> None:
        heads = [new_run(world, a_run(tenant="queue")) for _ in range(3)]
        new_run(world, a_run(tenant="queue", pack_name="other"))
        new_run(world, a_run(tenant="elsewhere"))

        before = world.runs.count_unfinished("queue", "deploy-app", 10**12)
        bounded = world.runs.count_unfinished("queue", "deploy-app", 2)
        world.runs.end(heads[0], RunStatus.SUCCEEDED, [ENDED])
        after = world.runs.count_unfinished("queue", "deploy-app", 10)

        assert (before, bounded, after) == (3, 2, 2)
