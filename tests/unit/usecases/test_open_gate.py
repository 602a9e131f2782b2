from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import (
    ConflictError,
    TryAgainError,
)
from taskrunner.expressions.messages import MAX_CHARACTERS
from taskrunner.model.approval import Verdict
from taskrunner.model.metrics import Measurement, Metric
from taskrunner.model.run import StepReference
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.expire_gate import expire_gate
from taskrunner.usecases.read_approval import read_approval
from taskrunner.usecases.read_state import StateQuery, read_state
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    ADMIN,
    BOB,
    CAROL,
    GATED,
    TENANT,
    a_world,
    assert_recovers,
    decide,
    entry_ids,
    gate,
    last_of_a_step,
    plan_hash,
    result_of,
    step,
    stored_state,
)

if TYPE_CHECKING:
    from taskrunner.model.notification import Notification
    from tests.fakes.world import MemoryWorld

OVERRIDDEN = pack(
    """
    - id: checked
      gate:
        policy: {policy: never, failureAction: requestOverride, override: {approval: exception}}
    """,
    spec="""
    policies: [{id: never, version: "1", rules: [{id: no, require: "`false`"}]}]
    approvals: [{id: exception, minApprovals: 2, message: Only in an emergency}]
    """,
    name="overridden",
)
TWO_GATES = pack(
    """
    - {id: review, continueOnError: true, gate: {approval: {id: security}}}
    - {id: again, gate: {approval: {id: security}}}
    """,
    spec="approvals: [{id: security, minApprovals: 2}]",
)


STOPPABLE = pack(
    """
    - id: each
      continueOnError: true
      map:
        items: {static: [1]}
        step:
          id: lanes
          parallel:
            steps:
              - {id: one, gate: {approval: {id: security}}}
              - {id: two, gate: {approval: {id: security}}}
              - {id: bad, run: {uses: builtin:fail}}
    """,
    spec="approvals: [{id: security}]",
)


def waiting(world: MemoryWorld) -> list[str]:
    run = world.runs.snapshot(TENANT, "run-7").run
    return [gate.step_path for gate in world.approvals.waiting(run, "security")]


def notifications(world: MemoryWorld) -> list[dict[str, Any]]:
    return [json.loads(sent.body) for sent in world.notifications.published]


TEMPLATES = pack(
    """
    - id: each
      map:
        items: {static: [a, b]}
        steps:
          - {id: scan, run: {uses: builtin:noop, with: {found: 3}}}
          - id: review
            gate:
              approval:
                id: security
                message: >-
                  {{ item }}: {{ steps.scan.outputs.found }} in {{ inputs.tag }}, {{ abs('x') }}
    - id: rules
      gate:
        policy: {policy: never, failureAction: requestOverride, override: {approval: security}}
    """,
    spec="""
    inputs: [{name: tag, type: string, default: v2}]
    approvals: [{id: security, message: "Override in {{ inputs.tag }} at {{ run.now }}?"}]
    policies: [{id: never, version: "1", rules: [{id: no, require: "`false`"}]}]
    """,
)


