"""Following a run while its service stops answering, and the ends of a run."""

from typing import TYPE_CHECKING

import pytest

from taskrunner_cli.api.documents import RunStatus, Step
from taskrunner_cli.world import World
from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer, Request
from tests.unit.cli.fake_run import FakeRun, Moment
from tests.unit.cli.fake_service import FakeService, refused

if TYPE_CHECKING:
    from taskrunner_cli.json_types import JsonValue


class UnstableService(FakeService):
    """A service that fails at some of the requests, counted from 1 without those for tokens."""

    def __init__(self) -> None:
        super().__init__("http://store")
        self.failing: range = range(0)
        self.failure = Answer(502, b"<html>")
        self.calls = 0

    def route(self, request):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        answer = super().route(request)
        if request.path == "/token":
            return answer
        self.calls += 1
        return self.failure if self.calls in self.failing else answer


@pytest.fixture(name="service")
def _service() -> UnstableService:
    service = UnstableService()
    service.add("r1", "deploy-app").verdict = "approved"
    return service


@pytest.mark.parametrize(
    "failure",
    [
        Answer(502, b"<html>"),
        Answer(504),
        refused(500, "internal_error", "It failed."),
        refused(429, "too_many_requests", "Too many requests."),
        Answer(200, b"<html>the service is being updated</html>"),
        Answer(200, b'{"runId": "r1", "sta'),
    ],
    ids=["gateway", "timeout", "error", "throttled", "page", "cut"],
)
def test_a_watch_goes_on_after_the_service_failed(
    taskrunner: Command, service: UnstableService, failure: Answer
) -> None:
    service.failing, service.failure = range(4, 10), failure

    ended = taskrunner("show", "r1", "--watch")

    assert ended.code == 0
    assert "trying again in 1 s" in ended.err
    assert ended.out.count("run.completed") == 1


def test_following_the_log_prints_every_entry_once_after_the_service_failed(
    taskrunner: Command, service: UnstableService
) -> None:
    service.failing = range(4, 12)

    ended = taskrunner("logs", "r1", "--follow")

    events = [line.split()[1] for line in ended.out.splitlines()]
    assert ended.code == 0
    assert events == [entry["eventType"] for entry in service.runs["r1"].log]


def test_a_watch_ends_if_the_service_stays_silent_for_five_minutes(
    taskrunner: Command, service: UnstableService, world: World
) -> None:
    service.failing = range(4, 100_000)

    ended = taskrunner("show", "r1", "--watch")

    assert ended.code == 3
    assert 300 < world.clock.monotonic() < 400


def test_a_service_that_never_answered_ends_a_watch_at_once(
    taskrunner: Command, service: UnstableService, world: World
) -> None:
    service.failing = range(100_000)

    ended = taskrunner("show", "r1", "--watch")

    assert ended.code == 3
    assert world.clock.monotonic() < 5


def test_a_run_that_does_not_exist_ends_a_watch_at_once(taskrunner: Command) -> None:
    assert taskrunner("show", "nope", "--watch").code == 1


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("run.completed", "succeeded"),
        ("run.failed", "failed"),
        ("run.schedule-failed", "failed"),
        ("run.cancelled", "cancelled"),
    ],
)
def test_each_last_entry_ends_a_watch_without_waiting_for_more(
    taskrunner: Command, service: FakeService, world: World, event: str, status: RunStatus
) -> None:
    service.scripts["ended"] = [Moment(status, {"scan": "Pending"}, [(event, "")])]
    service.add("r2", "ended")

    watched = taskrunner("show", "r2", "--watch")
    followed = taskrunner("logs", "r2", "--follow")

    assert (watched.code, followed.code) == (0 if status == "succeeded" else 1, 0)
    assert world.clock.monotonic() == 0


def test_a_last_entry_that_came_before_the_final_state_is_not_waited_for(
    taskrunner: Command, service: FakeService, world: World
) -> None:
    service.scripts["ended"] = [
        Moment("running", {"scan": "Running"}, [("run.completed", "")]),
        Moment("succeeded", {"scan": "Succeeded"}),
    ]
    service.add("r2", "ended")

    ended = taskrunner("watch", "r2")

    assert (ended.code, ended.out.count("run.completed")) == (0, 1)
    assert world.clock.monotonic() < 1


