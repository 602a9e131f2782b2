"""One pack with every kind of step, over HTTP on the real template, with approvals in between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.packs import pack
from tests.stack.api import statuses

if TYPE_CHECKING:
    from tests.stack.api import Api

EVERY_KIND = pack(
    """
    - {id: count, run: {uses: builtin:noop, with: {critical: 1, hosts: [web, db]}}}
    - id: lanes
      parallel:
        maxParallel: "{{ inputs.lanes }}"
        steps:
          - {id: lint, run: {uses: builtin:noop}}
          - {id: review, gate: {approval: {id: security}}}
          - {id: test, type: run, uses: builtin:noop}
    - id: hosts
      map:
        items: steps.count.outputs.hosts
        steps:
          - {id: probe, run: {uses: builtin:noop, with: {host: "{{ item }}", n: "{{ index }}"}}}
          - id: flaky
            when: item == 'db'
            continueOnError: true
            run: {uses: builtin:fail, with: {message: "no {{ item }}"}}
    - id: regions
      map:
        items: inputs.regions
        maxParallel: 2
        step: {id: deploy-region, run: {uses: builtin:noop, with: {region: "{{ item }}"}}}
    - id: rollout
      loop:
        items: {range: {start: 1, end: 5}}
        until: steps.shift.outputs.percent == `50`
        aggregation: last
        body:
          - {id: shift, run: {uses: builtin:noop, with: {percent: "{{ item }}0"}}}
    - id: each
      loop:
        items: {static: [a, b]}
        body: [{id: one, run: {uses: builtin:noop, with: {"it": "{{ item }}"}}}]
    - id: choice
      conditional:
        branches:
          - {condition: "inputs.stage == 'prod'", steps: [{id: careful, run: {uses: builtin:noop}}]}
        else: [{id: quick, run: {uses: builtin:noop}}]
    - id: late-choice
      conditional:
        outputUnion: true
        branches:
          - condition: steps.count.outputs.critical == `1`
            steps: [{id: triage, run: {uses: builtin:noop, with: {level: high}}}]
    - {id: warn, gate: {policy: {policy: none-critical, failureAction: warn}}}
    - id: branch
      gate:
        policy:
          policy: none-critical
          failureAction: branch
          branch: [{id: repair, run: {uses: builtin:noop}}]
    - id: override
      gate:
        policy: {policy: none-critical, failureAction: requestOverride, override: {approval: owner}}
    """,
    spec="""
    inputs:
      - {name: stage, type: string, default: dev}
      - {name: regions, type: array, default: [eu, us, ap]}
      - {name: lanes, type: integer, default: 2}
    approvals: [{id: security}, {id: owner}]
    policies:
      - id: none-critical
        version: "1"
        rules: [{id: critical, require: "steps.count.outputs.critical == `0`", message: critical}]
    outputs:
      - {name: hosts, type: object, expression: steps.hosts.outputs}
      - {name: regions, type: object, expression: "steps.regions.outputs.results[].region"}
      - {name: rollout, type: object, expression: steps.rollout.outputs}
      - {name: level, type: object, expression: steps.late-choice.outputs.level}
    """,
    name="every-kind",
)


def test_runs_a_pack_with_every_kind_of_step(operator: Api, approver: Api) -> None:
    simulated = operator("POST", "simulations", {"manifest": EVERY_KIND})
    assert simulated.status_code == 200, simulated.text
    run_id = operator.run(EVERY_KIND)

    operator.wait(run_id, "waiting", "failed")
    first = approver.decide(run_id, "security", "approved")
    operator.wait(run_id, "waiting", "failed", "succeeded")
    second = approver.decide(run_id, "owner", "approved")
    ended = operator.ended(run_id)

    assert (first.json()["resumed"], second.json()["resumed"]) == (True, True)
    assert ended["status"] == "succeeded"
    status = statuses(ended)
    assert status["hosts[1]::flaky"] == "Failed executor-error"
    assert status["hosts[0]::flaky"] == "Skipped condition-false"
    assert status["careful"] == "Skipped branch-not-taken"
    assert status["triage"] == "Succeeded"
    assert status["warn"] == "Succeeded policy-warned"
    assert status["repair"] == "Succeeded"
    assert status["override"] == "Succeeded"
    assert "rollout[4]::shift" in status
    values = {
        name: json.loads(artifact["expressionJson"])
        for name, artifact in operator.artifacts(run_id).items()
    }
    assert values["regions"] == ["eu", "us", "ap"]
    assert values["level"] == "high"
    assert values["hosts"]["results"] == [None, None]
    assert values["rollout"] == {"result": {"percent": "50"}}
