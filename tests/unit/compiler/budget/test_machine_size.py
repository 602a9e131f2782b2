"""A thousand steps of every kind, with every option, fit into a machine."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

import pytest

from taskrunner.compiler.budget import limits
from taskrunner.compiler.driver import compile_unlimited
from taskrunner.model import canonical_json
from tests.packs import pack

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan

STEPS = 1000
ID_LENGTH = 20
SPEC = """
inputs:
  - {name: flag, type: boolean, default: true}
  - {name: list, type: array, default: []}
  - {name: most, type: integer, default: 3}
secrets: [{name: token}]
policies:
  - {id: p, version: "1", rules: [{id: r, require: inputs.flag}]}
  - {id: by-function, version: "1", uses: "lambda:window"}
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
RETRIED = f"continueOnError: true, {ATTEMPTS}, {NOOP}"


def variants(template: str, *options: list[str]) -> list[str]:
    """Return *template* with each combination of *options* in its places."""
    return [template.format(*chosen) for chosen in product(*options)]


# Every combination of the options of each kind.
BLOCKS = {
    "map": variants(
        "{}{}map: {{{}{}{}{}step: INNER}}",
        *(WHEN, MAY_FAIL, ITEMS, FAIL_FAST, OUTPUTS, LIMITS),
    ),
    "loop": variants(
        "{}{}loop: {{maxIterations: 2, {}{}{}{}body: [INNER]}}",
        *(WHEN, MAY_FAIL, ITEMS, FAIL_FAST, OUTPUTS, UNTIL),
    ),
    "parallel": variants("{}{}parallel: {{{}steps: [INNER]}}", WHEN, MAY_FAIL, LIMITS),
    "conditional": variants(
        "{}{}conditional: {{branches: [{{condition: {}, steps: [INNER]}}]}}",
        *(WHEN, MAY_FAIL, ["inputs.flag", "run.id"]),
    ),
    "policy with a branch": variants(
        "{}{}gate: {{policy: {{policy: p, failureAction: branch, branch: [INNER]}}}}",
        *(WHEN, MAY_FAIL),
    ),
}
SINGLE = {
    "run": variants(
        "{}{}{}, run: {{uses: '{}'}}",
        *(WHEN, MAY_FAIL, [ATTEMPTS], ["builtin:noop", "states:other"]),
    ),
    "approval": variants("{}{}gate: {{approval: {{id: a}}}}", WHEN, MAY_FAIL),
    "policy": variants(
        "{}{}gate: {{policy: {{policy: p{}}}}}", WHEN, MAY_FAIL, ["", ", retries: {count: 9}"]
    ),
    "policy with an override": variants(
        "{}{}gate: {{policy: {{policy: {}{}, failureAction: requestOverride, override: "
        "{{approval: a}}}}}}",
        *(WHEN, MAY_FAIL),
        ["p", "by-function", "p, with: {t: '{{ secrets.token }}'}"],
        ["", ", retries: {count: 9, backoffSeconds: 3600}"],
    ),
}


def a_pack(fields: str, count: int, inside: str = NOOP) -> str:
    """Return a pack of so many steps, with those *inside* them, with ids of the usual length."""
    inner = f"{{id: {'inner-NUMBER-':y<{ID_LENGTH + 3}}, {inside}}}"
    step = f"- {{id: {'step-NUMBER-':x<{ID_LENGTH + 3}}, {fields}}}".replace(INNER, inner)
    number_of_all = count // (2 if INNER in fields else 1)
    steps = (step.replace("NUMBER", f"{number:03}") for number in range(number_of_all))
    return pack("\n".join(steps), spec=SPEC)


def machine(fields: str, count: int, inside: str = NOOP) -> tuple[Plan, JsonObject]:
    """Return plan and machine; some packs break the limit of history events."""
    return compile_unlimited(a_pack(fields, count, inside), {})


def extrapolated(fields: str, inside: str = NOOP) -> int:
    """Return what a thousand steps take, from machines of few: all steps take the same.

    Only the numbers of gates and ends have more digits in a larger machine.
    """
    few, more = 2, 4
    plan, definition = machine(fields, more, inside)
    more_bytes = limits.sent_bytes(plan, definition)
    few_bytes = limits.sent_bytes(*machine(fields, few, inside))
    numbered = len(re.findall(r" \d+\"", canonical_json.canonical_text(definition)))
    a_step = (more_bytes - few_bytes) / (more - few) + 2 * numbered / more
    return round(more_bytes + (STEPS - more) * a_step)


