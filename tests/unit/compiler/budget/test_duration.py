"""The longest time that a run can take."""

from __future__ import annotations

import pytest

from taskrunner.compiler.budget.duration import MAX_DURATION_S, longest_s
from taskrunner.compiler.driver import plan_pack
from tests.packs import pack

SPEC = """
approvals: [{id: day, expiresAfterSeconds: 86400}, {id: year, expiresAfterSeconds: 31449600}]
policies:
  - {id: rules, version: '1', rules: [{id: r, require: run.id}]}
  - {id: function, version: '1', uses: 'lambda:f'}
"""
A = "{id: a, run: {uses: builtin:noop}}"
B = "{id: b, retries: {maxAttempts: 3, backoffSeconds: 10}, run: {uses: builtin:noop}}"
RETRIES = "retries: {count: 1, backoffSeconds: 5}"


@pytest.mark.parametrize(
    ("steps", "expected_s"),
    [
        (f"- {A}", 840),
        (f"- {B}", 3 * 840 + 2 * 10),
        (f"- {A}\n- {B}", 840 + 3 * 840 + 2 * 10),
        ("- {id: g, gate: {approval: {id: day}}}", 86_400),
        (f"- {{id: g, gate: {{policy: {{policy: rules, {RETRIES}}}}}}}", 2 * 840 + 5),
        (f"- {{id: g, gate: {{policy: {{policy: function, {RETRIES}}}}}}}", 2 * 910 + 5),
        (
            (
                "- {id: g, gate: {policy: {policy: rules, failureAction: requestOverride, "
                "override: {approval: day}}}}"
            ),
            840 + 86_400,
        ),
        (f"- {{id: p, parallel: {{steps: [{A}, {B}]}}}}", 840 + 3 * 840 + 2 * 10),
        (f"- {{id: p, parallel: {{branches: [{{steps: [{A}, {B}]}}]}}}}", 840 + 3 * 840 + 2 * 10),
        (f"- {{id: m, map: {{items: {{static: [1, 2]}}, step: {A}}}}}", 2 * 840),
        (
            (
                f"- {{id: c, conditional: {{branches: [{{condition: run.id, steps: [{A}]}}], "
                f"else: [{B}]}}}}"
            ),
            3 * 840 + 2 * 10,
        ),
    ],
)
def test_adds_up_the_longest_times_of_the_steps(steps: str, expected_s: int) -> None:
    assert longest_s(plan_pack(pack(steps, spec=SPEC), {})) == expected_s


def test_is_never_longer_than_step_functions_lets_an_execution_run() -> None:
    gates = "- {id: g, gate: {approval: {id: year}}}\n- {id: h, gate: {approval: {id: year}}}"

    assert longest_s(plan_pack(pack(gates, spec=SPEC), {})) == MAX_DURATION_S
