"""Stage 5: states, retries, catches, and the places where a deployment's functions go."""

from __future__ import annotations

import json
import re
from textwrap import dedent, indent
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from taskrunner.compiler import emit
from taskrunner.compiler.compiled import compile_pack
from tests import strategies
from tests.packs import pack
from tests.template import ROOT

APPROVALS = "approvals: [{id: r, expiresAfterSeconds: 120}]"
FRAME = yaml.safe_load((ROOT / "statemachine/pack_run.asl.yaml").read_text(encoding="utf-8"))


def states(steps: str, *, spec: str = "", **inputs: object) -> dict[str, Any]:
    branch = compile_pack(pack(steps, spec=spec), inputs).definition["States"][emit.FRAME][
        "Branches"
    ][0]
    found: dict[str, Any] = branch["States"]
    return found | {"": branch["StartAt"]}


def test_states_have_the_ids_of_their_steps_in_the_order_of_the_pack() -> None:
    steps = """
    - {id: z, run: {uses: builtin:noop}}
    - {id: a, when: "`true`", run: {uses: builtin:noop}}
    - {id: g, gate: {approval: {id: r}}}
    """

    assert list(states(steps, spec=APPROVALS)) == [
        "z", "When a", "a", "g", "Expire g", "Steps done", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("retries", "attempts", "interval"),
    [("", 0, 1), ("retries: {maxAttempts: 3}, ", 2, 1),
     ("retries: {maxAttempts: 100, backoffSeconds: 20}, ", 99, 20)],
)  # fmt: skip
def test_a_step_is_retried_as_often_as_the_pack_says_beside_the_platforms_own_retries(
    retries: str, attempts: int, interval: int
) -> None:
    state = states(f"- {{id: a, {retries}run: {{uses: builtin:noop}}}}")["a"]

    own, platform = state["Retry"][-1], state["Retry"][0]
    assert (own["MaxAttempts"], own["IntervalSeconds"]) == (attempts, interval)
    assert "States.TaskFailed" in own["ErrorEquals"]
    assert platform == FRAME["States"][emit.FRAME]["Branches"][0]["States"]["Run"]["Retry"][0]


def test_a_failure_is_caught_only_where_the_pack_goes_on() -> None:
    found = states(
        """
        - {id: a, run: {uses: builtin:noop}}
        - {id: b, continueOnError: true, run: {uses: builtin:noop}}
        - {id: c, run: {uses: builtin:noop}}
        """
    )

    assert "Catch" not in found["a"]
    assert [catch["Next"] for catch in found["b"]["Catch"]] == ["c"]


SECRET = "secrets: [{name: t}]\n"
RULES = 'policies: [{id: p, version: "1", rules: [{id: r, require: with.x}]}]'
FUNCTION = 'policies: [{id: p, version: "1", uses: "lambda:window"}]'


@pytest.mark.parametrize(
    ("spec", "given", "called"),
    [
        (RULES, "{}", "DecideFlow"),
        (RULES, "{x: '{{ run.id }}', secrets: 'text: secrets.t'}", "DecideFlow"),
        (SECRET + RULES, "{x: '{{ run.id }}'}", "DecideFlow"),
        (SECRET + RULES, "{x: '{{ secrets.t }}'}", "RunStep"),
        (SECRET + RULES, "{x: [{y: '{{ inputs.flag && secrets.t }}'}]}", "RunStep"),
        (FUNCTION, "{}", "RunStep"),
    ],
)
def test_a_policy_that_takes_secrets_or_a_function_is_asked_of_who_may_use_them(
    spec: str, given: str, called: str
) -> None:
    spec += "\ninputs: [{name: flag, type: boolean, default: false}]"

    state = states(f"- {{id: g, gate: {{policy: {{policy: p, with: {given}}}}}}}", spec=spec)["g"]

    assert state["Parameters"]["FunctionName"] == f"${{{called}FunctionArn}}"
    assert state["Parameters"]["Payload"] | {"run.$": 0, "tenant.$": 0} == {
        "tenant.$": 0, "run.$": 0, "step": "g", "path.$": "$.path", "ask": "policy",
    }  # fmt: skip
    assert state["ResultPath"] == "$.decision"


