"""Refusing a run that Step Functions could not carry out."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from moto.core.botocore_stubber import MockRawResponse

from taskrunner.compiler.budget import limits
from taskrunner.compiler.budget.distribution import (
    MAX_PLANNED_EVENTS,
    QUOTA_EVENTS,
)
from taskrunner.compiler.driver import compile_pack, compile_unlimited
from taskrunner.compiler.machine import frame, names
from taskrunner.compiler.machine.creation import Deployment, creation
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.errors import InvalidPackError
from taskrunner.model import canonical_json
from taskrunner.model.plan import walk
from tests import graph
from tests.contract.ports import client
from tests.packs import pack

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan


def noops(count: int) -> str:
    return "\n".join(f"- {{id: s{i}, run: {{uses: builtin:noop}}}}" for i in range(count))


def refusal(manifest: str) -> list[str]:
    with pytest.raises(InvalidPackError) as refused:
        compile_pack(manifest, {})
    return [f"{found.path}: {found.message}" for found in refused.value.diagnostics]


HUNDRED_ATTEMPTS = "failure: {retries: {maxAttempts: 100}}"


def test_counts_the_bytes_of_the_machine_and_of_its_input() -> None:
    compiled = compile_pack(pack(noops(1)), {})

    assert compiled.budget.input_bytes == len(
        json.dumps(execution_input(compiled.plan, "t" * 63, "r" * 128), separators=(",", ":"))
    )


def sent(plan: Plan, definition: JsonObject, deployment: Deployment) -> int:
    """Return the bytes of the body with which boto3 creates the machine."""
    bodies: list[bytes] = []

    def send(request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore's
        bodies.append(request.body)
        answer = b'{"stateMachineArn": "a", "creationDate": 1}'
        return AWSResponse(request.url, 200, {}, MockRawResponse(answer))

    states = client("stepfunctions")
    states.meta.events.register_first("before-send", send)
    states.create_state_machine(
        **creation(plan.pack_name, plan.pack_version, definition, deployment)
    )
    return len(bodies[0])


def longest(**changes: Any) -> Deployment:  # noqa: ANN401 - any field
    """A deployment with the longest names that AWS allows."""
    function = f"arn:aws-us-gov:lambda:ap-southeast-1:{'1' * 12}:function:{'f' * 64}:{'v' * 128}"
    values = dict.fromkeys(frame.bindings(frame.frame()), function)
    group = {"cloudWatchLogsLogGroup": {"logGroupArn": "g" * 256}}
    fields: dict[str, Any] = {
        "stack": "s" * 128,
        "values": values | {frame.PARTITION: "aws-us-gov"},
        "role_arn": "r" * 256,
        "logging": {"level": "ERROR", "includeExecutionData": False, "destinations": [group]},
        "tracing": {"enabled": False},
    }
    return Deployment(**(fields | changes))


@pytest.mark.parametrize("comment", ["plain", 'a "quote" and \u00e9'])
def test_counts_the_request_that_boto3_sends_for_the_deployment_with_the_longest_names(
    comment: str,
) -> None:
    compiled = compile_pack(pack(noops(1)), {})
    definition = compiled.definition | {"Comment": comment}

    counted = limits.sent_bytes(compiled.plan, definition)

    too_long = len(creation("p", "1", definition, longest())["name"]) - names.MAX_LENGTH
    assert counted == sent(compiled.plan, definition, longest()) - too_long
    assert counted > sent(compiled.plan, definition, longest(stack="s" * 46)) > 3000


def test_the_budget_has_the_bytes_of_the_whole_request() -> None:
    compiled = compile_pack(pack(noops(1)), {})

    counted = limits.sent_bytes(compiled.plan, compiled.definition)
    assert compiled.budget.definition_bytes == counted


def test_counts_an_input_in_its_canonical_form() -> None:
    items = pack(
        "- {id: each, map: {items: {range: {end: 99}}, step: {id: a, run: {uses: builtin:noop}}}}"
    )
    compiled = compile_pack(items, {})

    first_input = execution_input(compiled.plan, "t" * 63, "r" * 128)
    assert compiled.budget.input_bytes == canonical_json.size_bytes(first_input)


ATTEMPTS = "retries: {maxAttempts: 100, backoffSeconds: 3600}"
ALL_NUMBERS = (
    "retries: {maxAttempts: 100, backoffSeconds: 3599, backoffRate: 9.99, "
    "maxBackoffSeconds: 86399, jitter: full, "
    "on: [timeout, memory-exceeded, executor-error, egress-denied]}"
)
EVALUATIONS = "retries: {count: 9, backoffSeconds: 3600}"
OVERRIDE = "failureAction: requestOverride, override: {approval: a}"
# Each with what makes its states the largest.
KINDS = {
    "run": f"{ATTEMPTS}, run: {{uses: builtin:noop}}",
    "run that may fail": f"continueOnError: true, {ATTEMPTS}, run: {{uses: builtin:noop}}",
    "run with all numbers": f"{ALL_NUMBERS}, run: {{uses: builtin:noop}}",
    "run with all numbers that may fail": (
        f"continueOnError: true, {ALL_NUMBERS}, run: {{uses: builtin:noop}}"
    ),
    "approval": "gate: {approval: {id: a}}",
    "approval of its own": "gate: {approval: {id: own, message: '{{ run.id }}'}}",
    "override of its own": (
        f"gate: {{policy: {{policy: p, {EVALUATIONS}, "
        "failureAction: requestOverride, override: {approval: own}}}"
    ),
    "approval that may fail": "continueOnError: true, gate: {approval: {id: a}}",
    "policy": "gate: {policy: {policy: p}}",
    "policy that warns": "gate: {policy: {policy: p, failureAction: warn}}",
    "policy by function": "gate: {policy: {policy: f}}",
    "policy that may fail": "continueOnError: true, gate: {policy: {policy: p}}",
    "policy with a branch": "gate: {policy: {policy: p, failureAction: branch, branch: [INNER]}}",
    "policy with an override": f"gate: {{policy: {{policy: p, {OVERRIDE}}}}}",
    "policy with an override and retries": (
        f"gate: {{policy: {{policy: p, {EVALUATIONS}, {OVERRIDE}}}}}"
    ),
    "parallel": "parallel: {steps: [INNER]}",
    "parallel with a limit": "parallel: {maxParallel: 9, steps: [INNER]}",
    "map": "map: {items: {static: [1]}, maxParallel: 1, step: INNER}",
    "map over inputs": "map: {items: inputs.list, maxParallel: 1, step: INNER}",
    "map over outputs": "map: {items: run.id, maxParallel: 1, step: INNER}",
    "map that may fail": "continueOnError: true, map: {items: run.id, step: INNER}",
    "loop": "loop: {items: {static: [1]}, body: [INNER]}",
    "loop over outputs": "loop: {items: run.id, maxIterations: 2, body: [INNER]}",
    "loop with until": "loop: {items: {static: [1]}, until: index == `1`, body: [INNER]}",
    "loop with until that may fail": (
        "continueOnError: true, loop: {items: {static: [1]}, until: run.id, body: [INNER]}"
    ),
    "loop with outputs": (
        "loop: {items: {static: [1]}, until: run.id, outputs: index, body: [INNER]}"
    ),
    "loop with outputs that may fail": (
        "continueOnError: true, "
        "loop: {items: run.id, until: run.id, outputs: index, maxIterations: 2, body: [INNER]}"
    ),
    "conditional": "conditional: {branches: [{condition: inputs.flag, steps: [INNER]}]}",
    "conditional on the run": "conditional: {branches: [{condition: run.id, steps: [INNER]}]}",
    "conditional that may fail": (
        "continueOnError: true, conditional: {branches: [{condition: run.id, steps: [INNER]}]}"
    ),
}


# A parallel with a limit whose `when` the run decides is the one that does not fit.
WHEN = {"parallel with a limit": "when: inputs.flag, "}
LONGEST_ID = 63
# The most characters of ids with which a thousand steps of these kinds fit.
SHORTER_IDS = {
    # Their manifest would have more than 256 KiB.
    "run with all numbers": 33,
    "run with all numbers that may fail": 11,
    "approval that may fail": 28,
    "override of its own": 36,
    "policy with an override and retries": 44,
    "parallel": 54,
    "parallel with a limit": 59,
    "map": 54,
    "map over inputs": 51,
    "map over outputs": 51,
    "map that may fail": 21,
    "loop": 54,
    "loop over outputs": 54,
    "loop with until that may fail": 49,
    "loop with outputs that may fail": 45,
}


def a_thousand(fields: str, when: str, id_length: int) -> str:
    """Return a pack of a thousand steps of a kind, with ids of that length."""
    steps = [
        f"- {{id: {f'step-{number:03}-':x<{id_length}}, {when}{fields}}}".replace(
            "INNER", f"{{id: {f'inner-{number:03}-':y<{id_length}}, run: {{uses: 'builtin:noop'}}}}"
        )
        for number in range(1000 // (2 if "INNER" in fields else 1))
    ]
    spec = """
    inputs:
      - {name: flag, type: boolean, default: true}
      - {name: list, type: array, default: []}
    policies:
      - {id: p, version: "1", rules: [{id: r, require: inputs.flag}]}
      - {id: f, version: "1", uses: "lambda:f"}
    approvals:
      - {id: a, expiresAfterSeconds: 31449600}
      - {id: own, scope: gate, expiresAfterSeconds: 31449600}
    """
    return pack("\n".join(steps), spec=spec)


# Decisions of the run itself need the most states.
@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_steps_with_conditions_and_long_ids_fit_into_a_machine(
    kind: str,
) -> None:
    """Some of these packs break the limit of history events, so only their machine is made."""
    id_length = SHORTER_IDS.get(kind, LONGEST_ID)
    manifest = a_thousand(KINDS[kind], WHEN.get(kind, "when: run.id, "), id_length)

    plan, machine = compile_unlimited(manifest, {})

    assert sum(1 for _ in plan.all_steps()) == 1000
    assert limits.sent_bytes(plan, machine) <= limits.MAX_REQUEST_BYTES


@pytest.mark.parametrize("kind", ["run that may fail", "policy with a branch"])
def test_a_thousand_steps_fit_into_a_machine_in_finally_too(kind: str) -> None:
    id_length = SHORTER_IDS.get(kind, LONGEST_ID)
    steps = "\n  steps:\n"
    first = f"{steps}    - {{id: only, run: {{uses: builtin:noop}}}}\n  finally:\n"
    manifest = a_thousand(KINDS[kind], "when: run.id, ", id_length).replace(steps, first)

    plan, machine = compile_unlimited(manifest, {})

    assert sum(1 for _ in walk(plan.final_steps)) == 1000
    assert limits.sent_bytes(plan, machine) <= limits.MAX_REQUEST_BYTES


def test_names_the_step_that_breaks_the_history_limit_with_its_line() -> None:
    fitting = compile_pack(pack(noops(71), spec=HUNDRED_ATTEMPTS), {})
    assert fitting.budget.history_events < MAX_PLANNED_EVENTS

    (found,) = refusal(pack(noops(85), spec=HUNDRED_ATTEMPTS))

    assert found.startswith("$.spec.steps[71]: line 78: with this step")


def test_names_the_last_step_when_what_follows_it_breaks_the_limit() -> None:
    (found,) = refusal(pack(noops(72), spec=HUNDRED_ATTEMPTS))

    assert found.startswith("$.spec.steps[71]: line 78:")


def test_keeps_events_for_the_retries_of_forty_tasks() -> None:
    """An inline Map runs forty tasks at a time, each of which may be refused for an hour."""
    retries = compile_pack(pack(noops(1)), {}).definition["States"]["Settle run"]["Retry"][-1]

    events = 40 * 3 * retries["MaxAttempts"]

    assert events == QUOTA_EVENTS - MAX_PLANNED_EVENTS


def test_refuses_a_machine_larger_than_step_functions_takes() -> None:
    assert any("split the pack" in found for found in refusal(pack(noops(2500))))


def test_refuses_an_input_larger_than_step_functions_takes() -> None:
    compiled = compile_pack(pack(noops(1)), {})
    too_large = replace(compiled.budget, input_bytes=limits.MAX_INPUT_BYTES + 1)

    ((path, message),) = limits.problems(compiled.plan, compiled.distributed, too_large)

    assert path == ("spec", "steps")
    assert "use fewer conditions" in message


def test_accepts_a_pack_of_a_thousand_steps() -> None:
    compiled = compile_pack(pack(noops(1000)), {})

    assert sum(1 for _ in compiled.plan.all_steps()) == 1000
    assert compiled.budget.history_events < QUOTA_EVENTS
    assert compiled.budget.definition_bytes < limits.MAX_REQUEST_BYTES
    assert graph.problems(compiled.definition) == []


def test_accepts_a_thousand_steps_and_a_map_of_ten_thousand_items_in_finally() -> None:
    each = """
    - id: each
      map: {items: {range: {end: 9999}}, step: {id: item-step, run: {uses: builtin:noop}}}
    """
    final = textwrap.indent(f"{textwrap.dedent(each)}{noops(1000)}", "  ")
    only = "- {id: only, run: {uses: builtin:noop}}"

    compiled = compile_pack(pack(only, spec=f"finally:{final}"), {})

    assert sum(1 for _ in walk(compiled.plan.final_steps)) == 1002
    assert compiled.distributed == frozenset({"each"})
    assert graph.problems(compiled.definition) == []


def test_accepts_a_thousand_steps_in_blocks() -> None:
    lanes = ", ".join(
        f"{{id: lane-{lane}, conditional: {{branches: [{{condition: run.id, steps: ["
        + ", ".join(f"{{id: s{lane}-{i}, run: {{uses: builtin:noop}}}}" for i in range(98))
        + "]}]}}"
        for lane in range(10)
    )
    compiled = compile_pack(
        pack(f"- {{id: all, parallel: {{maxParallel: 5, steps: [{lanes}]}}}}"), {}
    )

    assert sum(1 for _ in compiled.plan.all_steps()) == 991
    assert graph.problems(compiled.definition, compiled.plan) == []
