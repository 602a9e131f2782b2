"""One play in which every function does all of its work, each with its own world.

The play sends all events of events/. Over the API it runs packs with every kind of step, gate and
policy, secrets, executor functions, files, bundles, environments, scans, large outputs and large
lists. Approvals are decided before, while and after they are requested, and some requests are
signed instead of carrying a token. The play records the AWS calls under the function that makes
them, and keeps all text of logs, standard output and errors.

The cache of plans is empty before each call, as in an execution environment that has just started.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from taskrunner.adapters.approvals import DynamoApprovals
from taskrunner.adapters.logs import JsonLines, logger
from taskrunner.bootstrap import AwsWorld
from taskrunner.errors import MachineQuotaError, NotFoundError
from taskrunner.model.artifact import EVIDENCE_BUNDLE
from taskrunner.ports.approvals import GateChange
from tests.architecture.events import event_rows
from tests.architecture.ports import variables
from tests.architecture.stage import SET_BY_LAMBDA, WORLDLESS, Environment, Stage, stage
from tests.machine.client import LambdaContext
from tests.machine.deployment import published
from tests.machine.runs import ended
from tests.machine.workers import Worker, worker_client
from tests.moto_aws import session
from tests.packs import pack
from tests.security.permissions import grants
from tests.security.permissions.failures import play_failures
from tests.security.permissions.jobs import play_jobs
from tests.security.permissions.machine_calls import play_machine_calls
from tests.security.permissions.needs import Need, Recorder

if TYPE_CHECKING:
    from taskrunner.executors.work import Services
    from taskrunner.model.approval import ApprovalRecord
    from taskrunner.ports import RunSnapshot
    from taskrunner.sandbox.attempt import AttemptRequest, AttemptResult
    from taskrunner.sandbox.launcher import ForkedSandbox
    from tests.architecture.events import EventRow
    from tests.machine.client import Client
    from tests.security.permissions.grants import Names

SECRET = "a-value-that-nobody-may-read-4711"
USER = "arn:aws:iam::123456789012:user/ana"
_LONG = "0123456789" * 1000  # over 8 KiB, so that it is claimed from the bucket
_NOBODYS = "0" * 64
# More outputs than fit into the write that ends a run.
_MANY_OUTPUTS = "".join(
    f"  - {{name: more-{number}, type: file, path: /output/{number}}}\n    " for number in range(12)
)

WORKING = pack(
    f"""
    - {{id: count, run: {{uses: builtin:noop, with: {{text: "{{{{ inputs.long }}}}"}}}}}}
    - {{id: again, run: {{uses: builtin:noop, with: {{n: "{{{{ steps.count.outputs.text }}}}"}}}}}}
    - id: late
      when: length(steps.count.outputs.text) > `1`
      run: {{uses: builtin:noop, with: {{list: ["{{{{ inputs.long }}}}", b]}}}}
    - id: each
      map:
        items: steps.late.outputs.list
        steps: [{{id: one, run: {{uses: builtin:noop, with: {{it: "{{{{ item }}}}"}}}}}}]
    - id: turns
      loop:
        items: {{range: {{start: 0, end: 3}}}}
        until: steps.turn.outputs.n == `1`
        body: [{{id: turn, run: {{uses: builtin:noop, with: {{n: "{{{{ item }}}}"}}}}}}]
    - id: lanes
      parallel:
        steps:
          - {{id: left, run: {{uses: builtin:noop}}}}
          - {{id: idle, when: "length(steps.count.outputs.text) < `1`",
             parallel: {{steps: [{{id: never, run: {{uses: builtin:noop}}}}]}}}}
          - {{id: right, continueOnError: true, run: {{uses: builtin:fail, with: {{message: no}}}}}}
    - id: choice
      conditional:
        branches:
          - {{condition: "length(steps.late.outputs.list) == `2`",
             steps: [{{id: two, run: {{uses: builtin:noop}}}}]}}
    - {{id: unneeded, when: "length(steps.count.outputs.text) < `1`",
       gate: {{approval: {{id: nobody}}}}}}
    - {{id: ask, run: {{uses: "lambda:echo", with: {{token: "{{{{ secrets.token }}}}"}}}}}}
    - {{id: leak, continueOnError: true,
       run: {{uses: "lambda:leaking", with: {{token: "{{{{ secrets.token }}}}"}}}}}}
    - id: asked
      gate:
        policy:
          {{policy: window, failureAction: warn, with: {{token: "{{{{ secrets.token }}}}"}}}}
    - id: overridable
      gate:
        policy:
          policy: known
          with: {{token: "{{{{ secrets.token }}}}"}}
          failureAction: requestOverride
          override: {{approval: nobody}}
    - {{id: ruled, gate: {{policy: {{policy: short, failureAction: warn}}}}}}
    - {{id: build, run: {{uses: builtin:build, with: {{files: {{a.txt: text}}}}}}}}
    - {{id: rebuild, run: {{uses: builtin:build, with: {{artifacts: [zip]}}}}}}
    - {{id: deploy, run: {{uses: builtin:deploy, with: {{environment: prod}}}}}}
    - {{id: nobodys, continueOnError: true,
       run: {{uses: builtin:deploy, with: {{bundle: bundles/sha256-{_NOBODYS}.zip}}}}}}
    - {{id: scan, continueOnError: true, run: {{uses: builtin:scanner,
       with: {{target: "123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1"}}}}}}
    """,
    spec="""
    slo: {maxQueueDepth: 100, runP95Seconds: 600, approvalP95Seconds: 900}
    sandbox: {mode: sealed, egressAllowlist: ["*.amazonaws.com"]}
    inputs: [{name: long, type: string}]
    secrets: [{name: token}]
    approvals: [{id: nobody}]
    policies:
      - {id: window, version: "1", uses: "lambda:window"}
      - {id: known, version: "1", rules: [{id: r, require: with.token}]}
      - id: short
        version: "1"
        rules: [{id: r, require: "length(steps.count.outputs.text) == `1`", message: long}]
    outputs:
      - {name: text, type: object, expression: steps.count.outputs.text}
      - {name: zip, type: file, path: /output/bundle.zip}
    """
    + _MANY_OUTPUTS,
    name="working",
)
# The approval of the second gate is decided already, so that gate wakes at once.
WAITING = pack(
    """
    - {id: first, continueOnError: true, gate: {approval: {id: review}}}
    - {id: second, continueOnError: true, gate: {approval: {id: review}}}
    """,
    spec="approvals: [{id: review}]",
    name="waiting",
)


GATE_COUNT = 3
# In a block that a failure can stop, so that each decision requires that none has.
GATES = pack(
    """
    - {id: before, run: {uses: builtin:noop, with: {n: 1}}}
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
                - {id: one, gate: {approval: {id: review}}}
                - {id: two, gate: {approval: {id: review}}}
                - {id: three, gate: {approval: {id: review}}}
                - {id: four, when: "steps.before.outputs.n == `2`", run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: review}]",
    name="gates",
)
UNSTARTED = pack("- {id: one, run: {uses: builtin:noop}}", name="unstarted")


