"""What a notification says, and that no pack can make it one that SNS, a queue or mail refuses."""

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
# Each of them has done harm somewhere: two are none in XML, three turn the direction of the text.
HOSTILE = "\x00\x1b[2J\r\nBcc: all\u2028\u202e\u2066\u200f\ufffe\uffff\x9b\U0001f600é\ud800"
anything = st.text(st.characters(), max_size=40)
# The longest that a character becomes: one beyond the first plane that cannot be shown.
LONGEST = "\U000e0001"


def told(run: Run = RUN, kind: Reason = Reason.AWAITING_APPROVAL, **changes: Any) -> Notification:  # noqa: ANN401
    return awaiting(run, SUMMARY | changes, kind, min_approvals=2)


def document(notification: Notification) -> JsonObject:
    read: JsonObject = json.loads(notification.body)
    return read


def size_bytes(notification: Notification) -> int:
    """As SNS counts: the message and all of its attributes; the subject beside that."""
    texts = [notification.subject, notification.body]
    texts += [f"{name}String{value}" for name, value in notification.attributes.items()]
    return sum(len(text.encode()) for text in texts)


class TestContent:
    def test_it_has_what_an_approver_needs(self) -> None:
        assert document(told()) == SUMMARY | {
            "id": told().id,
            "kind": "awaiting-approval",
            "tenant": "acme",
            "minApprovals": 2,
            "decisionPath": "/v1/task-runner/runs/run-7/approvals/security",
        }

    def test_a_gate_without_a_message_has_none(self) -> None:
        silent = {name: value for name, value in SUMMARY.items() if name != "message"}

        one = awaiting(RUN, silent, Reason.AWAITING_APPROVAL, min_approvals=1)

        assert "message" not in document(one)

    def test_the_path_is_one_that_takes_decisions(self) -> None:
        path = document(told())["decisionPath"]

        route = path.replace("run-7", "{runId}").replace("security", "{approvalId}")
        assert Route("POST", route) in SCOPES

    def test_it_reads_as_lines_in_a_mail(self) -> None:
        assert '\n  "message": "Schön ☃",\n' in told(message="Schön ☃").body

    def test_subscribers_filter_by_names_alone(self) -> None:
        assert told(kind=Reason.AWAITING_OVERRIDE).attributes == {
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
    def test_the_subject_says_what_is_wanted(self, kind: Reason, subject: str) -> None:
        assert told(kind=kind).subject == subject

    def test_what_is_not_encrypted_has_no_word_of_the_message(self) -> None:
        """SNS encrypts the body, and neither subject nor attributes."""
        one = told(message="nobody-may-read-this")

        assert "nobody-may-read-this" not in f"{one.subject} {one.attributes} {one.id}"


class TestId:
    def test_a_repeat_has_the_same_whenever_it_comes(self) -> None:
        later = told(openedAt="2025-12-06T12:30:00.000Z", expiresAt="2025-12-06T13:30:00.000Z")

        assert later.id == told().id
        assert re.fullmatch("[0-9a-f]{32}", later.id)

    @pytest.mark.parametrize(
        "other",
        [
            told(stepId="outer[1]::review"),
            told(replace(RUN, run_id="run-8")),
            told(replace(RUN, tenant="globe")),
            told(replace(RUN, created_at="2026-02-06T11:00:00.000Z")),
        ],
        ids=["gate", "run", "tenant", "run of the same id later"],
    )
    def test_another_gate_has_another(self, other: Notification) -> None:
        assert other.id != told().id


class TestHostile:
    @given(message=anything, pack=anything, version=anything, approval=anything, tenant=anything)
    @example(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    @example("", "x" * 63, "1.0.0-" + "y" * 122, "z" * 63, "t" * 63)
    def test_the_subject_is_a_short_line_of_ascii_that_begins_with_a_letter(
        self, message: str, pack: str, version: str, approval: str, tenant: str
    ) -> None:
        run = replace(RUN, pack_name=pack, pack_version=version, tenant=tenant)

        subject = told(run, approvalId=approval, message=message).subject

        assert re.fullmatch(r"[A-Z][\x20-\x7e]{0,98}", subject)

    def test_a_long_subject_is_cut_visibly(self) -> None:
        subject = told(replace(RUN, pack_name="p" * 63, pack_version="1.0.0")).subject

        assert len(subject) == 99
        assert subject.startswith("Approval needed: security of pppp")
        assert subject.endswith("...")

    @given(message=anything, by=anything, grants=st.lists(anything, max_size=3))
    @example(HOSTILE, HOSTILE, [HOSTILE])
    def test_the_body_is_json_in_characters_that_can_be_seen(
        self, message: str, by: str, grants: list[str]
    ) -> None:
        one = told(message=message, requestedBy=by, grants=grants)

        assert {c for c in one.body if not c.isprintable()} <= {"\n"}
        read = document(one)
        said = [message, by, *grants]
        said = [text.encode(errors="replace").decode() for text in said]
        assert [read["message"], read["requestedBy"], *read["grants"]] == said

    @pytest.mark.parametrize("character", ["\ufffe", "\uffff", "\x7f", "\u202e", "\ud800"])
    def test_what_a_queue_refuses_or_mail_shows_otherwise_is_not_in_the_body(
        self, character: str
    ) -> None:
        assert character not in told(message=f"a{character}b").body

    @given(
        message=st.integers(0, 300_000),
        by=st.integers(0, 300_000),
        grants=st.lists(st.integers(1, 128), max_size=5),
        times=st.integers(1, 20_000),
        step_id=step_ids,
    )
    @example(300_000, 300_000, [128], 20_000, "s" * 63)
    @example(300_000, 300_000, [1], 100_000, "s" * 63)
    def test_it_is_never_more_than_sns_takes(
        self, message: int, by: int, grants: list[int], times: int, step_id: str
    ) -> None:
        one = told(
            message=LONGEST * message,
            requestedBy=LONGEST * by,
            grants=[LONGEST * length for length in grants] * times,
            stepId="outer[999]::" * 30 + step_id,
        )

        assert size_bytes(one) < MAX_BYTES == 262_144

    def test_what_is_cut_says_so_and_everything_else_is_whole(self) -> None:
        read = document(told(message="m" * 9000, grants=["packs.approve", *["g" * 128] * 40]))

        assert read["cut"] == ["message", "grants"]
        assert read["message"] == "m" * 7999 + "…"
        assert read["grants"] == ["packs.approve", *["g" * 128] * 29]
        assert read["requestedBy"] == "ana"

    def test_what_fits_is_not_cut(self) -> None:
        read = document(told(message="m" * 8000, grants=["packs.approve"] * 100))

        assert "cut" not in read
        assert (len(read["message"]), len(read["grants"])) == (8000, 100)
