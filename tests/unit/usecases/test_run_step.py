from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ConflictError, NotFoundError, StepFailedError, TryAgainError
from taskrunner.executors.function import idempotency_key
from taskrunner.model.journal import Event, Level
from taskrunner.model.run import Reason, StepReference, StepStatus
from taskrunner.sandbox.attempt import AttemptResult, Usage
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.run_step import MAX_OUTPUT_BYTES, run_step
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
    assert_heals,
    broken,
    everything,
    log,
    step,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskrunner.executors.work import Services
    from taskrunner.model.journal import Entry
    from taskrunner.ports.world import World
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
    """A pack whose output is what its step puts out, which is given *text*."""
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

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        self._end(self._world)
        return super().execute(request, services)


def cancelled(world: MemoryWorld) -> None:
    cancel_run(TENANT, "run-7", "ana", world)


def failed(world: MemoryWorld) -> None:
    settle_run(TENANT, "run-7", "StepFailedError", world)


def uses(executor: str, parameters: str = "{}", more: str = "") -> str:
    return pack(f"- {{id: ship, run: {{uses: '{executor}', with: {parameters}}}{more}}}")


class TestAnAttempt:
    def test_a_function_is_told_a_key_of_this_run_alone(self) -> None:
        """An id is free again after retention; the recorded time of creation is not."""
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

    def test_it_is_recorded_when_it_starts_and_when_it_has_ended(self) -> None:
        world = a_world()

        answer = step(world, "ship")

        assert answer == {"status": "Succeeded", "attempt": 1}
        _, started_run, started, ended = entries(world)
        assert (started_run.event, started_run.at) == (Event.RUN_STARTED, NOON)
        assert (started.event, started.step) == (Event.STEP_STARTED, "ship")
        assert started.metadata == {"attempt": "1", "uses": "builtin:noop"}
        assert (ended.event, ended.step) == (Event.STEP_COMPLETED, "ship")
        assert ended.metadata == {
            "attempt": "1",
            "duration": "0.000s",
            "cpu": "0.000s",
            "memory": "0MiB",
        }

    def test_its_outputs_are_kept_for_later_steps(self) -> None:
        world = a_world(GATED)

        step(world, "build")

        (outcome,) = world.runs.outcomes(TENANT, "run-7", ["build"]).values()
        assert (outcome.status, outcome.outputs) == (StepStatus.SUCCEEDED, {"size": 3})

    def test_outputs_of_an_earlier_step_fill_its_parameters(self) -> None:
        world = a_world(GATED)
        step(world, "build")

        step(world, "ship")

        assert world.runs.outcomes(TENANT, "run-7", ["ship"])["ship"].outputs == {"size": 3}

    def test_only_the_first_step_begins_the_run(self) -> None:
        world = a_world(GATED)

        step(world, "build")
        step(world, "ship")

        assert log(world).count("run.started") == 1

    def test_a_run_of_many_skipped_steps_begins_like_any_other(self) -> None:
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

        assert log(world)[-3:] == ["run.started", "ship#1#started", "ship#1#ended"]

    def test_what_it_wrote_becomes_artifacts_named_in_the_log(self) -> None:
        world = a_world(BUILD)

        step(world, "build")

        (artifact,) = world.artifacts.list(TENANT, "run-7")
        assert (artifact.name, artifact.source_path) == ("bundle", "/output/bundle.zip")
        assert entries(world)[-1].metadata["artifacts"] == "bundle"

    @pytest.mark.parametrize("end", [cancelled, failed])
    def test_what_it_wrote_for_a_run_that_has_ended_meanwhile_replaces_nothing(
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
        assert entries(world)[-1].step == "late"

    def test_an_iteration_has_outcomes_and_entries_of_its_own(self) -> None:
        steps = "- {id: ship, run: {uses: builtin:noop}}"
        world = a_world(
            pack(f"- id: outer\n  map: {{items: {{static: [a, b]}}, steps: [{steps[2:]}]}}")
        )

        run_step(StepReference(TENANT, "run-7", "ship", "outer[1]::"), world, remaining_s=900)

        assert log(world)[-1] == "outer[1]::ship#1#ended"
        assert list(world.runs.outcomes(TENANT, "run-7", ["outer[1]::ship", "ship"])) == [
            "outer[1]::ship"
        ]


class TestAFailure:
    def test_it_is_recorded_with_its_reason_and_told_to_the_machine(self) -> None:
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

    def test_before_the_last_attempt_it_says_when_the_next_begins(self) -> None:
        world = a_world(FLAKY)

        with pytest.raises(StepFailedError):
            step(world, "flaky")

        ended = entries(world)[-1]
        assert (ended.level, ended.metadata["nextAttemptAt"]) == (
            Level.WARN,
            "2025-12-06T12:01:00.000Z",
        )

    def test_the_next_call_is_the_next_attempt(self) -> None:
        world = a_world(FLAKY)
        told(lambda: step(world, "flaky"))

        assert step(world, "flaky") == {"status": "Succeeded", "attempt": 2}

        assert log(world)[2:] == [
            "flaky#1#started",
            "flaky#1#ended",
            "flaky#2#started",
            "flaky#2#ended",
        ]

    def test_what_runs_beyond_its_time_is_left_behind(self) -> None:
        world = a_world(uses("builtin:sleep", "{seconds: 60}"))

        with pytest.raises(StepFailedError):
            step(world, "ship", remaining_s=30.05)

        assert entries(world)[-1].metadata["reason"] == "timeout"
        assert entries(world)[-1].message == "not done after 0.05 seconds"

    def test_no_time_at_all_is_a_timeout(self) -> None:
        world = a_world(uses("builtin:sleep", "{seconds: 60}"))

        with pytest.raises(StepFailedError):
            step(world, "ship", remaining_s=5)

        assert entries(world)[-1].metadata["reason"] == "timeout"

    def test_outputs_beyond_the_limit_fail_the_step(self) -> None:
        text = "x" * (MAX_OUTPUT_BYTES - len('{"text": ""}') + 1)
        world = a_world(uses("builtin:noop", f"{{text: {text}}}"))

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert entries(world)[-1].message == (
            f"the outputs have {MAX_OUTPUT_BYTES + 1} bytes, at most {MAX_OUTPUT_BYTES}; "
            "write an artifact"
        )

    def test_outputs_at_the_limit_are_kept(self) -> None:
        text = "x" * (MAX_OUTPUT_BYTES - len('{"text": ""}'))
        world = a_world(uses("builtin:noop", f"{{text: {text}}}"))

        step(world, "ship")

        outcome = world.runs.outcomes(TENANT, "run-7", ["ship"])["ship"]
        assert len(json.dumps(outcome.outputs)) == MAX_OUTPUT_BYTES

    @pytest.mark.parametrize("secrets", ["", "{{ secrets.token }}"])
    def test_outputs_that_nobody_could_walk_through_fail_the_step_and_not_the_run(
        self, secrets: str
    ) -> None:
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

    def test_outputs_are_measured_before_they_are_searched(self) -> None:
        """What is too much would take longer to search than a step has."""
        world = a_world(showing("{{ secrets.token }}"))
        world.secrets.stored[TENANT, "token"] = "correct horse battery"
        outputs = "correct horse battery" * 10_000  # `***` when it was searched
        world.sandbox = ThreadSandbox(result=AttemptResult(outputs=outputs))

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert entries(world)[-1].message.startswith("the outputs have 210002 bytes")

    def test_parameters_that_came_out_wrong_fail_the_step_by_name(self) -> None:
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

    def test_an_expression_that_cannot_be_evaluated_fails_the_step(self) -> None:
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

    def test_an_executor_that_a_later_release_dropped_fails_the_step(self) -> None:
        world = a_world()
        ((key, text),) = world.plans.texts.items()
        world.plans.texts[key] = text.replace("builtin:noop", "builtin:gone")

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert entries(world)[-1].message == "there is no executor builtin:gone in this release"

    @pytest.mark.parametrize("error", [TryAgainError, KeyError])
    def test_what_is_no_failure_of_the_work_is_no_end_of_the_attempt(
        self, error: type[BaseException]
    ) -> None:
        world = a_world(BUILD)
        bundles = world.releases.bundles(world.runs.head(TENANT, "run-7").run)
        put = bundles.put

        def broken_once(_file: Path) -> Any:  # noqa: ANN401
            bundles.put = put  # type: ignore[method-assign]
            raise error("surprise")

        bundles.put = broken_once  # type: ignore[method-assign, assignment]

        with pytest.raises(error):
            step(world, "build")
        assert log(world)[-1] == "build#1#started"

        assert step(world, "build") == {"status": "Succeeded", "attempt": 1}

    def test_a_very_long_message_is_cut(self) -> None:
        world = a_world(uses("builtin:fail", f"{{message: {'x' * 1500}}}"))

        told(lambda: step(world, "ship"))

        assert len(entries(world)[-1].message) == 1000


class TestRepetition:
    def test_what_has_succeeded_is_answered_and_not_executed(self) -> None:
        world = a_world(BUILD)
        first = step(world, "build")
        before = everything(world)
        world.artifacts.files.clear()

        assert step(world, "build") == first

        assert everything(world) == before | {"files": {}}

    def test_what_has_failed_for_good_is_answered_and_not_executed(self) -> None:
        world = a_world(uses("builtin:fail"))
        told(lambda: step(world, "ship"))
        before = log(world)

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert log(world) == before

    def test_of_two_tries_of_one_attempt_the_second_answers_what_the_first_recorded(self) -> None:
        """The machine gave up on the first try, which ended all the same, before the second."""
        world = a_world(uses("builtin:fail", "{message: too slow, attempts: 0}"))
        failed = a_world(uses("builtin:fail", "{message: too slow}"))
        told(lambda: step(failed, "ship"))
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
    """What the sandbox is told to hold an attempt to; that it does is tests/contract's."""

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
        (request,) = world.sandbox.requests
        return request.limits

    def test_memory_is_the_packs(self) -> None:
        assert self.limits().memory_mib == 100

    def test_time_is_the_least_of_the_steps_the_functions_and_what_is_left_to_the_run(self) -> None:
        assert self.limits(timeout_s=5).wall_s == 5
        assert self.limits(timeout_s=50, remaining_s=70).wall_s == 40  # 30 are for recording
        assert self.limits(used_s=15.5).wall_s == 44.5

    def test_cpu_time_is_a_share_of_that_time(self) -> None:
        assert self.limits(timeout_s=8).cpu_s == 2
        assert self.limits(used_s=40).cpu_s == 5

    def test_a_run_that_has_used_its_quota_executes_nothing_more(self) -> None:
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
        assert world.runs.outcomes(TENANT, "run-7", ["ship"])["ship"].final  # nobody has more

    def test_one_that_is_using_the_last_of_it_is_stopped(self) -> None:
        world = a_world(pack("- {id: ship, run: {uses: builtin:sleep, with: {seconds: 9}}}"))
        world.runs.stored[TENANT, "run-7"].used_s = 899.95

        with pytest.raises(StepFailedError):
            step(world, "ship")

        assert entries(world)[-1].metadata["reason"] == "quota-exceeded"

    def test_what_an_attempt_used_counts_and_is_told(self) -> None:
        world = a_world(FLAKY)
        world.sandbox.usage = Usage(wall_s=1.25, cpu_s=0.5, memory_mib=31)

        for _ in range(2):
            told(lambda: step(world, "flaky"))

        assert world.runs.head(TENANT, "run-7").used_s == 2.5
        assert entries(world)[-1].metadata == {
            "attempt": "2",
            "duration": "1.250s",
            "cpu": "0.500s",
            "memory": "31MiB",
        }

    @pytest.mark.parametrize("reason", [Reason.MEMORY_EXCEEDED, Reason.EGRESS_DENIED])
    def test_the_limit_that_was_broken_is_the_reason(self, reason: Reason) -> None:
        world = a_world()
        world.sandbox.result = AttemptResult(reason=reason, message="too much")

        with pytest.raises(StepFailedError):
            step(world, "ship")

        ended = entries(world)[-1]
        assert (ended.metadata["reason"], ended.message) == (reason.value, "too much")


class TestARunThatHasEnded:
    def test_nothing_is_started(self) -> None:
        world = a_world(BUILD)
        cancel_run(TENANT, "run-7", ANA.subject, world)
        before = everything(world)

        with pytest.raises(ConflictError, match="the run run-7 has ended as cancelled") as caught:
            step(world, "build")

        assert caught.value.code == "run_ended"
        assert everything(world) == before

    def test_a_late_result_is_logged_and_changes_nothing(self) -> None:
        world = a_world(BUILD)
        bundles = world.releases.bundles(world.runs.head(TENANT, "run-7").run)
        put = bundles.put

        def cancelled_meanwhile(file: Path) -> Any:  # noqa: ANN401
            cancel_run(TENANT, "run-7", ANA.subject, world)
            return put(file)

        bundles.put = cancelled_meanwhile  # type: ignore[method-assign]

        step(world, "build")

        assert log(world)[-2:] == ["run.cancelled", "build#1#ended"]
        assert world.runs.outcomes(TENANT, "run-7", ["build"]) == {}
        assert world.artifacts.list(TENANT, "run-7") == []


class TestCrashes:
    @pytest.mark.parametrize("manifest", [PLAIN, BUILD.replace("id: build", "id: ship")])
    def test_a_repeated_attempt_ends_as_one_that_never_failed(self, manifest: str) -> None:
        ways = assert_heals(lambda: a_world(manifest), lambda world: step(world, "ship"))

        assert ways >= 2 * 2 * 7

    def test_a_failed_attempt_is_counted_once(self) -> None:
        """A failure whose answer was lost is followed by the next attempt, as the machine would."""

        def act(world: World) -> object:
            return [told(lambda: step(world, "flaky")) for _ in range(3)][-1]

        for interrupted in broken(lambda: a_world(FLAKY)):
            world = interrupted(act)
            if world is None:
                continue
            act(world)
            assert log(world) == [
                "run.created",
                "run.started",
                "flaky#1#started",
                "flaky#1#ended",
                "flaky#2#started",
                "flaky#2#ended",
            ]


def test_an_unknown_run_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        step(MemoryWorld(), "ship")


def test_no_file_of_a_step_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    step(a_world(BUILD), "build")

    (every,) = tmp_path.iterdir()
    assert list(every.iterdir()) == []
