"""A run's plan, approval and repetition over HTTP: the answers and each documented error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from tests.packs import pack
from tests.stack.packs import STEP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.stack.api import Api

_NO_HASH: Final = "sha256:" + "0" * 64


def _gated(name: str) -> str:
    return pack(
        """
        - {id: build, run: {uses: builtin:noop, with: {image: "{{ inputs.image }}", size: 3}}}
        - id: review
          gate: {approval: {id: security, message: "{{ steps.build.outputs.size }} MB?"}}
        - {id: ship, run: {uses: builtin:noop}}
        """,
        spec="""
        inputs: [{name: image, type: string, default: "app:1"}]
        approvals: [{id: security, distinctFromRequester: true}]
        slo: {maxQueueDepth: 3}
        """,
        name=name,
    )


def _refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture(name="manifest", scope="module")
def _manifest() -> str:
    """A pack that no other test runs."""
    return _gated(f"compared-{uuid4().hex[:8]}")


@pytest.fixture(name="approved", scope="module")
def _approved(manifest: str, operator: Api, approver: Api) -> str:
    """A run whose gate was passed, and which has ended."""
    run_id = operator.run(manifest)
    operator.wait(run_id, "waiting")
    approver.decide(run_id, "security", "approved", summary="Looks good.")
    operator.ended(run_id)
    return run_id


@pytest.fixture(name="waiting", scope="module")
def _waiting(manifest: str, operator: Api, approved: str) -> Iterator[str]:
    """A later run of the same pack with another input, which waits at its gate."""
    assert approved
    run_id = operator.run(manifest, inputs={"image": "app:2"})
    operator.wait(run_id, "waiting")
    yield run_id
    operator("POST", f"runs/{run_id}/cancel")


class TestPlan:
    def test_has_the_inputs_the_steps_and_the_gates(self, operator: Api, waiting: str) -> None:
        answer = operator("GET", f"runs/{waiting}/plan")

        document = answer.json()
        assert document["planHash"] == operator.state(waiting)["planHash"]
        assert document["plan"]["inputs"] == {"image": "app:2"}
        assert [step["id"] for step in document["plan"]["steps"]] == ["build", "review", "ship"]
        assert [gate["guards"] for gate in document["gates"]] == [["ship"]]
        assert "comparison" not in document

    def test_is_compared_with_a_run_a_hash_and_the_last_approved_run(
        self, operator: Api, waiting: str, approved: str
    ) -> None:
        approved_hash = operator.state(approved)["planHash"]

        def compared(compare_to: str) -> dict[str, Any]:
            query = {"compareTo": compare_to}
            answer = operator("GET", f"runs/{waiting}/plan", query=query)
            comparison: dict[str, Any] = answer.json()["comparison"]
            return comparison

        by_run, by_hash, last = map(compared, (approved, approved_hash, "last-approved"))
        assert [found["planHash"] for found in (by_run, by_hash, last)] == [approved_hash] * 3
        assert (by_run["runId"], last["runId"]) == (approved, approved)
        assert "runId" not in by_hash
        assert by_run["diff"] == by_hash["diff"] == last["diff"]
        assert {
            (change["part"], change["id"], change["old"], change["new"])
            for change in last["diff"]["changes"]
        } == {("inputs", "image", "app:1", "app:2"), ("steps", "build", "app:1", "app:2")}
        assert compared(waiting)["identical"] is True

    def test_says_that_no_other_run_was_approved(self, operator: Api, approved: str) -> None:
        path = f"runs/{approved}/plan"

        comparison = operator("GET", path, query={"compareTo": "last-approved"}).json()[
            "comparison"
        ]

        assert comparison.keys() == {"compareTo", "reason"}

    def test_is_not_sent_again_to_a_client_that_has_it(self, operator: Api, waiting: str) -> None:
        first = operator("GET", f"runs/{waiting}/plan")

        tag = first.headers["ETag"]
        again = operator("GET", f"runs/{waiting}/plan", headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")

    @pytest.mark.parametrize("compare_to", ["sha256:abc", "a run", "x" * 129])
    def test_rejects_what_names_no_plan(self, operator: Api, waiting: str, compare_to: str) -> None:
        answer = operator("GET", f"runs/{waiting}/plan", query={"compareTo": compare_to})

        assert _refusal(answer) == (400, "invalid_request")

    def test_finds_nothing_that_the_tenant_does_not_have(self, operator: Api, waiting: str) -> None:
        path = f"runs/{waiting}/plan"
        answers = [
            operator("GET", "runs/nobody/plan"),
            operator("GET", path, query={"compareTo": "nobody"}),
            operator("GET", path, query={"compareTo": _NO_HASH}),
            operator.as_("other-tenant-operator")("GET", path),
        ]

        assert set(map(_refusal, answers)) == {(404, "not_found")}


class TestApproval:
    def test_shows_the_gate_with_what_it_guards_and_finds(
        self, operator: Api, approver: Api, waiting: str
    ) -> None:
        path = f"runs/{waiting}/approvals/security"

        shown, own = approver("GET", path).json(), operator("GET", path).json()

        (gate,) = shown["gates"]
        assert (shown["status"], shown["inputs"]) == ("waiting", {"image": "app:2"})
        assert (gate["stepId"], gate["guards"]) == ("review", ["ship"])
        assert gate["findings"] == [{"name": "steps.build.outputs.size", "value": 3}]
        assert gate["openedAt"] < gate["expiresAt"]
        assert (shown["canDecide"], shown["decisions"]) == (True, [])
        assert (own["canDecide"], own["cannotDecideReason"]["code"]) == (False, "self_approval")

    def test_of_an_ended_run_says_who_decided(self, approver: Api, approved: str) -> None:
        shown = approver("GET", f"runs/{approved}/approvals/security").json()

        (decision,) = shown["decisions"]
        assert (shown["status"], shown["gates"]) == ("approved", [])
        assert (decision["decision"], decision["summary"]) == ("approved", "Looks good.")
        assert shown["cannotDecideReason"]["code"] == "approval_already_decided"

    def test_says_to_a_viewer_which_scope_is_missing(self, operator: Api, waiting: str) -> None:
        shown = operator.as_("viewer")("GET", f"runs/{waiting}/approvals/security").json()

        assert shown["cannotDecideReason"]["code"] == "scope_required"

    def test_finds_nothing_that_the_tenant_does_not_have(self, operator: Api, waiting: str) -> None:
        answers = [
            operator("GET", "runs/nobody/approvals/security"),
            operator("GET", f"runs/{waiting}/approvals/another"),
            operator.as_("other-tenant-operator")("GET", f"runs/{waiting}/approvals/security"),
        ]

        assert set(map(_refusal, answers)) == {(404, "not_found")}


class TestRerun:
    def test_repeats_the_run_with_the_inputs_that_are_not_replaced(
        self, operator: Api, approved: str
    ) -> None:
        run_id = f"again-{uuid4()}"
        body = {"runId": run_id, "inputs": {"image": "app:3"}}

        same = operator("POST", f"runs/{approved}/rerun", {})
        other = operator("POST", f"runs/{approved}/rerun", body)

        assert (same.status_code, other.status_code) == (201, 201)
        assert same.json()["planHash"] == operator.state(approved)["planHash"]
        assert other.json()["rerunOf"] == approved
        plan = operator("GET", f"runs/{run_id}/plan").json()["plan"]
        assert plan["inputs"] == {"image": "app:3"}
        for created in (same, other):
            operator("POST", f"runs/{created.json()['runId']}/cancel")

    def test_answers_a_repeated_request_by_its_key(self, operator: Api, approved: str) -> None:
        key = {"Idempotency-Key": str(uuid4())}
        path = f"runs/{approved}/rerun"

        first, again = (operator("POST", path, {}, headers=key) for _ in range(2))
        changed = operator("POST", path, {"inputs": {"image": "app:4"}}, headers=key)

        assert again.json()["runId"] == first.json()["runId"]
        assert _refusal(changed) == (409, "idempotency_conflict")
        operator("POST", f"runs/{first.json()['runId']}/cancel")

    @pytest.mark.parametrize(
        ("body", "refusal"),
        [
            ({"inputs": {"image": 7}}, (400, "invalid_inputs")),
            ({"inputs": []}, (400, "invalid_request")),
            ({"runId": "a b"}, (400, "invalid_request")),
            ({"expectPlanHash": _NO_HASH}, (409, "plan_hash_mismatch")),
        ],
    )
    def test_rejects_a_body_that_makes_no_run(
        self, operator: Api, approved: str, body: dict[str, Any], refusal: tuple[int, str]
    ) -> None:
        assert _refusal(operator("POST", f"runs/{approved}/rerun", body)) == refusal

    def test_rejects_what_is_not_json_or_too_large(self, operator: Api, approved: str) -> None:
        path = f"runs/{approved}/rerun"

        not_json = operator("POST", path, content="{")
        large = operator("POST", path, {"inputs": {"image": "x" * 1024 * 1024}})

        assert _refusal(not_json) == (400, "bad_json")
        assert _refusal(large) == (413, "body_too_large")

    def test_rejects_a_run_id_that_is_taken(self, operator: Api, approved: str) -> None:
        answer = operator("POST", f"runs/{approved}/rerun", {"runId": approved})

        assert _refusal(answer) == (409, "run_exists")

    def test_rejects_one_run_more_than_the_pack_allows(self, operator: Api) -> None:
        manifest = _gated(f"queued-{uuid4().hex[:8]}").replace("Depth: 3", "Depth: 1")
        run_id = operator.run(manifest)

        answer = operator("POST", f"runs/{run_id}/rerun", {})

        assert _refusal(answer) == (429, "too_many_runs")
        assert answer.headers["Retry-After"]
        operator("POST", f"runs/{run_id}/cancel")

    def test_a_run_without_its_manifest_cannot_be_repeated(
        self, operator: Api, aws: Callable[[str], Any]
    ) -> None:
        """Runs that version 0.1 created have none."""
        run_id = operator.run(STEP)
        tenant = operator.ended(run_id)["tenantId"]
        aws("dynamodb").update_item(
            TableName=operator.stack.table_name,
            Key={"pk": {"S": f"T#{tenant}#R#{run_id}"}, "sk": {"S": "R"}},
            UpdateExpression="REMOVE manifest_digest",
        )

        answer = operator("POST", f"runs/{run_id}/rerun", {})

        assert _refusal(answer) == (409, "manifest_not_stored")

    def test_needs_the_scope_of_an_operator(self, operator: Api, approved: str) -> None:
        answer = operator.as_("viewer")("POST", f"runs/{approved}/rerun", {})

        assert _refusal(answer) == (403, "forbidden")

    def test_finds_nothing_that_the_tenant_does_not_have(
        self, operator: Api, approved: str
    ) -> None:
        answers = [
            operator("POST", "runs/nobody/rerun", {}),
            operator.as_("other-tenant-operator")("POST", f"runs/{approved}/rerun", {}),
        ]

        assert set(map(_refusal, answers)) == {(404, "not_found")}
