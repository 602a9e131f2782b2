"""Stage 4: the plan is a pure function of what the pack and the inputs mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.compiler.driver import compile_pack, plan_pack
from taskrunner.errors import InvalidPackError
from taskrunner.model import canonical_json, plan_document
from taskrunner.model.plan import ApprovalGate, RunStep
from tests import strategies
from tests.packs import pack

if TYPE_CHECKING:
    import random

    from taskrunner.model.plan import Plan

INPUTS = "inputs: [{name: x, type: string}, {name: n, type: integer}]"
NOOP = "- {id: a, run: {uses: builtin:noop}}"


def plan_hash(plan: Plan) -> str:
    return canonical_json.digest(plan_document.to_document(plan))


def shuffled(value: Any, order: random.Random) -> Any:  # noqa: ANN401
    """Return *value* with the keys of every mapping in another order."""
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@settings(max_examples=40)
@given(strategies.packs(), strategies.inputs, st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_no_hash(
    manifest: dict[str, Any], inputs: dict[str, Any], order: random.Random
) -> None:
    compiled = compile_pack(strategies.as_yaml(manifest), inputs)
    reordered = compile_pack(strategies.as_yaml(shuffled(manifest, order)), inputs)

    assert compiled.plan_hash == reordered.plan_hash
    assert compiled.definition_hash == reordered.definition_hash


@settings(max_examples=40)
@given(strategies.packs(), strategies.inputs)
def test_comments_whitespace_and_style_change_nothing(
    manifest: dict[str, Any], inputs: dict[str, Any]
) -> None:
    block = "# a comment\n\n" + strategies.as_yaml(manifest, indent=4) + "\n# another\n"
    as_json = json.dumps(manifest, ensure_ascii=False)

    plans = [plan_pack(text, inputs) for text in (block, as_json)]

    assert plans[0] == plans[1] == plan_pack(strategies.as_yaml(manifest), inputs)


@settings(max_examples=40)
@given(strategies.packs(), strategies.inputs)
def test_planning_twice_gives_equal_plans_that_survive_their_document(
    manifest: dict[str, Any], inputs: dict[str, Any]
) -> None:
    text = strategies.as_yaml(manifest)

    planned = plan_pack(text, inputs)

    document = plan_document.to_document(planned)
    assert planned == plan_pack(text, inputs)
    assert plan_document.from_document(document) == planned
    assert plan_document.from_document(json.loads(json.dumps(document))) == planned
    assert canonical_json.digest(json.loads(json.dumps(document))) == plan_hash(planned)


@settings(max_examples=40)
@given(strategies.packs(), strategies.inputs, strategies.inputs)
def test_the_machine_does_not_depend_on_inputs(
    manifest: dict[str, Any], some: dict[str, Any], others: dict[str, Any]
) -> None:
    text = strategies.as_yaml(manifest)

    assert compile_pack(text, some).definition == compile_pack(text, others).definition


def test_inputs_change_the_plan_hash() -> None:
    text = pack(NOOP, spec=INPUTS)

    hashes = {plan_hash(plan_pack(text, inputs)) for inputs in ({}, {"x": "a"}, {"x": "b"})}

    assert len(hashes) == 3


def test_metadata_beside_name_and_version_changes_nothing() -> None:
    text = pack(NOOP)
    described = text.replace("version: 1.0.0", "version: 1.0.0, description: d, tags: [t]")

    assert described != text
    assert plan_pack(text, {}) == plan_pack(described, {})


def test_an_omitted_default_and_a_written_default_give_one_plan() -> None:
    short = pack(NOOP)
    long = pack(
        """
        - id: a
          retries: {maxAttempts: 1, backoffSeconds: 0}
          timeoutSeconds: 600
          continueOnError: false
          run: {uses: builtin:noop, with: {}}
        """,
        spec="""
        inputs: []
        sandbox: {mode: sealed, egressAllowlist: [], cpuLimitMillicores: 1000}
        failure: {retries: {maxAttempts: 1}}
        """,
    )

    assert plan_pack(short, {}) == plan_pack(long, {})


def test_the_reasons_that_are_tried_again_by_default_may_be_written() -> None:
    step = "- {{id: a, retries: {{maxAttempts: 2{}}}, run: {{uses: builtin:noop}}}}"
    omitted, default, other = (
        plan_hash(plan_pack(pack(step.format(reasons)), {}))
        for reasons in (
            "",
            ", on: [executor-error, timeout, memory-exceeded]",
            ", on: [executor-error, timeout]",
        )
    )

    assert omitted == default != other


def test_a_steps_failure_settings_override_the_packs() -> None:
    steps = """
    - {id: a, run: {uses: builtin:noop}}
    - {id: b, continueOnError: false, retries: {backoffSeconds: 7}, run: {uses: builtin:noop}}
    """
    failure = "failure: {retries: {maxAttempts: 4, backoffSeconds: 1}, continueOnError: true}"

    by_default, overriding = plan_pack(pack(steps, spec=failure), {}).steps

    assert isinstance(by_default, RunStep)
    assert isinstance(overriding, RunStep)
    assert (by_default.retries.max_attempts, by_default.retries.backoff_s) == (4, 1)
    # `retries` is replaced as a whole: an omitted field is the language's default, not the pack's.
    assert (overriding.retries.max_attempts, overriding.retries.backoff_s) == (1, 7)
    assert (by_default.continue_on_error, overriding.continue_on_error) == (True, False)


def test_a_gates_message_overrides_its_approvals_and_is_planned_as_written() -> None:
    steps = """
    - {id: a, gate: {approval: {id: r}}}
    - {id: b, gate: {approval: {id: r, message: "own {{ inputs.x }}"}}}
    """
    spec = "approvals: [{id: r, message: theirs}]\ninputs: [{name: x, type: string}]"

    first, second = plan_pack(pack(steps, spec=spec), {"x": "y"}).steps

    assert isinstance(first, ApprovalGate)
    assert isinstance(second, ApprovalGate)
    assert (first.message, second.message) == ("theirs", "own {{ inputs.x }}")


@pytest.mark.parametrize(
    ("when", "enabled"), [("inputs.x == 'a'", True), ("inputs.n", False), ("!(inputs.n)", True)]
)
def test_inputs_decide_when(when: str, *, enabled: bool) -> None:
    text = pack(f'- {{id: a, when: "{when}", run: {{uses: builtin:noop}}}}', spec=INPUTS)

    (step,) = plan_pack(text, {"x": "a"}).steps

    assert (step.when, step.enabled) == (when, enabled)


def test_does_not_check_the_parameters_of_a_step_that_is_skipped() -> None:
    steps = """
    - id: a
      when: inputs.n
      run: {uses: builtin:sleep, with: {seconds: "{{ length(inputs.n) }}"}}
    - id: b
      when: inputs.n
      run: {uses: builtin:sleep, with: {seconds: "{{ inputs.x }}"}}
    """

    assert len(plan_pack(pack(steps, spec=INPUTS), {}).steps) == 2


def test_code_says_whether_the_pack_or_its_inputs_are_wrong() -> None:
    with pytest.raises(InvalidPackError) as bad_pack:
        plan_pack(pack("- {id: a}", spec=INPUTS), {"n": "x"})
    with pytest.raises(InvalidPackError) as bad_inputs:
        plan_pack(pack(NOOP, spec=INPUTS), {"n": "x"})

    assert bad_pack.value.code == "invalid_pack"
    assert bad_inputs.value.code == "invalid_inputs"


def test_equal_numbers_in_different_spellings_give_one_plan_hash() -> None:
    text = pack(
        "- {id: a, run: {uses: builtin:noop, with: {v: '{{ inputs.v }}'}}}",
        spec="inputs: [{name: v, type: number}]",
    )

    assert plan_hash(plan_pack(text, {"v": 2})) == plan_hash(plan_pack(text, {"v": 2.0}))
