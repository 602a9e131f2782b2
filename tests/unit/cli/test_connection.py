"""Who calls, and where: the stack file, the environment, tokens, and services that are away."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner_cli.api.profiles import resolve
from taskrunner_cli.world import World
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer
from tests.unit.cli.fake_service import SECRET, FakeService, refused


def test_a_token_is_asked_for_once_per_command(taskrunner: Command, service: FakeService) -> None:
    service.add("r1", "deploy-app").decided = "approved"

    taskrunner("show", "r1", "--watch")

    asked = [seen for seen in service.seen if seen.path == "/token"]
    assert len(service.seen) > 5
    assert [seen.body for seen in asked] == [
        b"grant_type=client_credentials&scope=taskrunner%2Foperator"
    ]


def test_a_short_lived_token_is_renewed_in_time(taskrunner: Command, service: FakeService) -> None:
    service.add("r1", "deploy-app").decided = "approved"
    service.token_life_s = 31

    taskrunner("show", "r1", "--watch")

    assert service.issued > 1
    assert all(seen.path == "/token" or seen.headers["authorization"] for seen in service.seen)


def test_a_refused_token_is_renewed_once(taskrunner: Command, service: FakeService) -> None:
    service.add("r1")
    service.instead = [refused(401, "unauthorized", "Revoked.")]

    assert taskrunner("show", "r1").code == 0
    assert service.issued == 2


def test_a_token_refused_twice_is_an_error(taskrunner: Command, service: FakeService) -> None:
    service.instead = [refused(401, "unauthorized", "Revoked.")] * 2

    ended = taskrunner("show", "r1")

    assert ended.code == 1
    assert "the token of 'operator' is not accepted here" in ended.err
    assert len(service.seen) == 4


def test_a_forbidden_act_names_the_way_to_another_caller(
    taskrunner: Command, service: FakeService
) -> None:
    service.instead = [Answer(403, {"message": "User is not authorized"})]

    ended = taskrunner("runs", "--as", "viewer")

    assert ended.code == 1
    assert "User is not authorized" in ended.err
    assert "'viewer' may not do this; choose another caller with --as" in ended.err


@pytest.mark.parametrize("option", [("--as", "admin"), ()])
def test_the_caller_is_the_option_before_the_environment(
    taskrunner: Command, service: FakeService, world: World, option: tuple[str, ...]
) -> None:
    world = replace(world, environ={**world.environ, "TASKRUNNER_AS": "viewer"})

    taskrunner("runs", *option, world=world)

    wanted = "admin" if option else "viewer"
    assert service.seen[-1].headers["authorization"] == f"Bearer token-1-of-{wanted}"


def test_an_unknown_caller_is_told_who_there_is(taskrunner: Command) -> None:
    ended = taskrunner("runs", "--as", "nobody")

    assert ended.code == 2
    assert "one of: viewer, operator, approver, admin, other-tenant-operator" in ended.err


def test_a_wrong_secret_is_refused_without_being_shown(
    taskrunner: Command, stack_file: Path
) -> None:
    stack = json.loads(stack_file.read_text())
    stack["clients"]["operator"]["clientSecret"] = "s3cret-but-wrong"
    stack_file.write_text(json.dumps(stack))

    ended = taskrunner("runs", "-o", "json")

    assert ended.code == 1
    assert ended.error["error"]["code"] == "no_token"
    assert "invalid_client" in ended.err


class TestDeployment:
    @pytest.fixture(name="deployed")
    def _deployed(self, world: World, stack_file: Path) -> World:
        stack = json.loads(stack_file.read_text())
        environ = {
            "TASKRUNNER_API_URL": stack["apiUrl"] + "/",
            "TASKRUNNER_TOKEN_URL": stack["tokenUrl"],
            "TASKRUNNER_CLIENT_ID": "operator",
            "TASKRUNNER_CLIENT_SECRET": SECRET.format("operator"),
        }
        return replace(world, environ=environ)

    def test_is_described_by_the_environment(
        self, taskrunner: Command, service: FakeService, deployed: World
    ) -> None:
        assert taskrunner("runs", world=deployed).code == 0
        assert service.seen[0].body == b"grant_type=client_credentials"

    def test_needs_all_of_it(self, taskrunner: Command, deployed: World) -> None:
        environ = {**deployed.environ, "TASKRUNNER_CLIENT_SECRET": ""}

        ended = taskrunner("runs", world=replace(deployed, environ=environ))

        assert ended.code == 2
        assert "TASKRUNNER_CLIENT_SECRET is not" in ended.err

    def test_and_a_client_of_the_local_stack_contradict_each_other(
        self, taskrunner: Command, deployed: World
    ) -> None:
        assert taskrunner("runs", "--as", "admin", world=deployed).code == 2

    def test_its_secret_is_in_no_repr(self, deployed: World) -> None:
        found = resolve(caller=None, stack=None, tenant=None, environ=deployed.environ)

        assert found.client_secret not in repr(found)


class TestAway:
    def test_no_stack_file_says_how_to_get_one(self, taskrunner: Command, tmp_path: Path) -> None:
        ended = taskrunner("runs", "--stack", str(tmp_path / "none.json"), "-o", "json")

        assert (ended.code, ended.out) == (3, "")
        assert ended.error["error"]["cure"] == "taskrunner local up"

    @pytest.mark.parametrize("content", ["{", "[]", '{"clients": {"operator": {}}}'])
    def test_a_stack_file_that_is_none_is_a_usage_mistake(
        self, taskrunner: Command, stack_file: Path, content: str
    ) -> None:
        stack_file.write_text(content)

        assert taskrunner("runs").code == 2

    def test_the_nearest_stack_file_above_is_found(
        self, tmp_path: Path, stack_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".local").mkdir()
        stack_file.rename(tmp_path / ".local" / "stack.json")
        (tmp_path / "deep" / "down").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "deep" / "down")

        found = resolve(caller="viewer", stack=None, tenant="t", environ={})

        assert (found.client_id, found.tenant) == ("viewer", "t")

    @pytest.mark.parametrize("address", ["apiUrl", "tokenUrl"])
    def test_nobody_there_exits_three(
        self, taskrunner: Command, stack_file: Path, address: str
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        stack_file.write_text(json.dumps({**json.loads(stack_file.read_text()), address: url}))

        ended = taskrunner("runs")

        assert (ended.code, ended.out) == (3, "")
        assert f"cannot reach {url}: " in ended.err

    def test_no_address_at_all_is_a_usage_mistake(
        self, taskrunner: Command, stack_file: Path
    ) -> None:
        stack = {**json.loads(stack_file.read_text()), "tokenUrl": "ftp://127.0.0.1/token"}
        stack_file.write_text(json.dumps(stack))

        assert taskrunner("runs").code == 2

    def test_a_busy_service_is_asked_again_for_what_only_reads(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.instead = [Answer(503), refused(429, "throttled", "Slow down.")]

        assert taskrunner("runs").code == 0

    def test_a_service_that_stays_away_exits_three(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.instead = [Answer(502, b"<html>")] * 3

        assert taskrunner("runs").code == 3

    @pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b'{"other": 1}'])
    def test_an_answer_of_something_else_is_not_taken_for_ours(
        self, taskrunner: Command, service: FakeService, body: bytes
    ) -> None:
        service.instead = [Answer(200, body)]

        ended = taskrunner("show", "r1")

        assert ended.code == 1
        assert "is this address a TaskRunner API?" in ended.err
