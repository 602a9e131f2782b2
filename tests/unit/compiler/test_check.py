"""Stage 3: what no shape can say. The messages are in tests/golden."""

from __future__ import annotations

import pytest

from taskrunner import executors
from taskrunner.compiler import check, report, schema, source
from taskrunner.model.ceilings import Ceilings
from tests.packs import pack


def problems(manifest: str) -> list[str]:
    read = source.read(manifest)
    found = check.problems(schema.parse(read), read, Ceilings())
    return [f"{one.path}: {one.message}" for one in found]


def test_a_pack_without_problems_has_none() -> None:
    assert problems(pack("- {id: a, run: {uses: builtin:noop}}")) == []


def test_problems_stand_in_the_order_of_their_lines() -> None:
    manifest = pack(
        "- {id: a, run: {uses: nothing}}\n- {id: a, run: {uses: builtin:noop}}",
        spec="outputs: [{name: x, type: file}]\ninputs: [{name: x, type: string, default: 1}]",
    )

    lines = [int(one.partition("line ")[2].partition(":")[0]) for one in problems(manifest)]

    assert lines == sorted(lines)
    assert len(lines) == 4


@pytest.mark.parametrize("reference", executors.references())
def test_every_executor_refuses_what_it_does_not_know_except_noop(reference: str) -> None:
    told = problems(pack(f"- {{id: a, run: {{uses: '{reference}', with: {{qwerty: 1}}}}}}"))

    assert any("unknown parameter 'qwerty'" in one for one in told) == (reference != "builtin:noop")


def test_a_parameter_that_is_still_open_is_not_judged_yet() -> None:
    steps = """
    - {id: a, run: {uses: builtin:noop}}
    - {id: b, run: {uses: builtin:sleep, with: {seconds: "{{ steps.a.outputs.x }}"}}}
    - {id: c, run: {uses: builtin:build, with: {files: {"a": "{{ steps.a.outputs.x }}"}}}}
    """

    assert problems(pack(steps)) == []


def test_beside_an_open_parameter_the_others_are_judged() -> None:
    steps = """
    - {id: a, run: {uses: builtin:noop}}
    - {id: b, run: {uses: builtin:scanner, with: {target: "{{ steps.a.outputs.x }}", failOn: bad}}}
    """

    (told,) = problems(pack(steps))

    assert told.startswith("$.spec.steps[1].run.with.failOn: line 7:")


def test_a_step_is_known_to_the_later_ones_only() -> None:
    steps = """
    - {id: a, run: {uses: builtin:noop, with: {x: "{{ steps.b.outputs }}"}}}
    - {id: b, run: {uses: builtin:noop, with: {x: "{{ steps.a.outputs }}"}}}
    """

    (told,) = problems(pack(steps))

    assert "$.spec.steps[0].run.with.x" in told


def test_an_output_may_read_every_step() -> None:
    steps = "- {id: a, run: {uses: builtin:noop}}\n- {id: b, run: {uses: builtin:noop}}"
    outputs = "outputs: [{name: x, type: object, expression: '[steps.a.status, steps.b.outputs]'}]"

    assert problems(pack(steps, spec=outputs)) == []


@pytest.mark.parametrize("path", ["/output/a", "/output/a/b.c", "/output/..a", "/output/a..b"])
def test_a_file_is_captured_from_under_output(path: str) -> None:
    outputs = f"outputs: [{{name: x, type: file, path: {path}}}]"

    assert problems(pack("- {id: a, run: {uses: builtin:noop}}", spec=outputs)) == []


@pytest.mark.parametrize(
    "path",
    ["/output", "/output/", "output/a", "/outputs/a", "/output//a", "/output/./a", "/output/a/..",
     "/output/../a", "/etc/passwd", "''"],
)  # fmt: skip
def test_a_file_is_captured_from_nowhere_else(path: str) -> None:
    outputs = f"outputs: [{{name: x, type: file, path: {path}}}]"

    (told,) = problems(pack("- {id: a, run: {uses: builtin:noop}}", spec=outputs))

    assert "is no file under /output" in told


def test_looking_for_the_nearest_name_ends_when_there_are_problems_enough() -> None:
    steps = "\n".join(
        f"- {{id: step-{i}, run: {{uses: builtin:noop, with: {{x: '{{{{ steps.stp-{i} }}}}'}}}}}}"
        for i in range(1500)
    )

    assert report.MAX_PROBLEMS < len(problems(pack(steps))) < 1500
