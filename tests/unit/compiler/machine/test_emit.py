"""Stage 5: states, retries and catches."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import Any

import pytest
import yaml

from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine.frame import FRAME
from tests.packs import pack
from tests.template import ROOT

APPROVALS = "approvals: [{id: r, expiresAfterSeconds: 120}]"
WRITTEN = yaml.safe_load((ROOT / "statemachine/pack_run.asl.yaml").read_text(encoding="utf-8"))
PROTOTYPES = WRITTEN["States"][FRAME]["Branches"][0]["States"]

# What Step Functions assumes of a retrier.
RETRIER_DEFAULTS = {"IntervalSeconds": 1, "BackoffRate": 2}


def branch(steps: str, spec: str = "") -> dict[str, Any]:
    """Return the branch of the frame that holds the states of *steps*."""
    compiled = compile_pack(pack(steps, spec=spec), {})
    found: dict[str, Any] = compiled.definition["States"][FRAME]["Branches"][0]
    return found


def states(steps: str, spec: str = "") -> dict[str, Any]:
    found: dict[str, Any] = branch(steps, spec)["States"]
    return found


def caught(state: dict[str, Any]) -> list[str]:
    """Return where the catchers of *state* lead."""
    return [catcher["Next"] for catcher in state.get("Catch", [])]


def test_states_have_the_ids_of_their_steps_in_the_order_of_the_pack() -> None:
    steps = """
    - {id: z, run: {uses: builtin:noop}}
    - {id: a, when: "`true`", run: {uses: builtin:noop}}
    - {id: g, gate: {approval: {id: r}}}
    """

    assert list(states(steps, APPROVALS)) == ["z", "When a", "a", "g", "Expire g", "Steps done"]


@pytest.mark.parametrize(
    ("retries", "attempts", "interval"),
    [
        ("retries: {maxAttempts: 3}, ", 2, 1),
        ("retries: {maxAttempts: 100, backoffSeconds: 20}, ", 99, 20),
    ],
)
def test_retries_a_step_as_often_as_the_pack_says_beside_the_platforms_retries(
    retries: str, attempts: int, interval: int
) -> None:
    state = states(f"- {{id: a, {retries}run: {{uses: builtin:noop}}}}")["a"]

    final, of_pack, of_platform = state["Retry"]
    assert (of_pack["MaxAttempts"], of_pack["IntervalSeconds"]) == (attempts, interval)
    assert of_pack["ErrorEquals"] == ["AttemptFailedError"]
    assert with_defaults(final, of_platform) == with_defaults(*PROTOTYPES["Run"]["Retry"][::2])


def test_a_step_of_one_attempt_has_the_platforms_retries_only() -> None:
    state = states("- {id: a, run: {uses: builtin:noop}}")["a"]

    prototypes = PROTOTYPES["Run"]["Retry"][::2]
    assert with_defaults(*state["Retry"]) == with_defaults(*prototypes)


def with_defaults(*retriers: dict[str, Any]) -> list[dict[str, Any]]:
    """The retriers with what Step Functions adds to them (Amazon States Language, Retrier)."""
    return [RETRIER_DEFAULTS | retrier for retrier in retriers]


def test_states_carry_no_comments_but_the_names_of_steps() -> None:
    found = states(
        """
        - {id: named, name: Build it, when: "`true`", run: {uses: builtin:noop}}
        - {id: g, gate: {approval: {id: r}}}
        - {id: p, parallel: {maxParallel: 1, steps: [{id: a, run: {uses: builtin:noop}}]}}
        """,
        APPROVALS,
    )

    assert found["named"]["Comment"] == "Build it"
    assert yaml.safe_dump(found).count("Comment") == 1


def test_catches_a_failure_only_where_the_pack_goes_on() -> None:
    found = states(
        """
        - {id: a, run: {uses: builtin:noop}}
        - {id: b, continueOnError: true, run: {uses: builtin:noop}}
        - {id: c, run: {uses: builtin:noop}}
        """
    )

    assert "Catch" not in found["a"]
    assert caught(found["b"]) == ["c"]


SECRET = "secrets: [{name: t}]\n"
RULES = 'policies: [{id: p, version: "1", rules: [{id: r, require: with.x}]}]'
FUNCTION = 'policies: [{id: p, version: "1", uses: "lambda:window"}]'


@pytest.mark.parametrize(
    ("spec", "parameters", "function"),
    [
        (RULES, "{}", "DecideFlow"),
        (RULES, "{x: '{{ run.id }}', secrets: 'text: secrets.t'}", "DecideFlow"),
        (SECRET + RULES, "{x: '{{ run.id }}'}", "DecideFlow"),
        (SECRET + RULES, "{x: '{{ secrets.t }}'}", "RunStep"),
        (SECRET + RULES, "{x: [{y: '{{ inputs.flag && secrets.t }}'}]}", "RunStep"),
        (FUNCTION, "{}", "RunStep"),
    ],
)
def test_run_step_evaluates_the_policies_that_take_secrets_or_a_function(
    spec: str, parameters: str, function: str
) -> None:
    spec += "\ninputs: [{name: flag, type: boolean, default: false}]"

    state = states(f"- {{id: g, gate: {{policy: {{policy: p, with: {parameters}}}}}}}", spec)["g"]

    assert state["Parameters"]["FunctionName"] == f"${{{function}FunctionArn}}"
    assert state["Parameters"]["Payload"] | {"run.$": 0, "tenant.$": 0} == {
        "tenant.$": 0, "run.$": 0, "step": "g", "path.$": "$.path", "ask": "policy",
    }  # fmt: skip
    assert state["ResultPath"] == "$.decision"


def test_a_policy_call_may_take_as_long_as_a_step_and_is_retried_like_a_decision() -> None:
    call, run, decide = (PROTOTYPES[name] for name in ("Policy call", "Run", "Decide"))

    assert call["TimeoutSeconds"] == run["TimeoutSeconds"]
    assert call["Retry"] == decide["Retry"]
    assert call["ResultSelector"] == decide["ResultSelector"]


def test_a_gate_waits_as_long_as_its_approval_and_then_expires() -> None:
    found = states("- {id: g, gate: {approval: {id: r}}}", APPROVALS)

    assert found["g"]["TimeoutSeconds"] == 120
    assert caught(found["g"]) == ["Expire g"]
    assert "Catch" not in found["Expire g"]
    assert found["Expire g"]["Parameters"]["Payload"]["step"] == "g"


def test_a_gate_that_may_fail_leads_on_after_rejection_and_expiry() -> None:
    found = states("- {id: g, continueOnError: true, gate: {approval: {id: r}}}", APPROVALS)

    assert caught(found["g"]) == ["Expire g", "Steps done"]
    assert caught(found["Expire g"]) == ["Steps done"]


def test_a_false_condition_leads_to_the_entry_of_the_next_step() -> None:
    found = branch(
        """
        - {id: a, when: "`true`", run: {uses: builtin:noop}}
        - {id: b, when: "`true`", run: {uses: builtin:noop}}
        """
    )

    assert found["StartAt"] == "When a"
    assert found["States"]["When a"]["Default"] == found["States"]["a"]["Next"] == "When b"
    assert found["States"]["When a"]["Choices"][0]["Variable"] == "$.when['a']"
    assert found["States"]["When b"]["Default"] == "Steps done"


HOSTS = "inputs: [{name: hosts, type: array, default: [a, b]}]"


def distributed(steps: str) -> str:
    """Return *steps* in an item of a map that runs too many at a time for an inline one."""
    return (
        "- id: many\n  map:\n    items: inputs.hosts\n    maxParallel: 41\n    steps:\n"
        + indent(dedent(steps).strip("\n"), "      ")
    )


def test_a_failed_item_fails_its_distributed_map_and_is_caught_like_any_failure() -> None:
    """Step Functions tolerates no failure unless configured, and calls it by a name of its own.

    That is States.ExceedToleratedFailureThreshold, which States.ALL takes, as it takes all but
    States.Runtime and States.DataLimitExceeded.
    """
    item = "- {id: a, run: {uses: builtin:noop}}"
    alone = states(distributed(item), HOSTS)["many"]
    around = "- id: block\n  continueOnError: true\n  conditional:\n    branches:\n"
    around += "      - condition: inputs.hosts\n        steps:\n"
    around += indent(distributed(item), "          ")
    contained = states(around + "\n- {id: z, run: {uses: builtin:noop}}", HOSTS)["many"]

    assert alone["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert not [key for key in alone if key.startswith("Tolerated")]
    assert "Catch" not in alone
    assert contained["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "z"}]
    frame = compile_pack(pack(distributed(item), spec=HOSTS), {}).definition["States"][FRAME]
    assert frame["Catch"][0]["ErrorEquals"] == ["States.ALL"]
