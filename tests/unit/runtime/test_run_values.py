from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner.model.run import StepReference
from taskrunner.runtime.run_values import RunValues
from taskrunner.usecases.enter_gate import enter_gate
from tests.fakes.failing_world import CrashError, FailingWorld, Failure
from tests.packs import pack
from tests.unit.usecases.scenarios import NOON, TENANT, a_world, result_of, step

if TYPE_CHECKING:
    from taskrunner.ports import World
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


def read(
    world: MemoryWorld,
    *steps: str,
    names: tuple[str, ...] = (),
    through: Any = None,  # noqa: ANN401
    iteration: str = "",
) -> Any:  # noqa: ANN401
    snapshot = world.runs.snapshot(TENANT, "run-7")
    plan = world.plans.get(TENANT, snapshot.run.plan_hash)
    port: World = through or world
    references: list[tuple[str, ...]] = [
        ("steps", step_id, part) for step_id in steps for part in ("outputs", "status")
    ]
    references += [(name,) for name in names]
    return RunValues(plan, snapshot, port).context(references, iteration)


def test_context_always_has_inputs_and_the_run() -> None:
    assert read(a_world(MANIFEST)) == {
        "inputs": {"go": False},
        "run": {
            "id": "run-7",
            "tenant": TENANT,
            "createdAt": NOON,
            "createdBy": "ana",
            "now": None,
        },
        "steps": {},
    }


def test_context_has_outputs_and_status_of_each_step() -> None:
    world = a_world(MANIFEST)
    step(world, "build")
    result_of(lambda: step(world, "broken"))

    assert read(world, "build", "broken", "never")["steps"] == {
        "build": {"outputs": {"size": 3}, "status": "Succeeded"},
        "broken": {"outputs": None, "status": "Failed"},
        "never": {"outputs": None, "status": "Skipped"},
    }


def test_an_earlier_step_without_an_outcome_has_failed() -> None:
    assert read(a_world(MANIFEST), "build")["steps"]["build"] == {
        "outputs": None,
        "status": "Failed",
    }


def test_reads_the_status_of_a_gate_from_the_journal() -> None:
    world = a_world(MANIFEST)
    enter_gate(StepReference(TENANT, "run-7", "review"), "token", world)

    assert read(world, "review")["steps"]["review"] == {"outputs": None, "status": "Pending"}


def test_does_not_read_the_journal_for_a_step_with_an_outcome() -> None:
    world = a_world(MANIFEST)
    step(world, "build")

    failing = FailingWorld(world, Failure(call=2, effect_lost=True, error=CrashError))
    read(world, "build", through=failing)

    assert failing.calls == ["runs.outcomes"]


MAPPED = pack(
    """
    - id: each
      map:
        items: inputs.hosts
        steps:
          - {id: probe, run: {uses: builtin:noop, with: {host: "{{ item }}", n: "{{ index }}"}}}
          - {id: again, run: {uses: builtin:noop, with: {"it": "{{ steps.probe.outputs.host }}"}}}
    """,
    spec="inputs: [{name: hosts, type: array, default: [web, db]}]",
)


def test_an_iteration_reads_its_own_siblings_and_its_item() -> None:
    world = a_world(MAPPED)
    step(world, "probe", iteration="each[1]::")

    inside = read(world, "probe", names=("item",), iteration="each[1]::")

    assert inside["steps"]["probe"]["outputs"] == {"host": "db", "n": 1}
    assert (inside["item"], inside["index"]) == ("db", 1)


def test_reads_an_item_list_only_for_an_expression_that_reads_an_item() -> None:
    world = a_world(MAPPED.replace("items: inputs.hosts", "items: run.id"))

    unread = FailingWorld(world, Failure(call=9, effect_lost=True, error=CrashError))
    read(world, through=unread, iteration="each[1]::")
    reading = FailingWorld(world, Failure(call=9, effect_lost=True, error=CrashError))
    read(world, through=reading, names=("item",), iteration="each[1]::")

    assert unread.calls == []
    assert reading.calls == ["runs.outcomes"]


def test_values_of_items_look_for_no_step_that_was_not_run() -> None:
    """Else a map of 10,000 items would make as many calls."""
    value = "outputs: '{probe: steps.probe.status, again: steps.again.outputs}'"
    manifest = MAPPED.replace("steps:\n          -", f"{value}\n        steps:\n          -")
    world = a_world(manifest)
    for index in range(2):
        step(world, "probe", iteration=f"each[{index}]::")

    reading = FailingWorld(world, Failure(call=99, effect_lost=True, error=CrashError))
    read(world, "each", through=reading)

    assert reading.calls.count("runs.outcomes_below") == 1
    assert reading.calls.count("runs.outcomes") <= 1


def test_a_map_has_its_results_in_the_order_of_its_items() -> None:
    world = a_world(MAPPED)
    for index in (1, 0):
        step(world, "probe", iteration=f"each[{index}]::")
        step(world, "again", iteration=f"each[{index}]::")

    outputs = read(world, "each")["steps"]["each"]["outputs"]

    assert outputs == {
        "results": [{"it": "web"}, {"it": "db"}],
        "statuses": ["Succeeded", "Succeeded"],
    }