def test_a_policy_call_may_take_as_long_as_its_function_and_is_retried_like_a_decision() -> None:
    prototypes = FRAME["States"][emit.FRAME]["Branches"][0]["States"]

    call, run, decide = (prototypes[name] for name in ("Policy call", "Run", "Decide"))

    assert call["TimeoutSeconds"] == run["TimeoutSeconds"]
    assert call["Retry"] == decide["Retry"]
    assert call["ResultSelector"] == decide["ResultSelector"]


def test_a_gate_waits_as_long_as_its_approval_and_then_expires() -> None:
    found = states("- {id: g, gate: {approval: {id: r}}}", spec=APPROVALS)

    assert found["g"]["TimeoutSeconds"] == 120
    assert [catch["Next"] for catch in found["g"]["Catch"]] == ["Expire g"]
    assert "Catch" not in found["Expire g"]
    assert found["Expire g"]["Parameters"]["Payload"]["step"] == "g"


def test_a_gate_that_may_fail_goes_on_after_rejection_and_expiry() -> None:
    found = states("- {id: g, continueOnError: true, gate: {approval: {id: r}}}", spec=APPROVALS)

    assert [catch["Next"] for catch in found["g"]["Catch"]] == ["Expire g", "Steps done"]
    assert [catch["Next"] for catch in found["Expire g"]["Catch"]] == ["Steps done"]


def test_a_condition_leads_past_its_step_to_the_entry_of_the_next() -> None:
    found = states(
        """
        - {id: a, when: "`true`", run: {uses: builtin:noop}}
        - {id: b, when: "`true`", run: {uses: builtin:noop}}
        """
    )

    assert found[""] == "When a"
    assert found["When a"]["Default"] == found["a"]["Next"] == "When b"
    assert found["When a"]["Choices"][0]["Variable"] == "$.when['a']"
    assert found["When b"]["Default"] == "Steps done"


def test_what_inputs_decide_travels_in_the_executions_input() -> None:
    steps = (
        "- {id: a, when: inputs.f, run: {uses: builtin:noop}}\n- {id: b, run: {uses: builtin:noop}}"
    )
    compiled = compile_pack(pack(steps, spec="inputs: [{name: f, type: boolean}]"), {"f": True})

    assert emit.execution_input(compiled.plan, "acme", "run-1") == {
        "run": {"tenant": "acme", "id": "run-1"},
        "path": "",
        "when": {"a": True},
        "branch": {},
        "items": {},
        "error": None,
    }


def test_compiling_leaves_the_prototypes_as_they_are() -> None:
    states("- {id: a, retries: {maxAttempts: 9}, run: {uses: builtin:noop}}")

    assert emit._frame() == FRAME


FUNCTIONS = {
    name: f"arn:aws:lambda:::{name}"
    for name in (
        "RunStepFunctionArn",
        "OpenGateFunctionArn",
        "DecideFlowFunctionArn",
        "SettleRunFunctionArn",
    )
}


def test_the_functions_of_a_deployment_are_read_off_its_machine_and_put_into_others() -> None:
    deployed = emit.bind(FRAME, FUNCTIONS)
    definition = compile_pack(
        pack(
            "- {id: g, gate: {approval: {id: r}}}\n- {id: a, run: {uses: builtin:noop}}",
            spec=APPROVALS,
        ),
        {},
    ).definition

    bound = emit.bind(definition, emit.bindings(deployed))

    assert emit.bindings(deployed) == FUNCTIONS
    assert "${" not in json.dumps(bound)


def test_a_machine_of_another_shape_has_no_bindings() -> None:
    with pytest.raises(KeyError):
        emit.bindings({"StartAt": "x", "States": {}})


@pytest.mark.parametrize("name", ["${Nobody}", "${RunStepFunctionArn}", "${", "$${a}"])
def test_an_authors_text_is_never_taken_for_a_function(name: str) -> None:
    text = pack(f"- {{id: Comment, name: '{name}', run: {{uses: builtin:noop}}}}")
    definition = compile_pack(text, {}).definition

    bound = emit.bind(definition, FUNCTIONS)

    state = bound["States"][emit.FRAME]["Branches"][0]["States"]["Comment"]
    assert state["Comment"] == name
    assert state["Parameters"]["FunctionName"] == FUNCTIONS["RunStepFunctionArn"]


