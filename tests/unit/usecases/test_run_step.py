from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import (
    AttemptFailedError,
    ConflictError,
    NotFoundError,
    StepFailedError,
    TryAgainError,
)
from taskrunner.executors.function import idempotency_key
from taskrunner.model.canonical_json import size_bytes
from taskrunner.model.entries import step_entries
from taskrunner.model.journal import Event, Level
from taskrunner.model.run import Reason, StepOutcome, StepReference, StepStatus
from taskrunner.runtime.attempt_outputs import MAX_OUTPUT_BYTES
from taskrunner.sandbox.attempt import AttemptResult, Usage
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.read_run import run_log
from taskrunner.usecases.read_state import run_state
from taskrunner.usecases.run_step import run_step
from taskrunner.usecases.settle_run import settle_run
from tests.fakes.failing_world import CrashError
from tests.fakes.sandbox import ThreadSandbox
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    ANA,
    GATED,
    NOON,
    PLAIN,
    TENANT,
    a_request,
    a_world,
    entry_ids,
    interruptions,
    last_of_a_step,
    result_of,
    step,
    stored_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskrunner.executors.work import Services
    from taskrunner.model.journal import Entry
    from taskrunner.ports import World
    from taskrunner.sandbox.attempt import AttemptRequest, Limits

FLAKY = pack(
    """
    - id: flaky
      run: {uses: builtin:fail, with: {message: not yet, attempts: 1}}
      retries: {maxAttempts: 2, backoffSeconds: 60}
    """
)
TWO_BUILDS = pack(
    """
    - id: lanes
      parallel:
        steps:
          - {id: first, run: {uses: builtin:build, with: {files: {a.txt: FIRST}}}}
          - {id: late, run: {uses: builtin:build, with: {files: {a.txt: late}}}}
          - {id: bad, run: {uses: builtin:fail}}
    """
)
BUILD = pack("- {id: build, run: {uses: builtin:build, with: {files: {a.txt: hello}}}}")


def entries(world: MemoryWorld) -> list[Entry]:
    return [placed.entry for placed in world.runs.journal(TENANT, "run-7")]


def showing(text: str) -> str:
    """A pack whose output is the output of its step, which returns *text*."""
    return pack(
        f"- {{id: ship, run: {{uses: 'builtin:noop', with: {{text: '{text}'}}}}}}",
        spec="""
        secrets: [{name: token}]
        outputs: [{name: all, type: object, expression: "{{ steps.ship.outputs }}"}]
        """,
    )


class Afterwards(ThreadSandbox):
    """A sandbox that changes something after an attempt."""

    def __init__(self, change: Callable[[AttemptResult, AttemptRequest], AttemptResult]) -> None:
        super().__init__()
        self._change = change

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        return self._change(super().execute(request, services), request)


class EndsTheRun(ThreadSandbox):
    """A sandbox in which the run ends while the executor is at work."""

    def __init__(self, world: MemoryWorld, end: Callable[[MemoryWorld], None]) -> None:
        super().__init__()
        self._world = world
        self._end = end

    def execute(self, job: AttemptRequest, services: Services) -> AttemptResult:
        self._end(self._world)
        return super().execute(job, services)


def cancelled(world: MemoryWorld) -> None:
    cancel_run(TENANT, "run-7", "ana", world)


def failed(world: MemoryWorld) -> None:
    world.sandbox = ThreadSandbox()
    result_of(lambda: step(world, "bad"))


def failed_and_settled(world: MemoryWorld) -> None:
    failed(world)
    settle_run(TENANT, "run-7", "StepFailedError", world)


def uses(executor: str, parameters: str = "{}", more: str = "") -> str:
    return pack(f"- {{id: ship, run: {{uses: '{executor}', with: {parameters}}}{more}}}")


class PreparedAt(ThreadSandbox):
    """A sandbox that notes how many ends of attempts are recorded when it is asked to prepare."""

    def __init__(self, world: MemoryWorld) -> None:
        super().__init__()
        self._world = world
        self.ends: list[int] = []

    def prepare(self) -> None:
        self.ends.append(sum(entry.id.endswith("#ended") for entry in entries(self._world)))


