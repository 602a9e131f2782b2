"""The warning to the creator of a run that needed a new machine, near AWS's quota of them."""

from __future__ import annotations

from typing import Any

import pytest

from taskrunner.errors import MachineQuotaError, TryAgainError
from taskrunner.model.machine_count import MachineCount
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.rerun_run import RerunRun, rerun_run
from taskrunner.usecases.start_run import start_run
from tests.api_schema import schema_problems
from tests.fakes.failing_world import FailingWorld, Failure
from tests.fakes.world import MemoryWorld
from tests.log_lines import log_lines
from tests.packs import pack
from tests.unit.usecases.scenarios import TENANT, a_request

COUNTED_AT = "2025-12-06T03:00:00.000Z"
FULL = MachineCount(95_012, 90_000, COUNTED_AT)
OTHER_VERSION = pack("- {id: ship, run: {uses: builtin:noop}}", name="other")


def a_world(count: MachineCount | None = FULL) -> MemoryWorld:
    world = MemoryWorld()
    world.machine_counts.stored = count
    return world


def create(world: Any, run_id: str = "run-7", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return create_run(a_request(run_id=run_id, **changes), world)


def test_warns_the_creator_of_the_first_run_of_a_version_near_the_quota() -> None:
    (warning,) = create(a_world())["warnings"]

    assert warning["code"] == "machine_quota_near"
    for part in (
        "95012",
        COUNTED_AT,
        "90000",
        "503 machine_quota_reached",
        "versions in use go on",
        "MachineRetentionDays",
        "docs/operations.md#machinequotaalarm",
    ):
        assert part in warning["message"]


def test_the_answer_is_a_state_of_the_documents_schema() -> None:
    state = create(a_world())

    assert list(schema_problems("#/components/schemas/RunStateResponse", state)) == []


def test_a_run_whose_machine_exists_has_no_warning_and_reads_no_count() -> None:
    world = a_world()
    create(world)

    for number in range(3):
        assert "warnings" not in create(world, f"later-{number}")

    assert world.machine_counts.reads == 1


def test_each_new_version_is_warned_of() -> None:
    world = a_world()
    create(world)

    assert "warnings" in create(world, "run-8", manifest=OTHER_VERSION)
    assert world.machine_counts.reads == 2


def test_warns_the_creator_of_a_rerun_whose_machine_was_removed() -> None:
    world = a_world(None)
    create(world)
    world.machines.definitions.clear()
    world.machine_counts.stored = FULL

    again = RerunRun(tenant=TENANT, caller="bob", rerun_of="run-7", inputs={}, run_id="run-8")
    state = rerun_run(again, world)

    assert [warning["code"] for warning in state["warnings"]] == ["machine_quota_near"]


@pytest.mark.parametrize("count", [None, FULL._replace(in_account=89_999)])
def test_says_nothing_far_from_the_quota_or_before_the_first_count(
    count: MachineCount | None,
) -> None:
    assert "warnings" not in create(a_world(count))


@pytest.mark.parametrize("refusal", [TryAgainError("busy"), PermissionError("no"), KeyError("x")])
def test_creates_the_run_although_the_count_cannot_be_read(refusal: Exception) -> None:
    world = a_world()
    world.machine_counts.refusal = refusal

    with log_lines() as lines:
        state = create(world)

    assert (state["status"], state.get("warnings")) == ("queued", None)
    assert len(world.machines.started) == 1
    assert [line["message"] for line in lines] == ["the count of state machines could not be read"]


def test_says_so_in_the_log() -> None:
    with log_lines() as lines:
        create(a_world())

    (line,) = lines
    assert line["level"] == "WARNING"
    assert line["message"] == "a state machine was made near the quota"
    assert (line["in_account"], line["warn_from"]) == (95_012, 90_000)
    assert line["counted_at"] == COUNTED_AT


def test_the_reconciler_reads_no_count_for_a_machine_that_it_makes() -> None:
    world = a_world()
    world.machines.refusal = TryAgainError("busy")
    assert "warnings" not in create(world)
    world.machines.refusal = None

    assert start_run(TENANT, "run-7", world)

    assert len(world.machines.definitions) == 1
    assert world.machine_counts.reads == 0


class TestAtTheQuota:
    def test_warns_the_creator_that_the_recorded_run_waits(self) -> None:
        world = a_world(None)  # whatever was counted, if the quota is lower than it is thought
        world.machines.refusal = MachineQuotaError()

        with log_lines() as lines:
            state = create(world)

        (warning,) = state["warnings"]
        assert warning["code"] == "machine_quota_reached"
        assert "the run is recorded and waits" in warning["message"]
        assert list(world.runs.stored) == [(TENANT, "run-7")]
        assert [line["level"] for line in lines] == ["WARNING"]

    def test_the_reconciler_starts_the_run_once_there_is_room(self) -> None:
        world = a_world()
        world.machines.refusal = MachineQuotaError()
        create(world)

        assert not start_run(TENANT, "run-7", world)
        world.machines.refusal = None
        assert start_run(TENANT, "run-7", world)

        assert len(world.machines.started) == 1

    def test_a_repeated_request_warns_again_while_the_run_waits(self) -> None:
        world = a_world()
        world.machines.refusal = MachineQuotaError()
        first = create(world, idempotency_key="k-1")
        assert create(world, idempotency_key="k-1") == first
        world.machines.refusal = None

        again = create(world, idempotency_key="k-1")

        assert [warning["code"] for warning in again["warnings"]] == ["machine_quota_near"]
        assert list(world.runs.stored) == [(TENANT, "run-7")]
        assert len(world.machines.started) == 1


def test_a_repeated_request_is_answered_without_the_warning_once_the_run_has_begun() -> None:
    world = a_world()
    first = create(world, idempotency_key="k-1")

    again = create(world, idempotency_key="k-1")

    assert first == {**again, "warnings": first["warnings"]}


def test_only_a_run_that_needed_a_machine_calls_the_port() -> None:
    """All calls of ports, in order: a known version makes none more than before there was one."""
    world = a_world()
    never = Failure(call=0, effect_lost=True, error=KeyError)
    calls = []
    for run_id in ("run-7", "run-8"):
        observed: Any = FailingWorld(world, never)
        create(observed, run_id)
        calls.append(observed.calls)

    new, known = calls
    assert new == [*known, "machine_counts.last"]
