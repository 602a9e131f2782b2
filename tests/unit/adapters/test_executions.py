"""Machines, executions and task tokens: over botocore's Stubber, and whole over moto."""

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

from taskrunner.adapters.executions import Executions, Tokens
from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.errors import TryAgainError
from tests.contract.ports import a_run, client
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
    for name in ("RunStep", "OpenGate", "SettleRun"):
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
        text = text.replace(f"${{{name}FunctionArn}}", arn)
    return json.dumps(yaml.safe_load(text))


class Pauses(list[float]):
    """Takes note of each pause, and does not make it."""

    def __call__(self, pause_s: float) -> None:
        self.append(pause_s)


class Stubbed:
    """Executions over a client that expects exactly what a test says."""

    def __init__(self) -> None:
        self.client = client("stepfunctions")
        self.stubber = Stubber(self.client)
        self.pauses = Pauses()
        self.executions = Executions(self.client, PROTOTYPE, "taskrunner", self.pauses)
        self.run = a_run("run-7", machine="taskrunner-a-pack-bbbbbbbbbbbbbbbb")
        self.arn = f"{STATES}:stateMachine:{self.run.machine}"

    def starts(self, error: str | None = None) -> None:
        parameters = {
            "stateMachineArn": self.arn,
            "name": self.run.execution,
            "input": json.dumps(INPUT, separators=(",", ":")),
        }
        if error is not None:
            self.stubber.add_client_error("start_execution", error, expected_params=parameters)
            return
        answer = {"executionArn": f"{STATES}:execution:x:y", "startDate": 1}
        self.stubber.add_response("start_execution", answer, parameters)

    def describes(self) -> None:
        answer = {
            "stateMachineArn": PROTOTYPE,
            "name": "taskrunner-prototype",
            "definition": deployed_frame(),
            "roleArn": ROLE,
            "type": "STANDARD",
            "creationDate": 1,
            "loggingConfiguration": {"level": "ERROR", "includeExecutionData": False},
            "tracingConfiguration": {"enabled": True},
        }
        self.stubber.add_response("describe_state_machine", answer, {"stateMachineArn": PROTOTYPE})

    def creates(self, error: str | None = None) -> None:
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
        answer = {"stateMachineArn": self.arn, "creationDate": 1}
        self.stubber.add_response("create_state_machine", answer, parameters)

    def stops(self, error: str | None = None) -> None:
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
        self.executions.start(self.run, COMPILED.definition, INPUT)


@pytest.fixture(name="stubbed")
def _stubbed() -> Iterator[Stubbed]:
    stubbed = Stubbed()
    with stubbed.stubber:
        yield stubbed
        stubbed.stubber.assert_no_pending_responses()


_prefix = st.from_regex(r"[a-zA-Z][a-zA-Z0-9-]{0,45}", fullmatch=True)
_pack = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
_digits = st.from_regex(r"[a-f0-9]{64}", fullmatch=True)


class TestName:
    @given(prefix=_prefix, pack_name=_pack, digits=_digits)
    def test_it_fits_80_characters_and_keeps_the_prefix_and_the_hash(
        self, prefix: str, pack_name: str, digits: str
    ) -> None:
        name = Executions(None, PROTOTYPE, prefix).name(pack_name, f"sha256:{digits}")

        assert len(name) <= 80
        assert name.startswith(f"{prefix}_")
        assert name.endswith(f"-{digits[:32]}")

    @given(prefix=_prefix, longer=_pack, pack_name=_pack, digits=_digits)
    def test_it_is_none_of_a_deployment_whose_name_begins_it(
        self, prefix: str, longer: str, pack_name: str, digits: str
    ) -> None:
        """No stack's and no pack's name has an underscore, which therefore ends the stack's."""
        other = f"{prefix}-{longer}"

        name = Executions(None, PROTOTYPE, other).name(pack_name, f"sha256:{digits}")

        assert not name.startswith(f"{prefix}_")

    def test_it_speaks_of_the_pack(self) -> None:
        name = Executions(None, PROTOTYPE, "taskrunner").name("deploy-app", "sha256:" + "b" * 64)

        assert name == "taskrunner_deploy-app-" + "b" * 32

    def test_another_definition_has_another_name(self) -> None:
        executions = Executions(None, PROTOTYPE, "p" * 60)

        assert executions.name("deploy-app", "sha256:" + "a" * 64) != executions.name(
            "deploy-app", "sha256:" + "b" * 64
        )