class TestAttempt:
    def test_prepares_the_sandbox_before_it_reads_and_for_the_next_attempt(self) -> None:
        """While the end is recorded, another process would slow that down."""
        world = a_world(BUILD)
        world.sandbox = sandbox = PreparedAt(world)

        step(world, "build")

        assert sandbox.ends == [0, 1]

    def test_is_recorded_for_as_long_as_the_function_has_time(self) -> None:
        """An end that cannot be recorded would lose the attempt."""
        world = a_world(BUILD)
        record, patience = world.runs.record_step, list[float]()

        def recording(*args: Any, **kwargs: Any) -> StepOutcome:  # noqa: ANN401
            patience.append(kwargs["patience_s"])
            return record(*args, **kwargs)

        world.runs.record_step = recording  # type: ignore[method-assign]
        world.sandbox = EndsTheRun(world, lambda world: world.clock.advance(40))

        step(world, "build", remaining_s=600)

        assert patience == [555]

    def test_gives_a_function_an_idempotency_key_of_this_run_alone(self) -> None:
        """Retention frees a run id. The recorded time of creation distinguishes the runs."""
        keys = []
        for days in (0, 400):
            world = MemoryWorld()
            world.clock.advance(days * 86400)
            create_run(a_request(uses("lambda:window")), world)
            world.functions.functions["window"] = lambda _: None
            step(world, "ship")
            (_, payload) = world.functions.calls[0]
            keys.append(payload["idempotencyKey"])

        assert keys[0] == idempotency_key(TENANT, "run-7", NOON, "ship")
        assert keys[0] != keys[1]

    def test_is_recorded_when_it_starts_and_when_it_has_ended(self) -> None:
        world = a_world()

        answer = step(world, "ship")

        assert answer == {"status": "Succeeded", "attempt": 1}
        _, started_run, started, ended = entries(world)
        assert (started_run.event, started_run.occurred_at) == (Event.RUN_STARTED, NOON)
        assert (started.event, started.step_path) == (Event.STEP_STARTED, "ship")
        assert started.metadata == {"attempt": "1", "uses": "builtin:noop"}
        assert (ended.event, ended.step_path) == (Event.STEP_COMPLETED, "ship")
        assert ended.metadata == {
            "attempt": "1",
            "duration": "0.000s",
            "cpu": "0.000s",
            "memory": "0MiB",
        }

    def test_keeps_its_outputs_for_later_steps(self) -> None:
        world = a_world(GATED)

        step(world, "build")

        (outcome,) = world.runs.outcomes(TENANT, "run-7", ["build"]).values()
        assert (outcome.status, outcome.outputs) == (StepStatus.SUCCEEDED, {"size": 3})

    def test_fills_its_parameters_with_outputs_of_an_earlier_step(self) -> None:
        world = a_world(GATED)
        step(world, "build")

        step(world, "ship")

        assert world.runs.outcomes(TENANT, "run-7", ["ship"])["ship"].outputs == {"size": 3}

    def test_starts_the_run_only_if_it_is_the_first(self) -> None:
        world = a_world(GATED)

        step(world, "build")
        step(world, "ship")

        assert entry_ids(world).count("run.started") == 1

    def test_starts_a_run_whose_creation_fills_more_than_a_chunk(self) -> None:
        skipped = "\n".join(
            f"- {{id: s{number}, when: 'inputs.go', run: {{uses: 'builtin:noop'}}}}"
            for number in range(20)
        )
        manifest = pack(
            f"- {{id: ship, run: {{uses: 'builtin:noop'}}}}\n{skipped}",
            spec="inputs: [{name: go, type: boolean, default: false}]",
        )
        world = a_world(manifest)

        step(world, "ship")

        assert entry_ids(world)[-3:] == ["run.started", "ship#1#started", "ship#1#ended"]

    def test_captures_the_files_that_it_wrote_and_logs_their_names(self) -> None:
        world = a_world(BUILD)

        step(world, "build")

        (artifact,) = world.artifacts.list(TENANT, "run-7")
        assert (artifact.name, artifact.source_path) == ("bundle", "/output/bundle.zip")
        assert last_of_a_step(world).metadata["artifacts"] == "bundle"

    def test_captures_nothing_if_its_process_may_still_be_ending(self) -> None:
        world = a_world(BUILD)
        world.sandbox = Afterwards(lambda result, _: replace(result, may_have_files=False))

        step(world, "build")

        assert world.artifacts.list(TENANT, "run-7") == []

    def test_may_remove_its_output(self) -> None:
        def without_output(result: AttemptResult, request: AttemptRequest) -> AttemptResult:
            shutil.rmtree(request.output)
            return result

        world = a_world(BUILD)
        world.sandbox = Afterwards(without_output)

        assert step(world, "build") == {"status": "Succeeded", "attempt": 1}

        assert world.artifacts.list(TENANT, "run-7") == []

    @pytest.mark.parametrize("end", [cancelled, failed_and_settled])
    def test_captures_nothing_once_its_run_takes_no_artifacts(
        self, end: Callable[[MemoryWorld], None]
    ) -> None:
        world = a_world(TWO_BUILDS)
        step(world, "first")
        (bundle,) = world.artifacts.list(TENANT, "run-7")
        content = world.artifacts.files[TENANT, bundle.stored_path or ""]
        world.sandbox = EndsTheRun(world, end)

        step(world, "late")

        assert bundle in world.artifacts.list(TENANT, "run-7")
        assert world.artifacts.files[TENANT, bundle.stored_path or ""] == content
        assert "artifacts" not in last_of_a_step(world).metadata
        assert last_of_a_step(world).step_path == "late"

    def test_that_runs_when_its_run_fails_is_recorded_with_its_artifacts(self) -> None:
        world = a_world(TWO_BUILDS)
        world.sandbox = EndsTheRun(world, failed)

        assert step(world, "late") == {"status": "Succeeded", "attempt": 1}

        assert entry_ids(world)[-3:] == ["bad#1#ended", "run.ended", "late#1#ended"]
        assert world.runs.outcomes(TENANT, "run-7", ["late"])["late"].outputs is not None
        assert [artifact.name for artifact in world.artifacts.list(TENANT, "run-7")] == ["bundle"]

    @pytest.mark.parametrize(
        ("end", "status"),
        [(failed, "Running"), (cancelled, "Skipped")],
        ids=["failed", "cancelled"],
    )
    def test_that_ends_after_its_run_adds_its_end_alone_to_what_a_follower_has_read(
        self, end: Callable[[MemoryWorld], None], status: str
    ) -> None:
        world = a_world(TWO_BUILDS)
        read: list[Any] = []

        def end_and_read(ending: MemoryWorld) -> None:
            end(ending)
            states = run_state(TENANT, "run-7", ending)["steps"]
            read.append(next(step["status"] for step in states if step["stepId"] == "late"))
            read.append(run_log(TENANT, "run-7", None, None, ending))

        world.sandbox = EndsTheRun(world, end_and_read)
        step(world, "late")

        shown, log = read
        assert shown == status
        last = json.loads(log.text.splitlines()[-1])["eventType"]
        assert last == ("run.failed" if end is failed else "run.cancelled")
        (line,) = run_log(TENANT, "run-7", log.cursor, None, world).text.splitlines()
        late = json.loads(line)
        assert (late["eventType"], late["stepId"]) == ("step.completed", "late")

    def test_of_an_iteration_has_outcomes_and_entries_of_its_own(self) -> None:
        steps = "- {id: ship, run: {uses: builtin:noop}}"
        world = a_world(
            pack(f"- id: outer\n  map: {{items: {{static: [a, b]}}, steps: [{steps[2:]}]}}")
        )

        run_step(StepReference(TENANT, "run-7", "ship", "outer[1]::"), world, remaining_s=900)

        assert entry_ids(world)[-1] == "outer[1]::ship#1#ended"
        assert list(world.runs.outcomes(TENANT, "run-7", ["outer[1]::ship", "ship"])) == [
            "outer[1]::ship"
        ]


