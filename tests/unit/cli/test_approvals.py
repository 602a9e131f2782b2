"""`approvals`, `approve` and `reject`."""

from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer, Request
from tests.unit.cli.fake_run import Moment
from tests.unit.cli.fake_service import COMPARISON, FakeService, plan_hash, refused


def test_lists_the_open_approvals_of_all_pages(taskrunner: Command, service: FakeService) -> None:
    for number in range(3):
        service.add(f"r{number}", "deploy-app", ticks=2)
    service.add("not-waiting", "deploy-app")

    as_text, as_json = taskrunner("approvals"), taskrunner("approvals", "-o", "json")

    listed = [approval["runId"] for approval in as_json.document["approvals"]]
    assert listed == ["r0", "r1", "r2"]
    assert as_text.out.count("Review before deploy") == 3


def test_says_that_no_approval_is_open(taskrunner: Command) -> None:
    assert taskrunner("approvals").out == "no open approvals\n"


@pytest.mark.parametrize(
    ("command", "verdict", "effect"),
    [
        ("approve", "approved", "the run continues"),
        ("reject", "rejected", "the gate fails"),
    ],
)
def test_a_decision_shows_the_plan_and_sends_its_hash(
    taskrunner: Command, service: FakeService, command: str, verdict: str, effect: str
) -> None:
    service.add("r1", "deploy-app", ticks=2)

    ended = taskrunner(
        command, "r1", "security-review", "--as", "approver",
        "--summary", "seen", "--actor", "user:ana@example.com", "--yes",
    )  # fmt: skip

    assert ended.code == 0
    assert "Review before deploy" in ended.out
    assert plan_hash("deploy-app") in ended.out
    assert effect in ended.out
    assert service.requests[-1].document == {
        "decision": verdict,
        "planHash": plan_hash("deploy-app"),
        "actorId": "user:ana@example.com",
        "summary": "seen",
    }
    assert service.requests[-1].headers["authorization"] == "Bearer token-1-of-approver"


def test_sends_a_given_plan_hash_without_reading_the_run(
    taskrunner: Command, service: FakeService
) -> None:
    service.add("r1", "deploy-app", ticks=2)

    ended = taskrunner(
        "approve", "r1", "security-review", "--plan-hash", plan_hash("deploy-app"), "-o", "json"
    )

    assert ended.document == {"status": "approved", "resumed": True}
    assert [request.method for request in service.requests] == ["POST", "POST"]


def test_prints_the_refusal_of_another_plan_hash(taskrunner: Command, service: FakeService) -> None:
    service.add("r1", "deploy-app", ticks=2)

    ended = taskrunner("approve", "r1", "security-review", "--plan-hash", "x", "-o", "json")

    assert (ended.code, ended.out) == (1, "")
    assert ended.error == {
        "error": {
            "code": "plan_hash_mismatch",
            "message": "The run has another plan.",
            "status": 409,
            "traceId": "f62f3c2b",
        }
    }


def _calls(service: FakeService) -> list[Request]:
    return [request for request in service.requests if request.path != "/token"]


