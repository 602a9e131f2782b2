"""A function that remembers the run does not read it before a step."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import ConflictError, StepFailedError
from taskrunner.model.run import StepStatus
from taskrunner.usecases.cancel_run import cancel_run
from tests.fakes.failing_world import CrashError, FailingWorld, Failure
from tests.fakes.sandbox import ThreadSandbox
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    TENANT,
    a_world,
    entry_ids,
    result_of,
    step,
)

if TYPE_CHECKING:
    from taskrunner.sandbox.attempt import Limits
    from tests.fakes.world import MemoryWorld

NEVER = Failure(0, effect_lost=False, error=CrashError)
TWO = pack(
    """
    - {id: first, run: {uses: builtin:noop, with: {n: 1}}}
    - {id: second, run: {uses: builtin:noop, with: {n: "{{ steps.first.outputs.n }}"}}}
    """
)


def warm(manifest: str = TWO) -> MemoryWorld:
    """A world whose function has run the first step."""
    world = a_world(manifest)
    step(world, "first", is_retry=False)
    return world


def calls_of_second(world: MemoryWorld) -> list[str]:
    watched = FailingWorld(world, NEVER)
    step(watched, "second", is_retry=False)
    return [call for call in watched.calls if call.startswith("runs.")]


def test_a_warm_function_does_not_read_the_run() -> None:
    world = warm()

    assert calls_of_second(world) == [
        "runs.remembered",
        "runs.outcomes",  # of the step that its parameters refer to
        "runs.append_if_unchanged",
        "runs.record_step",
    ]
    assert entry_ids(world)[-2:] == ["second#1#started", "second#1#ended"]


def test_a_retry_reads_the_run() -> None:
    world = warm()
    watched = FailingWorld(world, NEVER)

    step(watched, "second", is_retry=True)

    assert "runs.remembered" not in watched.calls
    assert "runs.snapshot" in watched.calls


@pytest.mark.parametrize(
    ("when", "parameters"),
    [("when: 'steps.first.outputs.n == `1`'", "{}"), ("", "{at: '{{ run.now }}'}")],
    ids=["skip", "time"],
)
def test_a_step_that_may_record_something_before_its_start_reads_the_run(
    when: str, parameters: str
) -> None:
    world = warm(
        pack(
            f"""
            - {{id: first, run: {{uses: builtin:noop, with: {{n: 1}}}}}}
            - id: second
              run: {{uses: builtin:noop, with: {parameters}}}
              {when}
            """
        )
    )

    assert "runs.snapshot" in calls_of_second(world)


def test_an_event_that_arrives_twice_executes_the_step_once() -> None:
    world = warm()
    first = step(world, "second", is_retry=False)

    again = step(world, "second", is_retry=False)

    assert again == first
    assert entry_ids(world).count("second#1#started") == 1


def test_a_step_whose_run_was_cancelled_meanwhile_does_not_begin() -> None:
    world = warm()
    cancel_run(TENANT, "run-7", "ana", world)

    with pytest.raises(ConflictError, match="run-7 has ended as cancelled"):
        step(world, "second", is_retry=False)

    assert "second#1#started" not in entry_ids(world)


def test_an_attempt_that_died_in_a_warm_function_is_lost() -> None:
    world = warm()
    dying = FailingWorld(world, Failure(_place_of_start(), effect_lost=False, error=CrashError))
    with pytest.raises(CrashError):
        step(dying, "second", is_retry=False)
    assert dying.calls[-1] == "runs.append_if_unchanged"
    assert entry_ids(world)[-1] == "second#1#started"

    assert result_of(lambda: step(world, "second", is_retry=True)) == StepFailedError.__name__

    outcome = world.runs.outcomes(TENANT, "run-7", ["second"])["second"]
    assert (outcome.status, outcome.final) == (StepStatus.FAILED, True)


class PreparedAt(ThreadSandbox):
    """A sandbox that notes the last entry of the journal when it prepares for an attempt."""

    def __init__(self, world: MemoryWorld) -> None:
        super().__init__()
        self.last_entries: list[str] = []
        self._world = world

    def prepare_for(self, uses: str, limits: Limits) -> None:
        super().prepare_for(uses, limits)
        self.last_entries.append(entry_ids(self._world)[-1])


@pytest.mark.parametrize("is_retry", [False, True])
def test_an_attempt_begins_while_its_start_is_recorded(*, is_retry: bool) -> None:
    world = warm()
    world.sandbox = sandbox = PreparedAt(world)

    step(world, "second", is_retry=is_retry)

    assert sandbox.last_entries == ["first#1#ended"]
    (attempt,) = sandbox.requests
    assert sandbox.prepared_for == [(attempt.uses, attempt.limits)]
    assert sandbox.begun_requests == [attempt]


@pytest.mark.parametrize("is_retry", [False, True])
def test_an_attempt_with_secrets_begins_after_its_start_is_recorded(*, is_retry: bool) -> None:
    world = warm(
        pack(
            """
            - {id: first, run: {uses: builtin:noop}}
            - {id: second, run: {uses: builtin:noop, with: {token: "{{ secrets.token }}"}}}
            """,
            spec="secrets: [{name: token}]",
        )
    )
    world.secrets.stored[TENANT, "token"] = "correct horse battery"
    world.sandbox = sandbox = PreparedAt(world)

    step(world, "second", is_retry=is_retry)

    assert sandbox.last_entries == ["first#1#ended"]
    assert sandbox.begun_requests == []
    (attempt,) = sandbox.requests
    assert attempt.parameters == {"token": "correct horse battery"}


def test_an_attempt_whose_parameters_cannot_be_filled_in_fails_once_it_has_begun() -> None:
    world = warm(TWO.replace("steps.first.outputs.n", "sum(steps.first.outputs.n)"))
    world.sandbox = sandbox = PreparedAt(world)

    assert result_of(lambda: step(world, "second", is_retry=False)) == StepFailedError.__name__

    assert {"second#1#started", "second#1#ended"} < set(entry_ids(world))
    assert sandbox.begun_requests == sandbox.requests == []


def test_an_attempt_whose_start_is_refused_begins_again_and_is_executed_once() -> None:
    third = "    - {id: third, run: {uses: builtin:noop}}"
    world = warm(f"{TWO.rstrip()}\n{third}\n")
    remembered = deepcopy(world.runs.known)
    step(world, "third", is_retry=False)
    world.runs.known = remembered  # as of a process that did not see the third step
    world.sandbox = sandbox = PreparedAt(world)

    step(world, "second", is_retry=False)

    (attempt,) = sandbox.requests
    assert sandbox.begun_requests == [attempt, attempt]


def test_an_attempt_of_a_cancelled_run_begins_and_is_not_executed() -> None:
    world = warm()
    world.sandbox = sandbox = PreparedAt(world)
    cancel_run(TENANT, "run-7", "ana", world)

    with pytest.raises(ConflictError):
        step(world, "second", is_retry=False)

    assert len(sandbox.begun_requests) == 1
    assert sandbox.requests == []


def test_no_process_is_prepared_for_an_attempt_that_has_no_time() -> None:
    world = warm()
    world.sandbox = sandbox = PreparedAt(world)

    result_of(lambda: step(world, "second", is_retry=False, remaining_s=20))

    assert sandbox.prepared_for == []


def _place_of_start() -> int:
    world = warm()
    watched = FailingWorld(world, NEVER)
    step(watched, "second", is_retry=False)
    return 1 + watched.calls.index("runs.append_if_unchanged")
