"""Refusing a run that Step Functions could not carry out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from taskrunner.compiler.budget import limits
from taskrunner.compiler.budget.distribution import MAX_PLANNED_EVENTS, QUOTA_EVENTS
from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from tests import graph
from tests.packs import pack


def noops(count: int) -> str:
    return "\n".join(f"- {{id: s{i}, run: {{uses: builtin:noop}}}}" for i in range(count))


def refusal(manifest: str) -> list[str]:
    with pytest.raises(InvalidPackError) as refused:
        compile_pack(manifest, {})
    return [f"{found.path}: {found.message}" for found in refused.value.diagnostics]


HUNDRED_ATTEMPTS = "failure: {retries: {maxAttempts: 100}}"


def test_counts_the_bytes_of_the_machine_and_of_its_input() -> None:
    compiled = compile_pack(pack(noops(1)), {})

    assert compiled.budget.definition_bytes == len(json.dumps(compiled.definition))
    assert 200 < compiled.budget.input_bytes < 400


def test_names_the_step_that_breaks_the_history_limit_with_its_line() -> None:
    fitting = compile_pack(pack(noops(71), spec=HUNDRED_ATTEMPTS), {})
    assert fitting.budget.history_events < MAX_PLANNED_EVENTS

    (found,) = refusal(pack(noops(85), spec=HUNDRED_ATTEMPTS))

    assert found.startswith("$.spec.steps[71]: line 78: with this step")


def test_names_the_last_step_when_what_follows_it_breaks_the_limit() -> None:
    (found,) = refusal(pack(noops(72), spec=HUNDRED_ATTEMPTS))

    assert found.startswith("$.spec.steps[71]: line 78:")


def test_keeps_events_for_the_retries_of_forty_tasks() -> None:
    """An inline Map runs forty tasks at a time, each of which may be refused for an hour."""
    retries = compile_pack(pack(noops(1)), {}).definition["States"]["Settle run"]["Retry"][-1]

    events = 40 * 3 * retries["MaxAttempts"]

    assert events == QUOTA_EVENTS - MAX_PLANNED_EVENTS


def test_refuses_a_machine_larger_than_step_functions_takes() -> None:
    assert any("split the pack" in found for found in refusal(pack(noops(2500))))


def test_refuses_an_input_larger_than_step_functions_takes() -> None:
    compiled = compile_pack(pack(noops(1)), {})
    too_large = replace(compiled.budget, input_bytes=limits.MAX_INPUT_BYTES + 1)

    ((path, message),) = limits.problems(compiled.plan, compiled.distributed, too_large)

    assert path == ("spec", "steps")
    assert "use fewer conditions" in message


def test_accepts_a_pack_of_a_thousand_steps() -> None:
    compiled = compile_pack(pack(noops(1000)), {})

    assert sum(1 for _ in compiled.plan.all_steps()) == 1000
    assert compiled.budget.history_events < QUOTA_EVENTS
    assert compiled.budget.definition_bytes < limits.MAX_DEFINITION_BYTES
    assert graph.problems(compiled.definition) == []


def test_accepts_a_thousand_steps_in_blocks() -> None:
    lanes = ", ".join(
        f"{{id: lane-{lane}, conditional: {{branches: [{{condition: run.id, steps: ["
        + ", ".join(f"{{id: s{lane}-{i}, run: {{uses: builtin:noop}}}}" for i in range(98))
        + "]}]}}"
        for lane in range(10)
    )
    compiled = compile_pack(
        pack(f"- {{id: all, parallel: {{maxParallel: 5, steps: [{lanes}]}}}}"), {}
    )

    assert sum(1 for _ in compiled.plan.all_steps()) == 991
    assert graph.problems(compiled.definition, compiled.plan) == []
