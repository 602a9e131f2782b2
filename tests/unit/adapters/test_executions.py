"""Machines and executions: call by call over botocore's Stubber, and whole over moto."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from taskrunner.adapters.executions import StepFunctionsMachines
from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.errors import TryAgainError
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
    text = FRAME
    for name in ("RunStep", "OpenGate", "DecideFlow", "SettleRun"):
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
        text = text.replace(f"${{{name}FunctionArn}}", arn)
    return json.dumps(yaml.safe_load(text))


class Pauses(list[float]):
    """Records pauses instead of waiting."""

    def __call__(self, pause_s: float) -> None:
        self.append(pause_s)


class Stubbed:
    """The adapter over a client that expects exactly the calls that a test lists."""

    def __init__(self) -> None:
        self.client = client("stepfunctions")
        self.stubber = Stubber(self.client)
        self.pauses = Pauses()
        self.machines = StepFunctionsMachines(self.client, PROTOTYPE, "taskrunner", self.pauses)
        self.run = a_run("run-7", machine="taskrunner-a-pack-bbbbbbbbbbbbbbbb")
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

    def expect_describe(self) -> None:
        response = {
            "stateMachineArn": PROTOTYPE,
            "name": "taskrunner-prototype",
            "definition": deployed_frame(),
            "roleArn": ROLE,
            "type": "STANDARD",
            "creationDate": 1,
            "loggingConfiguration": {"level": "ERROR", "includeExecutionData": False},
            "tracingConfiguration": {"enabled": True},
        }
        self.stubber.add_response(
            "describe_state_machine", response, {"stateMachineArn": PROTOTYPE}
        )

    def expect_create(self, error: str | None = None) -> None:
        parameters = {
            "name": self.run.machine,
            "type": "STANDARD",
            "roleArn": ROLE,
            "definition": ANY,
            "loggingConfiguration": {"level": "ERROR", "includeExecutionData": False},
            "tracingConfiguration": {"enabled": True},
        }
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

    def start(self) -> None:
        self.machines.start(self.run, COMPILED.definition, INPUT)


@pytest.fixture(name="stubbed")
def _stubbed() -> Iterator[Stubbed]:
    stubbed = Stubbed()
    with stubbed.stubber:
        yield stubbed
        stubbed.stubber.assert_no_pending_responses()


_prefixes = st.from_regex(r"[a-zA-Z][a-zA-Z0-9-]{0,45}", fullmatch=True)
_pack_names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
_hash_digits = st.from_regex(r"[a-f0-9]{64}", fullmatch=True)


class TestName:
    @given(prefix=_prefixes, pack_name=_pack_names, digits=_hash_digits)
    def test_has_at_most_80_characters_with_the_whole_prefix_and_hash(
        self, prefix: str, pack_name: str, digits: str
    ) -> None:
        name = StepFunctionsMachines(None, PROTOTYPE, prefix).name(pack_name, f"sha256:{digits}")

        assert len(name) <= 80
        assert name.startswith(f"{prefix}_")
        assert name.endswith(f"-{digits[:32]}")

    @given(prefix=_prefixes, suffix=_pack_names, pack_name=_pack_names, digits=_hash_digits)
    def test_never_begins_with_the_prefix_of_another_deployment(
        self, prefix: str, suffix: str, pack_name: str, digits: str
    ) -> None:
        """An underscore ends the prefix. Neither a stack's nor a pack's name contains one."""
        longer = f"{prefix}-{suffix}"

        name = StepFunctionsMachines(None, PROTOTYPE, longer).name(pack_name, f"sha256:{digits}")

        assert not name.startswith(f"{prefix}_")

    def test_contains_the_name_of_the_pack(self) -> None:
        name = StepFunctionsMachines(None, PROTOTYPE, "taskrunner").name(
            "deploy-app", "sha256:" + "b" * 64
        )

        assert name == "taskrunner_deploy-app-" + "b" * 32

    def test_differs_for_another_definition(self) -> None:
        machines = StepFunctionsMachines(None, PROTOTYPE, "p" * 60)

        assert machines.name("deploy-app", "sha256:" + "a" * 64) != machines.name(
            "deploy-app", "sha256:" + "b" * 64
        )


class TestStart:
    def test_starts_an_existing_machine(self, stubbed: Stubbed) -> None:
        stubbed.expect_start()

        stubbed.start()

    def test_creates_a_missing_machine_and_starts_it(self, stubbed: Stubbed) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create()
        stubbed.expect_start()

        stubbed.start()

    def test_creates_a_machine_once_while_aws_does_not_find_it_yet(self, stubbed: Stubbed) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create()
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_start()

        stubbed.start()

        assert stubbed.pauses == [0.1, 0.2]

    @pytest.mark.parametrize("error", ["StateMachineAlreadyExists", "ConflictException"])
    def test_starts_a_machine_that_another_call_has_created(
        self, stubbed: Stubbed, error: str
    ) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create(error)
        stubbed.expect_start()

        stubbed.start()

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

        stubbed.start()

    def test_starting_twice_starts_one_execution(self, stubbed: Stubbed) -> None:
        stubbed.expect_start()
        stubbed.expect_start("ExecutionAlreadyExists")

        stubbed.start()
        stubbed.start()

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

    @pytest.mark.parametrize("error", ["InvalidExecutionInput", "AccessDeniedException"])
    def test_a_bug_looks_like_a_bug(self, stubbed: Stubbed, error: str) -> None:
        stubbed.expect_start(error)

        with pytest.raises(ClientError):
            stubbed.start()

    def test_a_refused_definition_looks_like_a_bug(self, stubbed: Stubbed) -> None:
        stubbed.expect_start("StateMachineDoesNotExist")
        stubbed.expect_describe()
        stubbed.expect_create("InvalidDefinition")

        with pytest.raises(ClientError):
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
        name = machines.name("a-pack", COMPILED.definition_hash)
        return machines, a_run("run-7", machine=name)

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