class TestMessages:
    def test_the_message_is_filled_when_the_gate_opens(self) -> None:
        world = a_world(TEMPLATES)
        step(world, "scan", iteration="each[1]::")

        gate(world, iteration="each[1]::")

        note = (
            "[not available: 'abs('x')' cannot be evaluated: abs() takes a number, "
            "but found a string]"
        )
        filled = f"b: 3 in v2, {note}"
        (listed,) = world.approvals.list_open(TENANT, 10, None).items
        entry = last_of_a_step(world)
        state = read_run_state(world)
        assert listed["message"] == filled
        assert entry.metadata["message"] == filled
        assert notifications(world)[0]["message"] == filled
        shown = {step["stepId"]: step["gateMessage"] for step in state if "gateMessage" in step}
        assert shown["each[1]::review"] == filled
        assert shown["each[0]::review"].startswith("{{ item }}")
        (waiting,) = read_approval(TENANT, "run-7", "security", BOB, world)["gates"]
        assert waiting["message"] == filled

    @pytest.mark.parametrize(
        ("message", "value"),
        [
            ("{{ steps.scan.outputs.t }}" * 60, "x" * 60_000),
            # Each replacement multiplies the length by 2,000.
            ("{{ replace(replace(replace(TEXT, 'x', TEXT), 'x', TEXT), 'x', TEXT) }}", "x" * 2_000),
            ("{{ parse_json(TEXT) }}", "[" * 20_000 + "]" * 20_000),
            ("{{ parse_json(TEXT) }}", r'"\ud800"'),
            ("{{ base64_decode('/////w==') }}", ""),
            ("{{ TEXT }}", "\x00\x07\x1b[2J\u202e\u2028"),
            # It comes to a template, which is not evaluated.
            ("{{ base64_decode('e3sgc2VjcmV0cy50b2tlbiB9fQ==') }}", ""),
            (" {{ TEXT }} ", " \t\n"),
        ],
    )
    def test_no_value_keeps_a_gate_from_opening_with_a_short_message(
        self, message: str, value: str
    ) -> None:
        message = json.dumps(message.replace("TEXT", "steps.scan.outputs.t"))
        steps = f"""
        - {{id: scan, run: {{uses: builtin:noop, with: {{t: {json.dumps(value)}}}}}}}
        - {{id: review, gate: {{approval: {{id: security, message: {message}}}}}}}
        """
        world = a_world(pack(steps, spec="approvals: [{id: security}]"))
        step(world, "scan")

        assert gate(world) == {"status": "open"}

        (waiting,) = read_approval(TENANT, "run-7", "security", BOB, world)["gates"]
        body = world.notifications.published[0].body
        assert 0 < len(waiting["message"]) <= MAX_CHARACTERS
        assert waiting["message"].strip()
        assert all(character.isprintable() or character == "\n" for character in body)
        assert json.loads(body)["message"] == waiting["message"]

    def test_an_override_shows_the_message_of_its_approval(self) -> None:
        world = a_world(TEMPLATES)

        gate(world, "rules", "token-1")
        world.clock.advance(60)
        gate(world, "rules", "token-2")  # the machine did not see the first answer

        filled = "Override in v2 at 2025-12-06T12:00:00.000Z?"
        (listed,) = world.approvals.list_open(TENANT, 10, None).items
        shown = {step["stepId"]: step.get("gateMessage") for step in read_run_state(world)}
        assert listed["message"] == filled
        assert shown["rules"] == filled

    def test_an_override_shows_a_message_that_is_not_a_template(self) -> None:
        world = a_world(
            TEMPLATES.replace("Override in {{ inputs.tag }} at {{ run.now }}?", "Well?")
        )

        gate(world, "rules")

        (listed,) = world.approvals.list_open(TENANT, 10, None).items
        shown = {step["stepId"]: step.get("gateMessage") for step in read_run_state(world)}
        assert listed["message"] == shown["rules"] == "Well?"

    def test_a_message_that_is_not_a_template_is_in_no_entry(self) -> None:
        world = a_world(GATED)
        gate(world)

        assert "message" not in last_of_a_step(world).metadata


def read_run_state(world: MemoryWorld) -> list[dict[str, Any]]:
    _, state = read_state(TENANT, "run-7", StateQuery(), world)
    assert state is not None
    steps: list[dict[str, Any]] = state["steps"]
    return steps


class TestOpening:
    def test_records_when_the_gate_expires(self) -> None:
        world = a_world(GATED)

        assert gate(world) == {"status": "open"}

        (listed,) = world.approvals.list_open(TENANT, 10, None).items
        assert (listed["openedAt"], listed["expiresAt"]) == (
            "2025-12-06T12:00:00.000Z",
            "2025-12-06T13:00:00.000Z",
        )
        assert entry_ids(world) == ["run.created", "run.started", "review#awaiting"]

    def test_lists_the_approval_as_open(self) -> None:
        world = a_world(GATED)

        gate(world)

        assert world.approvals.list_open(TENANT, 10, None).items == [
            {
                "runId": "run-7",
                "approvalId": "security",
                "stepId": "review",
                "grants": ["packs.approve"],
                "minApprovals": 1,
                "distinctFromRequester": False,
                "inputs": {},
                "openedAt": "2025-12-06T12:00:00.000Z",
                "expiresAt": "2025-12-06T13:00:00.000Z",
                "planHash": plan_hash(world),
                "pack": {"name": "gated", "version": "1.0.0"},
                "requestedBy": "ana",
                "message": "Look at the build first",
            }
        ]

    def test_never_shows_a_task_token(self) -> None:
        world = a_world(GATED)

        answer = gate(world, token="secret-token")

        record = world.approvals.get(TENANT, "run-7", "security")
        journal = [placed.entry for placed in world.runs.journal(TENANT, "run-7")]
        shown = (answer, record, journal, world.approvals.list_open(TENANT, 10, None))
        assert "secret-token" not in repr((shown, world.notifications))

    def test_opening_twice_opens_once_with_the_newer_token(self) -> None:
        world = a_world(GATED)

        gate(world, token="older")
        gate(world, token="newer")
        assert waiting(world) == ["review"]
        decide(world)

        assert entry_ids(world).count("review#awaiting") == 1
        assert waiting(world) == []
        assert world.approvals.woken == {"newer": Verdict.APPROVED}

    def test_opening_again_adds_no_entry_after_the_journal_has_moved_on(self) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        decide(world)
        snapshot = world.runs.snapshot(TENANT, "run-7")
        for number in range(9):
            entry = replace(snapshot.last_entries[0].entry, id=f"e{number}")
            world.runs.append(snapshot, [entry])

        gate(world, token="newer")

        assert entry_ids(world).count("review#awaiting") == 1

    def test_rejects_a_gate_of_a_run_that_has_ended(self) -> None:
        world = a_world(GATED)
        cancel_run(TENANT, "run-7", "ana", world)
        before = stored_state(world)

        with pytest.raises(ConflictError) as caught:
            gate(world)

        assert caught.value.code == "run_ended"
        assert stored_state(world) == before

    def test_rejects_a_gate_of_a_block_that_a_failure_has_stopped(self) -> None:
        world = a_world(STOPPABLE)
        gate(world, "one", iteration="each[0]::")
        result_of(lambda: step(world, "bad", iteration="each[0]::"))
        before = stored_state(world)

        with pytest.raises(ConflictError) as caught:
            gate(world, "two", token="token-2", iteration="each[0]::")

        assert caught.value.code == "block_stopped"
        assert stored_state(world) == before

    def test_wakes_a_gate_that_has_expired_since_it_was_opened(self) -> None:
        world = a_world(TWO_GATES)
        gate(world, token="older")
        decide(world, Verdict.EXPIRED, by=ADMIN)

        assert gate(world, token="newer") == {"status": "expired"}

        assert world.approvals.woken == {"older": Verdict.EXPIRED, "newer": Verdict.EXPIRED}
        assert entry_ids(world).count("review#decided") == 1

    def test_gives_up_after_repeated_conflicts(self) -> None:
        world = a_world(GATED)
        world.approvals.open = lambda *_, **__: False  # type: ignore[method-assign]

        with pytest.raises(TryAgainError, match="review"):
            gate(world)


