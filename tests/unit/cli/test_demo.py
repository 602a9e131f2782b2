"""`demo`: a run in which every check holds, and failures that must stop it."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command, FakeLocalStack
from tests.unit.cli.fake_http import Answer
from tests.unit.cli.fake_run import FAILING_SCAN, SCAN
from tests.unit.cli.fake_service import REPORT, FakeService, FakeStore


def test_runs_to_its_end(taskrunner: Command, local_stack: FakeLocalStack) -> None:
    ended = taskrunner("demo")

    assert ended.code == 0, ended.err
    assert "checks hold" in ended.out
    assert "◆ waiting" in ended.out
    assert local_stack.is_running


def test_runs_no_commands_where_the_stack_has_no_worker(taskrunner: Command) -> None:
    assert "skipped: no worker runs beside this stack" in taskrunner("demo").out


def test_prints_the_checks_as_json(taskrunner: Command) -> None:
    ended = taskrunner("demo", "--output", "json")

    checks = [check["what"] for check in ended.document["checks"]]
    assert "approved again: the same answer" in checks
    assert len(ended.document["runs"]) == 3


def test_another_caller_approves(taskrunner: Command, service: FakeService) -> None:
    taskrunner("demo")

    callers = {
        request.path.rpartition("/")[2]: request.headers["authorization"].rpartition("-")[2]
        for request in service.requests
        if request.method == "POST"
    }
    assert callers["security-review"] == "approver"
    assert callers["runs"] == "operator"


def test_does_not_start_a_stack_when_one_is_named(
    taskrunner: Command, local_stack: FakeLocalStack, stack_file: Path
) -> None:
    ended = taskrunner("demo", "--stack", str(stack_file))

    assert ended.code == 0
    assert not local_stack.is_running


class TestFailures:
    """Every failure exits with 1 and says what was expected."""

    def test_a_run_that_fails(self, taskrunner: Command, service: FakeService) -> None:
        service.scripts["scan-deploy"] = FAILING_SCAN

        ended = taskrunner("demo")

        assert ended.code == 1
        assert "the run ended: expected 'succeeded', but it is 'failed'" in ended.err

    def test_a_run_that_never_ends(self, taskrunner: Command, service: FakeService) -> None:
        service.scripts["scan-deploy"] = SCAN[:2]

        ended = taskrunner("demo", "-o", "json")

        assert (ended.code, ended.out) == (1, "")
        assert "run run-1 is still running after 180 s" in ended.error["error"]["message"]

    def test_a_gate_that_does_not_wait(self, taskrunner: Command, service: FakeService) -> None:
        service.scripts["deploy-app"] = SCAN

        ended = taskrunner("demo")

        assert ended.code == 1
        assert "the run waits: expected 'waiting', but it is 'succeeded'" in ended.err

    def test_a_repeated_decision_with_another_answer(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.is_forgetful = True

        ended = taskrunner("demo")

        assert ended.code == 1
        assert "approved again: the same answer: expected {'status': 'approved'," in ended.err

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "its size is the one in the list: expected 17, but it is 0"),
            (REPORT.swapcase(), "its digest is the one in the list: expected"),
        ],
    )
    def test_a_download_that_differs_from_the_list(
        self, taskrunner: Command, store: FakeStore, content: bytes, message: str
    ) -> None:
        store.answer = Answer(200, content)

        ended = taskrunner("demo")

        assert ended.code == 1
        assert message in ended.err
