"""Stage 3: the checks of a pack that no shape can make. The messages are in tests/golden."""

from __future__ import annotations

import pytest

from taskrunner import executors
from taskrunner.compiler.checks import pack as checks
from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.manifest import schema, source
from taskrunner.compiler.problems import MAX_PROBLEMS
from taskrunner.errors import InvalidPackError
from tests.packs import pack

NOOP = "- {id: a, run: {uses: builtin:noop}}"
GATE = "gate: {policy: {policy: p}}"


def problems(manifest: str) -> list[str]:
    parsed = schema.parse(source.read(manifest))
    try:
        parsed.refuse(checks.problems(parsed.pack))
    except InvalidPackError as error:
        return [f"{found.path}: {found.message}" for found in error.diagnostics]
    return []


def test_finds_nothing_wrong_with_a_sound_pack() -> None:
    assert problems(pack(NOOP)) == []


def test_reports_problems_in_the_order_of_their_lines() -> None:
    manifest = pack(
        "- {id: a, run: {uses: nothing}}\n- {id: a, run: {uses: builtin:noop}}",
        spec="outputs: [{name: x, type: file}]\ninputs: [{name: x, type: string, default: 1}]",
    )

    lines = [int(found.partition("line ")[2].partition(":")[0]) for found in problems(manifest)]

    assert lines == sorted(lines)
    assert len(lines) == 4


@pytest.mark.parametrize("reference", executors.references())
def test_every_executor_but_noop_refuses_an_unknown_parameter(reference: str) -> None:
    found = problems(pack(f"- {{id: a, run: {{uses: '{reference}', with: {{qwerty: 1}}}}}}"))

    is_refused = any("unknown parameter 'qwerty'" in message for message in found)
    assert is_refused == (reference != "builtin:noop")


def test_does_not_check_a_parameter_that_is_still_open() -> None:
    steps = """
    - {id: a, run: {uses: builtin:noop}}
    - {id: b, run: {uses: builtin:sleep, with: {seconds: "{{ steps.a.outputs.x }}"}}}
    - {id: c, run: {uses: builtin:build, with: {files: {"a": "{{ steps.a.outputs.x }}"}}}}
    """

    assert problems(pack(steps)) == []


def test_checks_the_other_parameters_beside_an_open_one() -> None:
    steps = """
    - {id: a, run: {uses: builtin:noop}}
    - {id: b, run: {uses: builtin:scanner, with: {target: "{{ steps.a.outputs.x }}", failOn: bad}}}
    """

    (found,) = problems(pack(steps))

    assert found.startswith("$.spec.steps[1].run.with.failOn: line 7:")


def test_a_step_can_be_read_by_later_steps_only() -> None:
    steps = """
    - {id: a, run: {uses: builtin:noop, with: {x: "{{ steps.b.outputs }}"}}}
    - {id: b, run: {uses: builtin:noop, with: {x: "{{ steps.a.outputs }}"}}}
    """

    (found,) = problems(pack(steps))

    assert "$.spec.steps[0].run.with.x" in found


def test_reports_a_wrong_rule_of_two_gates_once() -> None:
    steps = f"- {{id: a, {GATE}}}\n- {{id: b, {GATE}}}"
    policies = "policies: [{id: p, version: '1', rules: [{id: r, require: with.n < 3}]}]"

    (found,) = problems(pack(steps, spec=policies))

    assert found.startswith("$.spec.policies[0].rules[0].require: ")


def test_checks_no_value_against_a_schema_that_is_wrong() -> None:
    schema = "{$id: 'a:b', $ref: '#/properties/a'}"
    inputs = f"inputs: [{{name: x, type: string, schema: {schema}}}]"

    with pytest.raises(InvalidPackError) as refused:
        compile_pack(pack(NOOP, spec=inputs), {"x": "text"})

    (found,) = refused.value.diagnostics
    assert found.path == "$.spec.inputs[0].schema"


