"""The end of an attempt on a worker is recorded once, within limits, and its machine goes on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ConflictError, ForbiddenError, InvalidRequestError, NotFoundError
from taskrunner.model.artifact import ArtifactStatus
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus, StepStatus
from taskrunner.model.worker_reports import FailureReason, Usage
from taskrunner.runtime.attempt_outputs import MAX_OUTPUT_BYTES
from taskrunner.usecases.cancel_run import cancel_run
from tests.fakes.jobs import MemoryJobs
from tests.packs import pack
from tests.unit.usecases.jobs import (
    COUNTED,
    FILE,
    LANES,
    RETRIED,
    SECRET,
    TESTS,
    WITH_A_SECRET,
    WORKER,
    beat,
    entries,
    fail,
    is_left,
    job,
    lease,
    leased,
    recover,
    succeed,
    text,
    upload,
)
from tests.unit.usecases.scenarios import TENANT, a_world, interruptions, result_of, step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskrunner.model.job import Job
    from taskrunner.model.journal import Entry
    from taskrunner.model.run import StepOutcome
    from taskrunner.ports import RunSnapshot
    from tests.fakes.world import MemoryWorld


def outcome(world: MemoryWorld) -> StepOutcome | None:
    return world.runs.outcomes(TENANT, "run-7", ["tests"]).get("tests")


def failure(world: MemoryWorld) -> tuple[str, str]:
    """Return the reason and the message of the one failure."""
    (entry,) = entries(world, Event.STEP_FAILED)
    return entry.metadata["reason"], entry.message


class TestASuccess:
    def test_is_recorded_with_its_outputs_and_the_machine_goes_on(self) -> None:
        world = a_world(TESTS)

        answer = succeed(world, leased(world), outputs={"passed": 312})

        assert answer == {"status": "Succeeded", "attempt": 1}
        recorded = outcome(world)
        assert recorded is not None
        assert (recorded.status, recorded.outputs) == (StepStatus.SUCCEEDED, {"passed": 312})
        assert world.jobs.answers == [("token-1", None)]
        assert not is_left(world)

    def test_is_recorded_with_the_usage_but_no_more_time_than_the_lease_has(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        world.clock.advance(12)

        succeed(world, work, usage=Usage(wall_s=9000, cpu_s=7.5, memory_mib=120.4))

        (ended,) = entries(world, Event.STEP_COMPLETED)
        assert (ended.metadata["duration"], ended.metadata["cpu"], ended.metadata["memory"]) == (
            "12.000s",
            "7.500s",
            "120MiB",
        )

    def test_is_recorded_after_the_last_output(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        beat(world, work, text(1, "one\n"))

        succeed(world, work, output=(text(1, "one\n"), text(2, "two\n")))

        journal = [placed.entry for placed in world.runs.journal(TENANT, "run-7")][-3:]
        assert [entry.id for entry in journal] == [
            "tests#1#output#1#1",
            "tests#1#output#1#2",
            "tests#1#ended",
        ]

    def test_counts_after_the_lease_has_expired_while_nobody_has_the_job(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        world.clock.advance(3000)

        assert succeed(world, work)["status"] == "Succeeded"

    def test_without_secrets_has_none(self) -> None:
        world = a_world(WITH_A_SECRET)
        world.secrets.stored[TENANT, "token"] = SECRET

        succeed(world, leased(world), outputs={"log": f"used {SECRET}", SECRET: [SECRET]})

        recorded = outcome(world)
        assert recorded is not None
        assert SECRET not in repr(recorded.outputs)
        assert recorded.outputs["log"] == "used ***"

    def test_fails_when_its_secrets_cannot_be_read_any_more(self) -> None:
        world = a_world(WITH_A_SECRET)
        world.secrets.stored[TENANT, "token"] = SECRET
        work = leased(world)
        world.secrets.stored.clear()

        assert succeed(world, work, outputs={"n": SECRET})["status"] == "Failed"
        assert failure(world) == ("executor-error", "there is no secret 'token'")

    def test_fails_with_outputs_that_are_too_large(self) -> None:
        world = a_world(TESTS)

        answer = succeed(world, leased(world), outputs={"text": "x" * (MAX_OUTPUT_BYTES + 1)})

        assert answer == {"status": "Failed", "attempt": 1}
        reason, message = failure(world)
        assert reason == "executor-error"
        assert "outputs" in message


class TestAFailure:
    @pytest.mark.parametrize(
        ("reported", "recorded"),
        [
            (FailureReason.EXECUTOR_ERROR, "executor-error"),
            (FailureReason.TIMEOUT, "timeout"),
            (FailureReason.MEMORY_EXCEEDED, "memory-exceeded"),
        ],
    )
    def test_is_recorded_with_its_reason(self, reported: FailureReason, recorded: str) -> None:
        world = a_world(TESTS)

        answer = fail(world, leased(world), reported, message="exit status 2")

        assert answer == {"status": "Failed", "attempt": 1}
        assert failure(world) == (recorded, "exit status 2")
        assert world.jobs.answers == [("token-1", "StepFailedError")]
        assert world.runs.snapshot(TENANT, "run-7").run.outcome is RunStatus.FAILED
        assert not is_left(world)

    def test_that_is_not_the_last_lets_the_machine_try_again(self) -> None:
        world = a_world(RETRIED)

        fail(world, leased(world))

        assert world.jobs.answers == [("token-1", "AttemptFailedError")]
        (entry,) = entries(world, Event.STEP_FAILED)
        assert entry.metadata["nextAttemptAt"] == "2025-12-06T12:00:30.000Z"
        assert world.runs.snapshot(TENANT, "run-7").run.outcome is None

    def test_has_no_secret_in_its_message(self) -> None:
        world = a_world(WITH_A_SECRET)
        world.secrets.stored[TENANT, "token"] = SECRET

        fail(world, leased(world), message=f"cannot log in with {SECRET}")

        assert failure(world)[1] == "cannot log in with ***"


class TestAStoppedAttempt:
    def test_of_a_cancelled_run_changes_nothing_but_the_log(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        cancel_run(TENANT, "run-7", "ana", world)

        answers = [fail(world, work, FailureReason.STOPPED) for _ in range(2)]

        assert answers == [{"status": "Skipped", "attempt": 1}] * 2
        assert outcome(world) is None
        assert not is_left(world)

    def test_in_a_stopped_block_has_failed_with_its_block(self) -> None:
        world = a_world(LANES)
        work = leased(world)
        result_of(lambda: step(world, "broken"))

        fail(world, work, FailureReason.STOPPED)

        (_, ended) = entries(world, Event.STEP_FAILED)
        assert ended.metadata["reason"] == "run-failed"
        assert ended.message == "stopped, because another step has failed"
        assert not is_left(world)

    def test_beyond_its_time_has_failed_with_a_timeout(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        world.clock.advance(3600)

        fail(world, work, FailureReason.STOPPED)

        assert failure(world)[0] == "timeout"


@dataclass
class SlowJobs(MemoryJobs):
    """Jobs of which something happens *meanwhile*, before one is given back."""

    meanwhile: list[Callable[[], object]] = field(default_factory=list)

    def give_back(self, snapshot: RunSnapshot, job: Job, entries: Sequence[Entry]) -> bool:
        while self.meanwhile:
            self.meanwhile.pop()()
        return super().give_back(snapshot, job, entries)


class TestAJobThatIsGivenBack:
    def test_waits_for_another_worker_at_once(self) -> None:
        world = a_world(TESTS)
        work = leased(world)

        answer = fail(world, work, FailureReason.STOPPED, output=(text(1, "half\n"),))

        assert answer == {"status": "Pending", "attempt": 1}
        assert job(world).losses == 1
        assert lease(world)["attempt"] == 1
        (lost,) = entries(world, Event.STEP_WORKER_LOST)
        assert lost.message == (
            "The worker build-7 was stopped, and gave the job back. "
            "Waiting for another worker of the pool linux: tests"
        )
        assert [entry.message for entry in entries(world, Event.STEP_OUTPUT)] == ["half\n"]

    def test_is_not_given_back_again_by_a_repeated_report(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        fail(world, work, FailureReason.STOPPED)

        with pytest.raises(ConflictError) as refused:
            fail(world, work, FailureReason.STOPPED)

        assert refused.value.code == "lease_lost"
        assert job(world).losses == 1

    def test_is_not_taken_from_the_worker_that_has_it_by_a_late_report(self) -> None:
        world = a_world(TESTS)
        first = leased(world)
        recover(world, after_s=46)
        second = lease(world)

        with pytest.raises(ConflictError) as refused:
            fail(world, first, FailureReason.STOPPED)

        assert refused.value.code == "lease_lost"
        assert beat(world, second)["action"] == "continue"
        assert succeed(world, second)["status"] == "Succeeded"

    def test_stays_ended_whatever_its_worker_reports_later(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        succeed(world, work)

        assert fail(world, work, FailureReason.STOPPED) == {"status": "Succeeded", "attempt": 1}
        assert entries(world, Event.STEP_WORKER_LOST) == []

    def test_is_given_back_though_a_heartbeat_arrives_meanwhile(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        world.clock.advance(5)
        jobs = world.jobs = SlowJobs(world.runs, world.jobs.stored)
        jobs.meanwhile.append(lambda: beat(world, work))

        answer = fail(world, work, FailureReason.STOPPED)

        assert answer == {"status": "Pending", "attempt": 1}
        assert job(world).lease is None

    def test_has_failed_if_the_pack_counts_losses(self) -> None:
        world = a_world(COUNTED)
        work = leased(world)

        answer = fail(world, work, FailureReason.STOPPED, output=(text(1, "half\n"),))

        assert answer == {"status": "Failed", "attempt": 1}
        assert fail(world, work, FailureReason.STOPPED) == answer
        assert failure(world) == (
            "worker-lost",
            "its worker build-7 was stopped, and gave the job back",
        )
        assert [entry.message for entry in entries(world, Event.STEP_OUTPUT)] == ["half\n"]

    def test_is_offered_once_whatever_fails(self) -> None:
        works: list[Any] = []

        def running() -> MemoryWorld:
            world = a_world(TESTS)
            works[:] = [leased(world)]
            return world

        ways = 0
        for interrupted in interruptions(running):
            world = interrupted(lambda failing: fail(failing, works[0], FailureReason.STOPPED))
            if world is None:
                continue
            ways += 1
            result_of(partial(fail, world, works[0], FailureReason.STOPPED))

            assert len(entries(world, Event.STEP_WORKER_LOST)) == 1
            assert lease(world)["attempt"] == 1
        assert ways > 3


class TestASecondReport:
    def test_of_the_same_lease_changes_nothing_and_gets_the_same_answer(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        first = succeed(world, work, outputs={"n": 1})

        again = fail(world, work, message="another end", output=(text(1, "late\n"),))

        assert again == first
        assert entries(world, Event.STEP_FAILED) == entries(world, Event.STEP_OUTPUT) == []
        assert world.jobs.answers == [("token-1", None)]

    def test_of_a_worker_that_lost_the_job_is_refused(self) -> None:
        world = a_world(TESTS)
        first = leased(world)
        recover(world, after_s=46)
        second = lease(world)

        with pytest.raises(ConflictError) as refused:
            succeed(world, first, outputs={"by": "first"})
        succeed(world, second, outputs={"by": "second"})

        assert refused.value.code == "lease_lost"
        recorded = outcome(world)
        assert recorded is not None
        assert recorded.outputs == {"by": "second"}

    def test_of_an_earlier_attempt_is_refused(self) -> None:
        world = a_world(RETRIED)
        first = leased(world)
        fail(world, first)
        leased(world)

        with pytest.raises(ConflictError):
            succeed(world, first)

    def test_of_a_cancelled_run_gets_the_same_answer(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        cancel_run(TENANT, "run-7", "ana", world)

        assert succeed(world, work) == succeed(world, work) == {"status": "Skipped", "attempt": 1}
        assert outcome(world) is None


class TestTheCaller:
    @pytest.mark.parametrize(
        ("caller", "error"),
        [
            (replace(WORKER, tenants=("umbrella",)), NotFoundError),
            (replace(WORKER, subject="other-workers"), ConflictError),
            (replace(WORKER, pools=frozenset({"mac"})), ForbiddenError),
            (replace(WORKER, scopes=frozenset({"admin"})), ForbiddenError),
        ],
    )
    def test_is_the_worker_that_has_the_lease(self, caller: Any, error: Any) -> None:  # noqa: ANN401
        world = a_world(TESTS)
        work = leased(world)

        with pytest.raises(error):
            succeed(world, work, caller=caller)

        assert outcome(world) is None

    def test_learns_that_retention_has_deleted_the_run(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        world.plans.texts.clear()

        with pytest.raises(NotFoundError):
            succeed(world, work)


class TestFiles:
    def test_that_were_uploaded_are_artifacts(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        upload(world, work)

        succeed(world, work, files=(FILE,))

        (artifact,) = world.artifacts.list(TENANT, "run-7")
        assert (artifact.status, artifact.step_path) == (ArtifactStatus.CAPTURED, "tests")
        assert artifact.source_path == "/output/reports/junit.xml"
        assert (artifact.size_bytes, artifact.sha256) == (FILE.size_bytes, FILE.sha256)

    @pytest.mark.parametrize("content", [None, b"another"])
    def test_that_were_not_uploaded_refuse_the_report(self, content: bytes | None) -> None:
        world = a_world(TESTS)
        work = leased(world)
        if content is not None:
            upload(world, work, content)

        with pytest.raises(InvalidRequestError) as refused:
            succeed(world, work, files=(FILE,))

        assert refused.value.code == "not_uploaded"
        assert outcome(world) is None
        assert beat(world, work)["action"] == "continue"

    def test_of_a_cancelled_run_do_not_count(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        cancel_run(TENANT, "run-7", "ana", world)

        assert result_of(lambda: upload(world, work)) == "ConflictError run_ended"
        succeed(world, work, files=(FILE,))

        assert list(world.artifacts.list(TENANT, "run-7")) == []

    def test_of_a_lost_attempt_are_not_taken(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        succeed(world, work)

        assert result_of(lambda: upload(world, work)) == "ConflictError lease_lost"


def test_an_end_is_recorded_once_whatever_fails() -> None:
    works: list[Any] = []
    manifest = pack(
        """
        - id: tests
          run: {uses: worker:linux, with: {script: make, env: {TOKEN: "{{ secrets.token }}"}}}
        """,
        spec="secrets: [{name: token}]",
    )

    def running() -> MemoryWorld:
        world = a_world(manifest)
        world.secrets.stored[TENANT, "token"] = SECRET
        works[:] = [leased(world)]
        upload(world, works[0])
        return world

    report = {"outputs": {"n": 1}, "files": (FILE,), "output": (text(1, "one\n"),)}
    ways = 0
    for interrupted in interruptions(running):
        world = interrupted(lambda failing: succeed(failing, works[0], **report))
        if world is None:
            continue
        ways += 1
        assert succeed(world, works[0], **report) == {"status": "Succeeded", "attempt": 1}

        assert len(entries(world, Event.STEP_OUTPUT)) == 1
        assert len(entries(world, Event.STEP_COMPLETED)) == 1
        assert world.jobs.answers[-1] == ("token-1", None)
        assert not is_left(world)
    assert ways > 10