class TestStart:
    def test_a_machine_that_is_there_is_only_started(self, stubbed: Stubbed) -> None:
        stubbed.starts()

        stubbed.start()

    def test_a_new_machine_is_made_at_its_first_use(self, stubbed: Stubbed) -> None:
        stubbed.starts("StateMachineDoesNotExist")
        stubbed.describes()
        stubbed.creates()
        stubbed.starts()

        stubbed.start()

    def test_a_machine_that_is_not_known_everywhere_yet_is_made_once(
        self, stubbed: Stubbed
    ) -> None:
        stubbed.starts("StateMachineDoesNotExist")
        stubbed.describes()
        stubbed.creates()
        stubbed.starts("StateMachineDoesNotExist")
        stubbed.starts()

        stubbed.start()

        assert stubbed.pauses == [0.1, 0.2]

    @pytest.mark.parametrize("error", ["StateMachineAlreadyExists", "ConflictException"])
    def test_a_machine_that_another_made_meanwhile_is_started(
        self, stubbed: Stubbed, error: str
    ) -> None:
        stubbed.starts("StateMachineDoesNotExist")
        stubbed.describes()
        stubbed.creates(error)
        stubbed.starts()

        stubbed.start()

    @pytest.mark.parametrize(
        "error", ["ThrottlingException", "StateMachineDeleting", "StateMachineLimitExceeded"]
    )
    def test_a_creation_that_aws_puts_off_is_tried_again(
        self, stubbed: Stubbed, error: str
    ) -> None:
        stubbed.starts("StateMachineDoesNotExist")
        stubbed.describes()
        stubbed.creates(error)
        stubbed.starts("StateMachineDeleting")
        stubbed.creates()
        stubbed.starts()

        stubbed.start()

    def test_starting_twice_is_starting_once(self, stubbed: Stubbed) -> None:
        stubbed.starts()
        stubbed.starts("ExecutionAlreadyExists")

        stubbed.start()
        stubbed.start()

    @pytest.mark.parametrize("error", ["ThrottlingException", "ExecutionLimitExceeded"])
    def test_who_has_no_room_now_is_told_so(self, stubbed: Stubbed, error: str) -> None:
        stubbed.starts(error)

        with pytest.raises(TryAgainError, match="start the execution"):
            stubbed.start()

    def test_a_machine_that_never_becomes_ready_is_given_up_in_seconds(
        self, stubbed: Stubbed
    ) -> None:
        stubbed.starts("StateMachineDoesNotExist")
        stubbed.describes()
        stubbed.creates()
        for _ in range(6):
            stubbed.starts("StateMachineDoesNotExist")

        with pytest.raises(TryAgainError, match="is not ready yet"):
            stubbed.start()

        assert sum(stubbed.pauses) < 10

    @pytest.mark.parametrize("error", ["InvalidExecutionInput", "AccessDeniedException"])
    def test_a_bug_looks_like_a_bug(self, stubbed: Stubbed, error: str) -> None:
        stubbed.starts(error)

        with pytest.raises(ClientError):
            stubbed.start()

    def test_so_does_a_definition_that_aws_refuses(self, stubbed: Stubbed) -> None:
        stubbed.starts("StateMachineDoesNotExist")
        stubbed.describes()
        stubbed.creates("InvalidDefinition")

        with pytest.raises(ClientError):
            stubbed.start()


