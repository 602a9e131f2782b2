"""The golden packs that showed faults, over HTTP: the errors of one request, and ends of runs.

`machine/test_cases.py` runs those that need a clock which a test moves.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.golden.cases import BAD, GOOD
from tests.packs import pack
from tests.stack.api import statuses

if TYPE_CHECKING:
    from tests.stack.api import Api

_GOOD = {case.name: case.manifest for case in GOOD}
_BAD = {case.name: case for case in BAD}
# The emulator goes on with a Map after an iteration has failed, and AWS does not.
_CANARY = pack(
    """
    - id: canary
      continueOnError: true
      loop:
        items: {static: [10, 50, 100]}
        failFast: true
        body: [{id: shift, run: {uses: builtin:assert, with: {that: "{{ item != `50` }}"}}}]
    - {id: back, when: steps.canary.status == 'Failed', run: {uses: builtin:noop}}
    """
)


@pytest.mark.parametrize(
    "name", ["errors-of-every-stage", "filter-by-input", "number-rounded", "two-merge-keys"]
)
def test_reports_every_error_of_a_pack_in_one_answer(operator: Api, name: str) -> None:
    case = _BAD[name]
    recorded = case.path.with_suffix(".expected.txt").read_text(encoding="utf-8")

    answer = operator("POST", "runs", {"manifest": case.manifest})

    assert answer.status_code == 400
    found = answer.json()["errors"]
    assert [f"{problem['path']}: {problem['message']}" for problem in found] == (
        recorded.splitlines()
    )


def test_numbers_that_are_one_number_have_one_plan(operator: Api) -> None:
    hashes = [_plan_hash(operator, number) for number in ("100", "1e2", "100.0", "0", "-0.0")]

    assert len(set(hashes[:3])) == 1
    assert len(set(hashes[3:])) == 1
    assert hashes[0] != hashes[3]


def _plan_hash(operator: Api, number: str) -> str:
    """Return the plan's hash for an input that the request writes as *number*."""
    manifest = json.dumps(_GOOD["numbers"])
    content = f'{{"manifest": {manifest}, "inputs": {{"n": {number}}}}}'
    answer = operator("POST", "simulations", content=content)
    assert answer.status_code == 200, answer.text
    plan_hash: str = answer.json()["planHash"]
    return plan_hash


@pytest.fixture(name="runs", scope="module")
def _runs(operator: Api) -> dict[str, str]:
    """The ids of runs by their packs, all begun before the first of them is looked at."""
    names = [
        "fail-fast",
        "inner-default-names-hide-outer-ones",
        "items-write-one-path",
        "line-separators",
        "merge-non-objects",
        "gate-without-message",
    ]
    manifests = {name: _GOOD[name] for name in names} | {"canary": _CANARY}
    # A slow machine may begin the lane that fails after all others.
    manifests["fail-fast"] = manifests["fail-fast"].replace("{seconds: 3}", "{seconds: 30}")
    return {name: operator.run(manifest) for name, manifest in manifests.items()}


def test_a_failed_lane_skips_all_that_has_not_started(
    operator: Api, approver: Api, runs: dict[str, str]
) -> None:
    run_id = runs["fail-fast"]
    state = operator.ended(run_id)
    late = approver.decide(run_id, "go", "approved")

    assert state["status"] == "failed"
    steps = statuses(state)
    assert steps["bad"] == "Failed executor-error"
    behind = [path for path in steps if path.endswith(("::act", "::go-on"))]
    assert {steps[path] for path in [*behind, "after"]} == {"Skipped run-failed"}
    assert late.status_code == 409


def test_a_failure_stops_a_loop_that_fails_fast(operator: Api, runs: dict[str, str]) -> None:
    state = operator.ended(runs["canary"])

    assert state["status"] == "succeeded"
    assert statuses(state) == {
        "canary": "Failed",
        "canary[0]::shift": "Succeeded",
        "canary[1]::shift": "Failed executor-error",
        "canary[2]::shift": "Skipped parent-skipped",
        "back": "Succeeded",
    }


def test_a_merge_of_numbers_fails_its_loop(operator: Api, runs: dict[str, str]) -> None:
    state = operator.ended(runs["merge-non-objects"])

    assert state["status"] == "failed"
    assert state["steps"][0]["errorMessage"] == (
        "the value of iteration 0 must be an object to be merged, not a number"
    )


def test_items_that_write_one_path_keep_a_file_each(operator: Api, runs: dict[str, str]) -> None:
    run_id = runs["items-write-one-path"]
    assert operator.ended(run_id)["status"] == "succeeded"

    reports = [name for name in operator.artifacts(run_id) if name.startswith("scan-report")]

    assert sorted(reports) == [f"scan-report.scans-{index}.scan" for index in range(3)]


def test_inner_default_names_hide_outer_ones(operator: Api, runs: dict[str, str]) -> None:
    run_id = runs["inner-default-names-hide-outer-ones"]

    assert operator.ended(run_id)["status"] == "succeeded"
    assert _output(operator, run_id, "names") == ["a", "b", "c"]


def test_line_separators_stay_in_texts(operator: Api, runs: dict[str, str]) -> None:
    run_id = runs["line-separators"]

    assert operator.ended(run_id)["status"] == "succeeded"
    assert _output(operator, run_id, "r") == {"t": "x\x85y", "u": "x \u2028 y"}


def test_a_gate_without_a_message_is_listed_and_keeps_the_reason(
    operator: Api, approver: Api, runs: dict[str, str]
) -> None:
    run_id = runs["gate-without-message"]
    operator.wait(run_id, "waiting")
    gates = approver.open_approvals()
    approver.decide(run_id, "review", "approved", summary="looked at it")

    assert operator.ended(run_id)["status"] == "succeeded"
    (gate,) = (gate for gate in gates if gate["runId"] == run_id)
    assert "message" not in gate
    (approved,) = (line for line in operator.log(run_id) if line["eventType"] == "gate.approved")
    assert approved["metadata"]["summary"] == "looked at it"


def _output(api: Api, run_id: str, name: str) -> object:
    """Return the value of a run's output of type object."""
    value: object = json.loads(api.artifacts(run_id)[name]["expressionJson"])
    return value
