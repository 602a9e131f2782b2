"""The machines' roles grant what their states do, and nothing more: read from their definitions."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from moto.core.models import DEFAULT_ACCOUNT_ID

from taskrunner.compiler.machine.frame import FRAME
from tests.recorded.machines import read as read_machine
from tests.recorded.machines import recorded as recorded_machines
from tests.recorded.machines import releases
from tests.security.permissions import grants
from tests.security.permissions.grants import Grant, Names
from tests.security.permissions.needs import REGION, Need
from tests.template import ROOT, functions, template

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACCOUNT = f"{REGION}:{DEFAULT_ACCOUNT_ID}"
_FUNCTION = f"arn:aws:lambda:{_ACCOUNT}:function:"
NAMES = Names(
    {
        "AWS::StackName": "taskrunner",
        "RunTable": "runs",
        "RunTable.Arn": f"arn:aws:dynamodb:{_ACCOUNT}:table/runs",
        **{f"{name}.Arn": f"{_FUNCTION}{name}" for name in functions()},
        **{f"{name}.Alias": f"{_FUNCTION}{name}:live" for name in functions()},
        **{f"{name}.Arn": f"<{name}>" for name in ("EvidenceKey", "MachineRole", "RunBucket")},
        "ApprovalTopic": "<ApprovalTopic>",
        "EventBus": "<EventBus>",
        "PackRunMachine": f"arn:aws:states:{_ACCOUNT}:stateMachine:taskrunner_pack-run",
    }
)
_BARE_NAME = re.compile(r"(?<=:function:)[A-Za-z]+(?<!Function)\b")
ROLES = {"PackRunMachine": "MachineRole"}
# Step Functions asks for these itself, for a machine that logs and is traced; its documentation
# lists them ("Using CloudWatch Logs to log execution history", "X-Ray IAM policies").
LOGS_AND_TRACES = {
    *(f"logs:{verb}LogDelivery" for verb in ("Create", "Get", "Update", "Delete")),
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
}
# A pack's machine is a clone of the frame under a name of its own.
_MACHINE = "taskrunner_a-pack-" + "0123" * 8
_EXECUTION = f"{_MACHINE}:a-run"
# Other machines in the account: those of stacks whose names begin like ours.
_OTHERS = (
    "taskrunner-dev_a-pack-" + "0123" * 8,
    "taskrunner-dev_pack-run",
    "taskrunner-by-somebody-else",
)


def needs_of_recorded() -> set[Need]:
    """Return the needs of the machines of all releases, in which runs may still wait."""
    recorded = [path for release in releases() for path in recorded_machines(release)]
    return {need for path in recorded for need in needs_of(read_machine(path).definition)}


def needs(machine: str) -> set[Need]:
    """Return the needs of the states of a machine."""
    properties = template()["Resources"][machine]["Properties"]
    given = properties["DefinitionSubstitutions"]
    known = {f"${{{name}}}": NAMES.text(value) for name, value in given.items()}
    text = (ROOT / properties["DefinitionUri"]).read_text(encoding="utf-8")
    for placeholder, value in known.items():
        text = text.replace(placeholder, value)
    return needs_of(yaml.load(text, yaml.CSafeLoader))


def needs_of(definition: dict[str, Any]) -> set[Need]:
    # Machines of 0.1 have the functions in their tasks.
    functions = definition["States"][FRAME].get("Parameters", {}).get("arn", {})
    return {need for state in _states(definition) for need in _needs_of(state, functions)}


def _states(node: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any YAML
    """Every state below *node*, however deep."""
    if isinstance(node, dict):
        yield from (state for state in node.get("States", {}).values())
        for child in node.values():
            yield from _states(child)
    elif isinstance(node, list):
        for child in node:
            yield from _states(child)


def _needs_of(state: dict[str, Any], functions: dict[str, str]) -> Iterator[Need]:
    mode = state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode", "INLINE")
    if mode != "INLINE":
        # Each iteration is an execution of the same machine, which the map watches and stops.
        yield Need("states:StartExecution", f"arn:aws:states:{_ACCOUNT}:stateMachine:{_MACHINE}")
        for action in ("DescribeExecution", "StopExecution"):
            yield Need(f"states:{action}", f"arn:aws:states:{_ACCOUNT}:execution:{_EXECUTION}")
    if state["Type"] != "Task":
        return
    parameters = state["Parameters"]
    match state["Resource"].removeprefix("arn:aws:states:::"):
        case "lambda:invoke" | "lambda:invoke.waitForTaskToken":
            name = parameters.get("FunctionName.$", "").removeprefix("$.arn.")
            function = functions[name] if name else parameters["FunctionName"]
            # The functions of recorded machines have moto's names: RunStep for RunStepFunction.
            yield Need("lambda:InvokeFunction", _BARE_NAME.sub(r"\g<0>Function", function))
        case other:
            raise LookupError(f"nobody has said what {other} needs")


def granted(role: str) -> list[Grant]:
    return [grant for grant in grants.of_role(role, NAMES) if grant.sid != "LogAndTrace"]


def test_every_machine_has_its_role() -> None:
    machines = {
        name: resource["Properties"]["Role"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::StateMachine"
    }

    assert machines == {name: {"Fn::GetAtt": f"{role}.Arn"} for name, role in ROLES.items()}


@pytest.mark.parametrize(("machine", "role"), ROLES.items())
def test_a_machine_may_do_what_its_states_do(machine: str, role: str) -> None:
    asked = needs(machine) | needs_of_recorded()

    assert asked
    assert {need for need in asked if not any(g.allows(need) for g in granted(role))} == set()


@pytest.mark.parametrize(("machine", "role"), ROLES.items())
def test_a_machine_does_all_that_it_may(machine: str, role: str) -> None:
    asked = needs(machine) | needs_of_recorded()

    assert [grant for grant in granted(role) if not any(grant.allows(need) for need in asked)] == []


@pytest.mark.parametrize("name", _OTHERS)
def test_nobody_may_do_anything_to_a_machine_of_another_stack(name: str) -> None:
    of_all = [grant for found in grants.of_functions(NAMES).values() for grant in found]
    of_all += [grant for role in ROLES.values() for grant in grants.of_role(role, NAMES)]

    reached = {
        (grant.sid, grant.action)
        for grant in of_all
        for arn in (f"stateMachine:{name}", f"execution:{name}:a-run", f"execution:{name}/map:a")
        if grant.resource != "*" and fnmatchcase(f"arn:aws:states:{_ACCOUNT}:{arn}", grant.resource)
    }
    assert reached == set()


@pytest.mark.parametrize("name", _OTHERS)
def test_the_settling_rule_ignores_executions_of_other_stacks(name: str) -> None:
    rule = functions()["SettleRunFunction"]["Events"]["ExecutionEnded"]["Properties"]["Pattern"]
    (matched,) = rule["detail"]["stateMachineArn"]
    beginning = NAMES.text(matched["prefix"])

    assert f"arn:aws:states:{_ACCOUNT}:stateMachine:{_MACHINE}".startswith(beginning)
    assert not f"arn:aws:states:{_ACCOUNT}:stateMachine:{name}".startswith(beginning)


@pytest.mark.parametrize("role", ROLES.values())
def test_logs_and_traces_are_granted_by_the_list_of_step_functions(role: str) -> None:
    found = [grant for grant in grants.of_role(role, NAMES) if grant.sid == "LogAndTrace"]

    assert {grant.action for grant in found} == LOGS_AND_TRACES
    assert {grant.resource for grant in found} == {"*"}