TYPED = """
inputs:
  - {name: text, type: string}
  - {name: count, type: integer}
  - {name: share, type: number}
  - {name: flag, type: boolean}
  - {name: any, type: object}
"""


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("inputs.count == '3'", "inputs.count is a number, {}text: write `3`, not '3'"),
        ("'3' != inputs.share", "inputs.share is a number, {}text: write `3`, not '3'"),
        ("inputs.count == 'x'", "{}text: write a number such as `1`, not 'x'"),
        ("inputs.text == `3`", "inputs.text is text, {}a number: write '3', not `3`"),
        ("!(inputs.flag == 'true')", "is a boolean, {}text: write `true`, not 'true'"),
        ("inputs.flag && (inputs.text == `1` || run.id)", "write '1', not `1`"),
        ("not_null(inputs.count == '3')", "inputs.count is a number, {}text: write `3`, not '3'"),
        ("[inputs.count == '3'][0]", "inputs.count is a number, {}text: write `3`, not '3'"),
        ("{x: inputs.count != '3'}.x", "inputs.count is a number, {}text: write `3`, not '3'"),
        ("inputs.any[?$.inputs.count == '3']", "inputs.count is a number, {}text: write `3`"),
        ("map(&($.inputs.count == '3'), `[]`)", "inputs.count is a number, {}text: write `3`"),
        ("inputs.count | @ == '3'", "inputs.count is a number, {}text: write `3`, not '3'"),
        ("run.id == `1`", "run.id is text, {}a number: write '1', not `1`"),
    ],
)
def test_refuses_a_comparison_of_an_input_with_a_literal_of_another_kind(
    condition: str, message: str
) -> None:
    (found,) = problems(
        pack(f'- {{id: a, when: "{condition}", run: {{uses: builtin:noop}}}}', spec=TYPED)
    )

    assert found.startswith("$.spec.steps[0].when: ")
    assert message.format("which is never equal to ") in found


@pytest.mark.parametrize(
    "condition",
    [
        "inputs.count == `3`",
        "inputs.share == `0.5`",
        "inputs.text == '3'",
        "inputs.text == `null`",
        "inputs.any == '3'",
        "inputs.any.count == '3'",
        "to_string(inputs.count) == '3'",
        "[inputs][?count == '3']",
    ],
)
def test_accepts_a_comparison_that_may_be_true(condition: str) -> None:
    assert (
        problems(pack(f'- {{id: a, when: "{condition}", run: {{uses: builtin:noop}}}}', spec=TYPED))
        == []
    )


def test_an_output_can_read_every_step() -> None:
    steps = "- {id: a, run: {uses: builtin:noop}}\n- {id: b, run: {uses: builtin:noop}}"
    outputs = "outputs: [{name: x, type: object, expression: '[steps.a.status, steps.b.outputs]'}]"

    assert problems(pack(steps, spec=outputs)) == []


def test_checks_the_rules_of_a_policy_again_at_a_gate_that_sees_less() -> None:
    policies = 'policies: [{id: p, version: "1", rules: [{id: r, require: steps.a.outputs.x}]}]'
    inside = f"- {{id: each, map: {{items: run.id, steps: [{NOOP[2:]}, {{id: g, {GATE}}}]}}}}"

    assert problems(pack(inside, spec=policies)) == []
    (found,) = problems(pack(f"{inside}\n- {{id: h, {GATE}}}", spec=policies))
    assert "the step 'a' can be read only inside its own iteration" in found


@pytest.mark.parametrize("path", ["/output/a", "/output/a/b.c", "/output/..a", "/output/a..b"])
def test_accepts_the_path_of_a_file_under_output(path: str) -> None:
    outputs = f"outputs: [{{name: x, type: file, path: {path}}}]"

    assert problems(pack(NOOP, spec=outputs)) == []


@pytest.mark.parametrize(
    "path",
    ["/output", "/output/", "output/a", "/outputs/a", "/output//a", "/output/./a", "/output/a/..",
     "/output/../a", "/etc/passwd", "''"],
)  # fmt: skip
def test_refuses_a_path_outside_output(path: str) -> None:
    outputs = f"outputs: [{{name: x, type: file, path: {path}}}]"

    (found,) = problems(pack(NOOP, spec=outputs))

    assert "is not a file under /output" in found


def test_stops_looking_for_nearest_names_when_there_are_enough_problems() -> None:
    steps = "\n".join(
        f"- {{id: step-{i}, run: {{uses: builtin:noop, with: {{x: '{{{{ steps.stp-{i} }}}}'}}}}}}"
        for i in range(1500)
    )
    parsed = schema.parse(source.read(pack(steps)))

    assert MAX_PROBLEMS < len(checks.problems(parsed.pack)) < 1500
