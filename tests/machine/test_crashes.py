"""Functions that die or are refused, at each place where a machine calls one.

Only a step's own attempt may be lost by a crash. Everything else is called again.
"""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters.executions import StepFunctionsMachines
from taskrunner.adapters.machine_events import has_timed_out
from taskrunner.bootstrap import AwsWorld
from taskrunner.errors import TryAgainError
from taskrunner.model.entries.step_entries import LOST
from taskrunner.sandbox.launcher import ForkedSandbox
from tests.machine.runs import TENANT, decide, ended, run, start, statuses
from tests.moto_aws import session
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner.executors.work import Services
    from taskrunner.sandbox.attempt import AttemptRequest, AttemptResult
    from tests.machine.client import Client
    from tests.machine.engine import Engine

# How AWS names dead runtimes, timeouts and throttles, and a name that it has not made up yet.
NAMES = [
    "Runtime.ExitError",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Lambda.TooManyRequestsException",
    "Runtime.NotInventedYet",
]
GATE = pack(
    """
    - {id: review, gate: {approval: {id: security}}}
    - {id: ship, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: security}]",
)
NOOP = pack("- {id: ship, run: {uses: builtin:noop}}")


def died(name: str = "Runtime.ExitError") -> Exception:
    """An error that Lambda reports by *name*."""
    error: Exception = type(name, (Exception,), {})("the runtime is gone")
    return error


def dying(name: str = "Runtime.ExitError") -> Callable[[dict[str, Any]], None]:
    """Return what lets a function die once, before its handler runs."""
    left = [died(name)]

    def die(_event: dict[str, Any]) -> None:
        if left:
            raise left.pop()

    return die


def dying_after(engine: Engine, function: str) -> None:
    """Let a function die once, after all of its work."""
    left = [died()]

    @contextmanager
    def around(name: str) -> Iterator[None]:
        yield
        if name == function and left:
            raise left.pop()

    engine.around = around


class World(AwsWorld):
    """The engine's world, in which the executor of an attempt raises one of *errors* first."""

    def __init__(self, engine: Engine, errors: list[Exception]) -> None:
        super().__init__(engine.world.environment, session())
        self.errors = errors

    @cached_property
    def sandbox(self) -> ForkedSandbox:
        return _Sandbox(self.errors)


class _Sandbox(ForkedSandbox):
    def __init__(self, errors: list[Exception]) -> None:
        super().__init__()
        self._errors = errors

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        if self._errors:
            raise self._errors.pop()
        return super().execute(request, services)


class ImpatientWorld(AwsWorld):
    """The engine's world, whose gates expire after some seconds."""

    @cached_property
    def machines(self) -> StepFunctionsMachines:
        environment = self.environment
        prototype = environment["PACK_RUN_MACHINE_ARN"]
        return _Impatient(self._step_functions, prototype, environment["MACHINE_PREFIX"])


class _Impatient(StepFunctionsMachines):
    def name(self, pack_name: str, pack_version: str, definition: Any) -> str:  # noqa: ANN401
        return super().name(pack_name, pack_version, _impatient(definition))

    def start(self, run: Any, definition: Any, execution_input: Any) -> bool:  # noqa: ANN401
        return super().start(run, _impatient(definition), execution_input)


def _impatient(definition: Any) -> Any:  # noqa: ANN401 - a machine
    impatient = deepcopy(definition)
    states = impatient["States"]["Pack steps"]["Branches"][0]["States"]
    states["review"]["TimeoutSeconds"] = 4  # in which a slow machine opens it
    return impatient


def entries(client: Client, run_id: str, step: str) -> list[str]:
    journal = client.engine.world.runs.journal(TENANT, run_id)
    return [placed.entry.id for placed in journal if placed.entry.step_path == step]


class TestStep:
    @pytest.mark.parametrize("name", NAMES)
    def test_an_attempt_that_never_began_is_none(
        self, engine: Engine, ana: Client, name: str
    ) -> None:
        engine.before["run_step"] = dying(name)

        state = run(ana, NOOP)

        assert state["status"] == "succeeded"
        assert state["steps"][0]["attempts"] == 1
        assert entries(ana, state["runId"], "ship") == ["ship#1#started", "ship#1#ended"]

    def test_an_attempt_that_began_is_lost_and_says_so(self, engine: Engine, ana: Client) -> None:
        engine.worlds["run_step"] = World(engine, [died()])

        state = run(ana, NOOP)

        (step,) = state["steps"]
        assert state["status"] == "failed"
        assert (step["status"], step["attempts"], step["errorMessage"]) == ("Failed", 1, LOST)
        assert entries(ana, state["runId"], "ship") == ["ship#1#started", "ship#1#ended"]

    def test_a_lost_attempt_is_followed_by_the_packs_next_one(
        self, engine: Engine, ana: Client
    ) -> None:
        engine.worlds["run_step"] = World(engine, [died()])

        state = run(ana, NOOP.replace("id: ship,", "id: ship, retries: {maxAttempts: 2},"))

        assert state["status"] == "succeeded"
        assert entries(ana, state["runId"], "ship") == [
            "ship#1#started",
            "ship#1#ended",
            "ship#2#started",
            "ship#2#ended",
        ]

    def test_a_lost_attempt_is_let_pass_where_the_pack_says_so(
        self, engine: Engine, ana: Client
    ) -> None:
        engine.worlds["run_step"] = World(engine, [died()])

        state = run(ana, NOOP.replace("id: ship,", "id: ship, continueOnError: true,"))

        assert state["status"] == "succeeded"
        assert statuses(state) == {"ship": "Failed executor-error"}

    def test_an_attempt_that_aws_refused_is_made_again_under_its_number(
        self, engine: Engine, ana: Client
    ) -> None:
        engine.worlds["run_step"] = World(engine, [TryAgainError("busy"), TryAgainError("busy")])

        state = run(ana, NOOP)

        assert state["status"] == "succeeded"
        assert state["steps"][0]["attempts"] == 1
        assert entries(ana, state["runId"], "ship") == [
            "ship#1#started",
            "ship#1#deferred",
            "ship#1#started#2",
            "ship#1#deferred#2",
            "ship#1#started#3",
            "ship#1#ended",
        ]

    def test_a_final_failure_is_not_retried(self, engine: Engine, ana: Client) -> None:
        state = run(
            ana,
            pack(
                "- {id: ship, retries: {maxAttempts: 3}, run: {uses: builtin:sleep, "
                "with: {seconds: 9}}}",
                spec="sandbox: {quotaSeconds: 1}",
            ),
        )

        assert statuses(state) == {"ship": "Failed quota-exceeded"}
        assert [name for name, _ in engine.calls].count("run_step") == 1


class TestGate:
    def test_opens_although_its_function_died(
        self, engine: Engine, ana: Client, bob: Client
    ) -> None:
        engine.before["open_gate"] = dying()
        run_id = start(ana, GATE)

        decide(bob, run_id, "security")

        assert ended(ana, run_id)["status"] == "succeeded"

    def test_opens_once_when_its_function_died_after_the_record(
        self, engine: Engine, ana: Client, bob: Client
    ) -> None:
        dying_after(engine, "open_gate")
        run_id = start(ana, GATE)

        decide(bob, run_id, "security")

        assert ended(ana, run_id)["status"] == "succeeded"
        assert entries(ana, run_id, "review") == ["review#awaiting", "review#decided"]

    def test_expires_although_its_function_died(self, engine: Engine, ana: Client) -> None:
        fails = dying()

        def die(event: dict[str, Any]) -> None:
            if has_timed_out(event):
                fails(event)

        engine.before["open_gate"] = die
        engine.worlds["create_run"] = ImpatientWorld(engine.world.environment, session())

        state = run(ana, GATE)

        assert statuses(state)["review"] == "Failed approval-expired"


class TestDecision:
    MANIFEST = pack(
        """
        - {id: first, run: {uses: builtin:noop, with: {n: 1}}}
        - {id: ship, when: "steps.first.outputs.n == `1`", run: {uses: builtin:noop}}
        """
    )

    def test_is_made_although_its_function_died(self, engine: Engine, ana: Client) -> None:
        engine.before["decide_flow"] = dying()

        assert run(ana, self.MANIFEST)["status"] == "succeeded"

    def test_is_the_same_when_its_function_died_after_the_record(
        self, engine: Engine, ana: Client
    ) -> None:
        dying_after(engine, "decide_flow")

        assert run(ana, self.MANIFEST)["status"] == "succeeded"


def test_a_run_is_settled_although_its_function_died(engine: Engine, ana: Client) -> None:
    engine.before["settle_run"] = dying()

    assert run(ana, NOOP)["status"] == "succeeded"
