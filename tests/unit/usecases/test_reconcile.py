"""One pass of the reconciler, over runs that were cut off at one point or another."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ApprovalExpiredError, StepFailedError, TryAgainError
from taskrunner.model.approval import Verdict
from taskrunner.model.due_work import QUIET, DueKind
from taskrunner.model.metrics import Metric
from taskrunner.model.run import RunStatus, StepReference
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.enter_gate import enter_gate
from taskrunner.usecases.expire_gate import expire_gate
from taskrunner.usecases.read_state import run_state
from taskrunner.usecases.reconcile import reconcile
from taskrunner.usecases.settle_run import settle_run
from tests.fakes.failing_world import CrashError, FailingWorld, Failure
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    ADMIN,
    BOB,
    GATED,
    TENANT,
    a_request,
    a_world,
    decide,
    entry_ids,
    gate,
    interruptions,
    result_of,
    step,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.due_work import DueItem
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run


EXPIRED = Verdict.EXPIRED
GATE_BESIDE_A_FAILURE = pack(
    """
    - id: lanes
      parallel:
        steps:
          - {id: review, gate: {approval: {id: security}}}
          - {id: bad, run: {uses: builtin:fail, with: {message: no}}}
    """,
    spec="approvals: [{id: security}]",
)
TWO_GATES = pack(
    """
    - id: lanes
      parallel:
        steps:
          - {id: first, continueOnError: true, gate: {approval: {id: security}}}
          - {id: second, continueOnError: true, gate: {approval: {id: security}}}
    """,
    spec="approvals: [{id: security, expiresAfterSeconds: 86400}]",
)
ONE_GATE = pack(
    "- {id: review, gate: {approval: {id: security}}}",
    spec="approvals: [{id: security}]",
)
GATE_BESIDE_A_STEP = pack(
    """
    - id: lanes
      parallel:
        steps:
          - {id: review, gate: {approval: {id: security}}}
          - {id: busy, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: security}]",
)
TWO_LANES = pack(
    """
    - id: lanes
      parallel:
        steps:
          - {id: busy, run: {uses: builtin:noop}}
          - {id: bad, run: {uses: builtin:fail, with: {message: no}}}
    """
)
LANES_BESIDE_A_CONTAINED_FAILURE = pack(
    """
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
                - {id: busy, run: {uses: builtin:noop}}
                - {id: bad, run: {uses: builtin:fail, with: {message: no}}}
    - {id: review, gate: {approval: {id: security}}}
    """,
    spec="approvals: [{id: security}]",
)
GATE_BESIDE_A_CONTAINED_FAILURE = pack(
    """
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
                - {id: review, gate: {approval: {id: security}}}
                - {id: bad, run: {uses: builtin:fail, with: {message: no}}}
    """,
    spec="approvals: [{id: security}]",
)


