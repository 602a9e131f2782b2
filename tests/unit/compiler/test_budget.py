from __future__ import annotations

import json

import pytest

from taskrunner.compiler import budget
from taskrunner.compiler.compiled import compile_pack
from taskrunner.errors import InvalidPackError
from tests.packs import pack


def steps(count: int, extra: str = "") -> str:
    return "\n".join(f"- {{id: s{i}, {extra}run: {{uses: builtin:noop}}}}" for i in range(count))


def events(text: str, spec: str = "") -> int:
    return compile_pack(pack(text, spec=spec), {}).budget.history_events


def refusal(manifest: str) -> list[str]:
    with pytest.raises(InvalidPackError) as refused:
        compile_pack(manifest, {})
    return [f"{one.path}: {one.message}" for one in refused.value.diagnostics]


ONE = steps(1)
APPROVALS = "approvals: [{id: r}]"


def test_a_step_costs_the_events_of_a_task_and_three_for_each_retry() -> None:
    assert events(steps(2)) - events(ONE) == 5
    assert events(steps(1, "retries: {maxAttempts: 4}, ")) - events(ONE) == 9


def test_a_condition_costs_the_events_of_a_choice() -> None:
    assert events(steps(1, "when: '`true`', ")) - events(ONE) == 2


def test_a_gate_costs_the_events_of_waiting_and_of_expiring() -> None:
    assert events(ONE + "\n- {id: g, gate: {approval: {id: r}}}", APPROVALS) - events(ONE) == 11


def test_bytes_are_those_of_the_machine_and_of_its_input() -> None:
    compiled = compile_pack(pack(ONE), {})

    assert compiled.budget.definition_bytes == len(json.dumps(compiled.definition))
    assert 200 < compiled.budget.input_bytes < 400


def test_the_step_that_breaks_the_history_limit_is_named_with_its_line() -> None:
    failure = "failure: {retries: {maxAttempts: 100}}"
    assert events(steps(79), failure) < budget.MAX_HISTORY_EVENTS

    (told,) = refusal(pack(steps(85), spec=failure))

    assert told.startswith("$.spec.steps[79]: line 86: with this step")


def test_what_comes_last_can_be_what_breaks_the_limit() -> None:
    failure = "failure: {retries: {maxAttempts: 100}}"

    (told,) = refusal(pack(steps(80), spec=failure))

    assert told.startswith("$.spec.steps[79]: line 86:")


def test_a_machine_larger_than_step_functions_takes_is_refused() -> None:
    told = refusal(pack(steps(1500)))

    assert any("split the pack" in one for one in told)


def test_an_input_larger_than_step_functions_takes_is_refused() -> None:
    compiled = compile_pack(pack(ONE), {})
    too_large = budget.Budget(history_events=1, definition_bytes=1, input_bytes=256 * 1024 + 1)

    ((path, message),) = budget.problems(compiled.plan, too_large)

    assert path == ("spec", "steps")
    assert "use fewer conditions" in message
