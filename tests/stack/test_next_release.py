"""Runs that wait while the next release is deployed go on, on its functions, to their ends."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner_cli.local import clients, deployment, emulator
from tests.stack.api import Api, statuses, until
from tests.stack.machines import Executions
from tests.stack.next_release import (
    NEW_STATE,
    NEW_TIME,
    OLD_STATE,
    OLD_TIME,
    next_release,
    release_before,
)
from tests.stack.own_stack import own_workspace
from tests.stack.packs import GATED
from tests.stack.test_every_kind import EVERY_KIND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner_cli.local import Stack
    from taskrunner_cli.local.emulator import Emulator
    from taskrunner_cli.local.workspace import Workspace

STACK = "releases"


@dataclass(frozen=True)
class _Releases:
    """A stack of its own, to which a test deploys one release after another."""

    emulator: Emulator
    aws: Callable[[str], Any]
    operator: Api
    table: str

    def deploy(self, sources: Workspace, **parameters: str) -> None:
        deployment.deploy(sources, self.emulator, STACK, **parameters)

    def live(self, logical_id: str) -> dict[str, Any]:
        """Return the settings of the version that a function's alias leads to."""
        found = self.aws("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId=logical_id
        )
        settings: dict[str, Any] = self.aws("lambda").get_function_configuration(
            FunctionName=found["StackResourceDetail"]["PhysicalResourceId"], Qualifier="live"
        )
        return settings

    def answers(self, settings: dict[str, Any]) -> bool:
        """Return whether a version is still there to be called."""
        versions = self.aws("lambda").list_versions_by_function(
            FunctionName=settings["FunctionName"]
        )["Versions"]
        return settings["Version"] in {version["Version"] for version in versions}

    def frame_states(self, run_id: str) -> set[str]:
        """Return the states that the run's execution has, outside the pack's steps."""
        executions = self.aws("stepfunctions")
        arn = Executions(self.aws, self.operator).arn(run_id)
        machine = executions.describe_state_machine_for_execution(executionArn=arn)
        return set(json.loads(machine["definition"])["States"])

    def stored_entries(self, run_id: str) -> list[dict[str, Any]]:
        """Return the run's journal as it is in the table."""
        pages = (
            self.aws("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.table,
                KeyConditionExpression="pk = :run AND begins_with(sk, :chunk)",
                ExpressionAttributeValues={
                    ":run": {"S": f"T#tenant-prod#R#{run_id}"},
                    ":chunk": {"S": "J#"},
                },
            )
        )
        items = [item for page in pages for item in page["Items"]]
        return [json.loads(entry["S"]) for item in items for entry in item["entries"]["L"]]


@dataclass(frozen=True)
class _Rollout:
    """The runs of two releases, in the order: the release before, the next one, and a rollback.

    Args:
        finished: those that waited when the next release came, and ended on it.
        begun: the one of them that began on the next release.
        old: those that waited through both deployments, and ended after the rollback.
        new: the one that began on the next release, and ended after the rollback.
        latest: the one that began after the rollback.
        written: the number of entries that the release before wrote of each of *finished*.

    """

    finished: list[str]
    begun: str
    old: list[str]
    new: str
    latest: str
    written: dict[str, int]