@dataclass
class Play:
    """The record of a play: needs by logical id of the function, written text, and secrets.

    *written* is the lines *logged* and the tracebacks of errors that left a function.
    """

    needs: dict[str, set[Need]]
    names: Names
    logged: list[str]
    written: str
    executions: str
    notifications: list[str]
    secrets: dict[str, set[str]]
    statuses: dict[str, str]
    strays: set[str]


class _Attributed:
    """Wraps *inner* so that its calls are recorded for *function* in every thread."""

    def __init__(self, inner: Any, recorder: Recorder, function: str) -> None:  # noqa: ANN401
        self._inner, self._recorder, self._function = inner, recorder, function

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as *inner* has it
        attribute = getattr(self._inner, name)
        if not callable(attribute):
            return attribute

        def call(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            with self._recorder.playing(self._function):
                answer = attribute(*given, **named)
                # Iterators read here.
                return iter(list(answer)) if isinstance(answer, Iterator) else answer

        return call


class _Sandbox:
    """The sandbox, whose thread for the requests of a step is recorded for run_step."""

    def __init__(self, inner: ForkedSandbox, recorder: Recorder) -> None:
        self._inner, self._recorder = inner, recorder
        self.prepare, self.prepare_for = inner.prepare, inner.prepare_for
        self.begun = inner.begun

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        ports = {
            port.name: _Attributed(getattr(services, port.name), self._recorder, "run_step")
            for port in fields(services)
        }
        return self._inner.execute(request, replace(services, **ports))


@dataclass
class _Players:
    """The stage with its recorder. *errors* holds tracebacks of functions, as Lambda logs them."""

    stage: Stage
    recorder: Recorder
    errors: list[str] = field(default_factory=list)

    @contextmanager
    def around(self, function: str) -> Iterator[None]:
        """Record the work of a function and the error that it ends with."""
        world = self.stage.worlds.get(function)
        if world is not None:
            vars(world).pop("plans", None)
        with self.recorder.playing(function):
            try:
                yield
            except Exception as error:
                self.errors += traceback.format_exception(error)
                raise

    def event(self, row: EventRow) -> Any:  # noqa: ANN401 - what a function returned or raised
        vars(self.stage.worlds.get(row.folder, self)).pop("plans", None)
        with self.recorder.playing(row.folder):
            answer = self.stage.invoke(row)
        if isinstance(answer, Exception):
            self.errors += traceback.format_exception(answer)
        return answer

    def differently(self, row: EventRow, event: dict[str, Any], **changed: str) -> Any:  # noqa: ANN401
        """Return a function's answer in an environment with *changed* variables."""
        names = variables(row.function) | SET_BY_LAMBDA
        values = {name: self.stage.deployed.get(name, "") for name in names} | changed
        world = AwsWorld(Environment(values), session())
        handler = importlib.import_module(f"functions.{row.folder}.app").handler
        return handler(event, LambdaContext(), world=world)


def play() -> Play:
    """Play everything once."""
    recorder = Recorder()
    with _written() as written, stage() as made:
        recorder.attach()
        made.deployed = {**made.deployed, "ALLOWED_EGRESS": "*"}
        players = _Players(made, recorder)
        for row in event_rows():
            made._world(row)
        waking = ("decide_approval", "open_gate", "run_step", "decide_flow", "reconcile")
        for name in (*waking, "offer_job", "call_machine", "end_machine_call", "serve_workers"):
            # These functions wake gates in other threads.
            approvals = made.worlds[name].approvals
            vars(approvals)["_wake_once"] = _Attributed(approvals, recorder, name)._wake_once
            vars(approvals)["_fail_once"] = _Attributed(approvals, recorder, name)._fail_once
        run_step = made.worlds["run_step"]
        vars(run_step)["sandbox"] = _Sandbox(run_step.sandbox, recorder)
        made.engine.worlds |= made.worlds
        made.engine.around = players.around
        made.engine.store_secret("tenant-prod", "token", SECRET)
        made.engine.functions |= {"echo": _echo, "leaking": _leaking, "window": _window}
        urls = _play_events(players)
        statuses, more_urls = _play_runs(made.engine.client(), made.engine.client(subject="bob"))
        statuses_of_jobs, private = play_jobs(
            made.engine.client(), Worker(worker_client(made.engine))
        )
        statuses_of_calls = play_machine_calls(made.engine.client(), recorder)
        play_failures(made.engine.client(), made.engine.client(subject="bob"))
        _play_signed(players)
        _play_broken(players)
        _play_expired(players)
        _play_at_the_quota(players)
        _play_reconciled(players)
        made.engine.rest()
        tokens = {event["token"] for _, event in made.engine.calls if "token" in event}
        executions, notifications = _executions(), published()
        _play_removed(players)
        names = grants.names_of(made.deployed)
        written.seek(0)
        logged = written.read().decode()
    return Play(
        needs=recorder.by_logical_id(),
        names=names,
        logged=logged.splitlines(),
        written="\n".join([logged, *players.errors]),
        executions=executions,
        notifications=notifications,
        secrets={
            "task token": tokens,
            "presigned URL": urls | more_urls,
            "lease": private,
            "secret": {SECRET},
        },
        statuses=statuses | statuses_of_jobs | statuses_of_calls,
        strays=recorder.strays,
    )


def _echo(payload: dict[str, Any]) -> dict[str, Any]:
    return {"outputs": {"echo": payload["with"]["token"]}}


def _leaking(payload: dict[str, Any]) -> dict[str, Any]:
    raise ValueError("cannot use " + payload["with"]["token"])


def _window(payload: dict[str, Any]) -> dict[str, Any]:
    return {"passed": False, "failures": ["closed for " + payload["with"]["token"]]}


def _play_events(players: _Players) -> set[str]:
    answers = [players.event(row) for row in event_rows()]
    return {
        answer["headers"]["Location"]
        for answer in answers
        if isinstance(answer, dict) and answer.get("statusCode") == 302
    }


def _play_runs(ana: Client, bob: Client) -> tuple[dict[str, str], set[str]]:
    engine, statuses = ana.engine, {}
    run_id = _create(ana, WORKING, {"long": _LONG})
    state = ended(ana, run_id)
    engine.rest()
    statuses["working"] = state["status"]
    statuses |= {step["stepId"]: step["status"] for step in state["steps"]}
    listed = ana("GET", f"runs/{run_id}/artifacts").json
    assert EVIDENCE_BUNDLE in {artifact["name"] for artifact in listed}
    files = [artifact["name"] for artifact in listed if artifact.get("storedPath")]
    urls = {
        ana("GET", f"runs/{run_id}/artifacts/{name}").headers["Location"]
        for name in [*files, EVIDENCE_BUNDLE]
    }
    assert ana("GET", f"runs/{run_id}/steps/count").json["outputs"] == {"text": _LONG}
    assert ana("GET", "runs", query={"status": "succeeded"}).json["runs"][0]["runId"] == run_id
    for decision in ("approved", "rejected"):
        run_id = _create(ana, WAITING, {})
        plan_hash = engine.wait(ana, run_id, "waiting")["planHash"]
        body = {"decision": decision, "planHash": plan_hash}
        assert bob("POST", f"runs/{run_id}/approvals/review", body).status == 200
        statuses[decision] = ended(ana, run_id)["status"]
    return statuses, urls


def _create(client: Client, manifest: str, inputs: dict[str, Any]) -> str:
    answer = client("POST", "runs", {"manifest": manifest, "inputs": inputs})
    assert answer.status == 201, answer.body
    run_id: str = answer.json["runId"]
    return run_id


def _api_rows() -> list[EventRow]:
    """Return one event of each function that the API calls for a caller."""
    firsts: dict[str, EventRow] = {}
    for row in event_rows():
        if "httpMethod" in row.event(token="") and row.folder not in WORLDLESS:
            firsts.setdefault(row.folder, row)
    return list(firsts.values())


def _play_signed(players: _Players) -> None:
    """Call each function of the API as a principal of AWS, which the function must look up."""
    boto3.client("dynamodb").put_item(
        TableName=players.stage.deployed["TABLE_NAME"],
        Item={
            "pk": {"S": f"I#{USER}"},
            "sk": {"S": "I"},
            "tenants": {"S": "tenant-prod"},
            "scopes": {"S": "operator worker"},
            "pools": {"S": "linux"},
        },
    )
    for row in _api_rows():
        event = row.event(token="")
        del event["requestContext"]["authorizer"]
        event["requestContext"]["identity"] = {"userArn": USER}
        with players.recorder.playing(row.folder):
            answer = players.differently(row, event, AUTHORIZATION="AWS_IAM")
        assert answer["statusCode"] not in {401, 403}, (row, answer)


def _play_broken(players: _Players) -> None:
    """Cause unexpected errors, for their logs. The table does not exist, so no grant is needed."""
    for row in _api_rows():
        if row.folder != "simulate_pack":
            answer = players.differently(row, row.event(token=""), TABLE_NAME="no-such-table")
            assert answer["statusCode"] == 500, (row, answer)


def _play_expired(players: _Players) -> None:
    """Read a plan that the lifecycle has removed.

    Removal takes a month or more, so the port is called directly.
    """
    readers = ("read_run", "create_run", "decide_approval")
    for folder in (*readers, "end_machine_call", "settle_run", "reconcile"):
        with players.recorder.playing(folder), pytest.raises(NotFoundError):
            players.stage.worlds[folder].plans.get("tenant-prod", "sha256:" + "0" * 64)


def _play_at_the_quota(players: _Players) -> None:
    """Create runs of a version with a machine and of one without, in a full account.

    The account of the emulator is never full, so AWS's refusal is one that the adapters remember.
    """
    ana = players.stage.engine.client()
    known = pack("- {id: one, run: {uses: builtin:noop}}", name="known")
    ended(ana, _create(ana, known, {}))
    full_until = datetime.now(UTC).timestamp() + 300
    vars(players.stage.worlds["create_run"].machines)["_full_until"] = full_until
    ended(ana, _create(ana, known, {}))
    refused = ana("POST", "runs", {"manifest": UNSTARTED, "inputs": {}})
    assert (refused.status, refused.json["error"]["code"]) == (503, "machine_quota_reached")
    machines = players.stage.worlds["reconcile"].machines
    vars(machines)["_full_until"] = full_until
    with players.recorder.playing("reconcile"), pytest.raises(MachineQuotaError):
        machines.name("unstarted", "1.0.0", {})
    for folder in ("create_run", "reconcile"):
        vars(players.stage.worlds[folder].machines)["_full_until"] = 0.0


def _play_reconciled(players: _Players) -> None:
    """A pass of the reconciler, two hours later, over runs that were cut off in every way."""
    engine, worlds = players.stage.engine, players.stage.worlds
    ana, bob = engine.client(), engine.client(subject="bob")
    decided = []
    for decision in ("approved", "rejected"):
        run_id = _create(ana, GATES, {})
        waiting = partial(_waiting_gates, engine.world, run_id)
        engine.until(lambda waiting=waiting: waiting() == GATE_COUNT, "gates do not wait")  # type: ignore[misc]
        body = {"decision": decision, "planHash": ana("GET", f"runs/{run_id}").json["planHash"]}
        approvals = vars(worlds["decide_approval"].approvals)
        approvals["decide"] = partial(_decide_without_gates, worlds["decide_approval"].approvals)
        approvals["record_decisions"] = lambda *_: False
        assert bob("POST", f"runs/{run_id}/approvals/review", body).status == 503
        del approvals["record_decisions"], approvals["decide"]
        decided.append(run_id)
    vars(worlds["open_gate"])["notifications"] = _Silent()
    engine.wait(ana, _create(ana, WAITING, {}), "waiting")
    cancelled = _create(ana, WAITING, {})
    engine.wait(ana, cancelled, "waiting")
    assert ana("POST", f"runs/{cancelled}/cancel").status == 202
    machines = worlds["create_run"].machines
    vars(machines)["start"] = lambda *_: None
    unstarted = _create(ana, UNSTARTED, {})
    world = worlds["reconcile"]
    ports = ("due_work", "runs", "approvals", "jobs", "plans", "machines", "notifications")
    for port in (*ports, "settlements"):
        attributed = _Attributed(getattr(world, port), players.recorder, "reconcile")
        vars(world)[port] = attributed
    vars(world)["clock"] = _Later()
    app = importlib.import_module("functions.reconcile.app")
    app.handler({}, LambdaContext(), world=world)
    for run_id in [*decided, unstarted]:
        ended(ana, run_id)


def _decide_without_gates(
    approvals: DynamoApprovals, snapshot: RunSnapshot, record: ApprovalRecord, _: GateChange
) -> bool:
    return DynamoApprovals.decide(approvals, snapshot, record, GateChange([], []))


def _waiting_gates(world: AwsWorld, run_id: str) -> int:
    run = world.runs.snapshot("tenant-prod", run_id).run
    return len(list(world.approvals.waiting(run, "review")))


class _Silent:
    """A topic that takes no notification."""

    def publish(self, _: object) -> bool:
        return False


def _play_removed(players: _Players) -> None:
    """Remove the machines of all packs a year later, when nothing has used them for long."""
    world = players.stage.worlds["remove_machines"]
    vars(world)["clock"] = _Later(timedelta(days=365))
    app = importlib.import_module("functions.remove_machines.app")
    with players.recorder.playing("remove_machines"):
        removed = app.handler({}, LambdaContext(), world=world)
    assert removed["deleted"] > 0, removed


@dataclass
class _Later:
    """A clock that is ahead."""

    by: timedelta = timedelta(hours=2)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


def _executions() -> str:
    """Return everything that Step Functions shows of executions."""
    states = boto3.client("stepfunctions")
    shown = []
    for machine in states.list_state_machines()["stateMachines"]:
        arn = machine["stateMachineArn"]
        shown.append(states.describe_state_machine(stateMachineArn=arn))
        shown += [
            states.describe_execution(executionArn=execution["executionArn"])
            for execution in states.list_executions(stateMachineArn=arn)["executions"]
        ]
    return json.dumps(shown, default=str)


@contextmanager
def _written() -> Iterator[Any]:
    """Yield a file that receives all that this process and its children log and print."""
    # As in Lambda: libraries log through the root logger, which passes WARNING and above.
    root = logging.getLogger()
    with tempfile.TemporaryFile() as file, os.fdopen(os.dup(file.fileno()), "wb") as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
        handler = logging.StreamHandler(text)
        handler.setFormatter(JsonLines())
        kept = [os.dup(number) for number in (1, 2)]
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            root.addHandler(handler)
            logger.setLevel(logging.DEBUG)
            with redirect_stdout(text), redirect_stderr(text):
                yield file
        finally:
            for number, old in zip((1, 2), kept, strict=True):
                os.dup2(old, number)
                os.close(old)
            root.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
            text.detach()
