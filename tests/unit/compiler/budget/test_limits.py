"""Refusing a run that Step Functions could not carry out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from taskrunner.compiler.budget import limits
from taskrunner.compiler.budget.distribution import MAX_PLANNED_EVENTS, QUOTA_EVENTS
from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine import frame
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.errors import InvalidPackError
from taskrunner.model import canonical_json
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

    assert compiled.budget.input_bytes == len(
        json.dumps(execution_input(compiled.plan, "t" * 63, "r" * 128), separators=(",", ":"))
    )


def test_counts_a_machine_as_it_is_sent_with_the_longest_names() -> None:
    short, quoted = (
        compile_pack(pack(f"- {{id: a, name: {name}, run: {{uses: 'builtin:noop'}}}}"), {})
        for name in ("nnn", "'\"é'")
    )
    names = dict.fromkeys(frame.bindings(frame.frame()), "n" * 123)
    text = json.dumps(frame.bind(short.definition, names), separators=(",", ":"))

    assert short.budget.definition_bytes == len(json.dumps(text))
    # Escaped in the definition and again in the request: \\\" for the quote, \u00e9 for the letter.
    assert quoted.budget.definition_bytes == short.budget.definition_bytes - 3 + 4 + 6


def test_counts_an_input_in_its_canonical_form() -> None:
    items = pack(
        "- {id: each, map: {items: {range: {end: 99}}, step: {id: a, run: {uses: builtin:noop}}}}"
    )
    compiled = compile_pack(items, {})

    first_input = execution_input(compiled.plan, "t" * 63, "r" * 128)
    assert compiled.budget.input_bytes == canonical_json.size_bytes(first_input)


KINDS = {
    "run": "run: {uses: builtin:noop}",
    "run with retries": "retries: {maxAttempts: 3, backoffSeconds: 9}, run: {uses: builtin:noop}",
    "policy that warns": "gate: {policy: {policy: p, failureAction: warn}}",
    "policy with a branch": "gate: {policy: {policy: p, failureAction: branch, branch: [INNER]}}",
    "parallel": "parallel: {steps: [INNER]}",
    "parallel with a limit": "parallel: {maxParallel: 1, steps: [INNER]}",
    "map": "map: {items: {static: [1]}, step: INNER}",
    "map over inputs": "map: {items: inputs.list, step: INNER}",
    "loop": "loop: {items: {static: [1]}, body: [INNER]}",
    "loop with until": "loop: {items: {static: [1]}, until: index == `1`, body: [INNER]}",
    "conditional": "conditional: {branches: [{condition: inputs.flag, steps: [INNER]}]}",
    "conditional on the run": "conditional: {branches: [{condition: run.id, steps: [INNER]}]}",
}


FEWER = {"run with retries": 950, "loop with until": 900}


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_steps_with_conditions_fit_into_a_machine(kind: str) -> None:
    inner = "{id: inner-%04d, run: {uses: 'builtin:noop'}}"
    fields, count = KINDS[kind], FEWER.get(kind, 1000)
    steps = [
        f"- {{id: step-{number:04}, when: inputs.flag, {fields.replace('INNER', inner % number)}}}"
        for number in range(count // 2 if "INNER" in fields else count)
    ]
    spec = """
    inputs: [{name: flag, type: boolean, default: true}, {name: list, type: array, default: []}]
    policies: [{id: p, version: "1", rules: [{id: r, require: inputs.flag}]}]
    """

    compiled = compile_pack(pack("\n".join(steps), spec=spec), {})

    assert sum(1 for _ in compiled.plan.all_steps()) == count
    assert compiled.budget.definition_bytes <= limits.MAX_DEFINITION_BYTES


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