def cut_off(world: MemoryWorld, port_call: str, act: Callable[[Any], Any]) -> None:
    """Let *act* die before its first call of *port_call*, such as `machines.stop`."""

    class DyingWorld(FailingWorld):
        def perform(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401
            if name == port_call:
                raise CrashError
            return call()

    never = Failure(call=0, effect_lost=True, error=CrashError)
    with pytest.raises(CrashError):
        act(DyingWorld(world, never))


def waiting() -> MemoryWorld:
    """A world in which run-7 waits at its gate, of which approvers were notified."""
    world = a_world(GATED)
    step(world, "build")
    gate(world)
    return world


def recorded(run_id: str = "run-7", world: MemoryWorld | None = None) -> MemoryWorld:
    """A world with a run that was recorded and not started."""
    world = world or MemoryWorld()
    request = a_request(run_id=run_id)
    cut_off(world, "machines.start", lambda dying: create_run(request, dying))
    return world


def a_pass(world: MemoryWorld, after_s: float = 61) -> list[str]:
    """Let time pass and reconcile; return the names of the errors."""
    world.clock.advance(after_s)
    return [type(error).__name__ for _, error in reconcile(world).failures]


def kinds(world: MemoryWorld) -> list[str]:
    """The kinds of the work that is ever due."""
    return [item.kind.value for item in world.due_work.items.values()]


def due_at_of_run(world: MemoryWorld) -> str:
    (item,) = (item for item in world.due_work.items.values() if item.kind is DueKind.RUN)
    return item.due_at


def raising(error: Exception) -> Callable[..., Any]:
    """A call that raises *error*."""

    def call(*_: object) -> None:
        raise error

    return call


def run_7(world: MemoryWorld) -> Run:
    return world.runs.snapshot(TENANT, "run-7").run


class TestDecisions:
    @pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.REJECTED])
    def test_delivers_a_decision_whose_caller_went_away(self, verdict: Verdict) -> None:
        world = waiting()
        cut_off(world, "approvals.resume", lambda dying: decide(dying, verdict))
        assert world.approvals.woken == {}

        a_pass(world)

        assert world.approvals.woken == {"token-1": verdict}

    def test_leaves_the_first_minute_to_the_decision_itself(self) -> None:
        world = waiting()
        cut_off(world, "approvals.resume", decide)

        a_pass(world, after_s=59)

        assert world.approvals.woken == {}

    def test_a_delivered_decision_leaves_nothing_to_do(self) -> None:
        world = waiting()
        decide(world)
        before = world.approvals.sent.copy()

        world.clock.advance(61)
        kinds = [item.kind for item, _ in reconcile(world).failures]

        assert (kinds, world.approvals.sent) == ([], before)
        assert [item.kind.value for item in world.due_work.items.values()] == ["run"]

    def test_delivers_an_expiry_whose_caller_went_away(self) -> None:
        world = waiting()
        cut_off(world, "approvals.resume", lambda dying: decide(dying, EXPIRED, by=ADMIN))

        assert a_pass(world) == []

        assert world.approvals.woken == {"token-1": EXPIRED}
        assert "approval" not in [item.kind.value for item in world.due_work.items.values()]

    def test_a_delivered_expiry_leaves_nothing_to_do(self) -> None:
        world = waiting()

        decide(world, EXPIRED, by=ADMIN)

        assert "approval" not in [item.kind.value for item in world.due_work.items.values()]

    def test_delivers_a_decision_of_a_run_that_has_ended_since(self) -> None:
        world = waiting()
        cut_off(world, "approvals.resume", decide)
        cancel_run(TENANT, "run-7", "bob", world)

        assert a_pass(world) == []

        assert world.approvals.woken == {"token-1": Verdict.APPROVED}
        assert [item.kind.value for item in world.due_work.items.values()] == ["ended"]


class TestGates:
    def unannounced(self) -> MemoryWorld:
        world = a_world(GATED)
        step(world, "build")
        world.notifications.is_down = True
        gate(world)
        world.notifications.is_down = False
        return world

    def test_announces_a_gate_that_sns_refused(self) -> None:
        world = self.unannounced()

        a_pass(world)

        (sent,) = world.notifications.published
        assert sent == waiting().notifications.published[0]

    def test_each_notification_that_sns_refuses_is_counted(self) -> None:
        world = self.unannounced()
        assert world.metrics.values(Metric.NOTIFICATIONS_FAILED) == [1]

        world.notifications.is_down = True
        a_pass(world)
        assert world.metrics.values(Metric.NOTIFICATIONS_FAILED) == [1, 1]

        world.notifications.is_down = False
        a_pass(world, QUIET.total_seconds())
        assert world.metrics.values(Metric.NOTIFICATIONS_FAILED) == [1, 1]

    def test_announces_a_gate_once(self) -> None:
        world = self.unannounced()
        for _ in range(5):
            a_pass(world)

        assert len(world.notifications.published) == 1

    def test_does_not_announce_a_gate_again_that_was_announced(self) -> None:
        world = waiting()

        a_pass(world)

        assert len(world.notifications.published) == 1

    def test_announces_again_while_sns_refuses(self) -> None:
        world = self.unannounced()
        world.notifications.is_down = True
        a_pass(world)
        world.notifications.is_down = False

        a_pass(world)

        assert len(world.notifications.published) == 1

    @pytest.mark.parametrize(
        "end",
        [
            decide,
            lambda world: cancel_run(TENANT, "run-7", "bob", world),
        ],
        ids=["decided", "cancelled"],
    )
    def test_does_not_announce_a_gate_that_waits_no_more(
        self, end: Callable[[MemoryWorld], object]
    ) -> None:
        world = self.unannounced()
        end(world)

        assert a_pass(world) == []

        assert world.notifications.published == []
        assert "gate" not in [item.kind.value for item in world.due_work.items.values()]


