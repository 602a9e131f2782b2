"""The content of notifications. No pack can make one that SNS, a queue or mail rejects."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskrunner.model.access import SCOPES, Route
from taskrunner.model.notification import MAX_BYTES, Notification, awaiting
from taskrunner.model.run import Reason, Run
from tests.strategies import step_ids

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject

RUN = Run(
    tenant="acme",
    run_id="run-7",
    plan_hash="sha256:" + "a" * 64,
    definition_hash="sha256:" + "b" * 64,
    pack_name="deploy-app",
    pack_version="1.4.0",
    machine="machine",
    execution="execution",
    created_at="2025-12-06T11:00:00.000Z",
    created_by="ana",
    request_digest="sha256:" + "c" * 64,
)
SUMMARY: dict[str, Any] = {
    "runId": "run-7",
    "approvalId": "security",
    "stepId": "review",
    "grants": ["packs.approve"],
    "openedAt": "2025-12-06T12:00:00.000Z",
    "expiresAt": "2025-12-06T13:00:00.000Z",
    "planHash": RUN.plan_hash,
    "pack": {"name": "deploy-app", "version": "1.4.0"},
    "requestedBy": "ana",
    "message": "Look at the build first",
}
# Each has done harm somewhere: XML does not have two of them, three change the text direction.
HOSTILE = "\x00\x1b[2J\r\nBcc: all\u2028\u202e\u2066\u200f\ufffe\uffff\x9b\U0001f600é\ud800"
anything = st.text(st.characters(), max_size=40)
# This character gets the longest escape: it is not printable and beyond the first plane.
LONGEST = "\U000e0001"


def notify(run: Run = RUN, kind: Reason = Reason.AWAITING_APPROVAL, **changes: Any) -> Notification:  # noqa: ANN401
    return awaiting(run, SUMMARY | changes, kind, min_approvals=2)


def document(notification: Notification) -> JsonObject:
    parsed: JsonObject = json.loads(notification.body)
    return parsed


def size_bytes(notification: Notification) -> int:
    """The size as SNS counts it, message and attributes, and the subject on top of that."""
    texts = [notification.subject, notification.body]
    texts += [f"{name}String{value}" for name, value in notification.attributes.items()]
    return sum(len(text.encode()) for text in texts)


class TestContent:
    def test_contains_what_an_approver_needs(self) -> None:
        assert document(notify()) == SUMMARY | {
            "id": notify().id,
            "kind": "awaiting-approval",
            "tenant": "acme",
            "minApprovals": 2,
            "decisionPath": "/v1/task-runner/runs/run-7/approvals/security",
        }

    def test_omits_the_message_of_a_gate_without_one(self) -> None:
        summary = {name: value for name, value in SUMMARY.items() if name != "message"}

        notification = awaiting(RUN, summary, Reason.AWAITING_APPROVAL, min_approvals=1)

        assert "message" not in document(notification)

    def test_the_decision_path_is_a_route_of_the_api(self) -> None:
        path = document(notify())["decisionPath"]

        route = path.replace("run-7", "{runId}").replace("security", "{approvalId}")
        assert Route("POST", route) in SCOPES

    def test_the_body_has_one_member_per_line(self) -> None:
        assert '\n  "message": "Schön ☃",\n' in notify(message="Schön ☃").body

    def test_the_attributes_contain_names_only(self) -> None:
        assert notify(kind=Reason.AWAITING_OVERRIDE).attributes == {
            "tenant": "acme",
            "pack": "deploy-app",
            "approvalId": "security",
            "kind": "awaiting-override",
        }

    @pytest.mark.parametrize(
        ("kind", "subject"),
        [
            (
                Reason.AWAITING_APPROVAL,
                "Approval needed: security of deploy-app 1.4.0 (acme)",
            ),
            (
                Reason.AWAITING_OVERRIDE,
                "Override needed: security of deploy-app 1.4.0 (acme)",
            ),
        ],
    )
    def test_the_subject_names_the_action(self, kind: Reason, subject: str) -> None:
        assert notify(kind=kind).subject == subject

    def test_the_unencrypted_parts_contain_nothing_of_the_message(self) -> None:
        """SNS encrypts the body, but neither the subject nor the attributes."""
        sent = notify(message="nobody-may-read-this")

        assert "nobody-may-read-this" not in f"{sent.subject} {sent.attributes} {sent.id}"


class TestId:
    def test_a_repeated_notification_has_the_same_id(self) -> None:
        later = notify(openedAt="2025-12-06T12:30:00.000Z", expiresAt="2025-12-06T13:30:00.000Z")

        assert later.id == notify().id
        assert re.fullmatch("[0-9a-f]{32}", later.id)

    @pytest.mark.parametrize(
        "other",
        [
            notify(stepId="outer[1]::review"),
            notify(replace(RUN, run_id="run-8")),
            notify(replace(RUN, tenant="globe")),
            notify(replace(RUN, created_at="2026-02-06T11:00:00.000Z")),
        ],
        ids=["gate", "run", "tenant", "run of the same id later"],
    )
    def test_the_notification_of_another_gate_has_another_id(self, other: Notification) -> None:
        assert other.id != notify().id


class TestHostile:
    @given(message=anything, pack=anything, version=anything, approval=anything, tenant=anything)
    @example(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    @example("", "x" * 63, "1.0.0-" + "y" * 122, "z" * 63, "t" * 63)
    def test_the_subject_is_a_short_ascii_line_that_begins_with_a_letter(
        self, message: str, pack: str, version: str, approval: str, tenant: str
    ) -> None:
        run = replace(RUN, pack_name=pack, pack_version=version, tenant=tenant)

        subject = notify(run, approvalId=approval, message=message).subject

        assert re.fullmatch(r"[A-Z][\x20-\x7e]{0,98}", subject)

    def test_a_cut_subject_ends_in_dots(self) -> None:
        subject = notify(replace(RUN, pack_name="p" * 63, pack_version="1.0.0")).subject

        assert len(subject) == 99
        assert subject.startswith("Approval needed: security of pppp")
        assert subject.endswith("...")

    @given(message=anything, by=anything, grants=st.lists(anything, max_size=3))
    @example(HOSTILE, HOSTILE, [HOSTILE])
    def test_the_body_is_json_of_printable_characters(
        self, message: str, by: str, grants: list[str]
    ) -> None:
        notification = notify(message=message, requestedBy=by, grants=grants)

        assert {c for c in notification.body if not c.isprintable()} <= {"\n"}
        parsed = document(notification)
        texts = [text.encode(errors="replace").decode() for text in (message, by, *grants)]
        assert [parsed["message"], parsed["requestedBy"], *parsed["grants"]] == texts

    @pytest.mark.parametrize("character", ["\ufffe", "\uffff", "\x7f", "\u202e", "\ud800"])
    def test_escapes_characters_that_a_queue_rejects_or_mail_misrepresents(
        self, character: str
    ) -> None:
        assert character not in notify(message=f"a{character}b").body

    @given(
        message=st.integers(0, 300_000),
        by=st.integers(0, 300_000),
        grants=st.lists(st.integers(1, 128), max_size=5),
        times=st.integers(1, 20_000),
        step_id=step_ids,
    )
    @example(300_000, 300_000, [128], 20_000, "s" * 63)
    @example(300_000, 300_000, [1], 100_000, "s" * 63)
    def test_never_exceeds_the_limit_of_sns(
        self, message: int, by: int, grants: list[int], times: int, step_id: str
    ) -> None:
        notification = notify(
            message=LONGEST * message,
            requestedBy=LONGEST * by,
            grants=[LONGEST * length for length in grants] * times,
            stepId="outer[999]::" * 30 + step_id,
        )

        assert size_bytes(notification) < MAX_BYTES == 262_144

    def test_lists_the_members_that_are_cut(self) -> None:
        parsed = document(notify(message="m" * 9000, grants=["packs.approve", *["g" * 128] * 40]))

        assert parsed["cut"] == ["message", "grants"]
        assert parsed["message"] == "m" * 7999 + "…"
        assert parsed["grants"] == ["packs.approve", *["g" * 128] * 29]
        assert parsed["requestedBy"] == "ana"

    def test_does_not_cut_members_that_fit(self) -> None:
        parsed = document(notify(message="m" * 8000, grants=["packs.approve"] * 100))

        assert "cut" not in parsed
        assert (len(parsed["message"]), len(parsed["grants"])) == (8000, 100)
