from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ConflictError, NotFoundError, StepFailedError, TryAgainError
from taskrunner.executors.function import idempotency_key
from taskrunner.model.journal import Event, Level
from taskrunner.model.run import Reason, StepReference, StepStatus
from taskrunner.runtime.attempt_outputs import MAX_OUTPUT_BYTES
from taskrunner.sandbox.attempt import AttemptResult, Usage
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.run_step import run_step
from taskrunner.usecases.settle_run import settle_run
from tests.fakes.sandbox import ThreadSandbox
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.given import (
    ANA,
    GATED,
    NOON,
    PLAIN,
    TENANT,
    a_request,
    a_world,
    assert_recovers,
    entry_ids,
    interruptions,
    result_of,
    snapshot,
    step,
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
    settle_run(TENANT, "run-7", "StepFailedError", world)


def uses(executor: str, parameters: str = "{}", more: str = "") -> str:
    return pack(f"- {{id: ship, run: {{uses: '{executor}', with: {parameters}}}{more}}}")


class TestAttempt:
    def test_gives_a_function_an_idempotency_key_of_this_run_alone(self) -> None:
        """Retention frees a run id. The recorded time of creation tells the runs apart."""
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
        assert entries(world)[-1].metadata["artifacts"] == "bundle"

    @pytest.mark.parametrize("end", [cancelled, failed])
    def test_captures_nothing_once_its_run_has_ended(
        self, end: Callable[[MemoryWorld], None]
    ) -> None:
        work = "{uses: builtin:build, with: {files: {a.txt: FIRST}}}"
        late = work.replace("FIRST", "late")
        world = a_world(pack(f"- {{id: first, run: {work}}}\n- {{id: late, run: {late}}}"))
        step(world, "first")
        (bundle,) = world.artifacts.list(TENANT, "run-7")
        content = world.artifacts.files[TENANT, bundle.stored_path or ""]
        world.sandbox = EndsTheRun(world, end)

        step(world, "late")

        assert bundle in world.artifacts.list(TENANT, "run-7")
        assert world.artifacts.files[TENANT, bundle.stored_path or ""] == content
        assert "artifacts" not in entries(world)[-1].metadata
        assert entries(world)[-1].step_path == "late"

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

        ended = entries(world)[-1]
        assert (ended.event, ended.level, ended.message) == (
            Event.STEP_FAILED,
            Level.ERROR,
            "no luck",
        )
        assert ended.metadata["reason"] == "executor-error"
        assert "nextAttemptAt" not in ended.metadata

    def test_records_when_the_next_attempt_begins(self) -> None:
        world = a_world(FLAKY)

        with pytest.raises(StepFailedError):
            step(world, "flaky")

        ended = entries(world)[-1]
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

    def test_of_an_attempt_that_runs_too_long_is_a_timeout(self) -> None:
        world = a_world(uses("builtin:sleep", "{seconds: 60}"))

        with pytest.raises(StepFailedError):
            step(world, "ship", remaining_s=30.05)

        assert entries(world)[-1].metadata["reason"] == "timeout"
        assert entries(world)[-1].message == "not done after 0.05 seconds"

    def test_of_an_attempt_that_has_no_time_is_a_timeout(self) -> None:
        world = a_world(uses("builtin:sleep", "{seconds: 60}"))

        with pytest.raises(StepFailedError):
            step(world, "ship", remaining_s=5)

        assert entries(world)[-1].metadata["reason"] == "timeout"

    def test_is_recorded_for_outputs_beyond_the_limit(self) -> None:
        text = "x" * (MAX_OUTPUT_BYTES - len('{"text": ""}') + 1)
        world = a_world(uses("builtin:noop", f"{{text: {text}}}"))

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert entries(world)[-1].message == (
            f"the outputs have {MAX_OUTPUT_BYTES + 1} bytes, at most {MAX_OUTPUT_BYTES}; "
            "write an artifact"
        )

    def test_is_not_recorded_for_outputs_at_the_limit(self) -> None:
        text = "x" * (MAX_OUTPUT_BYTES - len('{"text": ""}'))
        world = a_world(uses("builtin:noop", f"{{text: {text}}}"))

        step(world, "ship")

        outcome = world.runs.outcomes(TENANT, "run-7", ["ship"])["ship"]
        assert len(json.dumps(outcome.outputs)) == MAX_OUTPUT_BYTES

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

        assert entries(world)[-1].message == (
            "the outputs cannot be kept: it is nested deeper than 200 levels"
        )
        assert settle_run(TENANT, "run-7", "StepFailedError", world) == {"status": "failed"}

    def test_is_recorded_for_large_outputs_before_they_are_searched_for_secrets(self) -> None:
        """Searching large outputs could take longer than a step has."""
        world = a_world(showing("{{ secrets.token }}"))
        world.secrets.stored[TENANT, "token"] = "correct horse battery"
        outputs = "correct horse battery" * 10_000  # a search would replace it by `***`
        world.sandbox = ThreadSandbox(result=AttemptResult(outputs=outputs))

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert entries(world)[-1].message.startswith("the outputs have 210002 bytes")

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

        assert entries(world)[-1].message.startswith("$.with.seconds: ")

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

        assert entries(world)[-1].metadata["reason"] == "executor-error"
        assert "sum" in entries(world)[-1].message

    def test_is_recorded_for_an_executor_that_does_not_exist(self) -> None:
        world = a_world()
        ((key, text),) = world.plans.texts.items()
        world.plans.texts[key] = text.replace("builtin:noop", "builtin:gone")

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert entries(world)[-1].message == "there is no executor builtin:gone in this release"

    @pytest.mark.parametrize("error", [TryAgainError, KeyError])
    def test_of_a_service_does_not_end_the_attempt(self, error: type[BaseException]) -> None:
        world = a_world(BUILD)
        bundles = world.releases.bundles(world.runs.head(TENANT, "run-7").run)
        put = bundles.put

        def broken_once(_file: Path) -> Any:  # noqa: ANN401
            bundles.put = put  # type: ignore[method-assign]
            raise error("surprise")

        bundles.put = broken_once  # type: ignore[method-assign, assignment]

        with pytest.raises(error):
            step(world, "build")
        assert entry_ids(world)[-1] == "build#1#started"

        assert step(world, "build") == {"status": "Succeeded", "attempt": 1}

    def test_has_its_message_cut_when_it_is_long(self) -> None:
        world = a_world(uses("builtin:fail", f"{{message: {'x' * 1500}}}"))

        result_of(lambda: step(world, "ship"))

        assert len(entries(world)[-1].message) == 1000


class TestRepetition:
    def test_answers_a_step_that_has_succeeded_without_executing_it(self) -> None:
        world = a_world(BUILD)
        first = step(world, "build")
        before = snapshot(world)
        world.artifacts.files.clear()

        assert step(world, "build") == first

        assert snapshot(world) == before | {"files": {}}

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

        def overtaken(*args: Any) -> None:  # noqa: ANN401
            append(*args)
            ours = world.runs.stored[TENANT, "run-7"]
            ours.outcomes |= theirs.outcomes
            ours.append(theirs.journal)

        world.runs.append = overtaken  # type: ignore[method-assign, assignment]

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert entries(world)[-1].message == "too slow"


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
        ended = entries(world)[-1]
        assert ended.metadata["reason"] == "quota-exceeded"
        assert ended.message == (
            "the 60 seconds are over that the pack's sandbox gives to all executors of a run "
            "together (quotaSeconds)"
        )
        # Another attempt would have no more of the quota.
        assert world.runs.outcomes(TENANT, "run-7", ["ship"])["ship"].final

    def test_an_attempt_that_exceeds_the_quota_is_stopped(self) -> None:
        world = a_world(pack("- {id: ship, run: {uses: builtin:sleep, with: {seconds: 9}}}"))
        world.runs.stored[TENANT, "run-7"].used_s = 899.95

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert entries(world)[-1].metadata["reason"] == "quota-exceeded"

    def test_counts_and_logs_the_usage_of_an_attempt(self) -> None:
        world = a_world(FLAKY)
        world.sandbox.usage = Usage(wall_s=1.25, cpu_s=0.5, memory_mib=31)

        for _ in range(2):
            result_of(lambda: step(world, "flaky"))

        assert world.runs.head(TENANT, "run-7").used_s == 2.5
        assert entries(world)[-1].metadata == {
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

        ended = entries(world)[-1]
        assert (ended.metadata["reason"], ended.message) == (reason.value, "too much")


class TestEndedRun:
    def test_starts_nothing(self) -> None:
        world = a_world(BUILD)
        cancel_run(TENANT, "run-7", ANA.subject, world)
        before = snapshot(world)

        with pytest.raises(ConflictError, match="the run run-7 has ended as cancelled") as caught:
            step(world, "build")

        assert caught.value.code == "run_ended"
        assert snapshot(world) == before

    def test_logs_a_late_result_and_changes_nothing(self) -> None:
        world = a_world(BUILD)
        bundles = world.releases.bundles(world.runs.head(TENANT, "run-7").run)
        put = bundles.put

        def cancelled_meanwhile(file: Path) -> Any:  # noqa: ANN401
            cancel_run(TENANT, "run-7", ANA.subject, world)
            return put(file)

        bundles.put = cancelled_meanwhile  # type: ignore[method-assign]

        step(world, "build")

        assert entry_ids(world)[-2:] == ["run.cancelled", "build#1#ended"]
        assert world.runs.outcomes(TENANT, "run-7", ["build"]) == {}
        assert world.artifacts.list(TENANT, "run-7") == []


class TestCrashes:
    @pytest.mark.parametrize("manifest", [PLAIN, BUILD.replace("id: build", "id: ship")])
    def test_repeating_an_attempt_after_a_crash_completes_it(self, manifest: str) -> None:
        ways = assert_recovers(lambda: a_world(manifest), lambda world: step(world, "ship"))

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
            assert entry_ids(world) == [
                "run.created",
                "run.started",
                "flaky#1#started",
                "flaky#1#ended",
                "flaky#2#started",
                "flaky#2#ended",
            ]


def test_does_not_find_an_unknown_run() -> None:
    with pytest.raises(NotFoundError):
        step(MemoryWorld(), "ship")


def test_removes_the_files_of_an_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    step(a_world(BUILD), "build")

    (every,) = tmp_path.iterdir()
    assert list(every.iterdir()) == []