class TestExpiredGates:
    def test_announces_no_gate_whose_own_time_is_over(self) -> None:
        world = TestGates().unannounced()

        assert a_pass(world, after_s=7 * 86400 + 1) == []

        assert world.notifications.published == []
        assert "gate" not in kinds(world)

    def test_announces_no_gate_that_has_expired_beside_one_that_waits(self) -> None:
        world = a_world(TWO_GATES)
        world.notifications.is_down = True
        gate(world, "first")
        world.clock.advance(60)
        gate(world, "second", "token-2")
        world.notifications.is_down = False
        with suppress(ApprovalExpiredError):
            expire_gate(StepReference(TENANT, "run-7", "first", ""), world)

        assert a_pass(world) == []

        (sent,) = world.notifications.published
        assert json.loads(sent.body)["stepId"] == "second"


class TestPlansThatAreGone:
    """Retention deletes a plan and the items of its run one by one."""

    def test_a_gate_that_was_not_announced_is_given_up(self) -> None:
        world = TestGates().unannounced()
        world.plans.texts.clear()

        assert a_pass(world) == []

        assert "gate" not in kinds(world)

    def test_a_decision_is_given_up(self) -> None:
        world = waiting()
        cut_off(world, "approvals.resume", decide)
        world.plans.texts.clear()

        assert a_pass(world) == []

        assert "approval" not in kinds(world)

    def test_a_stopped_block_is_given_up(self) -> None:
        world = a_world(GATE_BESIDE_A_CONTAINED_FAILURE)
        gate(world)
        cut_off(world, "approvals.fail", lambda dying: step(dying, "bad"))
        world.plans.texts.clear()

        assert a_pass(world) == []

        assert "block" not in kinds(world)

    def test_an_ended_run_is_stopped_and_its_gates_are_answered_without_evidence(self) -> None:
        world = waiting()
        cut_off(world, "machines.stop", lambda dying: cancel_run(TENANT, "run-7", "bob", dying))
        world.plans.texts.clear()

        assert a_pass(world) == []

        assert world.machines.stopped == {run_7(world).execution}
        assert world.approvals.failed == {"token-1"}
        assert world.settlements.requested == []
        assert kinds(world) == []