class TestFailure:
    def test_is_recorded_with_its_reason_and_raised_to_the_machine(self) -> None:
        world = a_world(uses("builtin:fail", "{message: no luck}"))

        with pytest.raises(StepFailedError, match="step ship failed"):
            step(world, "ship")

        ended = last_of_a_step(world)
        assert (ended.event, ended.level, ended.message) == (
            Event.STEP_FAILED,
            Level.ERROR,
            "no luck",
        )
        assert ended.metadata["reason"] == "executor-error"
        assert "nextAttemptAt" not in ended.metadata

    def test_records_when_the_next_attempt_begins(self) -> None:
        world = a_world(FLAKY)

        with pytest.raises(AttemptFailedError):
            step(world, "flaky")

        ended = last_of_a_step(world)
        assert (ended.level, ended.metadata["nextAttemptAt"]) == (
            Level.WARN,
            "2025-12-06T12:01:00.000Z",
        )

    def test_is_followed_by_the_next_attempt(self) -> None:
        world = a_world(FLAKY)
        result_of(lambda: step(world, "flaky"))

        assert step(world, "flaky") == {"status": "Succeeded", "attempt": 2}

        assert entry_ids(world)[2:] == [
            "flaky#1#started",
            "flaky#1#ended",
            "flaky#2#started",
            "flaky#2#ended",
        ]

    def test_is_final_when_the_pack_does_not_try_its_reason_again(self) -> None:
        world = a_world(uses("builtin:fail", more=", retries: {maxAttempts: 3, on: [timeout]}"))

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert "nextAttemptAt" not in last_of_a_step(world).metadata

    def test_is_raised_with_its_reason_for_readers_of_the_machines_history(self) -> None:
        more = (
            ", retries: {maxAttempts: 3, backoffSeconds: 10, backoffRate: 6, on: [executor-error]}"
        )
        world = a_world(uses("builtin:fail", more=more))

        for pause in ("12:00:10.000Z", "12:01:00.000Z"):
            with pytest.raises(AttemptFailedError, match=r"ship failed \(executor-error\)"):
                step(world, "ship")
            assert last_of_a_step(world).metadata["nextAttemptAt"] == f"2025-12-06T{pause}"
        with pytest.raises(StepFailedError):
            step(world, "ship")

    def test_of_an_attempt_that_runs_too_long_is_a_timeout(self) -> None:
        world = a_world(uses("builtin:sleep", "{seconds: 60}"))

        with pytest.raises(StepFailedError):
            step(world, "ship", remaining_s=30.05)

        assert last_of_a_step(world).metadata["reason"] == "timeout"
        assert last_of_a_step(world).message == "not done after 0.05 seconds"

    def test_of_an_attempt_that_has_no_time_is_a_timeout(self) -> None:
        world = a_world(uses("builtin:sleep", "{seconds: 60}"))

        with pytest.raises(StepFailedError):
            step(world, "ship", remaining_s=5)

        ended = last_of_a_step(world)
        assert ended.metadata["reason"] == "timeout"
        assert ended.message == "the function had no time left to execute it"
        assert world.sandbox.requests == []

    def test_is_recorded_for_outputs_beyond_the_limit(self) -> None:
        text = "x" * (MAX_OUTPUT_BYTES - len('{"text":""}') + 1)
        world = a_world(uses("builtin:noop", f"{{text: {text}}}"))

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert last_of_a_step(world).message == (
            f"the outputs have {MAX_OUTPUT_BYTES + 1} bytes, at most {MAX_OUTPUT_BYTES}; "
            "write an artifact"
        )

    def test_is_not_recorded_for_outputs_at_the_limit(self) -> None:
        text = "x" * (MAX_OUTPUT_BYTES - len('{"text":""}'))
        world = a_world(uses("builtin:noop", f"{{text: {text}}}"))

        step(world, "ship")

        outcome = world.runs.outcomes(TENANT, "run-7", ["ship"])["ship"]
        assert size_bytes(outcome.outputs) == MAX_OUTPUT_BYTES

    def test_is_not_recorded_for_many_short_outputs_below_the_limit(self) -> None:
        # 44 KB, which Python's own spaces would turn into 66 KB.
        world = a_world(uses("builtin:noop", f"{{list: {[1] * 22_000}}}"))

        step(world, "ship")

        assert entries(world)[-1].event is Event.STEP_COMPLETED

    @pytest.mark.parametrize("secrets", ["", "{{ secrets.token }}"])
    def test_is_recorded_for_outputs_that_are_nested_too_deeply(self, secrets: str) -> None:
        world = a_world(showing(secrets))
        world.secrets.stored[TENANT, "token"] = "correct horse battery"
        outputs: Any = {}
        for _ in range(600):
            outputs = {"in": outputs}
        world.sandbox = ThreadSandbox(result=AttemptResult(outputs=outputs))

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert last_of_a_step(world).message == (
            "the outputs cannot be kept: it is nested deeper than 200 levels"
        )
        assert settle_run(TENANT, "run-7", "StepFailedError", world)["status"] == "failed"

    def test_is_recorded_for_large_outputs_before_they_are_searched_for_secrets(self) -> None:
        """Searching large outputs could take longer than a step has."""
        world = a_world(showing("{{ secrets.token }}"))
        world.secrets.stored[TENANT, "token"] = "correct horse battery"
        outputs = "correct horse battery" * 10_000  # a search would replace it by `***`
        world.sandbox = ThreadSandbox(result=AttemptResult(outputs=outputs))

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert last_of_a_step(world).message.startswith("the outputs have 210002 bytes")

    def test_names_the_parameter_whose_value_is_invalid(self) -> None:
        manifest = pack(
            """
            - {id: first, run: {uses: builtin:noop, with: {seconds: soon}}}
            - id: ship
              run: {uses: builtin:sleep, with: {seconds: "{{ steps.first.outputs.seconds }}"}}
            """
        )
        world = a_world(manifest)
        step(world, "first")

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert last_of_a_step(world).message.startswith("$.with.seconds: ")

    def test_is_recorded_for_an_expression_that_cannot_be_evaluated(self) -> None:
        manifest = pack(
            """
            - {id: first, run: {uses: builtin:noop, with: {text: words}}}
            - id: ship
              run: {uses: builtin:noop, with: {sum: "{{ sum(steps.first.outputs.text) }}"}}
            """
        )
        world = a_world(manifest)
        step(world, "first")

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert last_of_a_step(world).metadata["reason"] == "executor-error"
        assert "sum" in last_of_a_step(world).message

    def test_is_recorded_for_an_executor_that_does_not_exist(self) -> None:
        world = a_world()
        ((key, text),) = world.plans.texts.items()
        world.plans.texts[key] = text.replace("builtin:noop", "builtin:gone")

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert last_of_a_step(world).message == "there is no executor builtin:gone in this release"

    def test_has_its_message_cut_when_it_is_long(self) -> None:
        world = a_world(uses("builtin:fail", f"{{message: {'x' * 1500}}}"))

        result_of(lambda: step(world, "ship"))

        assert len(last_of_a_step(world).message) == 1000


