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
        "inputs.any == `null`",
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


KINDS = """
inputs:
  - {name: text, type: string, required: true}
  - {name: count, type: integer, default: 3}
  - {name: flag, type: boolean, default: false}
  - {name: hosts, type: array, default: []}
  - {name: extra, type: object, default: {}}
  - {name: maybe, type: string}
  - {name: may-be, type: number}
"""


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        # an input with an input
        (
            "inputs.text == inputs.count",
            (
                "inputs.text is text, which is never equal to inputs.count, a number: "
                "write to_string(inputs.count)"
            ),
        ),
        ("inputs.count != inputs.maybe", "a number, which is never equal to inputs.maybe, text"),
        ("inputs.flag == inputs.count", "a number: compare values of one kind"),
        ("inputs.hosts == inputs.extra", "is a list, which is never equal to inputs.extra, an obj"),
        ("inputs.count == steps.first.status", "write to_string(inputs.count)"),
        # literals of every kind
        ("inputs.hosts == 'a'", "inputs.hosts is a list, which is never equal to text: write a li"),
        ("inputs.extra == `[]`", "is an object, which is never equal to a list: write an object s"),
        ("steps.first.outputs == ''", "steps.first.outputs is an object, which is never equal to "),
        # what functions and signs give
        ("length(inputs.hosts) == '0'", "length() is a number, which is never equal to text: wri"),
        ("to_string(inputs.count) == `3`", "to_string() is text, which is never equal to a number"),
        ("contains(inputs.hosts, 'a') == 'true'", "contains() is a boolean, which is never equal"),
        ("length(inputs.hosts) == inputs.text", "write to_string(length(...))"),
        ("(inputs.count == `3`) == 'true'", "what '==' gives is a boolean, which is never equal"),
        ("!(inputs.flag) == inputs.text", "compare values of one kind"),
        ("inputs.hosts[?x] == `0`", "the filter is a list, which is never equal to a number"),
        ("inputs.hosts[?length(@) == '2']", "length() is a number, which is never equal to text"),
        ("inputs.hosts[?length(@) == $.inputs.text]", "write to_string(length(...))"),
        ("keys(inputs.extra) == 'a'", "keys() is a list, which is never equal to text"),
        # orders
        ("inputs.text > `3`", "'>' compares two numbers, but inputs.text is text and `3` is a num"),
        ("`3` <= run.id", "but `3` is a number and run.id is text; write a number in backticks"),
        ("steps.first.status < inputs.count", "'<' compares two numbers, but steps.first.status"),
        ("inputs.flag > `0`", "'>' compares two numbers, but inputs.flag is a boolean; write"),
        ("inputs.hosts >= steps.first.outputs.x", "'>=' compares two numbers, but inputs.hosts is"),
        ("length(inputs.hosts) > '3'", "length() is a number and '3' is text; write a number in"),
        ("inputs.count > `null`", "but `null` is null"),
    ],
)
def test_refuses_a_comparison_of_two_known_kinds(condition: str, message: str) -> None:
    first = "- {id: first, run: {uses: builtin:noop}}"
    step = f'- {{id: a, when: "{condition}", run: {{uses: builtin:noop}}}}'

    (found,) = problems(pack(f"{first}\n{step}", spec=KINDS))

    assert found.startswith("$.spec.steps[1].when: ")
    assert message in found


@pytest.mark.parametrize(
    "condition",
    [
        "inputs.maybe == inputs.may-be",  # both may be null
        "inputs.maybe == steps.first.outputs",
        "inputs.count == length(inputs.hosts)",
        "inputs.text > 'm'",
        "inputs.text > inputs.maybe",
        "inputs.count >= steps.first.outputs.least",
        "inputs.hosts == `[]`",
        "inputs.hosts == `null`",
        "reverse(inputs.text) == inputs.text",
        "max(inputs.hosts) == 'z'",
        "not_null(inputs.maybe, 'x') == 'x'",
        "inputs.hosts[?name == $.inputs.text]",
        "inputs.hosts[?size > $.inputs.count]",
        "avg(inputs.hosts) == steps.first.outputs",
    ],
)
def test_accepts_a_comparison_that_may_hold(condition: str) -> None:
    first = "- {id: first, run: {uses: builtin:noop}}"
    step = f'- {{id: a, when: "{condition}", run: {{uses: builtin:noop}}}}'

    assert problems(pack(f"{first}\n{step}", spec=KINDS)) == []


@pytest.mark.parametrize(
    ("items", "condition", "name"),
    [
        ("inputs.hosts", "index == '0'", "index"),
        ("{range: {end: 3}}", "item == '1'", "item"),
        ("{static: [a, b]}", "item == `1`", "item"),
        ("{static: [{n: 1}]}", "item > `1`", "item"),
    ],
)
@pytest.mark.parametrize(
    "block", ["map: {{items: {0}, steps: [{1}]}}", "loop: {{items: {0}, body: [{1}]}}"]
)
def test_knows_the_kinds_of_an_index_and_of_written_items(
    block: str, items: str, condition: str, name: str
) -> None:
    inner = f'{{id: a, when: "{condition}", run: {{uses: builtin:noop}}}}'

    (found,) = problems(pack(f"- {{id: each, {block.format(items, inner)}}}", spec=KINDS))

    assert f" {name} is " in found


def test_an_inner_default_name_has_its_own_kind() -> None:
    steps = """
    - id: outer
      loop:
        items: {range: {end: 3}}
        body:
          - id: inner
            map:
              items: inputs.hosts
              step: {id: a, when: "item == 'x' && index > `0`", run: {uses: builtin:noop}}
          - {id: b, when: "item == `1`", run: {uses: builtin:noop}}
    """

    assert problems(pack(steps, spec=KINDS)) == []


def test_checks_the_rules_of_a_policy_again_where_a_name_has_another_kind() -> None:
    policies = 'policies: [{id: p, version: "1", rules: [{id: r, require: "item == \'a\'"}]}]'
    inputs = "inputs: [{name: hosts, type: array, default: []}]"
    steps = f"""
    - {{id: e, map: {{items: inputs.hosts, steps: [{{id: g, {GATE}}}]}}}}
    - {{id: f, map: {{items: {{range: {{end: 2}}}}, steps: [{{id: h, {GATE}}}]}}}}
    """

    (found,) = problems(pack(steps, spec=f"{inputs}\n{policies}"))

    assert "item is a number, which is never equal to text" in found


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
