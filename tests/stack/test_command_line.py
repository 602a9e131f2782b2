"""The command line against the local stack: the first commands of a newcomer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.stack.command_line import taskrunner

if TYPE_CHECKING:
    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

NOOP = """
apiVersion: stellaops.io/pack.v1
kind: TaskPack
metadata: {name: nothing, version: 1.0.0}
spec:
  steps:
    - {id: go, run: {uses: "builtin:noop"}}
"""
GATE_WITHOUT_MESSAGE = """
apiVersion: stellaops.io/pack.v1
kind: TaskPack
metadata: {name: no-message, version: 1.0.0}
spec:
  approvals: [{id: review}]
  steps:
    - {id: ask, gate: {approval: {id: review}}}
    - {id: go, run: {uses: "builtin:noop"}}
"""


def test_the_demo_passes_all_its_checks(stack: object) -> None:
    assert stack

    demo = taskrunner("demo")

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stdout.rstrip().endswith("checks hold.")


def test_the_first_example_pack_succeeds(stack: object) -> None:
    assert stack
    pack = "examples/hello.yaml"

    run = taskrunner("run", pack, "--input", "image=alpine:latest", "--watch", "--output", "json")

    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["status"] == "succeeded"


def test_a_gate_without_a_message_is_listed_and_the_decision_is_shown(
    stack: Stack, operator: Api
) -> None:
    run_id = operator.run(GATE_WITHOUT_MESSAGE)
    operator.wait(run_id, "waiting")

    listed = taskrunner("approvals", "--as", "approver")
    approver = ("--as", "approver", "--yes", "--summary", "fine")
    approved = taskrunner("approve", run_id, "review", *approver)
    watched = taskrunner("show", run_id, "--watch")
    logs = taskrunner("logs", run_id)

    assert any(line.startswith(f"{run_id} ") for line in listed.stdout.splitlines()), listed
    assert approved.returncode == watched.returncode == 0, approved.stderr + watched.stderr
    for shown in (watched, logs):
        assert f" by approver ({stack.clients['approver'].client_id}): fine" in shown.stdout


def test_cancelling_a_run_that_has_ended_says_how_it_ended(operator: Api) -> None:
    run_id = operator.run(NOOP)
    operator.ended(run_id)

    cancelled = taskrunner("cancel", run_id)

    assert cancelled.returncode == 0, cancelled.stderr
    assert f"run {run_id} is succeeded: it had ended before" in cancelled.stdout


def test_a_run_that_does_not_exist_is_a_refusal_with_the_services_code(stack: object) -> None:
    assert stack

    shown = taskrunner("show", "nope", "--output", "json")

    assert (shown.returncode, shown.stdout) == (1, "")
    assert json.loads(shown.stderr)["error"]["code"] == "not_found"
