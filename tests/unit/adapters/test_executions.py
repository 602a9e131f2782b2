"""Machines and executions: call by call over botocore's Stubber, and whole over moto."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from taskrunner.adapters.executions import StepFunctionsMachines
from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine import frame
from taskrunner.compiler.machine.creation import Deployment, creation
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.errors import MachineQuotaError, StartRefusedError, TryAgainError
from tests.contract.ports import client
from tests.contract.samples import a_run
from tests.packs import pack
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.run import Run

STATES = "arn:aws:states:us-east-1:123456789012"
PROTOTYPE = f"{STATES}:stateMachine:taskrunner-prototype"
ROLE = "arn:aws:iam::123456789012:role/machines"
FRAME = (ROOT / "statemachine/pack_run.asl.yaml").read_text(encoding="utf-8")
COMPILED = compile_pack(
    pack(
        """
        - {id: build, run: {uses: builtin:noop}}
        - {id: review, gate: {approval: {id: security}}}
        """,
        spec="approvals: [{id: security}]",
    ),
    {},
)
INPUT = execution_input(COMPILED.plan, "acme", "run-7")


def deployed_frame() -> str:
    """The frame as CloudFormation deploys it, with an ARN for each of its functions."""
    text = FRAME.replace("${Partition}", "aws")
    for name in ("RunStep", "OpenGate", "DecideFlow", "SettleRun"):
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
        text = text.replace(f"${{{name}FunctionArn}}", arn)
    return json.dumps(yaml.load(text, yaml.CSafeLoader))


class Pauses(list[float]):
    """Records pauses instead of waiting."""

    def __call__(self, pause_s: float) -> None:
        self.append(pause_s)


@dataclass
class Clock:
    """A wall clock that a test moves."""

    time: float = 0

    def __call__(self) -> float:
        return self.time


LOGGING = {"level": "ERROR", "includeExecutionData": False}
DEPLOYMENT = Deployment(
    stack="taskrunner",
    values=frame.bindings(json.loads(deployed_frame())),
    role_arn=ROLE,
    logging=LOGGING,
    tracing={"enabled": True},
)
REQUEST = creation("a-pack", "1.4.0", COMPILED.definition, DEPLOYMENT)


class Stubbed:
    """The adapter over a client that expects exactly the calls that a test lists."""

    def __init__(self) -> None:
        self.client = client("stepfunctions")
        self.stubber = Stubber(self.client)
        self.pauses = Pauses()
        self.clock = Clock()
        self.machines = StepFunctionsMachines(
            self.client, PROTOTYPE, "taskrunner", self.pauses, self.clock
        )
        self.run = a_run("run-7", pack_name="a-pack", machine=REQUEST["name"])
        self.arn = f"{STATES}:stateMachine:{self.run.machine}"

    def expect_start(self, error: str | None = None) -> None:
        parameters = {
            "stateMachineArn": self.arn,
            "name": self.run.execution,
            "input": json.dumps(INPUT, separators=(",", ":")),
        }
        if error is not None:
            self.stubber.add_client_error("start_execution", error, expected_params=parameters)
            return
        response = {"executionArn": f"{STATES}:execution:x:y", "startDate": 1}
        self.stubber.add_response("start_execution", response, parameters)

    def expect_describe(
        self,
        arn: str = PROTOTYPE,
        error: str | None = None,
        **changes: Any,  # noqa: ANN401 - any field
    ) -> None:
        parameters = {"stateMachineArn": arn}
        if error is not None:
            self.stubber.add_client_error(
                "describe_state_machine", error, expected_params=parameters
            )
            return
        response = {
            "stateMachineArn": arn,
            "name": "any",
            "definition": deployed_frame(),
            "roleArn": ROLE,
            "type": "STANDARD",
            "creationDate": 1,
            "loggingConfiguration": LOGGING,
            "tracingConfiguration": {"enabled": True},
        }
        self.stubber.add_response("describe_state_machine", response | changes, parameters)

    def expect_create(self, error: str | None = None) -> None:
        parameters = REQUEST
        if error is not None:
            self.stubber.add_client_error("create_state_machine", error, expected_params=parameters)
            return
        response = {"stateMachineArn": self.arn, "creationDate": 1}
        self.stubber.add_response("create_state_machine", response, parameters)

    def expect_stop(self, error: str | None = None) -> None:
        parameters = {
            "executionArn": f"{STATES}:execution:{self.run.machine}:{self.run.execution}",
            "error": "Cancelled",
            "cause": "Cancelled by API",
        }
        if error is not None:
            self.stubber.add_client_error("stop_execution", error, expected_params=parameters)
            return
        self.stubber.add_response("stop_execution", {"stopDate": 1}, parameters)

    def name(self) -> str:
        return self.machines.name("a-pack", "1.4.0", COMPILED.definition)

    def start(self) -> bool:
        return self.machines.start(self.run, COMPILED.definition, INPUT)


@pytest.fixture(name="stubbed")
def _stubbed() -> Iterator[Stubbed]:
    stubbed = Stubbed()
    with stubbed.stubber:
        yield stubbed
        stubbed.stubber.assert_no_pending_responses()


class TestName:
    def test_is_that_of_the_request_that_creates_the_machine(self, stubbed: Stubbed) -> None:
        stubbed.expect_describe()

        assert stubbed.name() == REQUEST["name"]

    def test_reads_the_deployment_once_a_minute(self, stubbed: Stubbed) -> None:
        """A warm function must not bind machines to a role that an update has replaced."""
        stubbed.expect_describe()
        stubbed.expect_describe(roleArn=ROLE + "-of-the-next-release")
        first = stubbed.name()
        stubbed.clock.time += 59
        assert stubbed.name() == first
        stubbed.clock.time += 1

        assert stubbed.name() != first

    @pytest.mark.parametrize(
        "definition", ["{}", '{"States": []}', "[]", deployed_frame().replace("Settle", "End")]
    )
    def test_asks_the_caller_to_try_again_while_another_release_is_deployed(
        self, stubbed: Stubbed, definition: str
    ) -> None:
        stubbed.expect_describe(definition=definition)

        with pytest.raises(TryAgainError, match="of another release"):
            stubbed.name()

    def test_asks_the_caller_to_try_again_when_aws_is_busy(self, stubbed: Stubbed) -> None:
        stubbed.expect_describe(error="ThrottlingException")

        with pytest.raises(TryAgainError, match="describe the prototype"):
            stubbed.name()


class TestQuota:
    def fill(self, stubbed: Stubbed) -> None:
        """Let AWS refuse a machine because the account has all that it may have."""
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        for _ in range(6):
            stubbed.expect_create("StateMachineLimitExceeded")
            stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_create("StateMachineLimitExceeded")
        with pytest.raises(MachineQuotaError):
            stubbed.start()

    def test_refuses_a_new_machine_for_minutes_after_aws_has(self, stubbed: Stubbed) -> None:
        self.fill(stubbed)
        stubbed.expect_describe(stubbed.arn, "StateMachineDoesNotExist")

        with pytest.raises(MachineQuotaError, match="delete unused ones") as refused:
            stubbed.name()

        assert refused.value.code == "machine_quota_reached"

    def test_a_machine_that_is_not_ready_says_nothing_about_the_quota(
        self, stubbed: Stubbed
    ) -> None:
        """AWS refused a machine of another version minutes ago, and has made this one since."""
        self.fill(stubbed)
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_create()
        for _ in range(6):
            stubbed.expect_start("StateMachineDoesNotExist")

        with pytest.raises(TryAgainError, match="is not ready yet"):
            stubbed.start()

    def test_a_busy_aws_says_nothing_about_the_quota(self, stubbed: Stubbed) -> None:
        """AWS refused a machine of another version minutes ago, and not this one."""
        self.fill(stubbed)
        stubbed.clock.time += 30
        for _ in range(7):
            stubbed.expect_start("StateMachineDeleting")
            stubbed.expect_create("StateMachineDeleting")

        with pytest.raises(TryAgainError, match="is not ready yet"):
            stubbed.start()

    def test_lets_runs_use_a_machine_that_exists(self, stubbed: Stubbed) -> None:
        self.fill(stubbed)
        stubbed.expect_describe(stubbed.arn)

        assert stubbed.name() == REQUEST["name"]

    def test_tries_again_after_minutes(self, stubbed: Stubbed) -> None:
        self.fill(stubbed)
        stubbed.clock.time += 300
        stubbed.expect_describe()

        assert stubbed.name() == REQUEST["name"]

    def test_a_throttled_creation_says_nothing_about_the_quota(self, stubbed: Stubbed) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create("ThrottlingException")
        stubbed.expect_start()

        stubbed.start()

        assert stubbed.name() == REQUEST["name"]


class TestStart:
    def test_starts_an_existing_machine(self, stubbed: Stubbed) -> None:
        stubbed.expect_start()

        assert not stubbed.start()

    def test_creates_a_missing_machine_and_starts_it(self, stubbed: Stubbed) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create()
        stubbed.expect_start()

        assert stubbed.start()

    def test_creates_a_machine_once_while_aws_does_not_find_it_yet(self, stubbed: Stubbed) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create()
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_start()

        assert stubbed.start()

        assert stubbed.pauses == [0.1, 0.2]

    @pytest.mark.parametrize("error", ["StateMachineAlreadyExists", "ConflictException"])
    def test_starts_a_machine_that_another_call_has_created(
        self, stubbed: Stubbed, error: str
    ) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create(error)
        stubbed.expect_start()

        assert not stubbed.start()

    @pytest.mark.parametrize(
        "error", ["ThrottlingException", "StateMachineDeleting", "StateMachineLimitExceeded"]
    )
    def test_repeats_a_creation_that_aws_postpones(self, stubbed: Stubbed, error: str) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create(error)
        stubbed.expect_start("StateMachineDeleting")
        stubbed.expect_create()
        stubbed.expect_start()

        assert stubbed.start()

    def test_starting_twice_starts_one_execution(self, stubbed: Stubbed) -> None:
        stubbed.expect_start()
        stubbed.expect_start("ExecutionAlreadyExists")

        assert [stubbed.start(), stubbed.start()] == [False, False]

    def test_says_that_it_made_the_machine_although_the_answer_to_the_start_was_lost(
        self, stubbed: Stubbed
    ) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create()
        stubbed.expect_start("ExecutionAlreadyExists")

        assert stubbed.start()

    @pytest.mark.parametrize("error", ["ThrottlingException", "ExecutionLimitExceeded"])
    def test_asks_the_caller_to_try_again_when_aws_is_busy(
        self, stubbed: Stubbed, error: str
    ) -> None:
        stubbed.expect_start(error)

        with pytest.raises(TryAgainError, match="start the execution"):
            stubbed.start()

    def test_gives_up_within_seconds_if_the_machine_never_gets_ready(
        self, stubbed: Stubbed
    ) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create()
        for _ in range(6):
            stubbed.expect_start("StateMachineDoesNotExist")

        with pytest.raises(TryAgainError, match="is not ready yet"):
            stubbed.start()

        assert sum(stubbed.pauses) < 10

    @pytest.mark.parametrize(
        ("error", "for_good"),
        [
            ("InvalidExecutionInput", True),
            ("InvalidName", True),
            ("InvalidArn", True),
            ("ValidationException", True),
            ("AccessDeniedException", False),
            ("KmsAccessDeniedException", False),
            ("KmsInvalidStateException", False),
            ("SomethingNew", False),
        ],
    )
    def test_says_why_aws_refuses_an_execution(
        self, stubbed: Stubbed, error: str, *, for_good: bool
    ) -> None:
        stubbed.expect_start(error)

        with pytest.raises(StartRefusedError, match=error) as refused:
            stubbed.start()

        assert (refused.value.reason, refused.value.for_good) == (error, for_good)
        assert isinstance(refused.value.__cause__, ClientError)

    @pytest.mark.parametrize(
        ("error", "for_good"),
        [
            ("InvalidDefinition", True),
            ("StateMachineTypeNotSupported", True),
            ("TooManyTags", True),
            ("InvalidLoggingConfiguration", False),
            ("InvalidTracingConfiguration", False),
            ("InvalidEncryptionConfiguration", False),
            ("AccessDeniedException", False),
        ],
    )
    def test_says_why_aws_refuses_a_machine(
        self, stubbed: Stubbed, error: str, *, for_good: bool
    ) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create(error)

        with pytest.raises(StartRefusedError) as refused:
            stubbed.start()

        assert (refused.value.reason, refused.value.for_good) == (error, for_good)

    def test_never_creates_a_machine_that_its_name_does_not_describe(
        self, stubbed: Stubbed
    ) -> None:
        """The stack was updated after the run was recorded; the reconciler renames its machine."""
        stubbed.run = replace(stubbed.run, machine="taskrunner_a-pack-of-an-earlier-release")
        stubbed.arn = f"{STATES}:stateMachine:{stubbed.run.machine}"
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()

        with pytest.raises(TryAgainError, match="has been updated"):
            stubbed.start()


class TestStop:
    def test_stops_a_running_execution(self, stubbed: Stubbed) -> None:
        stubbed.expect_stop()

        stubbed.machines.stop(stubbed.run)

    @pytest.mark.parametrize("error", ["ExecutionDoesNotExist", "StateMachineDoesNotExist"])
    def test_ignores_an_execution_or_machine_that_does_not_exist(
        self, stubbed: Stubbed, error: str
    ) -> None:
        stubbed.expect_stop(error)

        stubbed.machines.stop(stubbed.run)

    def test_asks_the_caller_to_try_again_when_aws_is_busy(self, stubbed: Stubbed) -> None:
        stubbed.expect_stop("ThrottlingException")

        with pytest.raises(TryAgainError):
            stubbed.machines.stop(stubbed.run)

    def test_a_bug_looks_like_a_bug(self, stubbed: Stubbed) -> None:
        stubbed.expect_stop("InvalidArn")

        with pytest.raises(ClientError):
            stubbed.machines.stop(stubbed.run)


class TestStatus:
    def status(self, stubbed: Stubbed, error: str | None = None) -> str | None:
        execution = f"{STATES}:execution:{stubbed.run.machine}:{stubbed.run.execution}"
        parameters = {"executionArn": execution}
        if error is None:
            response = {
                "executionArn": execution,
                "stateMachineArn": stubbed.arn,
                "status": "RUNNING",
                "startDate": 1,
            }
            stubbed.stubber.add_response("describe_execution", response, parameters)
        else:
            stubbed.stubber.add_client_error(
                "describe_execution", error, expected_params=parameters
            )
        return stubbed.machines.status(stubbed.run)

    def test_is_that_of_the_runs_execution(self, stubbed: Stubbed) -> None:
        assert self.status(stubbed) == "RUNNING"

    @pytest.mark.parametrize("error", ["ExecutionDoesNotExist", "StateMachineDoesNotExist"])
    def test_is_none_without_an_execution(self, stubbed: Stubbed, error: str) -> None:
        assert self.status(stubbed, error) is None

    def test_is_unknown_while_aws_is_busy(self, stubbed: Stubbed) -> None:
        with pytest.raises(TryAgainError):
            self.status(stubbed, "ThrottlingException")

    def test_a_bug_looks_like_a_bug(self, stubbed: Stubbed) -> None:
        with pytest.raises(ClientError):
            self.status(stubbed, "InvalidArn")


class TestOverMoto:
    @pytest.fixture(name="states")
    def _states(self) -> Iterator[Any]:
        with mock_aws():
            role = client("iam").create_role(RoleName="machines", AssumeRolePolicyDocument="{}")
            states = client("stepfunctions")
            states.create_state_machine(
                name="taskrunner-prototype",
                definition=deployed_frame(),
                roleArn=role["Role"]["Arn"],
                loggingConfiguration={"level": "OFF"},
                tracingConfiguration={"enabled": True},
            )
            yield states

    @staticmethod
    def machines_and_run(states: Any) -> tuple[StepFunctionsMachines, Run]:  # noqa: ANN401
        machines = StepFunctionsMachines(states, PROTOTYPE, "taskrunner", Pauses())
        name = machines.name("a-pack", "1.4.0", COMPILED.definition)
        return machines, a_run("run-7", pack_name="a-pack", machine=name)

    def test_creates_a_machine_that_calls_the_deployed_functions(
        self,
        states: Any,  # noqa: ANN401
    ) -> None:
        machines, run = self.machines_and_run(states)

        machines.start(run, COMPILED.definition, INPUT)

        arn = f"{STATES}:stateMachine:{run.machine}"
        machine = states.describe_state_machine(stateMachineArn=arn)
        assert "${" not in machine["definition"]
        assert "function:RunStep" in machine["definition"]
        assert machine["tracingConfiguration"] == {"enabled": True}
        tags = states.list_tags_for_resource(resourceArn=arn)["tags"]
        assert {tag["key"]: tag["value"] for tag in tags} == {
            "taskrunner:stack": "taskrunner",
            "taskrunner:pack": "a-pack",
            "taskrunner:version": "1.4.0",
        }
        execution = states.describe_execution(
            executionArn=f"{STATES}:execution:{run.machine}:{run.execution}"
        )
        assert json.loads(execution["input"]) == INPUT

    def test_two_runs_share_a_machine_and_start_once_each(self, states: Any) -> None:  # noqa: ANN401
        machines, run = self.machines_and_run(states)

        for started_run in (run, replace(run, execution="another"), run):
            machines.start(started_run, COMPILED.definition, INPUT)

        arn = f"{STATES}:stateMachine:{run.machine}"
        started = states.list_executions(stateMachineArn=arn)["executions"]
        assert {execution["name"] for execution in started} == {run.execution, "another"}
        assert len(states.list_state_machines()["stateMachines"]) == 2

    def test_stopping_before_the_start_or_twice_has_no_further_effect(self, states: Any) -> None:  # noqa: ANN401
        machines, run = self.machines_and_run(states)
        machines.stop(run)
        machines.start(run, COMPILED.definition, INPUT)

        for _ in range(2):
            machines.stop(run)

        arn = f"{STATES}:execution:{run.machine}:{run.execution}"
        assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"
