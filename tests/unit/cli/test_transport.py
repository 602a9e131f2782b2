"""Calls of the API: tokens, refusals, retries, and services that do not answer."""

import json
import socket
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from taskrunner_cli.world import World
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer
from tests.unit.cli.fake_service import FakeService, refused

SCAN = str(Path(__file__).resolve().parents[3] / "examples" / "scan-deploy.yaml")


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


class TestPutOff:
    """An answer with `Retry-After` says that the request has not begun, so it is repeated."""

    def test_repeats_a_write_after_the_time_that_the_service_asks_for(
        self, taskrunner: Command, service: FakeService, world: World
    ) -> None:
        service.add("r1")
        busy = refused(503, "try_again", "The service is busy.")
        service.next_answers = [replace(busy, headers={"Retry-After": "7"})] * 2

        ended = taskrunner("cancel", "r1")

        assert ended.code == 0
        assert [request.path for request in service.requests].count(
            "/live/v1/task-runner/runs/r1/cancel"
        ) == 3
        assert world.clock.monotonic() >= 14
        assert "The service is busy (try_again); trying again in " in ended.err

    def test_a_create_is_repeated_with_the_same_idempotency_key(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [Answer(429, None, {"Retry-After": "1"}), Answer(504)]

        ended = taskrunner("run", SCAN, "--detach")

        keys = [
            request.headers["idempotency-key"]
            for request in service.requests
            if request.path.endswith("/runs")
        ]
        assert ended.code == 0
        assert keys == ["key-1"] * 3

    def test_a_create_that_may_have_begun_says_how_to_repeat_it(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [Answer(504)] * 3

        ended = taskrunner("run", SCAN, "--detach")

        assert ended.code == 3
        assert "--idempotency-key key-1: it makes one run" in ended.err

    def test_understands_a_date(
        self, taskrunner: Command, service: FakeService, world: World
    ) -> None:
        after = format_datetime(world.clock.now() + timedelta(seconds=20), usegmt=True)
        service.next_answers = [Answer(503, None, {"Retry-After": after})]

        assert taskrunner("runs").code == 0
        assert world.clock.monotonic() >= 20

    def test_waits_no_longer_than_the_option_allows(
        self, taskrunner: Command, service: FakeService, world: World
    ) -> None:
        limit = refused(429, "too_many_runs", "The pack has as many runs as it may have.")
        service.next_answers = [replace(limit, headers={"Retry-After": "30"})]

        ended = taskrunner("run", SCAN, "--detach", "--max-wait", "10")

        assert ended.code == 1
        assert "too_many_runs (HTTP 429, trace f62f3c2b)" in ended.err
        assert "repeat the command in 30 s or later" in ended.err
        assert world.clock.monotonic() == 0

    @pytest.mark.parametrize("value", ["soon", "-5", "9" * 400, "Wed, 99 Dec 2025", "1e3", ""])
    def test_a_time_that_cannot_be_waited_for_is_not(
        self, taskrunner: Command, service: FakeService, world: World, value: str
    ) -> None:
        service.next_answers = [Answer(503, None, {"Retry-After": value})] * 3

        assert taskrunner("cancel", "r1").code == 3
        assert world.clock.monotonic() == 0

    def test_a_busy_token_service_is_waited_for(
        self, taskrunner: Command, service: FakeService, world: World
    ) -> None:
        service.next_token_answers = [Answer(429, None, {"Retry-After": "3"})]

        assert taskrunner("runs").code == 0
        assert world.clock.monotonic() >= 3


class TestOddAnswers:
    @pytest.mark.parametrize(
        "lifetime", ["soon", None, -1, True, [], "3600", "nan", pytest.param(10**399, id="huge")]
    )
    def test_a_token_of_any_lifetime_is_used(
        self, taskrunner: Command, service: FakeService, lifetime: object
    ) -> None:
        service.token_lifetime_s = lifetime
        service.add("r1")

        assert taskrunner("show", "r1").code == 0

    @pytest.mark.parametrize(
        "token", [None, 7, "", "a b", "a\r\nX-Injected: 1", "\ud800"], ids=repr
    )
    def test_rejects_what_is_not_a_token(
        self, taskrunner: Command, service: FakeService, token: object
    ) -> None:
        service.next_token_answers = [Answer(200, {"access_token": token, "expires_in": 60})]

        ended = taskrunner("runs")

        assert ended.code == 1
        assert "issued no token" in ended.err

    @pytest.mark.parametrize("status", [200, 400, 503])
    @pytest.mark.parametrize(
        "body",
        [b"[" * 100_000, b'{"error":' * 50_000, b'{"runs": [' + b"9" * 10_000 + b"]}", b"\xff\xfe",
         b'{"n": 1e400}', b'{"error": {"code": 3, "message": [], "traceId": {}}}', b"null", b"NaN"],
        ids=["deep list", "deep object", "long number", "not UTF-8", "infinity", "types", "null",
             "NaN"],
    )  # fmt: skip
    def test_no_answer_is_a_crash(
        self, taskrunner: Command, service: FakeService, status: int, body: bytes
    ) -> None:
        service.next_answers = [Answer(status, body)] * 3

        ended = taskrunner("runs")

        assert ended.code in {1, 3}
        assert ended.err.startswith("error: ")

    def test_the_code_of_an_error_is_the_services(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.next_answers = [refused(409, "a_code_of_tomorrow", "No.")]

        ended = taskrunner("cancel", "r1", "-o", "json")

        assert ended.error["error"] == {
            "code": "a_code_of_tomorrow", "message": "No.", "status": 409, "traceId": "f62f3c2b"
        }  # fmt: skip
