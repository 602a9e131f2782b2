"""Repairs: every mistake is reported in one answer, and never what only follows from another."""

from __future__ import annotations

import json
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from tests.packs import pack
from tests.strategies import json_values, packs

if TYPE_CHECKING:
    from collections.abc import Mapping

VALUES = json_values()
READER = "- {id: b, when: steps.a.outputs, run: {uses: builtin:noop}}"


def refused(manifest: str, inputs: Mapping[str, Any]) -> tuple[str, list[str]]:
    with pytest.raises(InvalidPackError) as caught:
        compile_pack(manifest, inputs)
    return caught.value.code, [diagnostic.path for diagnostic in caught.value.diagnostics]


def test_reports_mistakes_of_every_stage_in_one_answer() -> None:
    manifest = pack(
        """
        - {id: twice, run: {uses: builtin:noop, with: {n: 9007199254740993}}}
        - {id: shape, tiemout: 3, run: {uses: builtin:noop}}
        - {id: check, run: {uses: builtin:noop, with: {v: "{{ inputs.imag }}"}}}
        - {id: plan, map: {items: inputs.text, step: {id: in, run: {uses: builtin:noop}}}}
        """,
        spec="inputs: [{name: text, type: string}, {name: n, type: integer}]",
    )

    code, paths = refused(manifest, {"text": "x"})
    assert code == "invalid_pack"
    assert paths == [
        "$.spec.steps[0].run.with.n",
        "$.spec.steps[1].tiemout",
        "$.spec.steps[2].run.with.v",
        "$.spec.steps[3].map.items",
    ]
    _, paths = refused(manifest, {"n": "x", "nn": 1})
    assert paths[3:] == ["$.spec.steps[3].map.items", "$.inputs.nn", "$.inputs.n"]


@pytest.mark.parametrize(
    ("step", "spec", "path"),
    [
        ("retries: {on: [tiemout]}, ", "", "$.spec.steps[0].retries.on[0]"),
        ("retries: {on: [timeout, 3]}, ", "", "$.spec.steps[0].retries.on[1]"),
        ("retries: {on: []}, ", "", "$.spec.steps[0].retries.on"),
        ("retries: {jitter: some}, ", "", "$.spec.steps[0].retries.jitter"),
        ("retries: {backoffRate: fast}, ", "", "$.spec.steps[0].retries.backoffRate"),
        ("", "failure: {retries: {on: [tiemout]}}", "$.spec.failure.retries.on[0]"),
        ("", "finally: []", "$.spec.finally"),
        ("", "finally: [1]", "$.spec.finally[0]"),
        ("", "approvals: [{id: x, scope: gates}]", "$.spec.approvals[0].scope"),
        ("", "approvals: [{id: x, grants: [1]}]", "$.spec.approvals[0].grants[0]"),
        ("", "sandbox: {egressAllowlist: [1]}", "$.spec.sandbox.egressAllowlist[0]"),
    ],
)
def test_reports_a_wrong_value_beside_a_mistake_of_a_later_stage(
    step: str, spec: str, path: str
) -> None:
    steps = f"""
    - {{id: a, {step}run: {{uses: builtin:noop}}}}
    - {{id: b, when: inputs.nothing, run: {{uses: builtin:noop}}}}
    """
    _, paths = refused(pack(steps, spec=spec), {})

    assert set(paths) == {path, "$.spec.steps[1].when"}


@pytest.mark.parametrize(
    ("steps", "spec", "path"),
    [
        # A name that may be in a broken declaration.
        (
            "- {id: a, run: {uses: builtin:noop, with: {v: '{{ inputs.x }}'}}}",
            "inputs: [{nme: x, type: string}]",
            "$.spec.inputs[0].nme",
        ),
        (
            "- {id: a, gate: {approval: {id: x}}}",
            "approvals: [{idd: x}]",
            "$.spec.approvals[0].idd",
        ),
        (
            f"- {{idd: a, run: {{uses: builtin:noop}}}}\n{READER}",
            "",
            "$.spec.steps[0].idd",
        ),
        # A step without its kind can be read all the same.
        (
            f"- {{id: a, rnu: {{uses: builtin:noop}}}}\n{READER}",
            "",
            "$.spec.steps[0].rnu",
        ),
        ("- {id: a, run: {uses: builtin:scanner, with: {taget: x}}}", "", None),
        ("- {id: a, map: {itms: inputs, step: {id: b, run: {uses: builtin:noop}}}}", "", None),
        ("- {id: a, gate: {approvl: {id: x}}}", "", None),
    ],
)
def test_does_not_report_what_follows_from_another_mistake(
    steps: str, spec: str, path: str | None
) -> None:
    _, paths = refused(pack(steps, spec=spec), {})

    assert len(paths) == 1
    assert path in {None, paths[0]}


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401
    members = node.items() if isinstance(node, dict) else enumerate(node)
    inner = [
        place
        for key, child in members
        if isinstance(child, dict | list)
        for place in _places(child, (*path, key))
    ]
    keys = node if isinstance(node, dict) else range(len(node))
    return [*((*path, key) for key in keys), *inner]


@given(packs(), st.data())
def test_a_manifest_with_any_mistakes_is_compiled_or_refused(
    drawn: dict[str, Any],
    data: st.DataObject,
) -> None:
    manifest = deepcopy(drawn)
    for _ in range(data.draw(st.integers(1, 4))):
        *parents, last = data.draw(st.sampled_from(_places(manifest)))
        node = manifest
        for part in parents:
            node = node[part]
        node[last] = data.draw(VALUES)

    with suppress(InvalidPackError):
        compile_pack(json.dumps(manifest), {})