def refusing(*errors: BaseException) -> MemoryWorld:
    """A world in which BUILD's service raises each of *errors* once, and then works."""
    world = a_world(BUILD)
    bundles = world.releases.bundles(TENANT)
    put, pending = bundles.put, list(errors)

    def failing(file: Path) -> Any:  # noqa: ANN401
        if pending:
            raise pending.pop(0)
        return put(file)

    bundles.put = failing  # type: ignore[method-assign]
    return world


class TestRefusedAttempt:
    """AWS refused something before the executor had an effect."""

    def test_is_deferred_and_made_again_under_its_number(self) -> None:
        world = refusing(TryAgainError("AWS is busy"), TryAgainError("AWS is still busy"))
        for _ in range(2):
            with pytest.raises(TryAgainError):
                step(world, "build")

        assert step(world, "build") == {"status": "Succeeded", "attempt": 1}

        assert entry_ids(world)[2:] == [
            "build#1#started",
            "build#1#deferred",
            "build#1#started#2",
            "build#1#deferred#2",
            "build#1#started#3",
            "build#1#ended",
        ]
        deferred = entries(world)[3]
        assert (deferred.event, deferred.message) == (
            Event.STEP_DEFERRED,
            "Attempt deferred: build. AWS is busy",
        )

    def test_is_deferred_when_its_secrets_cannot_be_read_now(self) -> None:
        world = a_world(showing("{{ secrets.token }}"))
        read = world.secrets.values

        def busy(*_: object) -> Any:  # noqa: ANN401
            world.secrets.values = read  # type: ignore[method-assign]
            raise TryAgainError("AWS could not read the secret now")

        world.secrets.values = busy  # type: ignore[method-assign, assignment]
        world.secrets.stored[TENANT, "token"] = "correct horse battery"
        with pytest.raises(TryAgainError):
            step(world, "ship")

        assert step(world, "ship") == {"status": "Succeeded", "attempt": 1}

    def test_shows_no_secret_in_the_log(self) -> None:
        world = a_world(
            uses("lambda:it", "{token: '{{ secrets.token }}'}").replace(
                "spec:", "spec:\n  secrets: [{name: token}]", 1
            )
        )
        world.secrets.stored[TENANT, "token"] = "correct horse battery"

        def busy(_: object) -> Any:  # noqa: ANN401
            raise TryAgainError("busy with correct horse battery")

        world.functions.functions["it"] = busy
        with pytest.raises(TryAgainError, match=r"busy with \*\*\*"):
            step(world, "ship")

        assert entries(world)[-1].message == "Attempt deferred: ship. busy with ***"


