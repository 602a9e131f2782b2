from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from taskrunner.compiler import plan as planning
from taskrunner.model import plan_document
from taskrunner.model.plan import (
    Approval,
    ApprovalGate,
    FailurePolicy,
    FileOutput,
    ObjectOutput,
    Plan,
    Retries,
    RunStep,
    Sandbox,
    Slo,
    Template,
)

PLAN = Plan(
    pack_name="deploy-app",
    pack_version="2.0.0",
    inputs={"target": "a", "size": 3},
    failure=FailurePolicy(Retries(2, 5), continue_on_error=True),
    sandbox=Sandbox(mode="open", egress_allowlist=("example.com",)),
    slo=Slo(run_p95_s=1, approval_p95_s=2, max_queue_depth=3),
    approvals=(Approval(id="review", grants=("packs.approve",), message="m"),),
    steps=(
        RunStep(
            id="build",
            name="Build",
            when="inputs.target",
            enabled=True,
            continue_on_error=False,
            retries=Retries(3, 1),
            timeout_s=60,
            uses="builtin:build",
            parameters=Template({"a": None}, {"/a": "{{ run.id }}"}),
        ),
        ApprovalGate(
            id="gate",
            name=None,
            when="inputs.size",
            enabled=False,
            continue_on_error=True,
            approval_id="review",
            message="m",
        ),
    ),
    outputs=(
        FileOutput(name="report", path="/output/report.json"),
        ObjectOutput(name="summary", expression="inputs"),
    ),
)


def another(value: Any) -> Any:  # noqa: ANN401 - of the same type, but different
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "1"
    if value is None:
        return "was none"
    if isinstance(value, dict):
        return {**value, "another": 1}
    return (*value, value[0])


def variations(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """*value* with each field of it, and of what it holds, changed once; by the field's path."""
    found: dict[str, Any] = {}
    for field in fields(value):
        held = getattr(value, field.name)
        if is_dataclass(held):
            for path, changed in variations(held).items():
                found[f"{field.name}.{path}"] = replace(value, **{field.name: changed})
            continue
        found[field.name] = replace(value, **{field.name: another(held)})
        if isinstance(held, tuple):
            for index, one in enumerate(held):
                for path, changed in variations(one).items() if is_dataclass(one) else ():
                    parts = (*held[:index], changed, *held[index + 1 :])
                    found[f"{field.name}[{index}].{path}"] = replace(value, **{field.name: parts})
    return found


VARIATIONS = variations(PLAN)


def test_every_field_of_a_plan_is_varied_below() -> None:
    assert len(VARIATIONS) > 40
    assert {"steps[0].parameters.open", "slo.max_queue_depth", "approvals[0].grants"} <= set(
        VARIATIONS
    )


@pytest.mark.parametrize("field", VARIATIONS)
def test_every_field_decides_the_plan_hash(field: str) -> None:
    assert VARIATIONS[field] != PLAN
    assert planning.plan_hash(VARIATIONS[field]) != planning.plan_hash(PLAN)


@pytest.mark.parametrize("field", VARIATIONS)
def test_every_field_comes_back_from_the_document(field: str) -> None:
    document = plan_document.to_document(VARIATIONS[field])

    assert plan_document.from_document(document) == VARIATIONS[field]


def test_the_order_of_steps_decides_the_plan_hash() -> None:
    turned = replace(PLAN, steps=PLAN.steps[::-1])

    assert planning.plan_hash(turned) != planning.plan_hash(PLAN)


def test_a_document_of_another_version_is_not_read() -> None:
    document = plan_document.to_document(PLAN) | {"planVersion": 2}

    with pytest.raises(ValueError, match="plan version 2 is not 1"):
        plan_document.from_document(document)


def test_steps_and_approvals_are_found_by_their_ids() -> None:
    assert PLAN.step("gate") is PLAN.steps[1]
    assert PLAN.approval("review") is PLAN.approvals[0]
