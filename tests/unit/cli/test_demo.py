"""The demo: a story that holds, and one that must not be told when something is wrong."""

from pathlib import Path

import pytest

from taskrunner_cli.world import World
from tests.unit.cli.conftest import Command, FakeLocalStack
from tests.unit.cli.fake_http import Answer
from tests.unit.cli.fake_run import BROKEN, SCAN
from tests.unit.cli.fake_service import REPORT, FakeService, FakeStore


def test_tells_the_whole_story(taskrunner: Command, world: World) -> None:
    ended = taskrunner("demo")

    assert ended.code == 0, ended.err
    assert "checks hold" in ended.out
    assert "◆ waiting" in ended.out
    assert isinstance(world.local, FakeLocalStack)
    assert world.local.is_up


def test_programs_get_what_was_checked(taskrunner: Command) -> None:
    ended = taskrunner("demo", "--output", "json")

    checks = [check["what"] for check in ended.document["checks"]]
    assert "approved again: the same answer" in checks
    assert len(ended.document["runs"]) == 3


def test_somebody_else_approves(taskrunner: Command, service: FakeService) -> None:
    taskrunner("demo")

    callers = {
        seen.path.rpartition("/")[2]: seen.headers["authorization"].rpartition("-")[2]
        for seen in service.seen
        if seen.method == "POST"
    }
    assert callers["security-review"] == "approver"
    assert callers["runs"] == "operator"


def test_a_named_stack_is_used_as_it_is(
    taskrunner: Command, world: World, stack_file: Path
) -> None:
    ended = taskrunner("demo", "--stack", str(stack_file))

    assert ended.code == 0
    assert isinstance(world.local, FakeLocalStack)
    assert not world.local.is_up


class TestDisappointments:
    """Whatever goes wrong, the demo says what was expected and what came, and exits one."""

    def test_a_run_that_fails(self, taskrunner: Command, service: FakeService) -> None:
        service.scripts["scan-deploy"] = BROKEN

        ended = taskrunner("demo")

        assert ended.code == 1
        assert "the run ended: expected 'succeeded', but it is 'failed'" in ended.err

    def test_a_run_that_never_ends(self, taskrunner: Command, service: FakeService) -> None:
        service.scripts["scan-deploy"] = SCAN[:2]

        ended = taskrunner("demo", "-o", "json")

        assert (ended.code, ended.out) == (1, "")
        assert "run run-1 is still running after 180 s" in ended.error["error"]["message"]

    def test_a_gate_that_does_not_hold(self, taskrunner: Command, service: FakeService) -> None:
        service.scripts["deploy-app"] = SCAN

        ended = taskrunner("demo")

        assert ended.code == 1
        assert "the run waits: expected 'waiting', but it is 'succeeded'" in ended.err

    def test_a_second_answer_that_differs(self, taskrunner: Command, service: FakeService) -> None:
        service.forgetful = True

        ended = taskrunner("demo")

        assert ended.code == 1
        assert "approved again: the same answer: expected {'status': 'approved'," in ended.err

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "it has the size in the list: expected 17, but it is 0"),
            (REPORT.swapcase(), "it has the digest in the list: expected"),
        ],
    )
    def test_a_report_that_is_not_what_the_list_promised(
        self, taskrunner: Command, store: FakeStore, content: bytes, said: str
    ) -> None:
        store.answer = Answer(200, content)

        ended = taskrunner("demo")

        assert ended.code == 1
        assert said in ended.err