class TestLostAttempt:
    """The function ended before the attempt did, so nobody knows what the attempt has done."""

    def lost(self, manifest: str) -> MemoryWorld:
        """A world in which the function of the first attempt of `ship` has died."""
        world = a_world(manifest)

        def dying(*_: object) -> Any:  # noqa: ANN401
            raise CrashError

        execute = world.sandbox.execute
        world.sandbox.execute = dying  # type: ignore[method-assign, assignment]
        with pytest.raises(CrashError):
            step(world, "ship", is_retry=False)
        world.sandbox.execute = execute  # type: ignore[method-assign]
        return world

    def test_is_recorded_as_failed_and_never_executed_again(self) -> None:
        world = self.lost(PLAIN)

        for _ in range(2):
            with pytest.raises(StepFailedError):
                step(world, "ship")

        assert world.sandbox.requests == []
        assert entry_ids(world)[2:] == ["ship#1#started", "ship#1#ended", "run.ended"]
        ended = entries(world)[-2]
        assert (ended.event, ended.level) == (Event.STEP_FAILED, Level.ERROR)
        assert ended.message == (
            "the function ended before the attempt did, so nobody knows what the attempt has done"
        )
        assert ended.metadata == {"attempt": "1", "reason": "executor-error"}

    def test_is_followed_by_the_next_attempt_when_the_pack_allows_one(self) -> None:
        world = self.lost(
            uses("builtin:noop", more=", retries: {maxAttempts: 2, backoffSeconds: 60}")
        )

        with pytest.raises(AttemptFailedError):
            step(world, "ship")
        assert entries(world)[-1].metadata["nextAttemptAt"] == "2025-12-06T12:01:00.000Z"
        assert step(world, "ship") == {"status": "Succeeded", "attempt": 2}

        assert entry_ids(world)[2:] == [
            "ship#1#started",
            "ship#1#ended",
            "ship#2#started",
            "ship#2#ended",
        ]

    def test_is_recorded_also_when_the_run_has_ended_meanwhile(self) -> None:
        world = self.lost(uses("builtin:noop", more=", retries: {maxAttempts: 2}"))
        cancel_run(TENANT, "run-7", "ana", world)

        for _ in range(2):
            with pytest.raises(ConflictError):
                step(world, "ship")

        assert entry_ids(world)[-2:] == ["run.cancelled", "ship#1#ended"]

    def test_is_found_in_a_long_journal(self) -> None:
        world = self.lost(PLAIN)
        snapshot = world.runs.snapshot(TENANT, "run-7")
        others = [step_entries.step_skipped(f"other{n}", NOON) for n in range(20)]
        world.runs.append(snapshot, others)

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert entry_ids(world)[-2:] == ["ship#1#ended", "run.ended"]

    def test_ends_once_when_its_function_lives_and_ends_later(self) -> None:
        """Step Functions lost its connection to a function that went on."""
        world = a_world()
        execute = world.sandbox.execute

        def overtaken(request: AttemptRequest, services: Services) -> AttemptResult:
            world.sandbox.execute = execute  # type: ignore[method-assign]
            with pytest.raises(StepFailedError):
                step(world, "ship")
            return execute(request, services)

        world.sandbox.execute = overtaken  # type: ignore[method-assign]
        with pytest.raises(StepFailedError):
            step(world, "ship", is_retry=False)

        assert entry_ids(world)[2:] == ["ship#1#started", "ship#1#ended", "run.ended"]
        assert entries(world)[-2].event is Event.STEP_FAILED

    def test_a_first_invocation_reads_the_end_of_the_journal_only(self) -> None:
        world = a_world()
        reads: list[object] = []
        journal = world.runs.journal

        def counted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            reads.append(args)
            return journal(*args, **kwargs)

        world.runs.journal = counted  # type: ignore[method-assign]

        step(world, "ship", is_retry=False)

        assert reads == []