class TestStop:
    def test_an_execution_that_runs_is_stopped(self, stubbed: Stubbed) -> None:
        stubbed.stops()

        stubbed.executions.stop(stubbed.run)

    @pytest.mark.parametrize("error", ["ExecutionDoesNotExist", "StateMachineDoesNotExist"])
    def test_where_nothing_runs_there_is_nothing_to_stop(
        self, stubbed: Stubbed, error: str
    ) -> None:
        stubbed.stops(error)

        stubbed.executions.stop(stubbed.run)

    def test_a_stop_that_aws_puts_off_may_be_tried_again(self, stubbed: Stubbed) -> None:
        stubbed.stops("ThrottlingException")

        with pytest.raises(TryAgainError):
            stubbed.executions.stop(stubbed.run)

    def test_a_bug_looks_like_a_bug(self, stubbed: Stubbed) -> None:
        stubbed.stops("InvalidArn")

        with pytest.raises(ClientError):
            stubbed.executions.stop(stubbed.run)


class TestTokens:
    def test_a_token_succeeds_or_fails(self, stubbed: Stubbed) -> None:
        stubbed.stubber.add_response(
            "send_task_success", {}, {"taskToken": "token-1", "output": "{}"}
        )
        stubbed.stubber.add_response(
            "send_task_failure",
            {},
            {"taskToken": "token-2", "error": "ApprovalRejectedError", "cause": "no"},
        )

        Tokens(stubbed.client).succeed("token-1")
        Tokens(stubbed.client).fail("token-2", "ApprovalRejectedError", "no")

    @pytest.mark.parametrize("error", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
    def test_a_token_that_was_used_stays_used(self, stubbed: Stubbed, error: str) -> None:
        stubbed.stubber.add_client_error("send_task_success", error)
        stubbed.stubber.add_client_error("send_task_failure", error)

        Tokens(stubbed.client).succeed("token-1")
        Tokens(stubbed.client).fail("token-1", "ApprovalRejectedError", "no")

    def test_a_wake_up_that_aws_puts_off_may_be_tried_again(self, stubbed: Stubbed) -> None:
        stubbed.stubber.add_client_error("send_task_success", "ThrottlingException")

        with pytest.raises(TryAgainError, match="answer the waiting state"):
            Tokens(stubbed.client).succeed("token-1")

    def test_a_bug_looks_like_a_bug(self, stubbed: Stubbed) -> None:
        stubbed.stubber.add_client_error("send_task_success", "InvalidOutput")

        with pytest.raises(ClientError):
            Tokens(stubbed.client).succeed("token-1")


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
    def made(states: Any) -> tuple[Executions, Run]:  # noqa: ANN401
        executions = Executions(states, PROTOTYPE, "taskrunner", Pauses())
        name = executions.name("a-pack", COMPILED.definition_hash)
        return executions, a_run("run-7", machine=name)

    def test_a_pack_has_a_machine_of_its_own_bound_to_the_deployed_functions(
        self,
        states: Any,  # noqa: ANN401
    ) -> None:
        executions, run = self.made(states)

        executions.start(run, COMPILED.definition, INPUT)

        made = states.describe_state_machine(stateMachineArn=f"{STATES}:stateMachine:{run.machine}")
        assert "${" not in made["definition"]
        assert "function:RunStep" in made["definition"]
        assert made["tracingConfiguration"] == {"enabled": True}
        execution = states.describe_execution(
            executionArn=f"{STATES}:execution:{run.machine}:{run.execution}"
        )
        assert json.loads(execution["input"]) == INPUT

    def test_two_runs_share_the_machine_and_each_starts_once(self, states: Any) -> None:  # noqa: ANN401
        executions, run = self.made(states)

        for one in (run, replace(run, execution="another"), run):
            executions.start(one, COMPILED.definition, INPUT)

        arn = f"{STATES}:stateMachine:{run.machine}"
        started = states.list_executions(stateMachineArn=arn)["executions"]
        assert {one["name"] for one in started} == {run.execution, "another"}
        assert len(states.list_state_machines()["stateMachines"]) == 2

    def test_stopping_twice_or_before_the_start_changes_nothing(self, states: Any) -> None:  # noqa: ANN401
        executions, run = self.made(states)
        executions.stop(run)
        executions.start(run, COMPILED.definition, INPUT)

        for _ in range(2):
            executions.stop(run)

        arn = f"{STATES}:execution:{run.machine}:{run.execution}"
        assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"