class TestWaitingRuns:
    """A run that only waits is looked at when its first gate has expired."""

    def looks(self, world: MemoryWorld, after_s: float = QUIET.total_seconds()) -> str:
        world.machines.statuses[run_7(world).execution] = "RUNNING"
        assert a_pass(world, after_s) == []
        (item,) = (item for item in world.due_work.items.values() if item.kind is DueKind.RUN)
        assert item.looks == 0
        return item.due_at

    def test_looks_after_the_expiry_of_the_first_gate(self) -> None:
        world = a_world(TWO_GATES)
        gate(world, "first")
        world.clock.advance(60)
        gate(world, "second", "token-2")

        assert self.looks(world) == "2025-12-07T12:10:00.000Z"

    def test_looks_as_usual_while_aws_may_hold_up_a_step_beside_the_gate(self) -> None:
        """The machine tries for hours to start it, and then the execution may end unreported."""
        world = a_world(GATE_BESIDE_A_STEP)
        gate(world)

        for hour in range(1, 4):
            assert self.looks(world, after_s=3600) <= f"2025-12-06T{12 + hour}:15:00.000Z"

        assert self.looks(world, after_s=3600) == "2025-12-13T12:10:00.000Z"

    def test_looks_as_usual_while_a_step_runs_beside_a_gate(self) -> None:
        world = a_world(GATE_BESIDE_A_STEP)
        gate(world)
        cut_off(world, "runs.record_step", lambda dying: step(dying, "busy"))

        assert self.looks(world, after_s=61) == "2025-12-06T12:03:01.000Z"

    def test_looks_as_usual_while_a_lane_may_be_on_its_way_to_the_next_step(self) -> None:
        world = a_world(GATE_BESIDE_A_STEP)
        gate(world)
        world.clock.advance(30)
        step(world, "busy")

        assert self.looks(world, after_s=31) == "2025-12-06T12:03:01.000Z"

    @pytest.mark.parametrize("verdict", [Verdict.APPROVED, EXPIRED])
    def test_looks_soon_after_a_decision_has_woken_the_run(self, verdict: Verdict) -> None:
        world = a_world(TWO_GATES)
        gate(world, "first")
        assert self.looks(world) == "2025-12-07T12:10:00.000Z"
        world.clock.advance(600)

        decide(world, verdict, by=ADMIN if verdict is EXPIRED else BOB)

        assert due_at_of_run(world) <= "2025-12-06T16:30:00.000Z"

    def test_looks_soon_after_a_decision_that_the_reconciler_has_delivered(self) -> None:
        world = a_world(TWO_GATES)
        gate(world, "first")
        assert self.looks(world) == "2025-12-07T12:10:00.000Z"
        cut_off(world, "approvals.resume", lambda dying: decide(dying, EXPIRED, by=ADMIN))

        a_pass(world)

        assert due_at_of_run(world) <= "2025-12-06T16:30:00.000Z"

    def test_a_decision_between_the_reads_and_the_write_of_a_pass_counts(self) -> None:
        world = waiting()
        inner = world.due_work.postpone

        def decided_before(item: DueItem, until: str) -> None:
            decide(world)
            inner(item, until)

        world.due_work.postpone = decided_before  # type: ignore[method-assign]

        assert self.looks(world) <= "2025-12-06T16:20:00.000Z"

    def test_looks_again_at_the_gates_that_still_wait_after_the_first_has_expired(self) -> None:
        world = a_world(TWO_GATES)
        gate(world, "first")
        world.clock.advance(36000)
        gate(world, "second", "token-2")
        self.looks(world)
        with suppress(ApprovalExpiredError):
            expire_gate(StepReference(TENANT, "run-7", "first", ""), world)

        assert self.looks(world, after_s=50000) == "2025-12-07T22:10:00.000Z"


class TestStoppedBlocks:
    def test_fails_the_gates_of_a_block_that_a_failure_beside_them_has_stopped(self) -> None:
        world = a_world(GATE_BESIDE_A_CONTAINED_FAILURE)
        gate(world)
        cut_off(world, "approvals.fail", lambda dying: step(dying, "bad"))
        assert world.approvals.failed == set()

        assert a_pass(world) == []

        assert world.approvals.failed == {"token-1"}
        assert "block" not in kinds(world)

    def test_a_block_whose_gates_were_answered_leaves_nothing_to_do(self) -> None:
        world = a_world(GATE_BESIDE_A_CONTAINED_FAILURE)
        gate(world)

        result_of(lambda: step(world, "bad"))

        assert world.approvals.failed == {"token-1"}
        assert "block" not in kinds(world)

    def test_a_block_of_a_run_that_has_ended_since_leaves_nothing_to_do(self) -> None:
        world = a_world(GATE_BESIDE_A_CONTAINED_FAILURE)
        gate(world)
        cut_off(world, "approvals.fail", lambda dying: step(dying, "bad"))
        cancel_run(TENANT, "run-7", "bob", world)

        assert a_pass(world) == []

        assert world.approvals.failed == {"token-1"}
        assert kinds(world) == ["ended"]

    @pytest.mark.parametrize("refusal", [TryAgainError("busy"), PermissionError("no")])
    def test_answers_the_gates_that_step_functions_refused_to_answer(
        self, refusal: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        world = a_world(GATE_BESIDE_A_CONTAINED_FAILURE)
        gate(world)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world.approvals, "fail", raising(refusal))
            assert result_of(lambda: step(world, "bad")) == "StepFailedError"
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert vars(record)["run"] == "run-7"
        assert vars(record)["error"] == type(refusal).__name__
        assert "token-1" not in caplog.text

        assert a_pass(world) == []

        assert world.approvals.failed == {"token-1"}


