"""A thousand steps of every kind, with every option, fit into a machine."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

import pytest

from taskrunner.compiler.budget import limits
from taskrunner.compiler.budget.distribution import distributed_maps
from taskrunner.compiler.driver import compile_plan, plan_pack
from taskrunner.compiler.manifest import schema, source
from taskrunner.compiler.planning.plan import make_structure
from taskrunner.model import canonical_json
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan

STEPS = 1000
ID_LENGTH = 20
SPEC = """
inputs:
  - {name: flag, type: boolean, default: true}
  - {name: list, type: array, default: []}
  - {name: most, type: integer, default: 3}
policies: [{id: p, version: "1", rules: [{id: r, require: inputs.flag}]}]
approvals: [{id: a, expiresAfterSeconds: 31449600}]
"""
WHEN = ["", "when: inputs.flag, ", "when: run.id, "]
MAY_FAIL = ["", "continueOnError: true, "]
FAIL_FAST = ["", "failFast: true, ", "failFast: false, "]
OUTPUTS = ["", "outputs: index, "]
ITEMS = ["items: {static: [1]}, ", "items: inputs.list, ", "items: run.id, "]
LIMITS = ["", "maxParallel: '{{ inputs.most }}', "]
UNTIL = ["", "until: run.id, "]
ATTEMPTS = (
    "retries: {maxAttempts: 100, backoffSeconds: 3599, backoffRate: 9.99, maxBackoffSeconds: "
    "86399, jitter: full, on: [timeout, memory-exceeded, executor-error, egress-denied]}"
)
INNER = "INNER"
NOOP = "run: {uses: builtin:noop}"


def variants(template: str, *options: list[str]) -> Iterator[str]:
    """Yield *template* with each combination of *options* in its places."""
    return (template.format(*chosen) for chosen in product(*options))


BLOCKS = [
    *variants(
        "{}{}map: {{{}{}{}{}step: INNER}}", WHEN, MAY_FAIL, ITEMS, FAIL_FAST, OUTPUTS, LIMITS
    ),
    *variants(
        "{}{}loop: {{maxIterations: 2, {}{}{}{}body: [INNER]}}",
        *(WHEN, MAY_FAIL, ITEMS, FAIL_FAST, OUTPUTS, UNTIL),
    ),
    *variants("{}{}parallel: {{{}steps: [INNER]}}", WHEN, MAY_FAIL, LIMITS),
    *variants(
        "{}{}conditional: {{branches: [{{condition: {}, steps: [INNER]}}]}}",
        *(WHEN, MAY_FAIL, ["inputs.flag", "run.id"]),
    ),
    *variants(
        "{}{}gate: {{policy: {{policy: p, failureAction: branch, branch: [INNER]}}}}",
        *(WHEN, MAY_FAIL),
    ),
]
SINGLE = [
    *variants(
        "{}{}{}, run: {{uses: '{}'}}",
        *(WHEN, MAY_FAIL, [ATTEMPTS], ["builtin:noop", "states:other"]),
    ),
    *variants("{}{}gate: {{approval: {{id: a}}}}", WHEN, MAY_FAIL),
    *variants(
        "{}{}gate: {{policy: {{policy: p{}}}}}", WHEN, MAY_FAIL, ["", ", retries: {count: 9}"]
    ),
    *variants(
        "{}{}gate: {{policy: {{policy: p, failureAction: requestOverride, override: "
        "{{approval: a}}}}}}",
        *(WHEN, MAY_FAIL),
    ),
]


def a_pack(fields: str, count: int) -> str:
    """Return a pack of so many steps, with those inside them, with ids of the usual length."""
    inner = f"{{id: {'inner-NUMBER-':y<{ID_LENGTH + 3}}, {NOOP}}}"
    step = f"- {{id: {'step-NUMBER-':x<{ID_LENGTH + 3}}, {fields}}}".replace(INNER, inner)
    number_of_all = count // (2 if INNER in fields else 1)
    steps = (step.replace("NUMBER", f"{number:03}") for number in range(number_of_all))
    return pack("\n".join(steps), spec=SPEC)


def machine(fields: str, count: int) -> tuple[Plan, JsonObject]:
    """Return plan and machine; some packs break the limit of history events."""
    manifest = a_pack(fields, count)
    plan = plan_pack(manifest, {})
    structure = make_structure(schema.parse(source.read(manifest)).pack)
    return plan, compile_plan(plan, distributed_maps(structure))


def sent_bytes(fields: str, count: int) -> int:
    """Return the bytes of the request that creates the machine of so many steps."""
    return limits.sent_bytes(*machine(fields, count))


def extrapolated(fields: str) -> int:
    """Return what a thousand steps take, from machines of few: all steps take the same.

    Only the numbers of gates and ends have more digits in a larger machine.
    """
    few, more = 4, 10
    plan, definition = machine(fields, more)
    more_bytes = limits.sent_bytes(plan, definition)
    numbered = len(re.findall(r" \d+\"", canonical_json.canonical_text(definition)))
    a_step = (more_bytes - sent_bytes(fields, few)) / (more - few) + 2 * numbered / more
    return round(more_bytes + (STEPS - more) * a_step)


@pytest.mark.parametrize("fields", [*BLOCKS, *SINGLE])
def test_a_thousand_steps_fit_with_every_combination_of_options(fields: str) -> None:
    assert extrapolated(fields) <= limits.MAX_REQUEST_BYTES


# The largest of each kind.
ALL = "failFast: false, outputs: index, maxParallel: '{{ inputs.most }}', step: INNER"
BODY = "maxIterations: 2, outputs: index, body: [INNER]"
LARGEST = [
    f"when: inputs.flag, continueOnError: true, map: {{items: inputs.list, {ALL}}}",
    f"when: run.id, continueOnError: true, map: {{items: run.id, {ALL}}}",
    f"when: inputs.flag, continueOnError: true, loop: {{items: inputs.list, {BODY}}}",
    "when: run.id, continueOnError: true, parallel: {maxParallel: 9, steps: [INNER]}",
    "when: run.id, continueOnError: true, gate: {approval: {id: a}}",
]


@pytest.mark.parametrize("fields", LARGEST)
def test_a_thousand_of_the_largest_of_each_kind_fit(fields: str) -> None:
    plan, definition = machine(fields, STEPS)

    counted = limits.sent_bytes(plan, definition)

    assert sum(1 for _ in plan.all_steps()) == STEPS
    assert counted <= limits.MAX_REQUEST_BYTES
    assert extrapolated(fields) == pytest.approx(counted, rel=0.002)
