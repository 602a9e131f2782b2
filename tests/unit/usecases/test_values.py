from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner.model import plan_document
from taskrunner.usecases.open_gate import open_gate
from taskrunner.usecases.values import values
from tests.fakes.failing_world import CrashError, FailingWorld, Failure
from tests.packs import pack
from tests.unit.usecases.given import NOON, TENANT, a_world, step, told

if TYPE_CHECKING:
    from taskrunner.usecases.world import World
    from tests.fakes.world import MemoryWorld

MANIFEST = pack(
    """
    - {id: build, run: {uses: builtin:noop, with: {size: 3}}}
    - {id: broken, continueOnError: true, run: {uses: builtin:fail}}
    - {id: never, when: inputs.go, run: {uses: builtin:noop}}
    - {id: review, gate: {approval: {id: security}}}
    - {id: ship, run: {uses: builtin:noop}}
    """,
    spec="""
    inputs: [{name: go, type: boolean, default: false}]
    approvals: [{id: security}]
    """,
)


def read(world: MemoryWorld, *steps: str, through: Any = None, iteration: str = "") -> Any:  # noqa: ANN401
    head = world.runs.head(TENANT, "run-7")
    plan = plan_document.from_document(world.plans.get(TENANT, head.run.plan_hash))
    outcomes = world.runs.outcomes(TENANT, "run-7", {iteration + one for one in steps})
    port: World = through or world
    return values(plan, head, steps, outcomes, port, iteration=iteration)


def test_inputs_and_the_run_are_always_there() -> None:
    assert read(a_world(MANIFEST)) == {
        "inputs": {"go": False},
        "run": {"id": "run-7", "tenant": TENANT, "createdAt": NOON},
        "steps": {},
    }


def test_each_step_has_its_outputs_and_status() -> None:
    world = a_world(MANIFEST)
    step(world, "build")
    told(lambda: step(world, "broken"))

    assert read(world, "build", "broken", "never")["steps"] == {
        "build": {"outputs": {"size": 3}, "status": "Succeeded"},
        "broken": {"outputs": None, "status": "Failed"},
        "never": {"outputs": None, "status": "Skipped"},
    }


def test_an_earlier_step_without_an_outcome_broke_down() -> None:
    assert read(a_world(MANIFEST), "build")["steps"]["build"] == {
        "outputs": None,
        "status": "Failed",
    }


def test_the_status_of_a_gate_is_in_the_journal() -> None:
    world = a_world(MANIFEST)
    from taskrunner.model.run import StepReference  # noqa: PLC0415

    open_gate(StepReference(TENANT, "run-7", "review"), "token", world)

    assert read(world, "review")["steps"]["review"] == {"outputs": None, "status": "Pending"}


def test_the_journal_is_read_for_a_gate_alone() -> None:
    world = a_world(MANIFEST)
    step(world, "build")

    failing = FailingWorld(world, Failure(call=1, effect_lost=True, error=CrashError))
    read(world, "build", through=failing)

    assert failing.calls == []


def test_an_iteration_reads_its_own_siblings() -> None:
    world = a_world(MANIFEST)
    from taskrunner.model.run import StepReference  # noqa: PLC0415
    from taskrunner.usecases.run_step import run_step  # noqa: PLC0415

    run_step(StepReference(TENANT, "run-7", "build", "each[1]::"), world, remaining_s=900)

    assert read(world, "build", iteration="each[1]::")["steps"]["build"]["status"] == "Succeeded"
    assert read(world, "build", iteration="each[0]::")["steps"]["build"]["status"] == "Failed"
