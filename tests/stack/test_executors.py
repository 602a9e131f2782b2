"""Executors over HTTP on the real template: functions, bundles, and limits that are enforced."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.packs import pack
from tests.stack.api import PATIENCE_S, statuses
from tests.stack.packs import STEP

if TYPE_CHECKING:
    from tests.stack.api import Api

SATURDAY = "2025-12-06T12:00:00Z"


def test_a_function_is_executor_and_policy(operator: Api) -> None:
    def parameters(day: str) -> str:
        window = f"{{days: [{day}], from: '00:00', to: '23:59'}}"
        return f"{{environment: prod, at: '{SATURDAY}', windows: [{window}]}}"

    def step(step_id: str, day: str) -> str:
        return f"{{id: {step_id}, run: {{uses: 'lambda:change-window', with: {parameters(day)}}}}}"

    def gate(step_id: str, day: str) -> str:
        policy = f"{{policy: window, failureAction: warn, with: {parameters(day)}}}"
        return f"{{id: {step_id}, gate: {{policy: {policy}}}}}"

    run_id = operator.run(
        pack(
            f"- {step('open', 'sat')}\n- {gate('holds', 'sat')}\n- {gate('fails', 'sun')}\n"
            "- {id: wrong, run: {uses: 'lambda:change-window', with: {windows: []}}}\n",
            spec="""
            policies: [{id: window, version: "1", uses: "lambda:change-window"}]
            outputs: [{name: is-open, type: object, expression: steps.open.outputs.open}]
            """,
        )
    )
    state = operator.ended(run_id)

    assert statuses(state) == {
        "open": "Succeeded",
        "holds": "Succeeded",
        "fails": "Succeeded policy-warned",
        "wrong": "Failed executor-error",
    }
    assert "'environment' is missing; name what" in state["steps"][3]["errorMessage"]
    (warned,) = [
        line
        for line in operator.log(run_id)
        if line["eventType"] == "step.completed" and line["stepId"] == "fails"
    ]
    assert "no change window of prod is open" in warned["message"]


def files(count: int) -> str:
    return ", ".join(f"f{number}: '{{{{ steps.text.outputs.t }}}}'" for number in range(count))


def text(length: int) -> str:
    return f"{{id: text, run: {{uses: 'builtin:noop', with: {{t: '{'x' * length}'}}}}}}"


def build(files: str) -> str:
    return f"run: {{uses: 'builtin:build', with: {{files: {{{files}}}}}}}"


# A bundle of 34 large files, and one of 999 small ones, 2 MB each.
LARGE = f"- {text(60_000)}\n- {{id: it, {build(files(34))}}}"
MANY = f"- {text(2_000)}\n- {{id: it, timeoutSeconds: 5, {build(files(999))}}}"


# A step that nothing but a limit ends before LONG_S, however slow the machine is.
LONG_S = 200
LONG = f"run: {{uses: 'builtin:sleep', with: {{seconds: {LONG_S}}}}}"
# The steps, the sandbox, and the message of the step that is called `it`.
LIMITS = {
    "memory-exceeded": (
        LARGE,
        "sandbox: {memoryLimitMiB: 21}",
        "more than the 21 MiB of memory",
    ),
    "timeout": (
        f"- {{id: it, timeoutSeconds: 1, {LONG}}}",
        "",
        "not done after 1 seconds",
    ),
    "quota-exceeded": (
        f"""
        - {{id: first, run: {{uses: builtin:sleep, with: {{seconds: 0.5}}}}}}
        - {{id: it, {LONG}}}
        """,
        "sandbox: {quotaSeconds: 4}",
        "the run has used all 4 seconds",
    ),
    "timeout, of CPU time": (
        MANY,  # needs more than five times as much on a fast machine
        "sandbox: {cpuLimitMillicores: 1}",
        "seconds of CPU time",
    ),
    "egress-denied": (
        "- {id: it, run: {uses: builtin:http, with: {url: 'http://127.0.0.1:9/'}}}",
        "sandbox: {mode: sealed}",
        "it is sealed and lists no host",
    ),
    "egress-denied, not listed": (
        "- {id: it, run: {uses: builtin:http, with: {url: 'https://example.com/'}}}",
        "sandbox: {mode: open, egressAllowlist: ['example.org']}",
        "no connection to example.com:443",
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_ends_the_step_and_not_the_function(operator: Api, limit: str) -> None:
    steps, spec, message = LIMITS[limit]
    run_id = operator.run(pack(steps, spec=spec))
    state = operator.ended(run_id)

    following = operator.run(STEP)

    assert state["status"] == "failed"
    reason = limit.partition(",")[0]
    assert statuses(state)["it"] == f"Failed {reason}"
    (line,) = [line for line in operator.log(run_id) if line["eventType"] == "step.failed"]
    assert message in line["message"]
    assert line["metadata"]["reason"] == reason
    assert float(line["metadata"]["duration"].removesuffix("s")) < LONG_S / 2
    assert line["metadata"]["cpu"].endswith("s")
    assert int(line["metadata"]["memory"].removesuffix("MiB")) < 400
    assert operator.ended(following)["status"] == "succeeded"


def test_a_bundle_is_downloaded_by_its_address(operator: Api) -> None:
    run_id = operator.run(
        pack(
            "- {id: build, run: {uses: builtin:build, with: {files: {a.txt: hello}}}}",
            spec="outputs: [{name: made, type: object, expression: steps.build.outputs}]",
        )
    )
    operator.ended(run_id)
    outputs = json.loads(operator.artifacts(run_id)["made"]["expressionJson"])

    answer = operator("GET", f"runs/{run_id}/artifacts/bundle")
    downloaded = httpx.get(answer.headers["Location"], timeout=PATIENCE_S)

    assert answer.status_code == 302
    assert downloaded.headers["Content-Type"] == "application/zip"
    assert "bundle.zip" in downloaded.headers["Content-Disposition"]
    assert outputs["digest"] == "sha256:" + hashlib.sha256(downloaded.content).hexdigest()


@pytest.mark.parametrize("path", ["simulations", "runs"])
def test_rejects_a_pack_that_asks_for_more_than_the_deployment_allows(
    operator: Api, path: str
) -> None:
    manifest = pack(
        "- {id: a, run: {uses: builtin:noop}}",
        spec="sandbox: {memoryLimitMiB: 769, cpuLimitMillicores: 1001, quotaSeconds: 86401}",
    )

    answer = operator("POST", path, {"manifest": manifest})

    assert answer.status_code == 400
    assert {error["path"] for error in answer.json()["errors"]} == {
        "$.spec.sandbox.cpuLimitMillicores",
        "$.spec.sandbox.memoryLimitMiB",
        "$.spec.sandbox.quotaSeconds",
    }