class TestConfirmation:
    @pytest.fixture(autouse=True)
    def _waiting(self, service: FakeService) -> None:
        service.add("r1", "deploy-app", ticks=2)

    @pytest.mark.parametrize("typed", ["y\n", "YES\n"])
    def test_decides_once_somebody_confirms(
        self, terminal: Command, service: FakeService, typed: str
    ) -> None:
        ended = terminal("approve", "r1", "security-review", typed=typed)

        assert ended.code == 0
        assert "approve security-review of run r1? [y/N]" in ended.out
        assert service.requests[-1].document["planHash"] == plan_hash("deploy-app")

    @pytest.mark.parametrize("typed", ["n\n", "\n", "", "yeah\n"])
    def test_decides_nothing_otherwise(
        self, terminal: Command, service: FakeService, typed: str
    ) -> None:
        ended = terminal("reject", "r1", "security-review", typed=typed)

        assert ended.code == 1
        assert "nothing was decided" in ended.err
        assert service.runs["r1"].verdict == ""

    @pytest.mark.parametrize("form", [(), ("-o", "json")])
    def test_without_a_terminal_nothing_is_decided_unless_told_to(
        self, taskrunner: Command, service: FakeService, form: tuple[str, ...]
    ) -> None:
        ended = taskrunner("approve", "r1", "security-review", *form)

        assert (ended.code, ended.out) == (2, "")
        assert "--yes" in ended.err
        assert service.requests == []

    def test_nobody_is_asked_about_an_approval_that_the_run_does_not_have(
        self, terminal: Command, service: FakeService
    ) -> None:
        ended = terminal("approve", "r1", "securty-review", typed="y\n")

        assert ended.code == 1
        assert "[y/N]" not in ended.out
        assert "not_found (HTTP 404" in ended.err
        assert not any(request.method == "POST" for request in _calls(service))

    def test_an_ended_run_has_nothing_that_waits(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        assert "pending" in taskrunner("approve", "r1", "security-review", "--yes").out
        for _ in range(9):
            service.tick()

        assert "pending" not in taskrunner("reject", "r1", "security-review", "--yes").out

    def test_lists_the_pending_steps_of_the_run_in_no_order(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.scripts["lanes"] = [
            Moment("waiting", {"approval": "Pending", "deploy": "Pending", "audit": "Pending"})
        ]
        service.add("r2", "lanes")

        out = taskrunner("approve", "r2", "security-review", "--yes").out

        assert "pending deploy, audit" in {" ".join(line.split()) for line in out.splitlines()}

    def test_says_that_no_other_step_is_pending(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.scripts["last"] = [Moment("waiting", {"approval": "Pending"})]
        service.add("r2", "last")

        out = taskrunner("approve", "r2", "security-review", "--yes").out

        assert "pending no other step" in {" ".join(line.split()) for line in out.splitlines()}

    def test_asks_nothing_with_yes(self, terminal: Command, service: FakeService) -> None:
        ended = terminal("approve", "r1", "security-review", "--yes")

        assert "[y/N]" not in ended.out
        assert service.runs["r1"].verdict == "approved"


class TestQuestion:
    def test_shows_what_the_list_of_approvals_says(
        self, terminal: Command, service: FakeService
    ) -> None:
        service.add("r1", "deploy-app", ticks=2)
        service.approval_facts = {
            "pack": {"name": "deploy-app", "version": "1.0.0"},
            "requestedBy": "client:ana",
            "requestedByName": "nightly",
            "minApprovals": 2,
            "approvedBy": [
                {
                    "approver": "client:bo",
                    "approverName": "bot",
                    "decidedAt": "2025-12-06T12:00:09Z",
                },
            ],
            "inputs": {"image": "app:v1", "names": ["a"]},
            "inputsOmitted": 3,
            "secrets": ["token"],
            "canDecide": False,
            "cannotDecideReason": {"code": "self_approval", "message": "You created the run."},
        }

        out = terminal("approve", "r1", "security-review").out

        for words in (
            'image = "app:v1"', 'names = ["a"]', "… and 3 more", "bot (client:bo)", "2 are needed",
            "You created the run.", "by operator",
        ):  # fmt: skip
            assert words in out
        listed = terminal("approvals").out
        assert "may not: self_approval" in listed
        assert "nightly (client:ana)" in " ".join(listed.split())

    def test_nobody_is_asked_to_approve_what_the_service_will_refuse(
        self, terminal: Command, taskrunner: Command, service: FakeService
    ) -> None:
        service.approval = {
            "runId": "r1", "approvalId": "security-review", "canDecide": False,
            "cannotDecideReason": {"code": "self_approval", "message": "You asked for this run."},
        }  # fmt: skip
        service.add("r1", "deploy-app", ticks=2)

        ended = terminal("approve", "r1", "security-review")

        assert ended.code == 1
        assert "[y/N]" not in ended.out + ended.err
        assert "error: You asked for this run." in ended.err
        assert "--as approver" in ended.err
        assert "[y/N]" in terminal("reject", "r1", "security-review", typed="n\n").out
        assert taskrunner("approve", "r1", "security-review", "--yes").code == 0

    def test_a_list_that_cannot_be_read_does_not_prevent_a_decision(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        run = service.add("r1", "deploy-app", ticks=2)
        service.next_answers = [
            Answer(200, run.state()),
            Answer(404),
            refused(403, "scope_required", "No."),
        ]

        ended = taskrunner("approve", "r1", "security-review", "--yes")

        assert ended.code == 0
        assert "the open approvals cannot be read" in ended.err


class TestQuestionOfANewService:
    @pytest.fixture(autouse=True)
    def _waiting(self, service: FakeService) -> None:
        service.add("r1", "deploy-app", ticks=2)
        service.comparison = COMPARISON
        service.approval = {
            "runId": "r1",
            "approvalId": "security-review",
            "planHash": plan_hash("deploy-app"),
            "inputs": {"image": "app:v1"},
            "gates": [
                {
                    "stepId": "approval", "guards": ["deploy", "notify"], "guardsOmitted": 2,
                    "findings": [
                        {"name": "steps.scan.outputs.critical", "value": 0},
                        {"name": "steps.scan.outputs.high"},
                    ],
                },
                {"stepId": "other", "guards": [], "guardsNothingBecause": "it warns"},
            ],
            "decisions": [
                {
                    "decision": "approved", "approver": "client:bo", "summary": "fine",
                    "actorId": "bo@example.com", "decidedAt": "2025-12-06T12:00:09Z",
                },
            ],
            "canDecide": True,
        }  # fmt: skip

    def test_shows_guards_findings_and_decisions(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        out = taskrunner("approve", "r1", "security-review", "--yes").out

        lines = {" ".join(line.split()) for line in out.splitlines()}
        assert {
            "guards deploy, notify … and 2 more",
            "guards nothing: it warns",
            "finding steps.scan.outputs.critical = 0",
            "finding steps.scan.outputs.high = -",
            'input image = "app:v1"',
        } <= lines
        assert any(line.startswith("approved by client:bo (bo@example.com)") for line in lines)
        assert not any(request.path.endswith("/approvals") for request in service.requests)

    def test_lists_the_guarded_steps_and_not_all_pending_ones(self, taskrunner: Command) -> None:
        out = taskrunner("approve", "r1", "security-review", "--yes").out

        assert not any(line.startswith("pending") for line in out.splitlines())

    def test_shows_the_changes_since_the_last_approved_run(self, taskrunner: Command) -> None:
        out = taskrunner("approve", "r1", "security-review", "--yes").out

        for line in (
            "6 changes since r0",
            '~ input image: "a:1" → "a:2"',
            '+ step probe: {"uses": "builtin:http"}',
            '- approval audit: {"grants": []}',
            "> step deploy moved",
            "… and 1 more change",
        ):
            assert line in out.splitlines()
        assert "x" * 201 not in out

    @pytest.mark.parametrize(
        ("comparison", "line"),
        [
            ({"compareTo": "last-approved", "reason": "none was approved"},
             "nothing to compare with: none was approved"),
            ({"compareTo": "r0", "runId": "r0", "identical": True, "diff": {"changes": []}},
             "the same plan as that of r0"),
        ],
    )  # fmt: skip
    def test_says_that_nothing_changed(
        self, taskrunner: Command, service: FakeService, comparison: dict[str, object], line: str
    ) -> None:
        service.comparison = comparison

        assert line in taskrunner("approve", "r1", "security-review", "--yes").out.splitlines()


class TestChoice:
    def test_chooses_from_the_list_of_open_approvals(
        self, terminal: Command, service: FakeService
    ) -> None:
        for name in ("r1", "r2"):
            service.add(name, "deploy-app", ticks=2)

        ended = terminal("approve", typed="2\ny\n")

        assert "which one, from 1 to 2?" in ended.out
        assert [service.runs[name].verdict for name in ("r1", "r2")] == ["", "approved"]

    def test_a_run_with_one_approval_needs_no_choice(
        self, terminal: Command, service: FakeService
    ) -> None:
        for name in ("r1", "r2"):
            service.add(name, "deploy-app", ticks=2)

        ended = terminal("reject", "r1", typed="y\n")

        assert "which one" not in ended.out
        assert service.runs["r1"].verdict == "rejected"

    @pytest.mark.parametrize("typed", ["0\n", "3\n", "x\n", ""])
    def test_another_number_decides_nothing(
        self, terminal: Command, service: FakeService, typed: str
    ) -> None:
        service.add("r1", "deploy-app", ticks=2)

        ended = terminal("approve", typed=typed)

        assert ended.code == 2
        assert service.runs["r1"].verdict == ""

    def test_says_that_there_is_nothing_to_decide(self, terminal: Command) -> None:
        ended = terminal("approve", "r1")

        assert ended.code == 1
        assert "there are no open approvals of run r1" in ended.err

    def test_without_a_terminal_both_ids_are_needed(self, taskrunner: Command) -> None:
        ended = taskrunner("approve", "r1", "--yes")

        assert ended.code == 2
        assert "RUN and APPROVAL are missing" in ended.err


def _decision(service: FakeService) -> Any:  # noqa: ANN401 -- any JSON
    """The body of the decision that was sent last."""
    return [request for request in _calls(service) if request.method == "POST"][-1].document


class TestGatesOfTheirOwn:
    """The gates of an approval of which each needs its own decision."""

    @pytest.fixture(autouse=True)
    def _waiting(self, service: FakeService) -> None:
        service.add("r1", "deploy-app", ticks=2)
        service.approval_facts = {"scope": "gate", "stepId": "regions[0]::go"}
        service.approval = {
            "runId": "r1",
            "approvalId": "security-review",
            "scope": "gate",
            "gates": [
                {"stepId": "regions[0]::go", "guards": ["roll-out"], "canDecide": True},
                {
                    "stepId": "regions[1]::go",
                    "guards": ["roll-out"],
                    "approvedBy": [{"approver": "carol", "decidedAt": "2025-12-06T12:00:05Z"}],
                    "canDecide": True,
                },
            ],
            "canDecide": True,
        }

    def test_sends_the_gates_that_are_named(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        steps = ("--step", "regions[0]::go", "--step", "regions[1]::go")

        ended = taskrunner("approve", "r1", "security-review", *steps, "--yes")

        assert _decision(service)["stepId"] == ["regions[0]::go", "regions[1]::go"]
        assert "security-review at regions[0]::go, regions[1]::go of run r1: approved" in ended.out

    @pytest.mark.parametrize(
        ("step_ids", "members", "effect"),
        [
            ([0], {}, "the gate goes on; 1 gate of the approval still waits"),
            ([0], {"gatesOmitted": 7}, "the gate goes on; 8 gates of the approval still wait"),
            ([1, 0], {"minApprovals": 2, "gates": [{"stepId": "regions[0]::go"}]},
             "the gate goes on; 1 gate of the approval still waits"),
            ([0, 1], {"gates": [{"stepId": "regions[2]::go"}]},
             "2 gates go on; 1 gate of the approval still waits"),
            ([0, 1], {"gates": []}, "the run continues"),
        ],
        ids=["one", "many", "second-approver", "two", "all"],
    )  # fmt: skip
    def test_says_how_many_gates_still_wait(
        self,
        taskrunner: Command,
        service: FakeService,
        step_ids: list[int],
        members: dict[str, object],
        effect: str,
    ) -> None:
        assert service.approval is not None
        service.approval |= members
        steps = [word for number in step_ids for word in ("--step", f"regions[{number}]::go")]

        ended = taskrunner("approve", "r1", "security-review", *steps, "--yes")

        assert ended.out.splitlines()[-1].partition(": approved; ")[2] == effect

    def test_says_that_the_gate_goes_on_if_the_others_cannot_be_read(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        service.approval = None

        ended = taskrunner("approve", "r1", "security-review", "--step", "regions[0]::go", "--yes")

        assert ended.out.endswith(": approved; the gate goes on\n")

    def test_sends_the_gate_that_was_chosen_from_the_list(
        self, terminal: Command, service: FakeService
    ) -> None:
        ended = terminal("approve", typed="1\ny\n")

        shown = next(r for r in service.requests if r.path.endswith("/approvals/security-review"))
        assert shown.query == {"stepId": "regions[0]::go"}
        assert "approve security-review at regions[0]::go of run r1? [y/N]" in ended.out
        assert "carol" not in ended.out
        assert _decision(service)["stepId"] == ["regions[0]::go"]

    def test_asks_which_of_several_gates_is_meant(
        self, terminal: Command, service: FakeService
    ) -> None:
        ended = terminal("reject", "r1", "security-review", typed="2\ny\n")

        assert ended.code == 0
        assert _decision(service)["stepId"] == ["regions[1]::go"]

    def test_decides_nothing_if_nobody_can_say_which_gate_is_meant(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        ended = taskrunner("approve", "r1", "security-review", "--yes")

        assert ended.code == 2
        assert "--step STEP" in ended.err
        assert service.runs["r1"].verdict == ""

    def test_names_the_only_gate_that_waits(
        self, taskrunner: Command, service: FakeService
    ) -> None:
        assert service.approval is not None
        del service.approval["gates"][0]

        taskrunner("approve", "r1", "security-review", "--yes")

        assert _decision(service)["stepId"] == ["regions[1]::go"]
