"""Lists by filters, and following a run by its ETag, its position and pages of its blocks."""

from __future__ import annotations

import time
from threading import Timer
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.packs import pack

if TYPE_CHECKING:
    from tests.stack.api import Api

MAP = """
- id: each
  map:
    items: "{{ inputs.items }}"
    maxParallel: 2
    steps: [{id: one, run: {uses: builtin:noop}}]
"""


def gated(name: str) -> str:
    return pack(
        "- {id: review, gate: {approval: {id: security}}}",
        spec="""
        inputs: [{name: image, type: string, default: alpine}]
        approvals: [{id: security, distinctFromRequester: true}]
        """,
        name=name,
    )


def test_lists_runs_by_filters(operator: Api) -> None:
    name = f"listed-{uuid4().hex[:8]}"
    first, second = operator.run(gated(name)), operator.run(gated(name))
    created = operator.wait(first, "waiting")["createdAt"]
    operator.wait(second, "waiting")
    subject = operator.state(first)["createdBy"]

    def listed(**query: str) -> list[str]:
        answer = operator("GET", "runs", query={"limit": "100", **query})
        return [run["runId"] for run in answer.json()["runs"]]

    of_pack = operator("GET", "runs", query={"pack": name, "limit": "1"}).json()
    rest = listed(pack=name, cursor=of_pack["nextCursor"])
    assert [run["runId"] for run in of_pack["runs"]] + rest == [second, first]
    assert listed(pack=name, version="1.0.0", status="waiting") == [second, first]
    assert listed(pack=name, version="2.0.0") == []
    assert listed(pack=name, approval="security", requestedBy=subject) == [second, first]
    assert listed(pack=name, createdAfter=created, createdBefore="2999-01-01T00:00:00Z") == [
        second,
        first,
    ]
    assert listed(pack=name, createdBefore=created) == []

    operator("POST", f"runs/{first}/cancel")
    operator.wait(first, "cancelled")

    assert listed(pack=name, status="waiting") == [second]
    assert listed(pack=name, status="cancelled") == [first]
    assert listed(pack=name, approval="security") == [second]
    wrong = operator("GET", "runs", query={"status": "wating"})
    assert "did you mean 'waiting'?" in wrong.json()["error"]["message"]
    operator("POST", f"runs/{second}/cancel")


def test_a_failed_run_is_listed_with_its_reason(operator: Api) -> None:
    name = f"reasoned-{uuid4().hex[:8]}"
    failing = pack("- {id: broken, run: {uses: builtin:fail, with: {message: no room}}}", name=name)
    failed, cancelled = operator.run(failing), operator.run(gated(name))
    operator.wait(cancelled, "waiting")
    operator("POST", f"runs/{cancelled}/cancel")
    operator.ended(failed)

    listed = operator("GET", "runs", query={"pack": name}).json()["runs"]

    reasons = {run["runId"]: run["statusReason"] for run in listed}
    step = operator.state(failed)["steps"][0]
    assert reasons[failed] == {
        "stepId": "broken",
        "reason": step["statusReason"],
        "message": step["errorMessage"],
    }
    assert reasons[cancelled]["reason"] == "cancelled"


@pytest.mark.parametrize(
    "query",
    [
        {"status": "Failed"},
        {"version": "1.0.0"},
        {"createdAfter": "yesterday"},
        {"createdBefore": "2025-12-06"},
        {"limit": "0"},
        {"limit": "101"},
        {"cursor": "nonsense"},
        {"owner": "ana"},
        {"pack": ""},
    ],
)
def test_rejects_a_filter_that_it_cannot_apply(operator: Api, query: dict[str, str]) -> None:
    answer = operator("GET", "runs", query=query)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_shows_approvers_what_they_approve_and_whether_they_may(
    operator: Api, approver: Api
) -> None:
    run_id = operator.run(gated("shown"), inputs={"image": "alpine:3"})
    operator.wait(run_id, "waiting")

    def shown(caller: Api) -> dict[str, object]:
        return next(each for each in caller.open_approvals() if each["runId"] == run_id)

    assert shown(approver)["inputs"] == {"image": "alpine:3"}
    assert shown(approver)["canDecide"] is True
    assert shown(operator)["canDecide"] is False
    reason = shown(operator)["cannotDecideReason"]
    assert isinstance(reason, dict)
    assert reason["code"] == "self_approval"
    operator("POST", f"runs/{run_id}/cancel")


def test_waits_for_a_change_and_answers_304_without_one(operator: Api) -> None:
    run_id = operator.run(gated("followed"))
    operator.wait(run_id, "waiting")
    state = operator("GET", f"runs/{run_id}")
    tag, position = state.headers["ETag"], state.json()["position"]

    same = operator("GET", f"runs/{run_id}", headers={"If-None-Match": tag})
    vain = operator("GET", f"runs/{run_id}", query={"since": position, "wait": "1"})
    begun_at = time.monotonic()
    cancel = Timer(2, lambda: operator("POST", f"runs/{run_id}/cancel"))
    cancel.start()
    changed = operator("GET", f"runs/{run_id}", query={"since": position, "wait": "20"})
    cancel.join()

    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    assert (vain.status_code, vain.headers["ETag"]) == (304, tag)
    assert changed.json()["status"] == "cancelled"
    assert time.monotonic() - begun_at < 20


def test_pages_the_steps_of_a_map(operator: Api) -> None:
    manifest = pack(MAP, spec="inputs: [{name: items, type: array, default: [1, 2, 3, 4, 5]}]")
    run_id = operator.run(manifest)
    state = operator.wait(run_id, "succeeded")
    query = {"parent": "each", "status": "Succeeded", "limit": "3"}

    first = operator("GET", f"runs/{run_id}", query=query).json()
    rest = {**query, "cursor": first["nextCursor"]}
    second = operator("GET", f"runs/{run_id}", query=rest).json()

    assert state["steps"][0]["counts"] == first["parent"]["counts"] == {"Succeeded": 5}
    found = [step["stepId"] for page in (first, second) for step in page["steps"]]
    assert found == [f"each[{number}]::one" for number in range(5)]
