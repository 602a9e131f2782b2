"""Events of runs reach the queue of a rule, and metrics and log lines the functions' log group."""

from __future__ import annotations

import json
import uuid
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.packs import pack
from tests.stack.api import until
from tests.stack.logs import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

OUTPUT = "a-value-that-leaves-no-run-4711"
MANIFEST = pack(
    f"""
    - {{id: build, run: {{uses: builtin:noop, with: {{text: {OUTPUT}}}}}}}
    - {{id: review, gate: {{approval: {{id: security}}}}}}
    - {{id: ship, run: {{uses: builtin:fail, with: {{message: no luck}}}}}}
    """,
    spec="approvals: [{id: security, grants: [packs.approve]}]",
    name="observed",
)


MEASURED = {"RunsCreated", "RunsFailed", "StepTime", "GatesOpened", "GateWait", "RunTime"}


class Inbox:
    """The queue of a rule for all events of TaskRunner."""

    def __init__(self, sqs: Any, url: str) -> None:  # noqa: ANN401 - boto3 has no static types
        self._sqs = sqs
        self._url = url
        self._received: list[dict[str, Any]] = []

    def names(self, run_id: str) -> list[str]:
        """Return the names of the run's events so far, without repetitions, in their order."""
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                self._received.append(json.loads(message["Body"]))
                handle = message["ReceiptHandle"]
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=handle)
        events = [event for event in self._received if event["detail"]["runId"] == run_id]
        return list({event["detail"]["id"]: event["detail-type"] for event in events}.values())

    @property
    def text(self) -> str:
        return json.dumps(self._received)


@pytest.fixture(name="inbox")
def _inbox(aws: Callable[[str], Any]) -> Iterator[Inbox]:
    events, sqs = aws("events"), aws("sqs")
    name = f"observer-{uuid.uuid4()}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    pattern = {"source": ["taskrunner"], "detail": {"tenant": ["tenant-prod"]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn["Attributes"]["QueueArn"]}])
    yield Inbox(sqs, url)
    events.remove_targets(Rule=name, Ids=["1"])
    events.delete_rule(Name=name)
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.stack
def test_a_rule_receives_every_transition_and_the_log_has_metrics_and_ids(
    inbox: Inbox, stack: Stack, operator: Api, approver: Api, aws: Callable[[str], Any]
) -> None:
    run_id = operator.run(MANIFEST)
    operator.wait(run_id, "waiting")
    approver.decide(run_id, "security", "approved")
    operator.wait(run_id, "failed")

    until(lambda: "run.failed" in inbox.names(run_id), f"the end of {run_id} is published")
    assert inbox.names(run_id) == [
        "run.created",
        "run.started",
        "gate.opened",
        "run.waiting",
        "gate.approved",
        "run.resumed",
        "run.failed",
    ]
    assert OUTPUT not in inbox.text

    def logged() -> list[dict[str, Any]]:
        group = lines(aws("logs"), f"/taskrunner/{stack.machine_prefix}/functions")
        documents = [json.loads(line) for line in group if line.startswith("{")]
        return [document for document in documents if document.get("run") == run_id]

    def measured() -> set[str]:
        return {name for line in logged() if "_aws" in line for name in line}

    def failures() -> list[dict[str, Any]]:
        return [line for line in logged() if line.get("message") == "the step failed"]

    # The lines of the functions come one after the other, in any order.
    until(lambda: measured() >= MEASURED, f"all of {run_id} is measured")
    until(lambda: bool(failures()), f"the failure of {run_id} is logged")
    (failed,) = failures()
    assert (failed["tenant"], failed["step"], failed["attempt"]) == ("tenant-prod", "ship", 1)
    assert (failed["reason"], failed["cause"]) == ("executor-error", "no luck")


@pytest.mark.stack
def test_changes_of_one_second_are_published_together(
    stack: Stack, operator: Api, aws: Callable[[str], Any]
) -> None:
    """The template asks for it (MaximumBatchingWindowInSeconds), and the emulator does not obey."""
    steps = "\n".join(f"- {{id: s{n}, run: {{uses: builtin:noop}}}}" for n in range(20))
    run_id = operator.run(pack(steps, name="brief"))
    operator.wait(run_id, "succeeded")

    def measured_ms() -> list[int]:
        group = lines(aws("logs"), f"/taskrunner/{stack.machine_prefix}/functions")
        documents = [json.loads(line) for line in group if '"StepTime"' in line]
        return [it["_aws"]["Timestamp"] for it in documents if it.get("run") == run_id]

    until(lambda: len(measured_ms()) == 20, f"the steps of {run_id} are measured")
    pauses_ms = [after - before for before, after in pairwise(sorted(measured_ms()))]
    # Those of one second are measured in one loop. A busy machine may interrupt it, and begin the
    # first one late.
    batches = 1 + sum(pause > 50 for pause in pauses_ms)
    assert batches <= 4 + sum(pauses_ms) / 1000


SLOW = pack(
    "- {id: review, gate: {approval: {id: security}}}",
    spec="""
    slo: {approvalP95Seconds: 1}
    approvals: [{id: security, grants: [packs.approve]}]
    """,
    name="slow",
)


@pytest.mark.stack
def test_a_gate_that_waits_longer_than_its_objective_is_an_event_and_a_line_of_the_runs_log(
    inbox: Inbox, stack: Stack, operator: Api, aws: Callable[[str], Any]
) -> None:
    run_id = operator.run(SLOW)
    operator.wait(run_id, "waiting")

    def breaches() -> list[str]:
        # The schedule makes a pass each minute; a pass more does no harm.
        aws("lambda").invoke(FunctionName=stack.reconcile_function, Payload=b"{}")
        return [
            line["message"]
            for line in operator.log(run_id)
            if line["eventType"] == "run.slo-breached"
        ]

    until(lambda: len(breaches()) > 0, f"the breach of {run_id} is recorded")
    until(lambda: "slo.breached" in inbox.names(run_id), f"the breach of {run_id} is published")
    assert breaches() == [
        "The gate review waits longer than 1 seconds, the pack's approvalP95Seconds."
    ]
    assert operator.state(run_id)["status"] == "waiting"
    assert operator("POST", f"runs/{run_id}/cancel").status_code == 202