def test_show_and_logs_say_who_decided_and_why(taskrunner: Command, service: FakeService) -> None:
    run = service.runs["r1"]
    for _ in range(len(run.script)):
        run.tick()
    for entry in run.log:
        if entry["eventType"] == "gate.approved":
            entry["metadata"] = {
                "approver": "client:ci", "actorId": "ana@example.com", "summary": "looks good"
            }  # fmt: skip

    shown, logged = taskrunner("show", "r1").out, taskrunner("logs", "r1").out
    watched = taskrunner("show", "r1", "--watch").out

    for out in (shown, logged, watched):
        assert " by client:ci (ana@example.com): looks good" in out


def test_a_map_says_who_decided_at_the_gates_of_its_items(
    taskrunner: Command, service: FakeService
) -> None:
    run = service.add("r2")
    state = run.state()
    block: Step = {"stepId": "each", "status": "Succeeded", "kind": "Map"}
    state["steps"] = [block]
    for number in range(9):
        path = f"each[{number}]::inner[0]::ask"
        gate: Step = {"stepId": path, "status": "Succeeded", "kind": "GateApproval"}
        state["steps"].append({**gate, "parentId": "each"})
        run.add_entry("gate.approved", path)
        approver = "ana" if number < 5 else f"bob-{number}"
        run.log[-1]["metadata"] = {"approver": approver, "summary": "fine"}
    service.next_answers = [Answer(200, state)]

    out = " ".join(taskrunner("show", "r2").out.split())

    found = "approved by ana: fine; approved by bob-5: fine; approved by bob-6: fine; and 2 more"
    assert found in out


def test_show_says_who_cancelled(taskrunner: Command, service: FakeService) -> None:
    run = service.add("r2")
    run.script = [Moment("cancelled", {"scan": "Skipped"})]
    run.add_entry("run.cancel-requested")
    run.log[-1]["metadata"] = {"by": "client:ops"}

    assert "cancelled  by client:ops" in taskrunner("show", "r2").out


def test_show_and_logs_name_the_callers_of_a_cancelled_run(
    taskrunner: Command, service: FakeService
) -> None:
    run = service.add("r2")
    run.script = [Moment("cancelled", {"scan": "Skipped"})]
    run.log[0]["message"] = "Run created via API."
    run.log[0]["metadata"] = {"by": "1h57", "byName": "nightly-build"}
    run.add_entry("run.cancel-requested", message="Cancellation requested via API.")
    run.log[-1]["metadata"] = {"by": "7kq2", "byName": "release-bot"}

    shown, logged = taskrunner("show", "r2").out, taskrunner("logs", "r2").out

    assert "cancelled  by release-bot (7kq2)" in shown
    assert "Run created via API by nightly-build (1h57)\n" in logged
    assert "Cancellation requested via API by release-bot (7kq2)\n" in logged


def test_a_log_that_cannot_be_read_hides_no_state(
    taskrunner: Command, service: UnstableService
) -> None:
    run = service.runs["r1"]
    for _ in range(len(run.script)):
        run.tick()
    service.failing = range(2, 10)

    ended = taskrunner("show", "r1")

    assert ended.code == 0
    assert "✓ succeeded" in ended.out
    assert "the log with the decisions and times cannot be read" in ended.err


class HoldingService(FakeService):
    """A service that holds a request for a state until the log has grown, if it moves on at all.

    *held* has the seconds that each such request may take, and *next_held* the answers to the next
    ones regardless of the run.
    """

    def __init__(self) -> None:
        super().__init__("http://store")
        self.held: list[int] = []
        self.next_held: list[Answer] = []
        self.plain = 0
        self.waits: dict[str, JsonValue] = {}

    def _route_run(self, request: Request, run: FakeRun, rest: list[str]) -> Answer:
        if request.method != "GET" or rest:
            return super()._route_run(request, run, rest)
        if "since" not in request.query:
            self.plain += 1
        else:
            self.held.append(int(request.query["wait"]))
            if self.next_held:
                return self.next_held.pop(0)
            run.tick()
            if request.query["since"] == f"0.{len(run.log)}":
                return Answer(304)
        state = run.state()
        steps = [{**step, **self.waits} for step in state["steps"]]
        return Answer(200, {**state, "steps": steps, "position": f"0.{len(run.log)}"})


