"""Calls of the API: tokens, refusals, retries, and services that do not answer."""

import json
import socket
from pathlib import Path

import pytest

from taskrunner_cli.world import World
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer
from tests.unit.cli.fake_service import FakeService, refused


class TestTokens:
    def test_requests_one_token_per_command(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", "deploy-app").verdict = "approved"

        taskrunner("show", "r1", "--watch")

        bodies = [request.body for request in service.requests if request.path == "/token"]
        assert len(service.requests) > 5
        assert bodies == [b"grant_type=client_credentials&scope=taskrunner%2Foperator"]

    def test_renews_a_token_before_it_expires(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", "deploy-app").verdict = "approved"
        service.token_lifetime_s = 31

        taskrunner("show", "r1", "--watch")

        assert service.issued > 1
        for request in service.requests:
            assert request.path == "/token" or request.headers["authorization"]

    def test_renews_a_rejected_token_once(self, taskrunner: Command, service: FakeService) -> None:
        service.add("r1")
        service.next_answers = [refused(401, "unauthorized", "Revoked.")]

        assert taskrunner("show", "r1").code == 0
        assert service.issued == 2

    def test_a_token_rejected_twice_is_an_error(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [refused(401, "unauthorized", "Revoked.")] * 2

        ended = taskrunner("show", "r1")

        assert ended.code == 1
        assert "the API does not accept the token of 'operator'" in ended.err
        assert len(service.requests) == 4

    def test_does_not_print_a_wrong_secret(self, taskrunner: Command, stack_file: Path) -> None:
        stack = json.loads(stack_file.read_text())
        stack["clients"]["operator"]["clientSecret"] = "s3cret-but-wrong"
        stack_file.write_text(json.dumps(stack))

        ended = taskrunner("runs", "-o", "json")

        assert ended.code == 1
        assert ended.error["error"]["code"] == "no_token"
        assert "invalid_client" in ended.err


class TestRefusals:
    def test_a_forbidden_operation_suggests_another_caller(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [Answer(403, {"message": "User is not authorized"})]

        ended = taskrunner("runs", "--as", "viewer")

        assert ended.code == 1
        assert "User is not authorized" in ended.err
        assert "'viewer' may not do this; choose another caller with --as" in ended.err

    @pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b'{"other": 1}'])
    def test_rejects_an_answer_that_is_not_the_apis(
        self, taskrunner: Command, service: FakeService, body: bytes
    ) -> None:
        service.next_answers = [Answer(200, body)]

        ended = taskrunner("show", "r1")

        assert ended.code == 1
        assert "check that the address is that of a TaskRunner API" in ended.err


class TestRetries:
    def test_retries_a_read_while_the_service_is_busy(
        self, taskrunner: Command, service: FakeService, world: World
    ) -> None:
        service.next_answers = [Answer(503), refused(429, "throttled", "Slow down.")]

        assert taskrunner("runs").code == 0
        assert world.clock.monotonic() == pytest.approx(1.2)

    def test_gives_up_after_three_attempts(self, taskrunner: Command, service: FakeService) -> None:
        service.next_answers = [Answer(502, b"<html>")] * 3

        ended = taskrunner("runs")

        assert ended.code == 3
        assert "the service is not available (HTTP 502)" in ended.err
        assert service.next_answers == []

    def test_prints_the_refusal_of_a_service_that_stays_busy(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [refused(429, "throttled", "Slow down.")] * 3

        ended = taskrunner("runs")

        assert ended.code == 1
        assert "throttled (HTTP 429, trace f62f3c2b)" in ended.err

    def test_never_repeats_a_write(self, taskrunner: Command, service: FakeService) -> None:
        service.next_answers = [refused(503, "busy", "Later.")]

        ended = taskrunner("cancel", "r1")

        assert ended.code == 1
        assert len(service.requests) == 2


class TestUnreachable:
    @pytest.mark.parametrize("address", ["apiUrl", "tokenUrl"])
    def test_names_the_address_that_does_not_answer(
        self, taskrunner: Command, stack_file: Path, address: str, world: World
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
        stack_file.write_text(json.dumps({**json.loads(stack_file.read_text()), address: url}))

        ended = taskrunner("runs")

        assert (ended.code, ended.out) == (3, "")
        assert f"cannot reach {url}: " in ended.err
        assert world.clock.monotonic() == pytest.approx(1.2)

    def test_rejects_an_address_that_is_not_http(
        self, taskrunner: Command, stack_file: Path
    ) -> None:
        stack = {**json.loads(stack_file.read_text()), "tokenUrl": "ftp://127.0.0.1/token"}
        stack_file.write_text(json.dumps(stack))

        ended = taskrunner("runs")

        assert ended.code == 2
        assert "ftp://127.0.0.1/token is not an HTTP address" in ended.err
