"""The logs of functions, at their most talkative, hold nothing that opens anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.security.permissions.telltales import BEARER, SIGNED
from tests.template import functions, template

if TYPE_CHECKING:
    from tests.security.permissions.covering import Play

WORDS = ("task token", "presigned URL", "secret", "lease")


def test_the_play_wrote_logs_and_errors_and_had_secrets(played: Play) -> None:
    assert {name for name, values in played.secrets.items() if values} == set(WORDS)
    assert "unexpected error" in played.written
    assert "StepFailedError" in played.written
    assert SIGNED.search("".join(played.secrets["presigned URL"])) is not None


@pytest.mark.parametrize("what", WORDS)
def test_it_is_in_no_log_no_output_and_no_error(played: Play, what: str) -> None:
    found = [value for value in played.secrets[what] if value in played.written]

    assert found == []


def test_every_line_is_a_json_object(played: Play) -> None:
    lines = [json.loads(line) for line in played.logged]

    assert lines != []
    assert all(isinstance(line, dict) for line in lines)


def test_a_line_about_a_failed_step_says_which_and_why(played: Play) -> None:
    failed = _lines(played, "the step failed")

    reasons = {line["step"]: line["reason"] for line in failed if line["reason"]}
    assert reasons["right"] == "executor-error"
    assert all(line.keys() >= {"tenant", "run", "step", "error", "cause"} for line in failed)
    assert [line for line in failed if "exception" in line] == []
    assert {"attempt"} <= next(line for line in failed if line["step"] == "right").keys()


def test_a_line_about_a_request_says_whose_it_is(played: Play) -> None:
    refused = [line for line in _lines(played, "refused") if "status" in line]

    assert all("trace" in line for line in refused)
    assert {line["tenant"] for line in refused if "run" in line and "tenant" in line} >= {
        "tenant-prod"
    }


def test_a_line_about_a_lost_lease_says_of_which_attempt(played: Play) -> None:
    lost = [line for line in _lines(played, "refused") if line.get("code") == "lease_lost"]

    assert lost != []
    assert all(line.keys() >= {"tenant", "run", "step", "attempt", "trace"} for line in lost)


def test_an_expected_failure_leaves_a_function_without_a_traceback_of_the_service(
    played: Play,
) -> None:
    """Lambda logs the traceback of each error that leaves a function."""
    tracebacks = played.written.split("Traceback (most recent call last):")
    failures = [text for text in tracebacks if "errors.StepFailedError: " in text]

    assert failures != []
    assert [text for text in failures if "usecases" in text] == []


def _lines(played: Play, message: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in played.logged]
    return [line for line in lines if line.get("message") == message]


def test_neither_is_a_signature_or_a_bearer_token(played: Play) -> None:
    assert SIGNED.search(played.written) is None
    assert BEARER.search(played.written) is None


@pytest.mark.parametrize("what", WORDS)
def test_it_is_in_no_executions_input_or_output_and_in_no_definition(
    played: Play, what: str
) -> None:
    assert "executionArn" in played.executions
    assert [value for value in played.secrets[what] if value in played.executions] == []
    assert SIGNED.search(played.executions) is None
    assert BEARER.search(played.executions) is None


@pytest.mark.parametrize("what", WORDS)
def test_it_is_in_no_notification_to_approvers(played: Play, what: str) -> None:
    published = "\n".join(played.notifications)

    assert '"approvalId": "review"' in published
    assert [value for value in played.secrets[what] if value in published] == []
    assert SIGNED.search(published) is None
    assert BEARER.search(published) is None


def test_a_deployment_has_no_way_to_log_events_or_what_libraries_say() -> None:
    """Lambda can open the root logger, and botocore logs all."""
    shared = template()["Globals"]["Function"]
    variables = {
        name
        for own in (shared, *functions().values())
        for name in own.get("Environment", {}).get("Variables", {})
    }

    assert {name for name in variables if name.startswith("LOG_")} == {"LOG_LEVEL"}
    assert shared["LoggingConfig"].keys() == {"LogGroup", "LogFormat"}
    assert all("LoggingConfig" not in own for own in functions().values())


def test_the_machines_log_errors_alone() -> None:
    """At any other level the parameters of a gate's task are logged, and the token is in them."""
    machines = [
        resource["Properties"]["Logging"]
        for resource in template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::StateMachine"
    ]

    assert [logging["Level"] for logging in machines] == ["ERROR"]


def test_the_api_logs_no_request() -> None:
    """Its execution log would have the header with the token, and answers with addresses."""
    properties = template()["Resources"]["Api"]["Properties"]

    assert "AccessLogSetting" not in properties
    for setting in properties["MethodSettings"]:
        assert setting.keys() & {"DataTraceEnabled", "LoggingLevel"} == set()
