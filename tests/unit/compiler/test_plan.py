"""Stage 4: the plan is a pure function of what the pack and the inputs mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.compiler import plan
from taskrunner.compiler.compiled import compile_pack
from taskrunner.errors import InvalidPackError
from taskrunner.model import plan_document
from taskrunner.model.plan import ApprovalGate, RunStep
from tests import strategies
from tests.packs import pack

if TYPE_CHECKING:
    import random

INPUTS = "inputs: [{name: x, type: string}, {name: n, type: integer}]"


def shuffled(value: Any, order: random.Random) -> Any:  # noqa: ANN401
    """*value* with the keys of every mapping in another order, apart from what a step is given."""
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(one, order) for one in value] if isinstance(value, list) else value


@settings(max_examples=40, deadline=None)
@given(strategies.packs(), strategies.inputs, st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_no_hash(
    manifest: dict[str, Any], inputs: dict[str, Any], order: random.Random
) -> None:
    one = compile_pack(strategies.as_yaml(manifest), inputs)
    other = compile_pack(strategies.as_yaml(shuffled(manifest, order)), inputs)

    assert one.plan_hash == other.plan_hash
    assert one.definition_hash == other.definition_hash


@settings(max_examples=40, deadline=None)
@given(strategies.packs(), strategies.inputs)
def test_comments_whitespace_and_style_change_nothing(
    manifest: dict[str, Any], inputs: dict[str, Any]
) -> None:
    block = "# a comment\n\n" + strategies.as_yaml(manifest, indent=4) + "\n# another\n"
    as_json = json.dumps(manifest, ensure_ascii=False)

    plans = [plan.make(text, inputs) for text in (block, as_json)]

    assert plans[0] == plans[1] == plan.make(strategies.as_yaml(manifest), inputs)


@settings(max_examples=40, deadline=None)
@given(strategies.packs(), strategies.inputs)
def test_planning_twice_gives_equal_plans_that_survive_their_document(
    manifest: dict[str, Any], inputs: dict[str, Any]
) -> None:
    text = strategies.as_yaml(manifest)

    planned = plan.make(text, inputs)

    document = plan_document.to_document(planned)
    assert planned == plan.make(text, inputs)
    assert plan_document.from_document(document) == planned
    assert plan_document.from_document(json.loads(json.dumps(document))) == planned
    assert plan.digest(json.loads(json.dumps(document))) == plan.plan_hash(planned)


@settings(max_examples=40, deadline=None)
@given(strategies.packs(), strategies.inputs, strategies.inputs)
def test_the_machine_does_not_depend_on_inputs(
    manifest: dict[str, Any], some: dict[str, Any], others: dict[str, Any]
) -> None:
    text = strategies.as_yaml(manifest)

    assert compile_pack(text, some).definition == compile_pack(text, others).definition


def test_inputs_change_the_plan_hash() -> None:
    text = pack("- {id: a, run: {uses: builtin:noop}}", spec=INPUTS)

    hashes = {plan.plan_hash(plan.make(text, given)) for given in ({}, {"x": "a"}, {"x": "b"})}

    assert len(hashes) == 3


def test_metadata_beside_name_and_version_changes_nothing() -> None:
    text = pack("- {id: a, run: {uses: builtin:noop}}")
    described = text.replace("version: 1.0.0", "version: 1.0.0, description: d, tags: [t]")

    assert described != text
    assert plan.make(text, {}) == plan.make(described, {})


def test_what_an_author_leaves_out_and_what_he_writes_as_the_default_are_one_plan() -> None:
    short = pack("- {id: a, run: {uses: builtin:noop}}")
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

    assert plan.make(short, {}) == plan.make(long, {})


def test_a_steps_own_word_on_failure_goes_before_the_packs() -> None:
    steps = """
    - {id: a, run: {uses: builtin:noop}}
    - {id: b, continueOnError: false, retries: {backoffSeconds: 7}, run: {uses: builtin:noop}}
    """
    failure = "failure: {retries: {maxAttempts: 4, backoffSeconds: 1}, continueOnError: true}"

    by_default, own = plan.make(pack(steps, spec=failure), {}).steps

    assert isinstance(by_default, RunStep)
    assert isinstance(own, RunStep)
    assert (by_default.retries.max_attempts, by_default.retries.backoff_s) == (4, 1)
    # `retries` is taken as a whole: what it leaves out is the language's default, not the pack's.
    assert (own.retries.max_attempts, own.retries.backoff_s) == (1, 7)
    assert (by_default.continue_on_error, own.continue_on_error) == (True, False)


def test_a_gates_message_goes_before_its_approvals_and_is_no_template() -> None:
    steps = """
    - {id: a, gate: {approval: {id: r}}}
    - {id: b, gate: {approval: {id: r, message: "own {{ inputs.x }}"}}}
    """

    first, second = plan.make(pack(steps, spec="approvals: [{id: r, message: theirs}]"), {}).steps

    assert isinstance(first, ApprovalGate)
    assert isinstance(second, ApprovalGate)
    assert (first.message, second.message) == ("theirs", "own {{ inputs.x }}")


@pytest.mark.parametrize(
    ("when", "enabled"), [("inputs.x == 'a'", True), ("inputs.n", False), ("!(inputs.n)", True)]
)
def test_when_is_decided_by_the_inputs(when: str, *, enabled: bool) -> None:
    text = pack(f'- {{id: a, when: "{when}", run: {{uses: builtin:noop}}}}', spec=INPUTS)

    (step,) = plan.make(text, {"x": "a"}).steps

    assert (step.when, step.enabled) == (when, enabled)


def test_parameters_of_a_step_that_is_not_run_are_not_judged() -> None:
    steps = """
    - id: a
      when: inputs.n
      run: {uses: builtin:sleep, with: {seconds: "{{ length(inputs.n) }}"}}
    - id: b
      when: inputs.n
      run: {uses: builtin:sleep, with: {seconds: "{{ inputs.x }}"}}
    """

    assert len(plan.make(pack(steps, spec=INPUTS), {}).steps) == 2


def test_the_pack_and_its_inputs_are_told_apart() -> None:
    with pytest.raises(InvalidPackError) as bad_pack:
        plan.make(pack("- {id: a}", spec=INPUTS), {"n": "x"})
    with pytest.raises(InvalidPackError) as bad_inputs:
        plan.make(pack("- {id: a, run: {uses: builtin:noop}}", spec=INPUTS), {"n": "x"})

    assert bad_pack.value.code == "invalid_pack"
    assert bad_inputs.value.code == "invalid_inputs"


def test_numbers_that_json_does_not_tell_apart_are_one_plan() -> None:
    text = pack(
        "- {id: a, run: {uses: builtin:noop, with: {v: '{{ inputs.v }}'}}}",
        spec="inputs: [{name: v, type: number}]",
    )

    assert plan.plan_hash(plan.make(text, {"v": 2})) == plan.plan_hash(plan.make(text, {"v": 2.0}))
