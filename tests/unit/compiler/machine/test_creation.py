"""The request that creates a pack's machine: its name and tags."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine import frame
from taskrunner.compiler.machine.creation import Deployment, creation
from taskrunner.compiler.machine.names import is_of_a_pack, prefix
from tests.packs import pack

NOOP = pack("- {id: a, run: {uses: builtin:noop}}")
DEFINITION = compile_pack(NOOP, {}).definition
VALUES = {name: f"arn:aws:lambda:::{name}" for name in frame.bindings(frame.frame())}
DEPLOYMENT = Deployment(
    stack="taskrunner",
    values=VALUES | {frame.PARTITION: "aws"},
    role_arn="arn:aws:iam::123456789012:role/machines",
    logging={"level": "OFF"},
    tracing={"enabled": False},
)
ANOTHER_FUNCTION = VALUES | {frame.PARTITION: "aws", "RunStepFunctionArn": "arn:aws:lambda:::b"}
_stacks = st.from_regex(r"[a-zA-Z][a-zA-Z0-9-]{0,45}", fullmatch=True)
_pack_names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
# Semantic versions have no other characters.
_versions = st.from_regex(r"[0-9A-Za-z.+-]{1,128}", fullmatch=True)


def request(
    pack_name: str = "deploy-app", deployment: Deployment = DEPLOYMENT, version: str = "1.0.0"
) -> Any:  # noqa: ANN401 - boto3's parameters
    return creation(pack_name, version, DEFINITION, deployment)


class TestName:
    def test_contains_the_names_of_the_stack_and_the_pack(self) -> None:
        assert re.fullmatch(r"taskrunner_deploy-app-[0-9a-f]{32}", request()["name"])

    @given(stack=_stacks, pack_name=_pack_names)
    def test_has_at_most_80_characters_with_the_whole_stack_and_hash(
        self, stack: str, pack_name: str
    ) -> None:
        name = request(pack_name, replace(DEPLOYMENT, stack=stack))["name"]

        assert len(name) <= 80
        assert name.startswith(prefix(stack))
        assert re.search(r"-[0-9a-f]{32}\Z", name)

    @given(stack=_stacks, suffix=_pack_names, pack_name=_pack_names)
    def test_never_begins_with_the_prefix_of_another_deployment(
        self, stack: str, suffix: str, pack_name: str
    ) -> None:
        longer = replace(DEPLOYMENT, stack=f"{stack}-{suffix}")

        assert not request(pack_name, longer)["name"].startswith(prefix(stack))

    @given(stack=_stacks, pack_name=_pack_names)
    def test_is_recognized_among_others(self, stack: str, pack_name: str) -> None:
        name = request(pack_name, replace(DEPLOYMENT, stack=stack))["name"]

        assert is_of_a_pack(name, stack)
        assert not is_of_a_pack(f"{prefix(stack)}pack-run", stack)
        assert not is_of_a_pack(name, f"{stack}-dev")
        assert not is_of_a_pack(f"a{name}", stack)

    @pytest.mark.parametrize(
        "changes",
        [
            {"values": ANOTHER_FUNCTION},
            {"values": VALUES | {frame.PARTITION: "aws-cn"}},
            {"role_arn": "arn:aws:iam::123456789012:role/another"},
            {"logging": {"level": "ERROR"}},
            {"tracing": {"enabled": True}},
        ],
    )
    def test_differs_for_whatever_else_the_machine_is_bound_to(
        self, changes: dict[str, Any]
    ) -> None:
        """CreateStateMachine ignores another role for a name that exists."""
        assert request(deployment=replace(DEPLOYMENT, **changes))["name"] != request()["name"]

    def test_is_the_same_for_the_same_request(self) -> None:
        assert request()["name"] == request()["name"]

    def test_differs_between_versions_of_a_pack_because_their_definitions_do(self) -> None:
        one, two = (
            compile_pack(NOOP.replace("version: 1.0.0", f"version: {version}"), {})
            for version in ("1.0.0", "1.0.1")
        )

        names = {
            creation("a-pack", "any", compiled.definition, DEPLOYMENT)["name"]
            for compiled in (one, two)
        }
        assert len(names) == 2


class TestTags:
    def test_name_the_stack_the_pack_and_its_version(self) -> None:
        assert request(version="1.0.0-rc.1+build.7")["tags"] == [
            {"key": "taskrunner:stack", "value": "taskrunner"},
            {"key": "taskrunner:pack", "value": "deploy-app"},
            {"key": "taskrunner:version", "value": "1.0.0-rc.1+build.7"},
        ]

    @given(stack=_stacks, pack_name=_pack_names, version=_versions)
    def test_have_characters_and_lengths_that_aws_allows(
        self, stack: str, pack_name: str, version: str
    ) -> None:
        """Step Functions: letters, digits, white space and _ . : / = + - @, and no key `aws:`."""
        for tag in request(pack_name, replace(DEPLOYMENT, stack=stack), version)["tags"]:
            assert re.fullmatch(r"(?!aws:)[\w\s.:/=+@-]{1,128}", tag["key"])
            assert re.fullmatch(r"[\w\s.:/=+@-]{0,256}", tag["value"])


def test_the_definition_has_the_deployments_functions_and_partition() -> None:
    definition = json.loads(request()["definition"])

    assert definition == frame.bind(DEFINITION, DEPLOYMENT.values)
    assert "${" not in request()["definition"]