class TestRepetition:
    def test_answers_a_step_that_has_succeeded_without_executing_it(self) -> None:
        world = a_world(BUILD)
        first = step(world, "build")
        before = stored_state(world)
        world.artifacts.files.clear()

        assert step(world, "build") == first

        assert stored_state(world) == before | {"files": {}}

    def test_answers_a_step_that_has_failed_for_good_without_executing_it(self) -> None:
        world = a_world(uses("builtin:fail"))
        result_of(lambda: step(world, "ship"))
        before = entry_ids(world)

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert entry_ids(world) == before

    def test_the_second_try_of_an_attempt_answers_what_the_first_recorded(self) -> None:
        """The machine gave up on the first try, which ended before the second one did."""
        world = a_world(uses("builtin:fail", "{message: too slow, attempts: 0}"))
        failed = a_world(uses("builtin:fail", "{message: too slow}"))
        result_of(lambda: step(failed, "ship"))
        theirs = failed.runs.stored[TENANT, "run-7"]
        append = world.runs.append

        def overtaken(*args: Any, **named: Any) -> None:  # noqa: ANN401
            append(*args, **named)
            ours = world.runs.stored[TENANT, "run-7"]
            ours.outcomes |= theirs.outcomes
            ours.append(theirs.journal)

        world.runs.append = overtaken  # type: ignore[method-assign]

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert last_of_a_step(world).message == "too slow"


