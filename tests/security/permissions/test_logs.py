"""What functions write, at their most talkative, holds nothing that opens anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.security.permissions.telltales import BEARER, SIGNED
from tests.template import functions, template

if TYPE_CHECKING:
    from tests.security.permissions.covering import Play

WORDS = ("task token", "presigned URL", "secret")


def test_the_play_wrote_logs_and_errors_and_had_secrets(played: Play) -> None:
    assert {name for name, values in played.secrets.items() if values} == set(WORDS)
    assert "unexpected error" in played.written
    assert "StepFailedError" in played.written
    assert SIGNED.search("".join(played.secrets["presigned URL"])) is not None


@pytest.mark.parametrize("what", WORDS)
def test_it_is_in_no_log_no_output_and_no_error(played: Play, what: str) -> None:
    found = [value for value in played.secrets[what] if value in played.written]

    assert found == []


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
    """Powertools can log whole events; Lambda can open the root logger, and botocore logs all."""
    shared = template()["Globals"]["Function"]
    variables = {
        name
        for own in (shared, *functions().values())
        for name in own.get("Environment", {}).get("Variables", {})
    }

    assert {name for name in variables if name.startswith("POWERTOOLS")} == {
        "POWERTOOLS_SERVICE_NAME",
        "POWERTOOLS_LOG_LEVEL",
    }
    assert shared["LoggingConfig"].keys() == {"LogGroup"}
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
