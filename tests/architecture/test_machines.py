"""The machines of statemachine/ match the template that deploys them, and our errors."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from taskrunner import errors
from taskrunner.compiler.budget.history import PLATFORM_RETRIES
from taskrunner.model import due_work
from tests.template import ROOT, template

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFINITIONS = sorted(path.name for path in ROOT.glob("statemachine/*.asl.yaml"))
_PLATFORMS = re.compile(r"(States|Lambda|Sandbox|Sfn|DynamoDb)\..+")


def machines() -> dict[str, dict[str, Any]]:
    """Return the properties of each machine by the file of its definition."""
    return {
        resource["Properties"]["DefinitionUri"].rpartition("/")[2]: resource["Properties"]
        for resource in template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::StateMachine"
    }


def text(name: str) -> str:
    return (ROOT / "statemachine" / name).read_text(encoding="utf-8")


def matched_errors(node: Any) -> Iterator[str]:  # noqa: ANN401 - any YAML
    """Yield every name in an ErrorEquals below *node*."""
    if isinstance(node, dict):
        yield from node.get("ErrorEquals", [])
        for child in node.values():
            yield from matched_errors(child)
    elif isinstance(node, list):
        for child in node:
            yield from matched_errors(child)


def names_in_machines() -> set[str]:
    return {
        error
        for name in DEFINITIONS
        for error in matched_errors(yaml.load(text(name), yaml.CSafeLoader))
    }


def errors_by_name() -> dict[str, type[Exception]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and not name.startswith("_")
    }


def test_every_definition_is_deployed() -> None:
    assert sorted(machines()) == DEFINITIONS


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_template_substitutes_exactly_the_placeholders(name: str) -> None:
    definition = str(yaml.load(text(name), yaml.CSafeLoader))  # without comments
    placeholders = set(re.findall(r"\$\{(\w+)\}", definition))

    assert placeholders == machines()[name]["DefinitionSubstitutions"].keys()


def test_machines_match_the_errors_that_a_retry_cannot_help() -> None:
    """These names are wire format: renaming a class would break deployed machines."""
    ours = {name for name in names_in_machines() if not _PLATFORMS.fullmatch(name)}

    assert ours == {
        "ApprovalExpiredError",
        "ApprovalRejectedError",
        "AttemptFailedError",
        "ConflictError",
        "StepFailedError",
        "StepsStillRunError",
    }
    assert ours <= errors_by_name().keys()


def tasks(node: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any YAML
    """Yield every Task below *node*."""
    if isinstance(node, dict):
        if node.get("Type") == "Task":
            yield node
        for child in node.values():
            yield from tasks(child)
    elif isinstance(node, list):
        for child in node:
            yield from tasks(child)


PACK_TASKS = list(tasks(yaml.load(text("pack_run.asl.yaml"), yaml.CSafeLoader)))


def test_every_task_retries_the_platforms_errors_in_the_same_way() -> None:
    """A retrier is copied, because CloudFormation does not read YAML anchors."""
    last = [task["Retry"][-1] for task in PACK_TASKS]

    assert len(last) == 9
    assert all(retrier == last[0] for retrier in last)
    # AWS names throttles, timeouts and dead runtimes in many ways, and may find new ones.
    assert last[0]["ErrorEquals"] == ["States.ALL"]


def longest_pauses_s(retrier: dict[str, Any]) -> list[float]:
    return [
        min(retrier["MaxDelaySeconds"], retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n)
        for n in range(retrier["MaxAttempts"])
    ]


def test_a_lane_is_quiet_for_less_time_than_the_reconciler_takes_for_waiting() -> None:
    longest_call_s = max(
        task["TimeoutSeconds"]
        for task in PACK_TASKS
        if not task["Resource"].endswith("waitForTaskToken")
    )

    quiet_s = sum(longest_pauses_s(PACK_TASKS[0]["Retry"][-1])) + longest_call_s

    assert quiet_s < due_work.QUIET.total_seconds()


def test_the_platforms_retries_outlast_an_hour() -> None:
    retrier = PACK_TASKS[0]["Retry"][-1]
    longest_s = longest_pauses_s(retrier)
    # FULL takes a random part of each delay: on average half, with a variance of a twelfth.
    mean_s = sum(longest_s) / 2
    deviation_s = math.sqrt(sum(delay_s**2 for delay_s in longest_s) / 12)

    assert retrier["JitterStrategy"] == "FULL"
    assert retrier["MaxAttempts"] == PLATFORM_RETRIES
    assert mean_s - 3 * deviation_s > 3600


def test_a_task_does_not_retry_what_a_retry_cannot_help() -> None:
    refused = [set(task["Retry"][0]["ErrorEquals"]) for task in PACK_TASKS if task["Retry"][:-1]]

    assert len(refused) == 8
    assert all("ConflictError" in names for names in refused)
    assert all(task["Retry"][0]["MaxAttempts"] == 0 for task in PACK_TASKS if task["Retry"][:-1])


def test_a_run_goes_on_only_after_a_failure_that_is_recorded() -> None:
    caught = {
        name
        for task in PACK_TASKS
        for catcher in task.get("Catch", [])
        for name in catcher["ErrorEquals"]
    }

    assert caught == {
        "ApprovalExpiredError",
        "ApprovalRejectedError",
        "States.Timeout",  # of a gate: its expiry, which is recorded next
        "StepFailedError",
    }


def test_an_error_that_a_machine_matches_has_no_subclasses() -> None:
    """Step Functions compares names, so it would not recognise a subclass."""
    classes = errors_by_name()

    ours = {name for name in names_in_machines() if name in classes}
    parents = {name for name in ours if classes[name].__subclasses__()}
    assert "StepFailedError" in ours
    assert parents == set()


def test_the_docstring_draws_every_error() -> None:
    documentation = errors.__doc__ or ""
    drawn = re.findall(r"^ *[*-] (\w+)", documentation, re.MULTILINE)

    assert sorted(drawn) == sorted(errors_by_name().keys() - {"Diagnostic"})