@pytest.fixture(name="before", scope="module")
def _before(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return release_before(tmp_path_factory.mktemp("before"))


@pytest.fixture(name="releases", scope="module")
def _releases(
    stack: Stack, operator: Api, aws: Callable[[str], Any], before: Workspace
) -> Iterator[_Releases]:
    here = own_workspace()
    process = emulator.running(here)
    assert process is not None
    with here.locked():
        outputs = deployment.deploy(before, process, STACK)
        callers = clients.register(process, outputs["UserPoolId"], outputs["TableName"])
        url = f"{process.endpoint_url}/_aws/execute-api/{outputs['ApiId']}/{deployment.STAGE}"
        ours = replace(stack, api_url=url, clients=callers, table_name=outputs["TableName"])
        yield _Releases(process, aws, Api(ours, operator.http, "operator"), outputs["TableName"])
        aws("cloudformation").delete_stack(StackName=STACK)


@pytest.fixture(name="rollout", scope="module")
def _rollout(
    releases: _Releases,
    before: Workspace,
    tmp_path_factory: pytest.TempPathFactory,
) -> _Rollout:
    """Deploy the next release and roll it back, and let runs wait at gates meanwhile.

    Each deployment makes every function start again, so both tests look at the same three.
    """
    operator = releases.operator
    finished, old = (waiting(operator, GATED, EVERY_KIND) for _ in range(2))
    written = {run_id: len(releases.stored_entries(run_id)) for run_id in finished}

    releases.deploy(next_release(tmp_path_factory.mktemp("next")))
    begun, new = waiting(operator, GATED, GATED)
    approve(operator, "security", *finished, begun, old[1])
    owned = {(run_id, "owner") for run_id in (finished[1], old[1])}
    until(lambda: owned <= open_approvals(operator), f"{owned} wait for their owner")
    approve(operator, "owner", finished[1])
    for run_id in (*finished, begun):
        operator.ended(run_id)

    releases.deploy(before)
    (latest,) = waiting(operator, GATED)
    # From now on, the old release reads entries that the new one wrote.
    approve(operator, "security", old[0], new, latest)
    approve(operator, "owner", old[1])
    for run_id in (*old, new, latest):
        operator.ended(run_id)
    return _Rollout([*finished, begun], begun, old, new, latest, written)


def waiting(operator: Api, *manifests: str) -> list[str]:
    """Return runs of *manifests* once each waits at a gate, and nothing goes on beside it."""
    run_ids = [operator.run(manifest) for manifest in manifests]
    for run_id in run_ids:
        until(lambda run_id=run_id: rests(operator.state(run_id)), f"{run_id} waits")  # type: ignore[misc]
    return run_ids


def rests(state: dict[str, Any]) -> bool:
    """Return whether a run records nothing more before a decision about its gate."""
    lanes = [step for step in state["steps"] if step.get("parentId") == "lanes"]
    beside = {step["status"] for step in lanes if not step["kind"].startswith("Gate")}
    return state["status"] == "waiting" and not beside & {"Pending", "Running"}


def approve(operator: Api, approval: str, *run_ids: str) -> None:
    for run_id in run_ids:
        decided = operator.as_("approver").decide(run_id, approval, "approved")
        assert decided.json()["resumed"]


def open_approvals(operator: Api) -> set[tuple[str, str]]:
    return {(entry["runId"], entry["approvalId"]) for entry in operator.open_approvals()}


def test_runs_that_wait_at_gates_finish_on_the_next_release(
    releases: _Releases, rollout: _Rollout
) -> None:
    ended = {run_id: releases.operator.state(run_id) for run_id in rollout.finished}

    assert {state["status"] for state in ended.values()} == {"succeeded"}
    assert statuses(ended[rollout.finished[0]]) == statuses(ended[rollout.begun])
    for run_id, written in rollout.written.items():
        # The machine is the one that the run was started with, and new functions have written.
        assert OLD_STATE in releases.frame_states(run_id)
        entries = releases.stored_entries(run_id)
        assert {OLD_TIME in entry for entry in entries[:written]} == {True}
        assert {NEW_TIME in entry for entry in entries[written:]} == {True}
    assert NEW_STATE in releases.frame_states(rollout.begun)


def test_runs_of_both_releases_finish_after_a_rollback(
    releases: _Releases, rollout: _Rollout
) -> None:
    runs = (*rollout.old, rollout.new, rollout.latest)

    assert {releases.operator.state(run_id)["status"] for run_id in runs} == {"succeeded"}
    # The machine of the next release's run is still its own, and calls the functions from before.
    assert NEW_STATE in releases.frame_states(rollout.new)
    assert OLD_STATE in releases.frame_states(rollout.latest)
    forms = {
        run_id: ["new" if NEW_TIME in entry else "old" for entry in releases.stored_entries(run_id)]
        for run_id in runs
    }
    gated, every_kind = rollout.old
    assert set(forms[gated]) == set(forms[rollout.latest]) == {"old"}
    assert (forms[rollout.new][0], forms[rollout.new][-1]) == ("new", "old")
    assert (forms[every_kind][0], forms[every_kind][-1]) == ("old", "old")
    assert "new" in forms[every_kind]


def test_another_parameter_moves_the_alias_to_a_version_with_it(releases: _Releases) -> None:
    """The code is the same, and SAM does not see the values of parameters."""
    releases.deploy(own_workspace(), RetentionDays="40")
    before = releases.live("OpenGateFunction")

    releases.deploy(own_workspace(), RetentionDays="50")

    after = releases.live("OpenGateFunction")
    days = [it["Environment"]["Variables"]["RETENTION_DAYS"] for it in (before, after)]
    assert days == ["40", "50"]
    assert after["CodeSha256"] == before["CodeSha256"]
    assert releases.answers(before)


def test_a_parameter_of_any_length_moves_the_aliases_of_its_functions_alone(
    releases: _Releases,
) -> None:
    """Their versions are described by a digest, because a description has 256 characters."""
    functions = ("CreateRunFunction", "SimulatePackFunction", "PublishEventsFunction")
    hosts = [f"host-{number}.example.com" for number in range(40)]
    releases.deploy(own_workspace(), AllowedEgress=",".join(hosts))
    before = {name: releases.live(name) for name in functions}

    releases.deploy(own_workspace(), AllowedEgress=",".join(hosts[:-1]))

    after = {name: releases.live(name) for name in functions}
    for name in ("CreateRunFunction", "SimulatePackFunction"):
        allowed = after[name]["Environment"]["Variables"]["ALLOWED_EGRESS"]
        assert allowed == ",".join(hosts[:-1])
        assert after[name]["CodeSha256"] == before[name]["CodeSha256"]
        assert releases.answers(before[name])
    assert after["PublishEventsFunction"]["Version"] == before["PublishEventsFunction"]["Version"]