def too_large(combinations: list[str], inside: str = NOOP) -> dict[str, int]:
    """Return what a thousand steps take, for each of *combinations* of which they do not fit."""
    sizes = {fields: extrapolated(fields, inside) for fields in combinations}
    return {fields: size for fields, size in sizes.items() if size > limits.MAX_REQUEST_BYTES}


@pytest.mark.parametrize(
    "combinations", [*BLOCKS.values(), *SINGLE.values()], ids=[*BLOCKS, *SINGLE]
)
def test_a_thousand_steps_fit_with_every_combination_of_options(combinations: list[str]) -> None:
    assert too_large(combinations) == {}


@pytest.mark.parametrize("combinations", BLOCKS.values(), ids=BLOCKS)
def test_a_thousand_steps_fit_as_blocks_of_steps_with_all_numbers_of_retries(
    combinations: list[str],
) -> None:
    assert too_large(combinations, RETRIED) == {}


def nested_maps(levels: int, fields: str, count: int) -> str:
    """Return a pack of so many steps: maps with outputs, directly in each other, around a run."""
    step = f"id: {'leaf-NUMBER-':x<{ID_LENGTH + 3}}, {NOOP}"
    for level in range(levels, 0, -1):
        names = f"iterator: item{level}, index: index{level}, outputs: index{level}"
        each = fields.replace("NAMES", names).replace(INNER, f"{{{step}}}")
        step = f"id: {f'map{level}-NUMBER-':x<{ID_LENGTH + 3}}, {each}"
    numbers = range(count // (levels + 1))
    steps = (f"- {{{step}}}".replace("NUMBER", f"{number:03}") for number in numbers)
    return pack("\n".join(steps), spec=SPEC)


IN_EACH_OTHER = "map: {items: run.id, NAMES, step: INNER}"
WITH_EVERY_OPTION = (
    "when: run.id, continueOnError: true, map: {items: run.id, failFast: false, "
    "maxParallel: '{{ inputs.most }}', NAMES, step: INNER}"
)


# As the limits in docs/language.md say. Each of these maps needs two calls, for its items and for
# its outputs, and no other block follows that could ask one of them.
@pytest.mark.parametrize(
    ("levels", "fields", "count"),
    [
        (2, IN_EACH_OTHER, 999),
        (2, WITH_EVERY_OPTION, 870),
        (6, IN_EACH_OTHER, 790),
        (6, WITH_EVERY_OPTION, 690),
    ],
)
def test_as_many_maps_with_outputs_in_each_other_fit_as_the_limits_say(
    levels: int, fields: str, count: int
) -> None:
    plan, definition = compile_unlimited(nested_maps(levels, fields, count), {})

    counted = limits.sent_bytes(plan, definition)

    share = counted / sum(1 for _ in plan.all_steps())
    assert counted <= limits.MAX_REQUEST_BYTES < counted + 25 * share


# The largest of each kind.
ALL = "failFast: false, outputs: index, maxParallel: '{{ inputs.most }}', step: INNER"
BODY = "maxIterations: 2, outputs: index, body: [INNER]"
OVERRIDDEN = (
    "{policy: by-function, retries: {count: 9, backoffSeconds: 3600}, "
    "failureAction: requestOverride, override: {approval: a}}"
)
LARGEST = [
    f"when: inputs.flag, continueOnError: true, map: {{items: inputs.list, {ALL}}}",
    f"when: run.id, continueOnError: true, map: {{items: run.id, {ALL}}}",
    f"when: inputs.flag, continueOnError: true, loop: {{items: inputs.list, {BODY}}}",
    "when: run.id, continueOnError: true, parallel: {maxParallel: 9, steps: [INNER]}",
    "when: run.id, continueOnError: true, gate: {approval: {id: a}}",
    f"when: run.id, continueOnError: true, gate: {{policy: {OVERRIDDEN}}}",
]


@pytest.mark.parametrize("fields", LARGEST)
def test_a_thousand_of_the_largest_of_each_kind_fit(fields: str) -> None:
    plan, definition = machine(fields, STEPS)

    counted = limits.sent_bytes(plan, definition)

    assert sum(1 for _ in plan.all_steps()) == STEPS
    assert counted <= limits.MAX_REQUEST_BYTES
    assert extrapolated(fields) == pytest.approx(counted, rel=0.002)