class TestNotification:
    def test_notifies_approvers_of_the_gate(self) -> None:
        world = a_world(GATED)

        gate(world)

        (notification,) = notifications(world)
        assert notification.pop("id") == world.notifications.published[0].id
        assert notification == {
            "kind": "awaiting-approval",
            "tenant": TENANT,
            "runId": "run-7",
            "approvalId": "security",
            "stepId": "review",
            "message": "Look at the build first",
            "grants": ["packs.approve"],
            "minApprovals": 1,
            "planHash": plan_hash(world),
            "pack": {"name": "gated", "version": "1.0.0"},
            "requestedBy": "ana",
            "openedAt": "2025-12-06T12:00:00.000Z",
            "expiresAt": "2025-12-06T13:00:00.000Z",
            "decisionPath": "/v1/task-runner/runs/run-7/approvals/security",
        }

    def test_notifies_approvers_of_an_override(self) -> None:
        world = a_world(OVERRIDDEN)

        gate(world, "checked")

        (notification,) = notifications(world)
        names = ("kind", "approvalId", "stepId", "minApprovals", "message")
        assert [notification[name] for name in names] == [
            "awaiting-override",
            "exception",
            "checked",
            2,
            "Only in an emergency",
        ]

    def test_notifies_nobody_before_the_gate_is_recorded(self) -> None:
        world = a_world(GATED)
        seen: list[list[str]] = []

        def publish(_: object) -> bool:
            seen.append(waiting(world))
            return True

        world.notifications.publish = publish  # type: ignore[method-assign, assignment]

        gate(world)

        assert seen == [["review"]]

    def test_opening_again_notifies_nobody(self) -> None:
        world = a_world(GATED)

        gate(world, token="older")
        world.clock.advance(60)
        gate(world, token="newer")

        assert len(world.notifications.published) == 1

    def test_opening_again_after_one_of_two_approvals_notifies_nobody(self) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        decide(world)

        gate(world, token="newer")

        assert len(world.notifications.published) == 1

    def test_repeats_an_unrecorded_notification_with_the_same_id(self) -> None:
        world = a_world(GATED)
        world.approvals.record_notified = lambda *_: None  # type: ignore[method-assign]

        gate(world, token="older")
        world.clock.advance(60)
        gate(world, token="newer")

        first, second = notifications(world)
        assert first["id"] == second["id"]
        assert first["openedAt"] != second["openedAt"]

    def test_opens_the_gate_when_the_notification_cannot_be_recorded(self) -> None:
        world = a_world(GATED)

        def record_notified(*_: object) -> None:
            raise TryAgainError("others write to the same item again and again")

        world.approvals.record_notified = record_notified  # type: ignore[method-assign, assignment]

        assert gate(world) == {"status": "open"}

        assert len(world.notifications.published) == 1

    def test_notifies_approvers_of_each_gate_of_an_approval(self) -> None:
        world = a_world(TWO_GATES)

        gate(world)
        gate(world, "again", token="token-2")

        assert [sent["stepId"] for sent in notifications(world)] == ["review", "again"]
        assert len({sent.id for sent in world.notifications.published}) == 2

    @pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.REJECTED])
    def test_notifies_nobody_of_a_gate_that_is_decided(self, verdict: Verdict) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        decide(world, verdict)
        if verdict is Verdict.APPROVED:
            decide(world, by=CAROL)
        world.notifications.published.clear()

        gate(world, "again", token="token-2")

        assert world.notifications.published == []

    def test_opens_the_gate_when_approvers_cannot_be_notified(self) -> None:
        world = a_world(GATED)
        world.notifications.is_down = True

        assert gate(world) == {"status": "open"}

        assert waiting(world) == ["review"]
        listed = world.approvals.list_open(TENANT, 10, None).items
        assert [approval["stepId"] for approval in listed] == ["review"]
        decide(world)
        assert world.approvals.woken == {"token-1": Verdict.APPROVED}

    def test_counts_a_notification_that_was_refused(self) -> None:
        world = a_world(GATED)
        world.notifications.is_down = True

        gate(world)

        counted = Measurement(Metric.NOTIFICATIONS_FAILED, 1)
        assert world.metrics.recorded == [(counted, {"tenant": TENANT, "run": "run-7"})]

    def test_counts_no_notification_that_was_published(self) -> None:
        world = a_world(GATED)

        gate(world)

        assert world.metrics.recorded == []

    def test_opening_again_repeats_a_failed_notification(self) -> None:
        world = a_world(GATED)
        world.notifications.is_down = True
        gate(world, token="older")
        world.notifications.is_down = False

        gate(world, token="newer")
        gate(world, token="newest")

        assert len(world.notifications.published) == 1

    def test_a_decision_during_the_notification_counts(self) -> None:
        world = a_world(GATED)
        real = world.notifications.publish

        def decided_meanwhile(notification: Notification) -> bool:
            decide(world)
            return real(notification)

        world.notifications.publish = decided_meanwhile  # type: ignore[method-assign]

        gate(world)

        record = world.approvals.get(TENANT, "run-7", "security")
        assert record.verdict is Verdict.APPROVED
        assert world.approvals.woken == {"token-1": Verdict.APPROVED}


