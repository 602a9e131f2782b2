"""Stage 5: states, retries and catches."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import Any

import pytest
import yaml

from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine.frame import FRAME
from taskrunner.model import step_path
from tests.packs import pack
from tests.template import ROOT

APPROVALS = "approvals: [{id: r, expiresAfterSeconds: 120}]"
WRITTEN = yaml.load(
    (ROOT / "statemachine/pack_run.asl.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader
)
PROTOTYPES = WRITTEN["States"][FRAME]["Branches"][0]["States"]

# The defaults of a retrier in Step Functions.
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

    assert list(states(steps, APPROVALS)) == ["z", "a", "g", "Steps done"]


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


def test_retries_with_the_packs_pauses_and_leaves_its_reasons_to_the_function() -> None:
    retries = (
        "{maxAttempts: 4, backoffSeconds: 2, backoffRate: 3, maxBackoffSeconds: 9, jitter: full, "
        "on: [timeout, executor-error]}"
    )
    state = states(f"- {{id: a, retries: {retries}, run: {{uses: builtin:noop}}}}")["a"]

    assert state["Retry"][1] == {
        "ErrorEquals": ["AttemptFailedError"],
        "IntervalSeconds": 2,
        "MaxAttempts": 3,
        "BackoffRate": 3,
        "MaxDelaySeconds": 9,
        "JitterStrategy": "FULL",
    }


def test_a_longest_pause_that_is_no_longer_than_the_first_needs_no_rate() -> None:
    """Step Functions documents no cap that is not above the interval."""
    retries = "{maxAttempts: 2, backoffSeconds: 60, backoffRate: 2, maxBackoffSeconds: 5}"
    state = states(f"- {{id: a, retries: {retries}, run: {{uses: builtin:noop}}}}")["a"]

    again = state["Retry"][1]
    assert again["IntervalSeconds"] == 5
    assert "MaxDelaySeconds" not in again
    assert again["BackoffRate"] == 1


def test_a_step_of_one_attempt_has_the_platforms_retries_only() -> None:
    state = states("- {id: a, run: {uses: builtin:noop}}")["a"]

    prototypes = PROTOTYPES["Run"]["Retry"][::2]
    assert with_defaults(*state["Retry"]) == with_defaults(*prototypes)


def with_defaults(*retriers: dict[str, Any]) -> list[dict[str, Any]]:
    """The retriers with what Step Functions adds to them (Amazon States Language, Retrier)."""
    return [RETRIER_DEFAULTS | retrier for retrier in retriers]


def test_states_carry_no_comments() -> None:
    found = states(
        """
        - {id: named, name: Build it, when: "`true`", run: {uses: builtin:noop}}
        - {id: g, gate: {approval: {id: r}}}
        - {id: p, parallel: {maxParallel: 1, steps: [{id: a, run: {uses: builtin:noop}}]}}
        """,
        APPROVALS,
    )

    assert "Comment" not in yaml.safe_dump(found)


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
        (RULES, "{}", "flow"),
        (RULES, "{x: '{{ run.id }}', secrets: 'text: secrets.t'}", "flow"),
        (SECRET + RULES, "{x: '{{ run.id }}'}", "flow"),
        (SECRET + RULES, "{x: '{{ secrets.t }}'}", "run"),
        (SECRET + RULES, "{x: [{y: '{{ inputs.flag && secrets.t }}'}]}", "run"),
        (FUNCTION, "{}", "run"),
    ],
)
def test_run_step_evaluates_the_policies_that_take_secrets_or_a_function(
    spec: str, parameters: str, function: str
) -> None:
    spec += "\ninputs: [{name: flag, type: boolean, default: false}]"

    state = states(f"- {{id: g, gate: {{policy: {{policy: p, with: {parameters}}}}}}}", spec)["g"]

    assert state["Parameters"] == {
        "FunctionName.$": f"$.arn.{function}",
        "Payload": {
            "place.$": "$.place", "step": "g", "ask": "policy",
        },
    }  # fmt: skip
    assert state["ResultPath"] == "$.decision"


def test_a_policy_call_may_take_as_long_as_a_step_and_is_retried_like_a_decision() -> None:
    call, run, decide = (PROTOTYPES[name] for name in ("Policy call", "Run", "Decide"))

    assert call["TimeoutSeconds"] == run["TimeoutSeconds"]
    assert call["Retry"] == decide["Retry"]
    assert call["ResultPath"] == decide["ResultPath"]


def test_a_gate_waits_as_long_as_its_approval_and_then_comes_back_to_itself() -> None:
    found = states("- {id: g, gate: {approval: {id: r}}}", APPROVALS)

    assert found["g"]["TimeoutSeconds"] == 120
    assert found["g"]["Catch"] == [
        {"ErrorEquals": ["States.Timeout"], "ResultPath": "$.place.timeout", "Next": "g"}
    ]
    assert found["g"]["ResultPath"] == "$.place.timeout"


def test_a_gate_that_may_fail_leads_on_after_rejection_and_expiry() -> None:
    found = states("- {id: g, continueOnError: true, gate: {approval: {id: r}}}", APPROVALS)

    assert caught(found["g"]) == ["g", "Steps done"]
    # The next gate must not find the timeout of this one.
    assert {catcher["ResultPath"] for catcher in found["g"]["Catch"]} == {"$.place.timeout"}


@pytest.mark.parametrize(("policy", "function"), [(RULES, "gate"), (FUNCTION, "run")])
def test_one_state_evaluates_a_policy_and_waits_for_its_override(
    policy: str, function: str
) -> None:
    steps = """
    - id: g
      gate:
        policy:
          policy: p
          retries: {count: 2, backoffSeconds: 7}
          failureAction: requestOverride
          override: {approval: r}
    """

    found = states(steps, f"{policy}\n{APPROVALS}")

    assert list(found) == ["g", "Steps done"]
    assert found["g"]["Parameters"] == {
        "FunctionName.$": f"$.arn.{function}",
        "Payload": {"place.$": "$.place", "step": "g", "token.$": "$$.Task.Token"},
    }
    assert found["g"]["TimeoutSeconds"] == 120
    assert found["g"]["Retry"][1] == {
        "ErrorEquals": ["AttemptFailedError"],
        "IntervalSeconds": 7,
        "BackoffRate": 1,
        "MaxAttempts": 2,
    }


LOOP = """
- id: around
  continueOnError: true
  conditional:
    branches:
      - condition: "`true`"
        steps:
          - id: turns
            loop:
              items: {static: [1]}
              until: run.id
              body:
                - {id: a, run: {uses: builtin:noop}}
                - id: inner
                  loop:
                    items: {static: [1]}
                    until: run.id
                    iterator: x
                    index: y
                    body: [{id: b, run: {uses: builtin:noop}}]
