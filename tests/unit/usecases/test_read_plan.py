from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from functions.read_run.app import handler as read_handler
from functions.simulate_pack.app import handler as simulate_handler
from taskrunner.errors import InvalidRequestError, NotFoundError
from taskrunner.model import plan_view
from taskrunner.model.approval import Verdict
from taskrunner.model.plan_change import Change, ChangeKind, Part, PlanValue
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.read_plan import read_plan
from tests.api_schema import assert_conforms
from tests.packs import pack
from tests.unit.usecases.scenarios import GATED, TENANT, a_request, a_world, decide, gate, step

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

WITH_INPUT = pack(
    """
    - id: build
      run: {uses: "lambda:b", with: {image: "{{ inputs.image }}", key: "{{ secrets.key }}"}}
    - {id: review, gate: {approval: {id: security, message: Look}}}
    - {id: ship, run: {uses: builtin:noop}}
    - id: checked
      gate:
        policy: {policy: small, failureAction: requestOverride, override: {approval: security}}
    """,
    spec="""
    inputs: [{name: image, type: string, default: "app:1"}]
    secrets: [{name: key}]
    approvals: [{id: security}]
    policies:
      - id: small
        version: "1"
        rules: [{id: r, require: "steps.build.outputs.image != 'x'"}]
    """,
    name="with-input",
)