class TestEndedRuns:
    def test_stops_a_cancelled_run_whose_caller_went_away(self) -> None:
        world = waiting()
        cut_off(world, "machines.stop", lambda dying: cancel_run(TENANT, "run-7", "bob", dying))
        assert world.machines.stopped == set()

        a_pass(world)

        assert world.machines.stopped == {run_7(world).execution}
        assert world.settlements.requested == [(TENANT, "run-7", "ENDED")]

    def test_fails_the_gates_of_a_run_that_a_failure_beside_them_has_ended(self) -> None:
        world = a_world(GATE_BESIDE_A_FAILURE)
        gate(world)
        cut_off(world, "approvals.fail", lambda dying: step(dying, "bad"))
        assert world.approvals.failed == set()

        assert a_pass(world) == []

        assert world.approvals.failed == {"token-1"}
        assert world.settlements.requested == [(TENANT, "run-7", "ENDED")]

    def test_seals_a_run_that_was_ended_and_not_sealed(self) -> None:
        world = a_world()
        step(world, "ship")
        cut_off(world, "evidence.sign", lambda dying: settle_run(TENANT, "run-7", None, dying))

        a_pass(world)

        assert world.settlements.requested == [(TENANT, "run-7", "ENDED")]
        assert world.machines.stopped == set()

    def test_asks_for_a_seal_until_there_is_one(self) -> None:
        world = waiting()
        cancel_run(TENANT, "run-7", "bob", world)
        a_pass(world)
        a_pass(world)
        settle_run(TENANT, "run-7", "ENDED", world)
        a_pass(world, after_s=3600)

        assert len(world.settlements.requested) == 2
        assert world.due_work.items == {}


def fail_with_a_lane(world: MemoryWorld) -> None:
    """Let a lane of `TWO_LANES` fail the run, which is settled."""
    with pytest.raises(StepFailedError):
        step(world, "bad")
    settle_run(TENANT, "run-7", "StepFailedError", world)