- {id: last, run: {uses: builtin:noop}}
"""


def test_a_failure_in_a_loop_with_until_leads_back_to_its_turn() -> None:
    found = states(LOOP)

    failure = {"ErrorEquals": ["StepFailedError"], "ResultPath": "$.place.next"}
    assert found["turns"]["Catch"] == [failure | {"Next": "Again turns"}]
    assert found["Again turns"]["Default"] == "turns"
    assert found["a"]["Catch"] == [failure | {"Next": "turns"}]
    assert found["b"]["Catch"] == [failure | {"Next": "inner"}]
    assert found["Broken inner"] == {
        "Type": "Pass",
        "Result": {"Error": "StepFailedError"},
        "ResultPath": "$.place.next",
        "Next": "turns",
    }
    ways = {rule["StringEquals"]: rule["Next"] for rule in found["Again inner"]["Choices"]}
    assert ways == {"iteration": "b", "end": "turns", "failure": "Broken inner"}


def test_maps_make_the_path_prefix_of_their_iterations_as_the_run_reads_it() -> None:
    steps = "- {id: each-1, map: {items: {static: [1]}, step: {id: a, run: {uses: builtin:noop}}}}"

    selector = states(steps)["each-1"]["ItemSelector"]

    assert selector["place"]["path.$"] == (
        "States.Format('{}each-1[{}]::', $.place.path, $$.Map.Item.Value)"
    )
    made = "{}each-1[{}]::".format("outer[2]::", 7)
    assert made == step_path.iteration_prefix(step_path.join("outer[2]::", "each-1"), 7)


CALLS = [
    "run: {uses: builtin:noop}",
    "gate: {approval: {id: r}}",
    "gate: {policy: {policy: p}}",
    "map: {items: run.id, step: {id: a, run: {uses: builtin:noop}}}",
    "loop: {items: {static: [1]}, until: run.id, body: [{id: a, run: {uses: builtin:noop}}]}",
    "conditional: {branches: [{condition: run.id, steps: [{id: a, run: {uses: builtin:noop}}]}]}",
]


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("when", ["'`true`'", "run.id"])
def test_a_step_that_begins_with_a_call_has_no_state_for_its_condition(
    kind: str, when: str
) -> None:
    spec = f"{RULES}\n{APPROVALS}"

    plain = states(f"- {{id: s, {kind}}}", spec)

    assert states(f"- {{id: s, when: {when}, {kind}}}", spec) == plain


@pytest.mark.parametrize(
    "kind",
    [
        "map: {items: {static: [1]}, step: {id: a, run: {uses: builtin:noop}}}",
        "parallel: {maxParallel: 1, steps: [{id: a, run: {uses: builtin:noop}}]}",
    ],
)
def test_a_block_whose_condition_the_run_decides_asks_for_its_items(kind: str) -> None:
    found = states(f"- {{id: s, when: run.id, {kind}}}")

    assert found["Items s"]["Parameters"]["Payload"]["ask"] == "items"
    assert found["s"]["ItemsPath"] == "$.decision.Payload.value"
    assert "When s" not in found


CHECKED = (
    "- {id: %s, continueOnError: %s, map: {items: run.id, outputs: index, "
    "step: {id: in-%s, run: {uses: builtin:noop}}}}"
)


def checked(first: str, second: str) -> str:
    """Two maps whose ends are checked, side by side; each may fail, or not."""
    return f"{CHECKED % ('a', first, 'a')}\n{CHECKED % ('b', second, 'b')}"


def test_the_question_for_the_items_of_a_block_ends_the_block_before() -> None:
    found = states(checked("false", "false"))

    assert list(found) == ["a", "Items a", "Result b", "b", "Items b", "Steps done"]
    assert found["a"]["Next"] == "Items b"
    assert found["Items b"]["Parameters"]["Payload"]["ended"] == "a"
    assert "ended" not in found["Items a"]["Parameters"]["Payload"]


def test_a_block_before_a_step_without_items_has_a_state_for_its_end() -> None:
    found = states(f"{CHECKED % ('a', 'false', 'a')}\n- {{id: s, run: {{uses: builtin:noop}}}}")

    assert (found["a"]["Next"], found["Result a"]["Next"]) == ("Result a", "s")


def test_no_failure_of_a_question_is_caught_where_the_step_may_fail() -> None:
    """The function answers the question all the same."""
    found = states(checked("true", "true"))

    assert caught(found["Items a"]) == caught(found["Items b"]) == caught(found["Result b"]) == []
    assert caught(found["a"]) == ["Items b"]


@pytest.mark.parametrize(
    ("first", "second", "leads_to"),
    [("true", "true", []), ("false", "true", ["Done 1"]), ("true", "false", ["Done 1"])],
)
def test_the_failure_of_the_block_before_leads_where_its_own_leads(
    first: str, second: str, leads_to: list[str]
) -> None:
    inside = indent(checked(first, second), " " * 4).strip()
    found = states(
        f"- id: outer\n  continueOnError: true\n  map:\n    items: run.id\n    steps:\n    {inside}"
    )

    within = found["outer"]["ItemProcessor"]["States"]
    assert caught(within["Items b"]) == leads_to


def test_the_last_state_of_an_iteration_ends_it_without_output() -> None:
    found = states(CHECKED % ("a", "false", "a"))

    inside = found["a"]["ItemProcessor"]["States"]
    assert list(inside) == ["in-a"]
    assert (inside["in-a"]["End"], inside["in-a"]["OutputPath"]) == (True, None)
    assert "Next" not in inside["in-a"]
    assert "ResultPath" not in inside["in-a"]


@pytest.mark.parametrize(
    "last",
    [
        """
        id: b
        continueOnError: true
        run: {uses: builtin:noop}
        """,
        """
        id: b
        conditional: {branches: [{condition: run.id, steps: [{id: c, run: {uses: builtin:noop}}]}]}
        """,
    ],
)
def test_an_iteration_has_a_state_for_its_end_where_a_failure_or_a_choice_leads_to_it(
    last: str,
) -> None:
    inside = indent(dedent(last), " " * 6)
    found = states(f"- id: a\n  map:\n    items: run.id\n    step:{inside}")

    assert found["a"]["ItemProcessor"]["States"]["Done 1"]["Type"] == "Succeed"


def test_a_state_before_the_end_of_an_iteration_says_nothing_of_its_result() -> None:
    """The end discards it."""
    found = states(CHECKED % ("a", "true", "a"))

    last = found["a"]["ItemProcessor"]["States"]["in-a"]
    assert last["Next"] == last["Catch"][0]["Next"] == "Done 1"
    assert "ResultPath" not in last
    assert "ResultPath" not in last["Catch"][0]


def test_a_parallel_whose_condition_the_run_decides_has_states_for_it() -> None:
    found = states(
        "- {id: s, when: run.id, parallel: {steps: [{id: a, run: {uses: builtin:noop}}]}}"
    )

    assert list(found) == ["When s", "Whether s", "s", "Steps done"]


def test_a_false_condition_leads_to_the_entry_of_the_next_step() -> None:
    block = "parallel: {steps: [{id: in-%s, run: {uses: builtin:noop}}]}"
    found = branch(
        f"""
        - {{id: a, when: "`true`", {block % "a"}}}
        - {{id: b, when: "`true`", {block % "b"}}}
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
