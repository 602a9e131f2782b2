"""The difference of two plans: what it has for each kind of change, and its laws."""

from __future__ import annotations

import json
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from taskrunner.compiler.driver import plan_pack
from taskrunner.errors import InvalidPackError
from taskrunner.model import canonical_json, plan_document
from taskrunner.model.plan_change import Change, ChangeKind, Part, Place, PlanValue
from taskrunner.model.plan_diff import diff
from tests import strategies
from tests.packs import pack

STEPS = """
    - {id: build, run: {uses: builtin:noop, with: {image: "{{ inputs.image }}", n: 1}}}
    - id: lanes
      parallel:
        steps:
          - {id: left, run: {uses: builtin:noop}}
          - {id: right, run: {uses: builtin:noop}}
    - {id: review, gate: {approval: {id: security}}}
    - {id: ship, run: {uses: builtin:noop, with: {size: "{{ steps.build.outputs.n }}"}}}
"""
SPEC = """
    inputs: [{name: image, type: string, default: "app:1"}, {name: none, type: string}]
    secrets: [{name: token}]
    approvals: [{id: security, grants: [packs.approve], message: Look}]
    policies: [{id: window, version: "1", rules: [{id: r, require: "inputs.image == 'app:1'"}]}]
    outputs: [{name: size, type: object, expression: steps.ship.outputs}]
"""


def document(steps: str = STEPS, spec: str = SPEC, **inputs: object) -> Any:  # noqa: ANN401
    return plan_document.to_document(plan_pack(pack(steps, spec=spec), inputs))


def changes(new: Any, old: Any = None) -> list[Change]:  # noqa: ANN401 - plan documents
    return diff(document() if old is None else old, new)


def field(part: Part, element: str | None, pointer: str, old: Any, new: Any) -> Change:  # noqa: ANN401
    return Change(
        kind=ChangeKind.CHANGED,
        part=part,
        id=element,
        field=pointer,
        old=None if old is None else PlanValue(old),
        new=None if new is None else PlanValue(new),
    )


def test_a_plan_does_not_differ_from_itself() -> None:
    assert changes(document()) == []


def test_shows_an_input_and_the_parameter_that_it_changes() -> None:
    assert changes(document(image="app:2")) == [
        Change(
            kind=ChangeKind.CHANGED,
            part=Part.INPUTS,
            id="image",
            old=PlanValue("app:1"),
            new=PlanValue("app:2"),
        ),
        field(Part.STEPS, "build", "/with/image", "app:1", "app:2"),
    ]


def test_an_input_without_a_value_is_null() -> None:
    (change,) = [c for c in changes(document(none="x")) if c.part is Part.INPUTS]

    assert (change.old, change.new) == (PlanValue(None), PlanValue("x"))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "uses: builtin:noop, with: {image",
            'uses: "lambda:echo", with: {image',
            field(Part.STEPS, "build", "/uses", "builtin:noop", "lambda:echo"),
        ),
        ("n: 1}", "n: 2}", field(Part.STEPS, "build", "/with/n", 1, 2)),
        ("n: 1}", "n: true}", field(Part.STEPS, "build", "/with/n", 1, True)),
        ("n: 1}", "n: 1.0}", None),
        (
            "id: review,",
            "id: review, when: inputs.image,",
            field(Part.STEPS, "review", "/when", None, "inputs.image"),
        ),
    ],
)
def test_shows_a_changed_field_of_a_step(before: str, after: str, expected: Change | None) -> None:
    assert before in STEPS

    assert changes(document(STEPS.replace(before, after))) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "grants: [packs.approve]",
            "grants: [sre, packs.approve]",
            field(
                Part.APPROVALS,
                "security",
                "/grants",
                ["packs.approve"],
                ["sre", "packs.approve"],
            ),
        ),
        (
            "[packs.approve],",
            "[packs.approve], minApprovals: 2,",
            field(Part.APPROVALS, "security", "/minApprovals", 1, 2),
        ),
        (
            "[packs.approve],",
            "[packs.approve], expiresAfterSeconds: 60,",
            field(Part.APPROVALS, "security", "/expiresAfterSeconds", 604800, 60),
        ),
        ('version: "1"', 'version: "2"', field(Part.POLICIES, "window", "/version", "1", "2")),
        (
            "== 'app:1'\"",
            "== 'app:2'\"",
            field(
                Part.POLICIES,
                "window",
                "/rules/0/require",
                "inputs.image == 'app:1'",
                "inputs.image == 'app:2'",
            ),
        ),
        (
            "steps.ship.outputs}",
            "steps.build.outputs}",
            field(Part.OUTPUTS, "size", "/expression", "steps.ship.outputs", "steps.build.outputs"),
        ),
        (
            "secrets: ",
            "sandbox: {mode: open, egressAllowlist: []}\n    secrets: ",
            field(Part.SANDBOX, None, "/mode", "sealed", "open"),
        ),
        (
            "secrets: ",
            "failure: {retries: {maxAttempts: 3}}\n    secrets: ",
            field(Part.FAILURE_POLICY, None, "/retries/maxAttempts", 1, 3),
        ),
        (
            "secrets: ",
            "slo: {runP95Seconds: 60}\n    secrets: ",
            field(Part.SLO, None, "/runP95Seconds", None, 60),
        ),
    ],
)
def test_shows_a_changed_declaration(before: str, after: str, expected: Change) -> None:
    assert before in SPEC

    assert expected in changes(document(spec=SPEC.replace(before, after)))