class TestLostAttempts:
    """A step is being executed while another one fails the run, and its function dies."""

    def ended(self) -> MemoryWorld:
        world = a_world(TWO_LANES)
        cut_off(world, "sandbox.execute", lambda dying: step(dying, "busy"))
        fail_with_a_lane(world)
        return world

    def busy(self, world: MemoryWorld) -> JsonObject:
        steps = run_state(TENANT, "run-7", world)["steps"]
        return next(item for item in steps if item["stepId"] == "busy")

    def test_are_recorded_once_no_function_can_execute_them(self) -> None:
        world = self.ended()

        assert a_pass(world, after_s=959) == []
        assert self.busy(world)["status"] == "Running"
        assert a_pass(world, after_s=1) == []

        assert entry_ids(world)[-1] == "busy#1#ended"
        assert self.busy(world)["status"] == "Failed"
        assert self.busy(world)["statusReason"] == "executor-error"
        assert world.due_work.items == {}

    def test_are_recorded_once(self) -> None:
        world = self.ended()
        world.clock.advance(960)
        cut_off(world, "due_work.finish", reconcile)
        a_pass(world, after_s=3600)

        assert entry_ids(world).count("busy#1#ended") == 1
        assert world.due_work.items == {}

    def test_a_step_that_has_finished_meanwhile_keeps_its_result(self) -> None:
        world = a_world(TWO_LANES)

        class FailingMeanwhile(FailingWorld):
            def perform(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401
                if name == "sandbox.execute":
                    fail_with_a_lane(world)
                return call()

        never = Failure(call=0, effect_lost=True, error=CrashError)
        step(FailingMeanwhile(world, never), "busy")
        assert kinds(world) == ["ended"]
        a_pass(world, after_s=960)

        assert self.busy(world)["status"] == "Succeeded"
        assert world.due_work.items == {}

    def test_of_a_run_without_a_plan_are_given_up(self) -> None:
        world = self.ended()
        world.plans.texts.clear()

        assert a_pass(world, after_s=960) == []
        assert world.due_work.items == {}

    def test_a_failed_run_in_which_no_step_runs_leaves_nothing_to_do(self) -> None:
        world = a_world(TWO_LANES)
        fail_with_a_lane(world)

        assert world.due_work.items == {}


class TestLostAttemptsOfAStoppedBlock:
    """A step is being executed while another one ends the block, and the run goes on after it."""

    def going_on(self) -> MemoryWorld:
        world = a_world(LANES_BESIDE_A_CONTAINED_FAILURE)
        world.machines.statuses[run_7(world).execution] = "RUNNING"
        cut_off(world, "sandbox.execute", lambda dying: step(dying, "busy"))
        with pytest.raises(StepFailedError):
            step(world, "bad")
        return world

    def statuses(self, world: MemoryWorld) -> dict[str, str]:
        state = run_state(TENANT, "run-7", world)
        return {"run": state["status"]} | {
            item["stepId"]: item["status"] for item in state["steps"]
        }

    def test_are_recorded_while_the_run_waits_at_a_gate(self) -> None:
        world = self.going_on()
        gate(world, "review")

        for _ in range(10):
            assert a_pass(world, after_s=120) == []

        assert entry_ids(world).count("busy#1#ended") == 1
        found = self.statuses(world)
        assert (found["run"], found["busy"], found["lanes"]) == ("waiting", "Failed", "Failed")

    def test_are_left_alone_while_a_function_can_execute_them(self) -> None:
        world = self.going_on()

        for _ in range(7):
            assert a_pass(world, after_s=120) == []

        assert "busy#1#ended" not in entry_ids(world)
        assert self.statuses(world)["busy"] == "Running"

    def test_are_recorded_after_the_run_has_succeeded(self) -> None:
        world = self.going_on()
        settle_run(TENANT, "run-7", None, world)

        assert a_pass(world, after_s=959) == []
        assert self.statuses(world)["busy"] == "Running"
        assert a_pass(world, after_s=1) == []

        assert entry_ids(world)[-1] == "busy#1#ended"
        found = self.statuses(world)
        assert (found["run"], found["busy"]) == ("succeeded", "Failed")
        assert world.due_work.items == {}

    def test_a_step_that_finishes_after_the_run_has_succeeded_keeps_its_result(self) -> None:
        world = a_world(LANES_BESIDE_A_CONTAINED_FAILURE)

        class EndingMeanwhile(FailingWorld):
            def perform(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401
                if name == "sandbox.execute":
                    with pytest.raises(StepFailedError):
                        step(world, "bad")
                    settle_run(TENANT, "run-7", None, world)
                return call()

        never = Failure(call=0, effect_lost=True, error=CrashError)
        step(EndingMeanwhile(world, never), "busy")
        assert a_pass(world, after_s=960) == []

        assert self.statuses(world)["busy"] == "Succeeded"
        assert world.due_work.items == {}

    def test_a_step_that_the_machine_tries_again_is_not_lost(self) -> None:
        world = a_world(TWO_LANES)
        world.machines.statuses[run_7(world).execution] = "RUNNING"
        cut_off(world, "sandbox.execute", lambda dying: step(dying, "busy"))

        for _ in range(10):
            assert a_pass(world, after_s=120) == []

        assert "busy#1#ended" not in entry_ids(world)


class TestRuns:
    def test_starts_a_run_that_was_recorded_and_not_started(self) -> None:
        world = recorded()

        a_pass(world)

        assert list(world.machines.started) == [run_7(world).execution]

    def test_settles_a_run_whose_execution_ended_without_a_report(self) -> None:
        world = a_world()
        world.machines.statuses[run_7(world).execution] = "ABORTED"

        a_pass(world)

        assert world.settlements.requested == [(TENANT, "run-7", "ABORTED")]

    @pytest.mark.parametrize("status", ["RUNNING", "PENDING_REDRIVE"])
    def test_lets_a_run_go_on(self, status: str) -> None:
        world = a_world()
        world.machines.statuses[run_7(world).execution] = status

        a_pass(world)

        assert world.settlements.requested == []
        (item,) = world.due_work.items.values()
        assert (item.due_at, item.looks) == ("2025-12-06T12:03:01.000Z", 0)

    def test_never_fails_a_run_because_aws_is_busy(self) -> None:
        world = recorded()
        world.machines.refusal = TryAgainError("busy")
        for _ in range(30):
            a_pass(world, after_s=3601)
        assert world.settlements.requested == []
        world.machines.refusal = None

        a_pass(world, after_s=3601)

        assert list(world.machines.started) == [run_7(world).execution]

    def test_settles_a_run_that_cannot_be_started_after_three_tries(self) -> None:
        world = recorded()
        world.machines.refusal = PermissionError("no")

        requested = []
        for _ in range(3):
            assert a_pass(world, after_s=241) == ["PermissionError"]
            requested.append(list(world.settlements.requested))

        assert requested == [[], [], [(TENANT, "run-7", "NOT_STARTED")]]

    def test_settles_a_run_without_a_plan_at_once(self) -> None:
        world = recorded()
        world.plans.texts.clear()

        assert a_pass(world) == ["NotFoundError"]

        assert world.settlements.requested == [(TENANT, "run-7", "NOT_STARTED")]

    def test_ignores_a_run_that_ended_since_it_was_due(self) -> None:
        world = a_world()
        step(world, "ship")
        settle_run(TENANT, "run-7", None, world)

        assert a_pass(world, after_s=3600) == []

        assert world.settlements.requested == []


class TestWaiting:
    """A run that waits for a person costs nothing, however many there are, and however long."""

    def calls_of_a_pass(self, world: MemoryWorld) -> list[str]:
        counting = FailingWorld(world, Failure(call=0, effect_lost=True, error=CrashError))
        world.clock.advance(60)
        reconcile(counting)
        return counting.calls

    def waiting_runs(self, count: int) -> MemoryWorld:
        """A world in which so many runs have waited at a gate for longer than they are watched."""
        world = MemoryWorld()
        for number in range(count):
            create_run(a_request(ONE_GATE, run_id=f"run-{number}"), world)
            enter_gate(StepReference(TENANT, f"run-{number}", "review"), "token", world)
        for _ in range(4):  # a pass looks at 400 runs
            a_pass(world, after_s=QUIET.total_seconds() + 60)
        return world

    def test_a_thousand_waiting_runs_cause_as_many_calls_of_a_pass_as_one(self) -> None:
        one, world = self.waiting_runs(1), self.waiting_runs(1000)
        of_one = [self.calls_of_a_pass(one) for _ in range(10)]

        of_a_thousand = [self.calls_of_a_pass(world) for _ in range(10)]

        assert of_a_thousand == of_one
        assert {call.partition(".")[0] for call in of_one[0]} <= {
            "due_work",
            "approvals",  # the oldest open one, for the gauges
            "jobs",  # those that wait for workers, for the gauges
            "metrics",
        }
        assert {stored.status for stored in world.runs.stored.values()} == {RunStatus.WAITING}


class TestFairness:
    def hopeless(self, count: int) -> MemoryWorld:
        """A world in which *count* runs were not started, and each start takes AWS ten seconds."""
        world = MemoryWorld()
        for number in range(count):
            recorded(f"run-{number}", world)

        def refuse(*_: object) -> None:
            world.clock.advance(10)
            raise TryAgainError("busy")

        world.machines.start = refuse  # type: ignore[method-assign, assignment]
        return world

    def test_forty_hopeless_runs_hold_up_nobody(self) -> None:
        world = self.hopeless(40)
        stopped = [f"stopped-{number}" for number in range(6)]
        for run_id in stopped:
            run = recorded(run_id, world).runs.snapshot(TENANT, run_id).run
            world.machines.started[run.execution] = {}
            world.machines.statuses[run.execution] = "ABORTED"
        recorded("cancelled", world)
        cut_off(world, "machines.stop", lambda dying: cancel_run(TENANT, "cancelled", "bob", dying))

        a_pass(world)

        requested = {run_id for _, run_id, _ in world.settlements.requested}
        assert requested == {*stopped, "cancelled"}

    def test_looks_at_what_fails_less_and_less_often(self) -> None:
        world = self.hopeless(1)
        looks = []
        for minute in range(128):
            before = world.due_work.items
            looks_before = next(iter(before.values())).looks
            world.clock.time = world.clock.time.replace(
                hour=12 + minute // 60, minute=minute % 60, second=1
            )
            reconcile(world)
            if next(iter(world.due_work.items.values())).looks > looks_before:
                looks.append(minute)

        assert looks == [1, 2, 4, 8, 16, 32, 64, 124]

    def test_a_pass_begins_nothing_after_its_time(self) -> None:
        world = self.hopeless(1)

        world.clock.advance(61)

        assert reconcile(world, pass_s=0).taken == 0

    def test_an_item_that_fails_stops_no_other(self) -> None:
        world = waiting()
        cut_off(world, "approvals.resume", decide)
        world.machines.statuses[run_7(world).execution] = "ABORTED"

        def refuse(*_: object) -> None:
            raise PermissionError

        world.settlements.request = refuse  # type: ignore[method-assign, assignment]

        assert a_pass(world) == ["PermissionError"]

        assert world.approvals.woken == {"token-1": Verdict.APPROVED}

    def test_two_passes_at_once_take_an_item_once(self) -> None:
        world = waiting()
        cancel_run(TENANT, "run-7", "bob", world)
        world.clock.advance(61)
        inner = world.due_work.lease

        def leased_by_another(item: Any, until: str) -> Any:  # noqa: ANN401
            assert inner(item, until) is not None
            return inner(item, until)

        world.due_work.lease = leased_by_another  # type: ignore[method-assign]

        assert reconcile(world).taken == 0
        assert world.settlements.requested == []


@pytest.mark.parametrize("kind", ["decided", "cancelled", "unannounced", "unstarted"])
def test_a_pass_that_is_cut_off_is_made_up_for(kind: str) -> None:
    def arrange() -> MemoryWorld:
        world = recorded() if kind == "unstarted" else waiting()
        if kind == "decided":
            cut_off(world, "approvals.resume", decide)
        if kind == "cancelled":
            cut_off(world, "machines.stop", lambda w: cancel_run(TENANT, "run-7", "bob", w))
        if kind == "unannounced":
            world = TestGates().unannounced()
        world.clock.advance(61)
        return world

    def healed(world: MemoryWorld) -> object:
        return (
            world.approvals.woken,
            world.machines.stopped,
            set(world.settlements.requested),
            {sent.id for sent in world.notifications.published},
            set(world.machines.started),
        )

    whole = arrange()
    reconcile(whole)
    expected = healed(whole)
    ways = 0
    for interrupted in interruptions(arrange):
        world = interrupted(lambda failing: result_of(lambda: reconcile(failing)))
        if world is None:
            continue
        ways += 1
        a_pass(world, after_s=60)
        a_pass(world, after_s=60)
        assert healed(world) == expected
    assert ways > 20


class TestMetrics:
    def test_a_pass_measures_the_deployment(self) -> None:
        world = a_world(GATED)
        step(world, "build")
        gate(world, "review")
        world.clock.advance(90)

        reconcile(world)

        values = world.metrics.values
        assert values(Metric.RECONCILER_PASSES) == [1]
        assert values(Metric.OPEN_GATES) == [1]
        assert values(Metric.OLDEST_GATE_AGE) == [90]
        assert values(Metric.DUE_WORK) == [1]
        assert values(Metric.DUE_WORK_AGE) == [30]
        assert values(Metric.REPAIRS) == [1]
        assert values(Metric.REPAIRS_FAILED) == [0]

    def test_a_deployment_without_runs_measures_zero(self) -> None:
        world = MemoryWorld()

        reconcile(world)

        assert world.metrics.values(Metric.OPEN_GATES) == [0]
        assert world.metrics.values(Metric.DUE_WORK_AGE) == [0]

    def test_counts_what_could_not_be_taken_up(self) -> None:
        world = a_world(GATED)
        cancel_run(TENANT, "run-7", "bob", world)
        world.clock.advance(90)
        world.settlements.request = refuse  # type: ignore[method-assign, assignment]

        reconcile(world)

        assert world.metrics.values(Metric.REPAIRS_FAILED) == [1]
        assert world.metrics.values(Metric.REPAIRS) == [0]


def refuse(*_: object) -> None:
    raise PermissionError("settle_run")