class TestAServiceThatHoldsRequests:
    @pytest.fixture(name="service")
    def _service(self) -> HoldingService:
        service = HoldingService()
        service.add("r1", "deploy-app").verdict = "approved"
        return service

    def test_tells_of_each_change_without_being_asked_again(
        self, taskrunner: Command, service: HoldingService, world: World
    ) -> None:
        world.clock.tick = lambda: None  # type: ignore[attr-defined] # only requests move it on

        ended = taskrunner("watch", "r1")

        assert ended.code == 0
        assert service.plain == 1
        assert service.held == [20] * 4
        assert ended.out.count("run.completed") == 1

    def test_is_asked_again_while_nothing_changes(
        self, taskrunner: Command, service: HoldingService
    ) -> None:
        service.next_held = [Answer(304)] * 3

        ended = taskrunner("watch", "r1")

        assert ended.code == 0
        assert ended.err == ""
        assert service.plain == 1

    def test_is_asked_plainly_too_while_a_step_waits_for_a_worker(
        self, taskrunner: Command, service: HoldingService
    ) -> None:
        service.waits = {"workerWait": {"cause": "no-worker", "message": "no worker asks"}}
        service.next_held = [Answer(304)] * 3

        ended = taskrunner("watch", "r1")

        assert ended.code == 0
        assert service.plain == 1 + 3
        assert "build: no worker asks" in ended.out

    @pytest.mark.parametrize(
        "refusal",
        [refused(400, "invalid_request", "There is no parameter since."), Answer(400)],
        ids=["named", "bare"],
    )
    def test_is_read_plainly_if_it_is_an_older_one(
        self, taskrunner: Command, service: HoldingService, refusal: Answer
    ) -> None:
        service.next_held = [refusal] * 100

        ended = taskrunner("logs", "r1", "--follow")

        assert ended.code == 0
        assert len(ended.out.splitlines()) == len(service.runs["r1"].log)
        assert (len(service.held), ended.err) == (1, "")

    @pytest.mark.parametrize(
        "refusal",
        [
            refused(503, "try_again", "Too many wait."),
            Answer(429, headers={"Retry-After": "7"}),
            Answer(504),
            Answer(502, b"<html>"),
        ],
        ids=["busy", "too-many", "impatient", "gateway"],
    )
    def test_holds_no_more_requests_once_it_had_too_many(
        self, taskrunner: Command, service: HoldingService, refusal: Answer
    ) -> None:
        service.next_held = [refusal]

        ended = taskrunner("watch", "r1")

        assert (ended.code, ended.err) == (0, "")
        assert service.held[0] == 20
        assert set(service.held[1:]) <= {0}

    def test_holds_requests_again_after_a_lost_connection(
        self, taskrunner: Command, service: HoldingService
    ) -> None:
        half = Answer(200, b"{", {"Content-Length": "100", "Connection": "close"})
        service.next_held = [half, Answer(304), half]

        ended = taskrunner("watch", "r1")

        assert (ended.code, ended.err) == (0, "")
        assert set(service.held) == {20}
        assert service.plain == 3

    def test_a_state_without_a_position_is_read_plainly(
        self, taskrunner: Command, service: HoldingService
    ) -> None:
        service.add("r2", "hello")
        original = FakeService._route_run
        service._route_run = lambda *given: original(service, *given)  # type: ignore[method-assign]

        ended = taskrunner("watch", "r2")

        assert (ended.code, service.held) == (0, [])

    def test_a_run_that_is_gone_ends_the_watch(
        self, taskrunner: Command, service: HoldingService
    ) -> None:
        service.next_held = [refused(404, "not_found", "There is no such run.")]

        assert taskrunner("watch", "r1").code == 1