SANDBOX = "sandbox: {memoryLimitMiB: 100, cpuLimitMillicores: 250, quotaSeconds: 60}"


class TestLimits:
    """The limits that the sandbox gets; tests/contract shows that it enforces them."""

    def limits(
        self, *, timeout_s: int = 600, used_s: float = 0, remaining_s: float = 900
    ) -> Limits:
        manifest = pack(
            f"- {{id: ship, run: {{uses: builtin:noop}}, timeoutSeconds: {timeout_s}}}",
            spec=SANDBOX,
        )
        world = a_world(manifest)
        world.runs.stored[TENANT, "run-7"].used_s = used_s
        step(world, "ship", remaining_s=remaining_s)
        (job,) = world.sandbox.requests
        return job.limits

    def test_memory_is_limited_by_the_pack(self) -> None:
        assert self.limits().memory_mib == 100

    def test_time_is_limited_by_the_step_the_function_and_the_quota(self) -> None:
        assert self.limits(timeout_s=5).wall_s == 5
        assert self.limits(timeout_s=50, remaining_s=70).wall_s == 40  # 30 are for recording
        assert self.limits(used_s=15.5).wall_s == 44.5

    def test_cpu_time_is_a_share_of_the_time(self) -> None:
        assert self.limits(timeout_s=8).cpu_s == 2
        assert self.limits(used_s=40).cpu_s == 5

    def test_a_run_that_has_used_its_quota_executes_nothing(self) -> None:
        steps = "- {id: ship, run: {uses: builtin:noop}, retries: {maxAttempts: 3}}"
        world = a_world(pack(steps, spec=SANDBOX))
        world.runs.stored[TENANT, "run-7"].used_s = 60

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert world.sandbox.requests == []
        ended = last_of_a_step(world)
        assert ended.metadata["reason"] == "quota-exceeded"
        assert ended.message == (
            "the run has used all 60 seconds of executor time that its sandbox allows "
            "(quotaSeconds)"
        )
        # Another attempt would have no more of the quota.
        assert world.runs.outcomes(TENANT, "run-7", ["ship"])["ship"].final

    def test_an_attempt_that_exceeds_the_quota_is_stopped(self) -> None:
        world = a_world(pack("- {id: ship, run: {uses: builtin:sleep, with: {seconds: 9}}}"))
        world.runs.stored[TENANT, "run-7"].used_s = 899.95

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert last_of_a_step(world).metadata["reason"] == "quota-exceeded"

    def test_counts_and_logs_the_usage_of_an_attempt(self) -> None:
        world = a_world(FLAKY)
        world.sandbox.usage = Usage(wall_s=1.25, cpu_s=0.5, memory_mib=31)

        for _ in range(2):
            result_of(lambda: step(world, "flaky"))

        assert world.runs.snapshot(TENANT, "run-7").used_s == 2.5
        assert last_of_a_step(world).metadata == {
            "attempt": "2",
            "duration": "1.250s",
            "cpu": "0.500s",
            "memory": "31MiB",
        }

    @pytest.mark.parametrize("reason", [Reason.MEMORY_EXCEEDED, Reason.EGRESS_DENIED])
    def test_the_exceeded_limit_is_the_reason(self, reason: Reason) -> None:
        world = a_world()
        world.sandbox.result = AttemptResult(reason=reason, message="too much")

        with pytest.raises(StepFailedError):
            step(world, "ship")

        ended = last_of_a_step(world)
        assert (ended.metadata["reason"], ended.message) == (reason.value, "too much")


