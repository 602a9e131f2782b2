"""The history events that each kind of step costs, by AWS's count for each state."""

from __future__ import annotations

import pytest

from taskrunner.compiler.driver import compile_pack
from tests.packs import pack

APPROVALS = "approvals: [{id: r}]"
A = "{id: a, run: {uses: builtin:noop}}"
B = "{id: b, run: {uses: builtin:noop}}"
ONE = f"- {A}"
TASK, STATE = 5, 2  # the events of a Task, and of a Choice, Pass, Wait or Succeed


def noops(count: int, extra: str = "") -> str:
    return "\n".join(f"- {{id: s{i}, {extra}run: {{uses: builtin:noop}}}}" for i in range(count))


def events(steps: str, spec: str = "") -> int:
    return compile_pack(pack(steps, spec=spec), {}).budget.history_events


def block(kind: str) -> str:
    return f"- {{id: x, {kind}}}"


def test_a_step_costs_a_task_and_three_events_for_each_retry() -> None:
    assert events(noops(2)) - events(noops(1)) == TASK
    assert events(noops(1, "retries: {maxAttempts: 4}, ")) - events(noops(1)) == 9


def test_the_condition_of_a_step_that_calls_a_function_costs_nothing() -> None:
    assert events(noops(1, "when: '`true`', ")) == events(noops(1))
    assert events(noops(1, "when: run.id, ")) == events(noops(1))


def test_the_condition_of_a_block_costs_a_choice_and_one_that_the_run_decides_a_task_too() -> None:
    plain = events(block(f"parallel: {{steps: [{A}]}}"))

    assert events(block(f"when: '`true`', parallel: {{steps: [{A}]}}")) - plain == STATE
    assert events(block(f"when: run.id, parallel: {{steps: [{A}]}}")) - plain == TASK + STATE


def test_a_gate_costs_waiting_twice_because_it_expires_in_the_same_state() -> None:
    gate = "- {id: g, gate: {approval: {id: r}}}"

    assert events(f"{ONE}\n{gate}", APPROVALS) - events(ONE) == 12


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        # Beside the events of the step inside and of the state at its end:
        ("parallel: {steps: [" + A + "]}", 4),
        ("parallel: {maxParallel: 1, steps: [" + A + "]}", 4 + 2 + 2),
        ("parallel: {branches: [{steps: [" + A + "]}]}", 4),
        ("parallel: {branches: [{steps: [" + A + ", " + B + "]}]}", 4 + TASK),
        ("parallel: {branches: [{steps: [" + A + "]}, {steps: [" + B + "]}]}", 4 + TASK + STATE),
        (
            "parallel: {maxParallel: 1, branches: [{steps: [" + A + ", " + B + "]}]}",
            4 + 2 + 2 + TASK,
        ),
        ("map: {items: {static: [1]}, step: " + A + "}", 4 + 2),
        ("map: {items: run.id, maxParallel: 41, step: " + A + "}", 4 + 5 - 7),
        ("loop: {items: {static: [1]}, body: [" + A + "]}", 4 + 2),
        ("loop: {items: run.id, maxIterations: 1, body: [" + A + "]}", 4 + 2 + 5),
        ("conditional: {branches: [{condition: run.id, steps: [" + A + "]}]}", 5 + 2),
        ("conditional: {branches: [{condition: '`true`', steps: [" + A + "]}]}", 2),
    ],
)
def test_a_block_costs_its_own_events_and_those_of_its_steps(kind: str, more: int) -> None:
    without_steps = events(ONE) - TASK

    assert events(block(kind)) - without_steps == TASK + STATE + more


def test_each_iteration_costs_the_same() -> None:
    def of(count: int) -> int:
        return events(block(f"map: {{items: {{range: {{start: 1, end: {count}}}}}, step: {A}}}"))

    assert of(3) - of(2) == of(2) - of(1) == 9


def test_a_policy_gate_costs_each_evaluation_and_what_may_follow() -> None:
    spec = "policies: [{id: p, version: '1', rules: [{id: r, require: run.id}]}]\n" + APPROVALS

    def of(more: str) -> int:
        return events(f"- {{id: g, gate: {{policy: {{policy: p{more}}}}}}}", spec)

    abort = of("")
    assert of(", retries: {count: 2}") - abort == 2 * (TASK + STATE + STATE)
    assert of(f", failureAction: branch, branch: [{A}]") - abort == TASK + STATE


def test_an_override_costs_its_gate_and_a_call_for_each_evaluation_and_for_a_slow_one() -> None:
    spec = "policies: [{id: p, version: '1', uses: 'lambda:f'}]\n" + APPROVALS
    gate = events("- {id: g, gate: {approval: {id: r}}}", APPROVALS)

    def of(more: str) -> int:
        override = "failureAction: requestOverride, override: {approval: r}"
        return events(f"- {{id: g, gate: {{policy: {{policy: p, {override}{more}}}}}}}", spec)

    assert of("") - gate == 4
    assert of(", retries: {count: 2}") - of("") == 2 * 4


def test_a_policy_by_function_costs_the_same_as_one_by_rules() -> None:
    rules = "policies: [{id: p, version: '1', rules: [{id: r, require: run.id}]}]"
    function = "policies: [{id: p, version: '1', uses: 'lambda:f'}]"
    gate = "- {id: g, gate: {policy: {policy: p, retries: {count: 1, backoffSeconds: 5}}}}"

    assert events(gate, function) == events(gate, rules)


def test_a_conditional_costs_its_costliest_branch() -> None:
    def branch(*step_ids: str) -> str:
        steps = ", ".join(A.replace("id: a", f"id: {step_id}") for step_id in step_ids)
        return f"{{condition: run.id, steps: [{steps}]}}"

    short = events(block(f"conditional: {{branches: [{branch('a')}]}}"))
    long = events(block(f"conditional: {{branches: [{branch('a')}, {branch('b', 'c')}]}}"))

    assert long - short == TASK
