"""`runs`, `show`, `logs` and `cancel`."""

import json
from dataclasses import replace

import pytest

from taskrunner_cli.ports.clock import SystemClock
from taskrunner_cli.world import World
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer
from tests.unit.cli.fake_run import Moment
from tests.unit.cli.fake_service import FakeService, refused


class Impatient(SystemClock):
    """Somebody who presses Ctrl-C as soon as there is a wait."""

    def sleep(self, seconds: float) -> None:
        raise KeyboardInterrupt(seconds)


class TestRuns:
    def test_lists_over_all_pages(self, taskrunner: Command, service: FakeService) -> None:
        for number in range(5):
            service.add(f"r{number}")

        ended = taskrunner("runs")

        assert ended.code == 0
        assert [line.split()[0] for line in ended.out.splitlines()] == [
            "run", "r0", "r1", "r2", "r3", "r4",
        ]  # fmt: skip

    def test_stops_at_the_limit_and_says_how_to_go_on(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        for number in range(5):
            service.add(f"r{number}")

        first = taskrunner("runs", "--limit", "3", "-o", "json").document
        rest = taskrunner("runs", "--cursor", first["nextCursor"], "-o", "json").document
        said = taskrunner("runs", "--limit", "3")

        assert [run["runId"] for run in first["runs"]] == ["r0", "r1", "r2"]
        assert [run["runId"] for run in rest["runs"]] == ["r3", "r4"]
        assert "nextCursor" not in rest
        assert "there are more: --cursor 3" in said.out

    def test_none_is_said_in_words(self, taskrunner: Command) -> None:
        assert taskrunner("runs").out == "no runs yet\n"

    @pytest.mark.parametrize("limit", ["0", "many"])
    def test_a_limit_is_a_positive_number(self, taskrunner: Command, limit: str) -> None:
        assert taskrunner("runs", "--limit", limit).code == 2


class TestShow:
    def test_shows_why_a_run_waits_and_what_to_type(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", "deploy-app", ticks=2)

        ended = taskrunner("show", "r1")

        assert ended.code == 0
        assert "awaiting-approval: Review before deploy" in ended.out
        assert "taskrunner approve r1 security-review --as approver" in ended.out

    def test_a_failed_run_shown_is_no_failure_watched_it_is(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1", "broken", ticks=2)

        assert taskrunner("show", "r1").code == 0
        assert taskrunner("show", "r1", "--watch").code == 1

    def test_gives_programs_the_state_as_it_came(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        run = service.add("r1")

        assert taskrunner("show", "r1", "--output", "json").document == run.state()

    def test_an_unknown_run_is_refused_in_both_forms(self, taskrunner: Command) -> None:
        said, told = taskrunner("show", "nobody"), taskrunner("show", "nobody", "-o", "json")

        assert (said.code, said.out, told.code, told.out) == (1, "", 1, "")
        assert "http_404 (HTTP 404)" in said.err
        assert told.error["error"]["status"] == 404

    def test_what_was_typed_stays_one_segment_of_the_path(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        taskrunner("show", "../admin?x=1")

        assert service.seen[-1].path == "/live/v1/task-runner/runs/..%2Fadmin%3Fx%3D1"

    def test_a_terminal_cannot_be_steered_by_the_service(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1").say("step.started", "scan", "\x1b[2Jgone [bold]\rover\x9b1m")

        ended = taskrunner("logs", "r1")

        assert "\\x1b[2Jgone [bold]\\x0dover\\x9b1m" in ended.out

    def test_interrupting_a_watch_says_that_the_run_goes_on(
        self, taskrunner: Command, service: FakeService, world: World
    ) -> None:
        service.add("r1")

        ended = taskrunner("show", "r1", "--watch", world=replace(world, clock=Impatient()))

        assert ended.code == 130
        assert "taskrunner show r1 --watch" in ended.out


class TestLogs:
    def test_reads_over_all_pages_each_line_once(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        run = service.add("r1", ticks=2)

        ended = taskrunner("logs", "r1", "--output", "json")

        assert [json.loads(line) for line in ended.out.splitlines()] == run.log

    def test_goes_on_after_a_cursor(self, taskrunner: Command, service: FakeService) -> None:
        service.add("r1", ticks=2)

        ended = taskrunner("logs", "r1", "--cursor", "c3")

        assert [line.split()[1] for line in ended.out.splitlines()] == [
            "step.completed", "run.completed",
        ]  # fmt: skip

    @pytest.mark.parametrize("page", [1, 2, 100])
    def test_following_sees_every_line_exactly_once(
        self, taskrunner: Command, service: FakeService, page: int
    ) -> None:
        service.log_page = page
        run = service.add("r1", "deploy-app")
        run.decided = "approved"

        ended = taskrunner("logs", "r1", "--follow", "-o", "json")

        assert [json.loads(line)["cursor"] for line in ended.out.splitlines()] == [
            f"c{n + 1}" for n in range(9)
        ]
        assert ended.code == 0

    def test_following_waits_for_the_closing_line_when_the_state_is_ahead(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        run = service.add("r1", ticks=1)
        run.script = [
            *run.script[:2],
            Moment("succeeded", {"scan": "Succeeded"}),
            Moment("succeeded", {"scan": "Succeeded"}, [("run.completed", "")]),
        ]

        ended = taskrunner("logs", "r1", "--follow")

        assert ended.out.count("run.completed") == 1

    def test_following_a_log_without_a_closing_line_ends_all_the_same(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.add("r1").script = [Moment("cancelled", {"scan": "Skipped"})]

        assert taskrunner("logs", "r1", "--follow").code == 0

    def test_a_service_without_cursors_is_read_once(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        line = b'{"timestamp":"2025-12-06T12:00:00Z","level":"info","eventType":"x","message":"m"}'
        service.instead = [Answer(200, line)]

        assert taskrunner("logs", "r1").out.count("m\n") == 1

    def test_a_line_that_broke_off_is_no_line(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.instead = [Answer(200, b'{"timestamp":"2025')]

        ended = taskrunner("logs", "r1", "-o", "json")

        assert (ended.code, ended.out) == (3, "")


class TestCancel:
    def test_says_what_became_of_the_run(self, taskrunner: Command, service: FakeService) -> None:
        service.add("r1")

        assert taskrunner("cancel", "r1").out == "run r1 is cancelled\n"
        assert taskrunner("cancel", "r1", "-o", "json").document == {"status": "cancelled"}

    def test_is_never_sent_twice_by_itself(self, taskrunner: Command, service: FakeService) -> None:
        service.instead = [refused(503, "busy", "Later.")]

        ended = taskrunner("cancel", "r1")

        assert ended.code == 1
        assert len(service.seen) == 2
