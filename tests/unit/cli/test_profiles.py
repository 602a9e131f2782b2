"""The address and the caller of a command: from the stack file, or from the environment."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from taskrunner_cli.api.profiles import Choice, resolve_profile
from taskrunner_cli.world import World
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_service import SECRET, FakeService

NOW = datetime(2025, 12, 6, tzinfo=UTC)


class TestStackFile:
    @pytest.mark.parametrize("option", [("--as", "admin"), ()])
    def test_the_option_takes_precedence_over_the_environment(
        self, taskrunner: Command, service: FakeService, world: World, option: tuple[str, ...]
    ) -> None:
        world = replace(world, environ={**world.environ, "TASKRUNNER_AS": "viewer"})

        taskrunner("runs", *option, world=world)

        caller = "admin" if option else "viewer"
        assert service.requests[-1].headers["authorization"] == f"Bearer token-1-of-{caller}"

    def test_names_the_callers_for_an_unknown_one(self, taskrunner: Command) -> None:
        ended = taskrunner("runs", "--as", "nobody")

        assert ended.code == 2
        assert "one of: viewer, operator, approver, admin, other-tenant-operator" in ended.err

    def test_says_how_to_get_a_missing_stack_file(
        self, taskrunner: Command, tmp_path: Path
    ) -> None:
        ended = taskrunner("runs", "--stack", str(tmp_path / "none.json"), "-o", "json")

        assert (ended.code, ended.out) == (3, "")
        assert ended.error["error"]["cure"] == "taskrunner local up"

    @pytest.mark.parametrize("content", ["{", "[]", '{"clients": {"operator": {}}}'])
    def test_rejects_a_file_that_is_not_a_stack_file(
        self, taskrunner: Command, stack_file: Path, content: str
    ) -> None:
        stack_file.write_text(content)

        assert taskrunner("runs").code == 2

    def test_uses_the_nearest_stack_file_above_the_current_folder(
        self, tmp_path: Path, stack_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".local").mkdir()
        stack_file.rename(tmp_path / ".local" / "stack.json")
        (tmp_path / "deep" / "down").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "deep" / "down")

        profile = resolve_profile(Choice(caller="viewer", tenant="t"), {}, NOW)

        assert (profile.client_id, profile.tenant) == ("viewer", "t")


class TestEnvironment:
    @pytest.fixture(name="deployment")
    def _deployment(self, world: World, stack_file: Path) -> World:
        stack = json.loads(stack_file.read_text())
        environ = {
            "TASKRUNNER_API_URL": stack["apiUrl"] + "/",
            "TASKRUNNER_TOKEN_URL": stack["tokenUrl"],
            "TASKRUNNER_CLIENT_ID": "operator",
            "TASKRUNNER_CLIENT_SECRET": SECRET.format("operator"),
        }
        return replace(world, environ=environ)

    def test_describes_a_deployment(
        self, taskrunner: Command, service: FakeService, deployment: World
    ) -> None:
        assert taskrunner("runs", world=deployment).code == 0
        assert service.requests[0].body == b"grant_type=client_credentials"

    def test_names_a_variable_that_is_missing(self, taskrunner: Command, deployment: World) -> None:
        environ = {**deployment.environ, "TASKRUNNER_CLIENT_SECRET": ""}

        ended = taskrunner("runs", world=replace(deployment, environ=environ))

        assert ended.code == 2
        assert "TASKRUNNER_CLIENT_SECRET is not" in ended.err

    @pytest.mark.parametrize("variable", ["TASKRUNNER_API_URL", "TASKRUNNER_TOKEN_URL"])
    def test_says_which_variable_has_no_address(
        self, taskrunner: Command, service: FakeService, deployment: World, variable: str
    ) -> None:
        environ = {**deployment.environ, variable: "localhost:4566/live"}

        ended = taskrunner("runs", world=replace(deployment, environ=environ))

        assert ended.code == 2
        assert f"{variable}: localhost:4566/live is not an HTTP address" in ended.err
        assert service.requests == []

    def test_rejects_a_caller_of_the_local_stack_beside_a_deployment(
        self, taskrunner: Command, deployment: World
    ) -> None:
        assert taskrunner("runs", "--as", "admin", world=deployment).code == 2

    def test_the_secret_is_not_in_the_repr(self, deployment: World) -> None:
        profile = resolve_profile(Choice(), deployment.environ, NOW)

        assert profile.client_secret not in repr(profile)