def event(method: str, resource: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    authorizer = {"subject": "ana", "scopes": "operator", "tenants": TENANT, "grants": ""}
    return {
        "httpMethod": method,
        "resource": resource,
        "headers": {"Content-Type": "application/json"},
        "requestContext": {"authorizer": authorizer, "requestId": "r"},
    } | changes


def answered_plan(world: MemoryWorld, run_id: str = "run-7", **changes: Any) -> Any:  # noqa: ANN401
    """The answer of the route, checked against the API's document if it is a plan."""
    path = "/v1/task-runner/runs/{runId}/plan"
    answer = read_handler(
        event("GET", path, pathParameters={"runId": run_id}, **changes), None, world=world
    )
    if answer["statusCode"] == 200:
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        assert_conforms("GET", path, 200, headers | {"x-request-id": "r"}, answer["body"])
    return answer


def comparison(world: MemoryWorld, compare_to: str, run_id: str = "run-7") -> dict[str, Any]:
    found: dict[str, Any] = read_plan(TENANT, run_id, compare_to, world)["comparison"]
    return found


def changed(found: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(c["part"], c.get("id"), c.get("field")) for c in found["diff"]["changes"]]


class TestPlan:
    def test_has_the_resolved_parameters_and_the_names_of_secrets(self) -> None:
        body = json.loads(answered_plan(a_world(WITH_INPUT))["body"])

        plan = body["plan"]
        assert plan["inputs"] == {"image": "app:1"}
        assert plan["secrets"] == ["key"]
        assert plan["steps"][0]["with"] == {"image": "app:1", "key": None}
        assert plan["steps"][0]["open"] == {"/key": "{{ secrets.key }}"}
        assert "comparison" not in body

    def test_says_what_each_gate_guards_and_which_outputs_it_names(self) -> None:
        gates = read_plan(TENANT, "run-7", None, a_world(WITH_INPUT))["gates"]

        assert gates[0]["guards"] == ["ship", "checked"]
        assert (gates[0]["findings"], gates[1]["guards"]) == ([], [])
        assert gates[1]["findings"] == ["steps.build.outputs.image"]

    def test_has_a_strong_etag_and_is_304_for_a_client_that_has_it(self) -> None:
        world = a_world(WITH_INPUT)
        first = answered_plan(world)
        tag = first["headers"]["ETag"]

        again = answered_plan(world, headers={"If-None-Match": f'"other", {tag}'})
        other = answered_plan(world, headers={"If-None-Match": '"other"'})

        assert tag.startswith('"')
        assert (again["statusCode"], again["body"], again["headers"]["ETag"]) == (304, "", tag)
        assert (other["statusCode"], other["body"]) == (200, first["body"])

    def test_does_not_find_a_run_of_another_tenant(self) -> None:
        with pytest.raises(NotFoundError):
            read_plan("globex", "run-7", None, a_world())

    def test_omits_what_does_not_fit_into_an_answer(self) -> None:
        size = plan_view.MAX_PLAN_BYTES
        step_with_much = {"id": "a", "with": {"x": "y" * size}, "open": {}}
        document = {
            "failure": {},
            "inputs": {"i": 1},
            "steps": [{"id": "b", "steps": [step_with_much]}],
        }

        shown = plan_view.plan(document)
        without_inputs = plan_view.plan(document | {"inputs": {"i": "x" * size}})

        assert shown["steps"] == [{"id": "b", "steps": [{"id": "a"}]}]
        assert (shown["parametersOmitted"], shown["inputs"]) == (True, {"i": 1})
        assert "inputs" not in without_inputs
        assert without_inputs["inputsOmitted"] is True


class TestComparison:
    def test_with_a_run_of_an_older_plan(self) -> None:
        world = a_world(WITH_INPUT)
        create_run(a_request(WITH_INPUT, run_id="run-8", inputs={"image": "app:2"}), world)

        found = comparison(world, "run-7", "run-8")

        assert (found["runId"], found["identical"]) == ("run-7", False)
        assert changed(found) == [("inputs", "image", None), ("steps", "build", "/with/image")]

    def test_with_a_plan_hash(self) -> None:
        world = a_world(WITH_INPUT)
        plan_hash = world.runs.snapshot(TENANT, "run-7").run.plan_hash

        found = comparison(world, plan_hash)

        assert found == {
            "compareTo": plan_hash,
            "planHash": plan_hash,
            "identical": True,
            "diff": {"total": 0, "changes": []},
        }

    def test_with_the_last_approved_run_of_the_pack(self) -> None:
        world = a_world(GATED)
        step(world, "build")
        gate(world)
        decide(world)
        create_run(a_request(GATED.replace("size: 3", "size: 4"), run_id="run-8"), world)
        create_run(a_request(WITH_INPUT, run_id="run-9"), world)

        found = comparison(world, "last-approved", "run-8")

        assert found["runId"] == "run-7"
        assert changed(found) == [("steps", "build", "/with/size")]
        assert "diff" not in comparison(world, "last-approved", "run-9")

    def test_with_no_approved_run_says_so(self) -> None:
        world = a_world(GATED)
        step(world, "build")
        gate(world)
        decide(world, Verdict.REJECTED)
        create_run(a_request(GATED, run_id="run-8"), world)

        found = comparison(world, "last-approved", "run-8")

        assert found.keys() == {"compareTo", "reason"}

    def test_is_not_with_the_run_itself(self) -> None:
        world = a_world(GATED)
        step(world, "build")
        gate(world)
        decide(world)

        assert "reason" in comparison(world, "last-approved")

    @pytest.mark.parametrize(
        "compare_to", ["", "a run", "sha256:abc", "x" * 129, "sha256:" + "A" * 64]
    )
    def test_rejects_what_names_no_plan(self, compare_to: str) -> None:
        with pytest.raises(InvalidRequestError, match="compareTo"):
            comparison(a_world(), compare_to)

    @pytest.mark.parametrize("compare_to", ["run-none", "sha256:" + "0" * 64])
    def test_does_not_find_a_plan_that_the_tenant_does_not_have(self, compare_to: str) -> None:
        with pytest.raises(NotFoundError):
            comparison(a_world(), compare_to)


def simulated(world: MemoryWorld, **members: Any) -> Any:  # noqa: ANN401
    body = json.dumps({"manifest": WITH_INPUT, "inputs": {"image": "app:2"}} | members)
    path = "/v1/task-runner/simulations"
    answer = simulate_handler(event("POST", path, body=body), None, world=world)
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    headers["x-request-id"] = "r"
    assert_conforms("POST", path, answer["statusCode"], headers, answer["body"])
    return answer["statusCode"], json.loads(answer["body"])


class TestSimulation:
    def test_compares_with_a_run(self) -> None:
        status, body = simulated(a_world(WITH_INPUT), compareTo="run-7")

        assert status == 200
        assert changed(body["comparison"]) == [
            ("inputs", "image", None),
            ("steps", "build", "/with/image"),
        ]

    def test_compares_with_nothing_unless_asked(self) -> None:
        assert "comparison" not in simulated(a_world(WITH_INPUT))[1]

    @pytest.mark.parametrize(
        ("compare_to", "status"), [("run-none", 404), ("?", 400), (7, 400), (None, 400), ("", 400)]
    )
    def test_refuses_what_it_cannot_compare_with(self, compare_to: object, status: int) -> None:
        assert simulated(a_world(WITH_INPUT), compareTo=compare_to)[0] == status


def a_change(value: object) -> Change:
    return Change(
        kind=ChangeKind.CHANGED, part=Part.STEPS, id="a", field="/x", new=PlanValue(value)
    )


class TestChanges:
    def test_cuts_a_large_value(self) -> None:
        (shown,) = plan_view.changes([a_change(["x" * 9000])])["changes"]

        assert shown["newIsCut"] is True
        assert len(shown["new"]) < 1100

    @pytest.mark.parametrize("value", ["x" * 4000, 1])
    def test_cuts_a_long_list_and_says_how_long_it_is(self, value: object) -> None:
        shown = plan_view.changes([a_change(value)] * 2000)

        assert (shown["total"], shown["truncated"]) == (2000, True)
        assert 100 < len(shown["changes"]) <= plan_view.MAX_CHANGES
        assert plan_view.size_bytes(shown) < plan_view.MAX_CHANGES_BYTES + 10_000