class TestSecondGateOfAnApproval:
    @pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.REJECTED])
    def test_is_decided_at_once_by_a_recorded_decision(self, verdict: Verdict) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        decide(world, verdict)
        if verdict is Verdict.APPROVED:
            decide(world, by=CAROL)

        answer = gate(world, "again", token="token-2")

        assert answer == {"status": verdict.value}
        assert world.approvals.woken == {"token-1": verdict, "token-2": verdict}
        ids = [entry_id for entry_id in entry_ids(world) if entry_id != "run.ended"]
        assert ids[-2:] == ["again#awaiting", "again#decided"]
        assert world.approvals.list_open(TENANT, 10, None).items == []

    def test_that_a_recorded_rejection_fails_ends_the_run(self) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        decide(world, Verdict.REJECTED)
        assert "run.ended" not in entry_ids(world)

        gate(world, "again", token="token-2")

        end = world.runs.journal(TENANT, "run-7")[-1].entry
        assert end.message == "Run failed: step again failed."

    def test_waits_its_own_time_when_the_first_has_expired(self) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        world.clock.advance(3600)
        reference = StepReference(TENANT, "run-7", "review")
        assert result_of(lambda: expire_gate(reference, world)) == "ApprovalExpiredError"

        assert gate(world, "again", token="token-2") == {"status": "open"}

        (listed,) = world.approvals.list_open(TENANT, 10, None).items
        assert (listed["stepId"], listed["openedAt"]) == ("again", "2025-12-06T13:00:00.000Z")

    def test_is_woken_together_with_the_first(self) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        gate(world, "again", token="token-2")

        assert waiting(world) == ["again", "review"]
        decide(world)
        decide(world, by=CAROL)

        assert waiting(world) == []
        assert set(world.approvals.woken) == {"token-1", "token-2"}
        assert sorted(entry_ids(world)[-2:]) == ["again#decided", "review#decided"]


class TestCrashes:
    def test_opening_again_after_a_crash_opens_the_gate(self) -> None:
        assert assert_recovers(lambda: a_world(GATED), gate) == 2 * 2 * 7

    def test_opening_a_decided_gate_again_wakes_it_once(self) -> None:
        def arrange() -> MemoryWorld:
            world = a_world(TWO_GATES)
            gate(world)
            decide(world, Verdict.REJECTED)
            return world

        ways = assert_recovers(arrange, lambda world: gate(world, "again", "token-2"))

        assert ways == 2 * 2 * 10
