from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

import pytest

from taskrunner.model import canonical_json, plan_document
from taskrunner.model.plan import (
    Aggregation,
    Approval,
    ApprovalGate,
    Branch,
    Conditional,
    FailureAction,
    FailurePolicy,
    FileOutput,
    Items,
    Lane,
    Loop,
    MapStep,
    ObjectOutput,
    Parallel,
    Plan,
    Policy,
    PolicyGate,
    Rule,
    RunStep,
    Sandbox,
    Slo,
    Template,
)
from taskrunner.model.retries import Jitter, Retries


def plan_hash(plan: Plan) -> str:
    return canonical_json.digest(plan_document.to_document(plan))


def noop(step_id: str) -> RunStep:
    return RunStep(
        id=step_id,
        uses="builtin:noop",
        parameters=Template({}),
        retries=Retries(on=("timeout",)),
        timeout_s=600,
    )


PLAN = Plan(
    pack_name="deploy-app",
    pack_version="2.0.0",
    inputs={"target": "a", "size": 3},
    failure=FailurePolicy(Retries(2, 5, 2, 60, Jitter.FULL, ("timeout",)), continue_on_error=True),
    sandbox=Sandbox(mode="open", egress_allowlist=("example.com",)),
    slo=Slo(run_p95_s=1, approval_p95_s=2, max_queue_depth=3),
    approvals=(Approval(id="review", grants=("packs.approve",), message="m"),),
    policies=(
        Policy(id="p", version="1", rules=(Rule(id="r", require="with.ok", message="m"),)),
        Policy(id="f", version="1", rules=(Rule(id="r", require="x"),), uses="lambda:window"),
    ),
    secrets=("token",),
    steps=(
        RunStep(
            id="build",
            name="Build",
            when="inputs.target",
            enabled=True,
            continue_on_error=False,
            retries=Retries(3, 1, on=("timeout",)),
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
        PolicyGate(
            id="rules",
            enabled=None,
            when="steps.build.outputs",
            policy_id="p",
            parameters=Template({"ok": None}, {"/ok": "{{ run.id }}"}),
            failure_action=FailureAction.WARN,
            retries=Retries(3, 4, on=("timeout",)),
            override="review",
            branch=(noop("repair"),),
        ),
        Parallel(
            id="both",
            lanes=(Lane(steps=(noop("left"),)), Lane(steps=(noop("right"),))),
            max_parallel=2,
        ),
        Parallel(
            id="branches",
            lanes=(
                Lane(steps=(noop("first"), noop("second")), branch="eu"),
                Lane(steps=(noop("third"),), branch="1"),
            ),
        ),
        MapStep(
            id="each",
            items=Items(values=(1, {"a": None}), expression="inputs.x"),
            iterator="item",
            index="index",
            steps=(Parallel(id="inner", lanes=(Lane(steps=(noop("leaf"),)),)),),
            max_parallel=3,
            output="item",
        ),
        Loop(
            id="turns",
            items=Items(values=(1,), expression="inputs.x"),
            iterator="item",
            index="index",
            steps=(noop("turn"),),
            max_iterations=5,
            until="item",
            aggregation=Aggregation.MERGE,
            output="steps.turn.outputs",
        ),
        Conditional(
            id="choice",
            branches=(Branch(condition="inputs.x", steps=(noop("yes"),)),),
            otherwise=(noop("no"),),
            taken=0,
            union=True,
        ),
    ),
    outputs=(
        FileOutput(name="report", path="/output/report.json"),
        ObjectOutput(name="summary", expression="inputs"),
    ),
    final_steps=(noop("notify"),),
)


def changed(value: Any) -> Any:  # noqa: ANN401 - any field of a plan
    """Return another value of the same type."""
    if isinstance(value, Enum):
        return next(member for member in type(value) if member is not value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "1"
    if value is None:
        return "was none"
    if isinstance(value, dict):
        return {**value, "added": 1}
    return (*value, value[0])


def variations(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return copies of *value*, each with one field changed at any depth, by the field's path."""
    found: dict[str, Any] = {}
    for field in fields(value):
        held = getattr(value, field.name)
        if is_dataclass(held):
            for path, variation in variations(held).items():
                found[f"{field.name}.{path}"] = replace(value, **{field.name: variation})
            continue
        found[field.name] = replace(value, **{field.name: changed(held)})
        if isinstance(held, tuple):
            for index, item in enumerate(held):
                for path, variation in variations(item).items() if is_dataclass(item) else ():
                    parts = (*held[:index], variation, *held[index + 1 :])
                    found[f"{field.name}[{index}].{path}"] = replace(value, **{field.name: parts})
    return found


VARIATIONS = variations(PLAN)


def test_the_variations_reach_every_field_of_a_plan() -> None:
    assert len(VARIATIONS) > 120
    assert set(VARIATIONS) >= {
        "steps[0].parameters.open",
        "slo.max_queue_depth",
        "approvals[0].grants",
        "policies[0].rules[0].require",
        "policies[0].uses",
        "policies[1].uses",
        "secrets",
        "steps[2].branch[0].uses",
        "steps[3].max_parallel",
        "steps[4].lanes[0].branch",
        "steps[5].steps[0].lanes[0].steps[0].id",
        "steps[6].items.values",
        "steps[7].branches[0].steps[0].timeout_s",
        "steps[7].otherwise",
    }


@pytest.mark.parametrize("field", VARIATIONS)
def test_every_field_changes_the_plan_hash(field: str) -> None:
    assert VARIATIONS[field] != PLAN
    assert plan_hash(VARIATIONS[field]) != plan_hash(PLAN)


@pytest.mark.parametrize("field", VARIATIONS)
def test_every_field_survives_the_document(field: str) -> None:
    document = plan_document.to_document(VARIATIONS[field])

    assert plan_document.from_document(document) == VARIATIONS[field]


def test_the_order_of_steps_changes_the_plan_hash() -> None:
    reversed_plan = replace(PLAN, steps=PLAN.steps[::-1])

    assert plan_hash(reversed_plan) != plan_hash(PLAN)


def test_omits_later_fields_that_a_plan_does_not_use() -> None:
    without = replace(PLAN, secrets=(), policies=PLAN.policies[:1])

    document = plan_document.to_document(without)

    assert "secrets" not in document
    assert document["policies"][0].keys() == {"id", "version", "rules"}


def test_refuses_a_document_of_another_version() -> None:
    document = plan_document.to_document(PLAN) | {"planVersion": 2}

    with pytest.raises(ValueError, match="plan version 2 is not 1"):
        plan_document.from_document(document)


def test_finds_steps_approvals_and_policies_by_id() -> None:
    assert PLAN.step("gate") is PLAN.steps[1]
    assert PLAN.step("leaf").id == "leaf"
    assert PLAN.approval("review") is PLAN.approvals[0]
    assert PLAN.policy("p") is PLAN.policies[0]


def test_lists_the_iterations_around_a_step_the_outermost_first() -> None:
    inner = MapStep(
        id="inner", items=Items(values=()), iterator="x", index="y", steps=(noop("deep"),)
    )
    outer = Loop(
        id="outer",
        items=Items(values=()),
        iterator="a",
        index="b",
        steps=(Parallel(id="both", lanes=(Lane(steps=(inner,)),)),),
        max_iterations=1,
    )
    plan = replace(PLAN, steps=(outer,))

    assert [step.id for step in plan.iterations("deep")] == ["outer", "inner"]
    assert [step.id for step in plan.iterations("inner")] == ["outer"]
    assert plan.iterations("outer") == ()


def test_lists_every_step_before_the_steps_in_it() -> None:
    assert [step.id for step in PLAN.all_steps()] == [
        "build", "gate", "rules", "repair", "both", "left", "right", "branches", "first",
        "second", "third", "each", "inner", "leaf",
        "turns", "turn", "choice", "yes", "no", "notify",
    ]  # fmt: skip
