"""The environment of the emulator's process, which every function inherits."""

from __future__ import annotations

from pathlib import Path

from taskrunner_cli.local.emulator import ACCOUNT_CONCURRENCY, environment
from taskrunner_cli.local.workspace import Workspace

WORKSPACE = Workspace(Path("/project"))


def test_the_developers_credentials_do_not_reach_the_functions() -> None:
    ambient = {"PATH": "/bin", "AWS_PROFILE": "production", "AWS_ACCESS_KEY_ID": "a-real-one"}

    variables = environment(WORKSPACE, 4599, ambient)

    assert "AWS_PROFILE" not in variables
    assert variables["AWS_ACCESS_KEY_ID"] == "test"
    assert (variables["PATH"], variables["GATEWAY_PORT"]) == ("/bin", "4599")


def test_the_accounts_concurrency_is_bounded_and_can_be_lowered() -> None:
    assert environment(WORKSPACE, 4599, {})["LAMBDA_ACCOUNT_CONCURRENCY"] == str(
        ACCOUNT_CONCURRENCY
    )
    fewer = {"LAMBDA_ACCOUNT_CONCURRENCY": "10"}
    assert environment(WORKSPACE, 4599, fewer)["LAMBDA_ACCOUNT_CONCURRENCY"] == "10"