class TestEndedRun:
    def test_starts_nothing(self) -> None:
        world = a_world(BUILD)
        cancel_run(TENANT, "run-7", ANA.subject, world)
        before = stored_state(world)

        with pytest.raises(ConflictError, match="the run run-7 has ended as cancelled") as caught:
            step(world, "build")

        assert caught.value.code == "run_ended"
        assert stored_state(world) == before

    def test_logs_a_late_result_and_changes_nothing(self) -> None:
        world = a_world(BUILD)
        bundles = world.releases.bundles(TENANT)
        put = bundles.put

        def cancelled_meanwhile(file: Path) -> Any:  # noqa: ANN401
            cancel_run(TENANT, "run-7", ANA.subject, world)
            return put(file)

        bundles.put = cancelled_meanwhile  # type: ignore[method-assign]

        step(world, "build")

        assert entry_ids(world)[-2:] == ["run.cancelled", "build#1#ended"]
        assert world.runs.outcomes(TENANT, "run-7", ["build"]) == {}
        assert world.artifacts.list(TENANT, "run-7") == []


SHIP = BUILD.replace("id: build", "id: ship")
RETRIED = SHIP.replace("id: ship,", "id: ship, retries: {maxAttempts: 3},")


class TestCrashes:
    """The machine invokes the function again after a crash, and after a refusal of AWS."""

    @pytest.mark.parametrize("manifest", [PLAIN, SHIP])
    def test_an_attempt_that_never_began_is_none(self, manifest: str) -> None:
        unstarted = 0
        for interrupted in interruptions(lambda: a_world(manifest)):
            world = interrupted(lambda world: step(world, "ship", is_retry=False))
            if world is None or "ship#1#started" in entry_ids(world):
                continue
            unstarted += 1

            assert step(world, "ship") == {"status": "Succeeded", "attempt": 1}

        assert unstarted >= 2 * 7  # a crash or a refusal, before or after each call

    def test_every_attempt_ends_once_and_is_executed_once(self) -> None:
        """An attempt that began and did not end is lost. The next one completes the step."""
        ways = 0
        for interrupted in interruptions(lambda: a_world(RETRIED)):
            world = interrupted(lambda world: step(world, "ship", is_retry=False))
            if world is None:
                continue
            ways += 1
            answers = [result_of(lambda world=world: step(world, "ship")) for _ in range(3)]  # type: ignore[misc]

            assert isinstance(answers[-1], dict)
            assert answers[-1]["status"] == "Succeeded"
            ends = [entry for entry in entries(world) if entry.id.endswith("#ended")]
            assert [entry.metadata["attempt"] for entry in ends] == [
                str(number) for number in range(1, answers[-1]["attempt"] + 1)
            ]
            executed = [request.attempt for request in world.sandbox.requests]
            is_deferred = "ship#1#deferred" in entry_ids(world)
            assert is_deferred or len(executed) == len(set(executed))

        assert ways >= 2 * 2 * 7

    def test_a_failed_attempt_is_counted_once(self) -> None:
        """After a failure whose answer was lost, the machine begins the next attempt."""

        def act(world: World) -> object:
            return [result_of(lambda: step(world, "flaky")) for _ in range(3)][-1]

        for interrupted in interruptions(lambda: a_world(FLAKY)):
            world = interrupted(act)
            if world is None:
                continue
            act(world)
            ids = [found for found in entry_ids(world) if "#deferred" not in found]
            assert sorted(set(ids) - {"flaky#1#started#2", "flaky#2#started#2", "run.ended"}) == [
                "flaky#1#ended",
                "flaky#1#started",
                "flaky#2#ended",
                "flaky#2#started",
                "run.created",
                "run.started",
            ]


def test_does_not_find_an_unknown_run() -> None:
    with pytest.raises(NotFoundError):
        step(MemoryWorld(), "ship")


def test_removes_the_files_of_an_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    step(a_world(BUILD), "build")

    (every,) = tmp_path.iterdir()
    assert list(every.iterdir()) == []
