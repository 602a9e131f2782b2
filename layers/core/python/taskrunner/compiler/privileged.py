"""Decides whether run_step or decide_flow evaluates a policy gate.

Only run_step may read secrets and call functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.expressions import templates

if TYPE_CHECKING:
    from taskrunner.model.plan import Plan, PolicyGate


def is_privileged(gate: PolicyGate, plan: Plan) -> bool:
    """Return whether only run_step can evaluate *gate*, which uses secrets or a function.

    The answer is the same for all inputs, so that a machine may depend on it.
    """
    calls_function = plan.policy(gate.policy_id).uses is not None
    return calls_function or bool(templates.secrets(templates.references(gate.parameters)))
