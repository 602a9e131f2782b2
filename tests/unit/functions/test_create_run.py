"""POST runs, when AWS refuses what follows the run's record.

The run exists then, so its creator must learn its id, whatever AWS says. The reconciler starts the
run later, or settles it with AWS's reason.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from functions.create_run.app import handler
from functions.settle_run.app import handler as settle
from taskrunner.adapters.executions import StepFunctionsMachines
from taskrunner.model.run import RunStatus
from taskrunner.usecases.reconcile import reconcile
from tests.fakes.world import MemoryWorld
from tests.machine.client import Client, api_event
from tests.unit.adapters.test_executions import LOGGING, PROTOTYPE, ROLE, deployed_frame
from tests.unit.usecases.scenarios import PLAIN, TENANT

if TYPE_CHECKING:
    from taskrunner.model.run import Run

PATH = "/v1/task-runner/runs"
FOR_GOOD = ("InvalidDefinition", "InvalidName", "TooManyTags", "ValidationException")
UNTIL_CHANGED = ("AccessDeniedException", "InvalidLoggingConfiguration", "KmsAccessDeniedException")
PASSING = (
    "StateMachineLimitExceeded",
    "StateMachineDeleting",
    "ThrottlingException",
    "KmsThrottlingException",
    "ServiceUnavailable",
)


class Aws:
    """Step Functions, which refuses *create* and *start* with these errors, if there are such."""

    def __init__(self) -> None:
        self.create: str | None = None
        self.start: str | None = None
        self.frame = deployed_frame()
        self.started: list[str] = []
        self._machines: set[str] = set()

    def describe_state_machine(self, *, stateMachineArn: str) -> dict[str, Any]:  # noqa: N803
        if stateMachineArn != PROTOTYPE:
            raise refusal("StateMachineDoesNotExist")
        return {"definition": self.frame, "roleArn": ROLE, "loggingConfiguration": LOGGING}

    def create_state_machine(self, *, name: str, **_: object) -> None:
        if self.create is not None:
            raise refusal(self.create)
        self._machines.add(name)

    def start_execution(self, *, stateMachineArn: str, name: str, **_: object) -> None:  # noqa: N803
        if self.start is not None:
            raise refusal(self.start)
        if stateMachineArn.rpartition(":")[2] not in self._machines:
            raise refusal("StateMachineDoesNotExist")
        self.started.append(name)


def refusal(error: str) -> BaseException:
    """Return what boto3 raises."""
    refused: BaseException = ClientError({"Error": {"Code": error}}, "AnyOperation")
    if error == "broken connection":
        refused = ConnectionClosedError(endpoint_url="https://states")
    return refused


class Unstarted(StepFunctionsMachines):
    """The adapter, where no run has an execution when the reconciler looks."""

    def status(self, _run: Run) -> str | None:
        return None


class World(MemoryWorld):
    """The world in memory, except for Step Functions."""

    def __init__(self, aws: Aws) -> None:
        super().__init__()
        self.machines: Any = Unstarted(
            aws, PROTOTYPE, "taskrunner", lambda _: None, lambda: self.clock.now().timestamp()
        )


@pytest.fixture(name="aws")
def _aws() -> Aws:
    return Aws()


def post(world: World, run_id: str = "run-7") -> dict[str, Any]:
    caller = Client(None, subject="ana", tenants=TENANT)  # type: ignore[arg-type]
    event = api_event("POST", PATH, caller, {"content-type": "application/json"}, {})
    event["body"] = json.dumps({"manifest": PLAIN, "inputs": {}, "runId": run_id})
    return handler(event, None, world=world)


def assert_recorded(answer: dict[str, Any], world: World) -> None:
    assert answer["statusCode"] == 201
    assert json.loads(answer["body"])["status"] == "queued"
    assert list(world.runs.stored) == [(TENANT, "run-7")]


def a_pass(world: World) -> None:
    """Reconcile an hour later, and settle what that asks to settle, as Lambda does."""
    world.clock.advance(3601)
    reconcile(world)
    for tenant, run_id, error in world.settlements.requested:
        settle({"tenant": tenant, "run": run_id, "error": error}, None, world=world)
    world.settlements.requested.clear()


def end_of(world: World) -> tuple[RunStatus | None, str]:
    run = world.runs.stored[TENANT, "run-7"].run
    messages = [placed.entry.message for placed in world.runs.journal(TENANT, "run-7")]
    return run.outcome, messages[-1]


REFUSALS = [
    *(("create", error) for error in (*FOR_GOOD, *UNTIL_CHANGED, *PASSING, "broken connection")),
    *(
        ("start", error)
        for error in (
            *("InvalidExecutionInput", "InvalidArn", "AccessDeniedException"),
            *("ExecutionLimitExceeded", "StateMachineDeleting", "ThrottlingException"),
            *("StateMachineDoesNotExist", "SomethingNew", "broken connection"),
        )
    ),
]


@pytest.mark.parametrize(("call", "error"), REFUSALS)
def test_answers_with_the_recorded_run_whatever_aws_refuses(
    aws: Aws, call: str, error: str
) -> None:
    setattr(aws, call, error)
    world = World(aws)

    assert_recorded(post(world), world)


def test_a_repeated_start_of_a_run_that_runs_is_no_failure(aws: Aws) -> None:
    aws.start = "ExecutionAlreadyExists"
    world = World(aws)

    assert_recorded(post(world), world)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        *(("create", error) for error in (*PASSING, *UNTIL_CHANGED)),
        ("start", "StateMachineDeleting"),  # the machine was removed just before
        ("start", "ExecutionLimitExceeded"),
        ("start", "AccessDeniedException"),
    ],
)
def test_the_reconciler_starts_the_run_once_aws_allows_it(aws: Aws, call: str, error: str) -> None:
    setattr(aws, call, error)
    world = World(aws)
    post(world)
    a_pass(world)
    assert aws.started == []
    setattr(aws, call, None)

    a_pass(world)

    assert len(aws.started) == 1


@pytest.mark.parametrize("error", FOR_GOOD)
def test_the_reconciler_fails_a_run_at_once_that_aws_will_never_start(aws: Aws, error: str) -> None:
    aws.create = error
    world = World(aws)
    post(world)

    a_pass(world)

    message = f"Run failed: its execution could not be started; AWS refused it with {error}."
    assert end_of(world) == (RunStatus.FAILED, message)


@pytest.mark.parametrize("error", UNTIL_CHANGED)
def test_the_reconciler_fails_a_run_after_three_tries_that_nobody_helps(
    aws: Aws, error: str
) -> None:
    aws.create = error
    world = World(aws)
    post(world)

    ends = []
    for _ in range(3):
        a_pass(world)
        ends.append(end_of(world)[0])

    assert ends == [None, None, RunStatus.FAILED]
    assert error in end_of(world)[1]


def test_a_new_pack_is_refused_before_its_record_while_the_account_is_full(aws: Aws) -> None:
    aws.create = "StateMachineLimitExceeded"
    world = World(aws)
    first = post(world)

    answer = post(world, "run-8")

    assert first["statusCode"] == 201
    codes = [warning["code"] for warning in json.loads(first["body"])["warnings"]]
    assert codes == ["machine_quota_reached"]
    assert answer["statusCode"] == 503
    assert json.loads(answer["body"])["error"]["code"] == "machine_quota_reached"
    assert answer["headers"]["Retry-After"] == "300"
    assert list(world.runs.stored) == [(TENANT, "run-7")]


def test_nothing_is_recorded_while_the_stack_is_being_updated(aws: Aws) -> None:
    world = World(aws)
    aws.frame = "{}"

    answer = post(world)

    assert answer["statusCode"] == 503
    assert world.runs.stored == {}