@settings(max_examples=30, deadline=None)
@given(strategies.packs(), strategies.inputs)
def test_every_generated_machine_can_be_bound(
    manifest: dict[str, Any], inputs: dict[str, Any]
) -> None:
    definition = compile_pack(strategies.as_yaml(manifest), inputs).definition

    bound = emit.bind(definition, FUNCTIONS)

    assert json.loads(json.dumps(bound)) == bound


def distributed(steps: str) -> str:
    """*steps* in an item of a map that runs too many at a time for an inline one."""
    return (
        "- id: many\n  map:\n    items: inputs.hosts\n    maxParallel: 41\n    steps:\n"
        + indent(dedent(steps).strip("\n"), "      ")
    )


HOSTS = "inputs: [{name: hosts, type: array, default: [a, b]}]"
EVERYTHING_PLANNED = """
- {id: a, when: inputs.hosts, run: {uses: builtin:noop}}
- id: choice
  conditional:
    branches: [{condition: inputs.hosts, steps: [{id: b, run: {uses: builtin:noop}}]}]
- id: two
  parallel: {maxParallel: 1, steps: [{id: c, when: inputs.hosts, run: {uses: builtin:noop}}]}
- id: turns
  loop:
    items: {range: {end: 1}}
    iterator: turn
    index: nr
    body:
      - id: each
        map: {items: inputs.hosts, iterator: x, index: y, step: {id: d, run: {uses: builtin:noop}}}
- id: again
  loop:
    items: inputs.hosts
    until: run.id
    iterator: p
    index: q
    body: [{id: e, run: {uses: builtin:noop}}]
"""


def test_an_item_that_fails_fails_its_distributed_map_and_that_is_caught_as_any_failure() -> None:
    """Step Functions tolerates no failure unless told to, and calls it by a name of its own.

    That is States.ExceedToleratedFailureThreshold, which States.ALL takes, as it takes all but
    States.Runtime and States.DataLimitExceeded.
    """
    item = "- {id: a, run: {uses: builtin:noop}}"
    own = states(distributed(item), spec=HOSTS)["many"]
    around = "- id: block\n  continueOnError: true\n  conditional:\n    branches:\n"
    around += "      - condition: inputs.hosts\n        steps:\n"
    around += indent(distributed(item), "          ")
    contained = states(around + "\n- {id: z, run: {uses: builtin:noop}}", spec=HOSTS)["many"]

    assert own["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert not [key for key in own if key.startswith("Tolerated")]
    assert "Catch" not in own
    assert contained["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "z"}]
    frame = compile_pack(pack(distributed(item), spec=HOSTS), {}).definition["States"][emit.FRAME]
    assert frame["Catch"][0]["ErrorEquals"] == ["States.ALL"]


def test_every_item_is_given_all_that_the_states_in_it_read() -> None:
    """An item of a Distributed Map is an execution of its own: it has its input and no more."""
    many = states(distributed(EVERYTHING_PLANNED), spec=HOSTS)["many"]

    assert many["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert missing_in(many) == []
    assert {"run", "path", "when", "branch", "items"} == given_to(many)


def given_to(state: dict[str, Any]) -> set[str]:
    return {key.removesuffix(".$") for key in state["ItemSelector"]}


def missing_in(state: dict[str, Any]) -> list[str]:
    """What the states in a Map read of their input, and are not given; in Maps in it too."""
    inside = state["ItemProcessor"]["States"]
    read = {found for one in walked(inside) for found in reads(one)}
    nested = [lack for one in walked(inside) if one["Type"] == "Map" for lack in missing_in(one)]
    return sorted(read - given_to(state) - {"decision"}) + nested


def walked(inside: dict[str, Any]) -> list[dict[str, Any]]:
    """The states that see the same input: those of a Parallel's branches too."""
    found = []
    for state in inside.values():
        found.append(state)
        for branch in state.get("Branches", []):
            found += walked(branch["States"])
    return found


def reads(state: dict[str, Any]) -> set[str]:
    """The names that *state* itself reads of its input."""
    own = {key: one for key, one in state.items() if key not in {"ItemProcessor", "Branches"}}
    if "ItemSelector" in own:
        own["ItemSelector"] = {k: v for k, v in own["ItemSelector"].items() if "$$." not in v}
        own["ItemSelector"]["path"] = "$.path"
    own.pop("ResultSelector", None)  # reads the answer
    own.pop("ResultPath", None)  # is written
    return set(re.findall(r"(?<![$.\w])\$\.([a-z]+)", json.dumps(own)))