def test_shows_a_changed_step_of_finally_and_one_that_moves_there() -> None:
    old = document(spec=SPEC + "    finally: [{id: undo, run: {uses: builtin:noop}}]")
    new = document(
        STEPS.replace("    - {id: ship,", "    - {id: shop,"),
        spec=SPEC.replace("steps.ship.outputs", "inputs")
        + "    finally: [{id: undo, name: Undo, run: {uses: builtin:noop}}]",
    )

    found = [change for change in diff(old, new) if change.id == "undo"]

    assert [(change.field, change.new) for change in found] == [
        ("/name", PlanValue("Undo", is_template=False))
    ]


def test_shows_a_secret_by_its_name_alone() -> None:
    (change,) = changes(document(spec=SPEC.replace("name: token", "name: key")))[:1]

    assert (change.kind, change.part, change.id) == (ChangeKind.ADDED, Part.SECRETS, "key")
    assert change.new == PlanValue({})


def test_shows_the_version_of_the_pack() -> None:
    new = document()
    new["pack"] = {"name": new["pack"]["name"], "version": "9.0.0"}

    old_version = document()["pack"]["version"]
    assert changes(new) == [field(Part.PACK, None, "/version", old_version, "9.0.0")]


def test_shows_added_and_removed_steps_with_their_places() -> None:
    new = document(STEPS.replace("id: right", "id: middle"))

    assert changes(new) == [
        Change(
            kind=ChangeKind.ADDED,
            part=Part.STEPS,
            id="middle",
            new=changes(new)[0].new,
            new_place=Place("lanes", "/steps", 1),
        ),
        Change(
            kind=ChangeKind.REMOVED,
            part=Part.STEPS,
            id="right",
            old=changes(new)[1].old,
            old_place=Place("lanes", "/steps", 1),
        ),
    ]
    added = changes(new)[0].new
    assert added is not None
    assert added.value["uses"] == "builtin:noop"


def test_a_template_is_told_apart_from_a_value_that_reads_like_one() -> None:
    old, new = document(), document()
    ship = new["steps"][3]
    ship["with"], ship["open"] = {"size": "{{ steps.build.outputs.n }}"}, {}

    (change,) = diff(old, new)

    assert change.field == "/with/size"
    text = "{{ steps.build.outputs.n }}"
    assert (change.old, change.new) == (PlanValue(text, is_template=True), PlanValue(text))


def test_a_step_that_moved_into_a_block_is_moved() -> None:
    new = document()
    build = new["steps"].pop(0)
    new["steps"][0]["steps"].append(build)

    assert changes(new) == [
        Change(
            kind=ChangeKind.MOVED,
            part=Part.STEPS,
            id="build",
            old_place=Place(None, "/steps", 0),
            new_place=Place("lanes", "/steps", 2),
        )
    ]


BRANCHES = """
    - id: lanes
      parallel:
        branches:
          - {name: eu, steps: [{id: left, run: {uses: builtin:noop}}]}
          - {steps: [{id: right, run: {uses: builtin:noop}}, {id: last, run: {uses: builtin:noop}}]}
"""


def test_shows_the_name_of_a_branch_and_a_step_that_moves_to_another_one() -> None:
    new = document(BRANCHES.replace("eu", "north"), spec="")
    new["steps"][0]["branches"][0]["steps"].append(new["steps"][0]["branches"][1]["steps"].pop())

    assert changes(new, document(BRANCHES, spec="")) == [
        field(Part.STEPS, "lanes", "/branches/0/name", "eu", "north"),
        Change(
            kind=ChangeKind.MOVED,
            part=Part.STEPS,
            id="last",
            old_place=Place("lanes", "/branches/1/steps", 1),
            new_place=Place("lanes", "/branches/0/steps", 1),
        ),
    ]


def test_of_steps_in_another_order_as_few_as_possible_are_moved() -> None:
    new = document()
    new["steps"].append(new["steps"].pop(0))

    assert [(change.kind, change.id) for change in changes(new)] == [(ChangeKind.MOVED, "build")]


def reversed_change(change: Change) -> Change:
    kinds = {ChangeKind.ADDED: ChangeKind.REMOVED, ChangeKind.REMOVED: ChangeKind.ADDED}
    return replace(
        change,
        kind=kinds.get(change.kind, change.kind),
        old=change.new,
        new=change.old,
        old_place=change.new_place,
        new_place=change.old_place,
    )


@st.composite
def documents(draw: st.DrawFn) -> Any:  # noqa: ANN401 - a plan document
    manifest, inputs = draw(strategies.packs()), draw(strategies.inputs)
    text = json.dumps(manifest, ensure_ascii=False)  # JSON is YAML, and is written at once
    try:
        return plan_document.to_document(plan_pack(text, inputs))
    except InvalidPackError:
        assume(condition=False)


@st.composite
def variants(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two plan documents, of which the second may be the first in another order of its lists."""
    old = draw(documents())
    new = deepcopy(old) if draw(st.booleans()) else draw(documents())
    for name in ("steps", "approvals", "policies", "outputs"):
        new[name] = draw(st.permutations(new[name]))
    return old, new


@settings(max_examples=30)
@given(documents())
def test_no_plan_differs_from_itself(plan: Any) -> None:  # noqa: ANN401
    assert diff(plan, deepcopy(plan)) == []


@settings(max_examples=30)
@given(variants())
def test_plans_differ_if_their_hashes_do(pair: tuple[Any, Any]) -> None:
    old, new = pair

    is_same = canonical_json.digest(old) == canonical_json.digest(new)
    assert (diff(old, new) == []) is is_same


def counted(found: list[Change]) -> Counter[str]:
    return Counter(map(repr, found))


@settings(max_examples=30)
@given(variants())
def test_the_reverse_comparison_has_the_reverse_changes(pair: tuple[Any, Any]) -> None:
    old, new = pair

    assert counted([reversed_change(change) for change in diff(old, new)]) == counted(
        diff(new, old)
    )
