"""The rules of TASKPACK section 7, as a table and as properties."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import ConflictError, ForbiddenError
from taskrunner.model.approval import (
    ApprovalRecord,
    Decision,
    DecisionResult,
    Verdict,
    decide,
    expire,
)
from taskrunner.model.caller import Caller
from taskrunner.model.plan import Approval

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = "2025-12-06T12:00:00.000Z"
OPEN = ApprovalRecord(approval_id="security", was_opened=True)
ONE = Approval(id="security")
TWO = Approval(id="security", min_approvals=2)
APPROVED, REJECTED, EXPIRED = Verdict.APPROVED, Verdict.REJECTED, Verdict.EXPIRED


def a_caller(subject: str = "bob", scope: str = "operator", *grants: str) -> Caller:
    return Caller(
        subject=subject,
        scopes=frozenset({scope}),
        tenants=("acme",),
        grants=frozenset(grants),
    )


def said(  # noqa: PLR0913 - one for each thing that a test wants otherwise
    record: ApprovalRecord,
    verdict: Verdict,
    caller: Caller | str = "bob",
    *,
    approval: Approval = ONE,
    run_ended: bool = False,
    actor: str | None = None,
) -> DecisionResult:
    who = a_caller(caller) if isinstance(caller, str) else caller
    return decide(
        approval,
        record,
        Decision(verdict=verdict, approver=who.subject, decided_at=AT, actor=actor),
        caller=who,
        requester="ana",
        run_ended=run_ended,
    )


def refused(record: ApprovalRecord, verdict: Verdict, caller: str = "bob") -> str:
    with pytest.raises(ConflictError) as caught:
        said(record, verdict, caller)
    return caught.value.code


class TestOneApproval:
    @pytest.mark.parametrize(
        ("verdict", "scope", "resumed"),
        [(APPROVED, "operator", True), (REJECTED, "operator", False), (EXPIRED, "admin", False)],
    )
    def test_the_first_word_decides(self, verdict: Verdict, scope: str, *, resumed: bool) -> None:
        answer = said(OPEN, verdict, a_caller("bob", scope))

        assert (answer.verdict, answer.resumed, answer.changed) == (verdict, resumed, True)
        assert answer.record.verdict is verdict

    @pytest.mark.parametrize("verdict", [APPROVED, REJECTED])
    def test_the_same_word_by_the_same_approver_is_answered_the_same(
        self, verdict: Verdict
    ) -> None:
        first = said(OPEN, verdict)

        again = said(first.record, verdict)

        assert again == replace(first, changed=False)

    @pytest.mark.parametrize("ended", [True, False])
    def test_also_when_the_run_has_ended_meanwhile(self, *, ended: bool) -> None:
        first = said(OPEN, APPROVED)

        assert said(first.record, APPROVED, run_ended=ended) == replace(first, changed=False)

    @pytest.mark.parametrize("by", ["bob", "carol"])
    @pytest.mark.parametrize(("first", "second"), [(APPROVED, REJECTED), (REJECTED, APPROVED)])
    def test_a_contrary_word_comes_too_late(self, first: Verdict, second: Verdict, by: str) -> None:
        assert refused(said(OPEN, first).record, second, by) == "approval_already_decided"

    def test_so_does_another_approver_with_the_same_word(self) -> None:
        assert refused(said(OPEN, APPROVED).record, APPROVED, "carol") == "approval_already_decided"

    def test_a_gate_that_was_expired_by_the_clock_is_decided(self) -> None:
        assert refused(expire(OPEN, AT), APPROVED) == "approval_already_decided"

    def test_a_gate_that_nobody_reached_is_not_open(self) -> None:
        assert refused(ApprovalRecord(approval_id="security"), APPROVED) == "approval_not_open"

    def test_a_gate_of_a_run_that_has_ended_is_not_open(self) -> None:
        with pytest.raises(ConflictError) as caught:
            said(OPEN, APPROVED, run_ended=True)

        assert caught.value.code == "approval_not_open"

    def test_the_actor_is_recorded_beside_the_approver(self) -> None:
        (word,) = said(OPEN, APPROVED, actor="user:zoe").record.decisions

        assert (word.approver, word.actor) == ("bob", "user:zoe")


class TestSeveralApprovals:
    def test_the_last_that_is_needed_lets_the_run_go_on(self) -> None:
        first = said(OPEN, APPROVED, "bob", approval=TWO)
        second = said(first.record, APPROVED, "carol", approval=TWO)

        assert (first.resumed, first.record.verdict) == (False, None)
        assert (second.resumed, second.record.verdict) == (True, APPROVED)

    def test_one_approver_counts_once(self) -> None:
        record = said(OPEN, APPROVED, "bob", approval=TWO).record

        again = said(record, APPROVED, "bob", approval=TWO)

        assert (again.changed, again.resumed, again.record.verdict) == (False, False, None)

    def test_each_is_answered_again_as_the_first_time(self) -> None:
        first = said(OPEN, APPROVED, "bob", approval=TWO)
        second = said(first.record, APPROVED, "carol", approval=TWO)

        assert said(second.record, APPROVED, "bob", approval=TWO).resumed is False
        assert said(second.record, APPROVED, "carol", approval=TWO).resumed is True

    @pytest.mark.parametrize("by", ["bob", "carol"])
    def test_one_rejection_ends_it(self, by: str) -> None:
        record = said(OPEN, APPROVED, "bob", approval=TWO).record

        answer = said(record, REJECTED, by, approval=TWO)

        assert (answer.record.verdict, answer.resumed) == (REJECTED, False)


class TestWhoMayDecide:
    @pytest.mark.parametrize("verdict", [APPROVED, REJECTED])
    def test_every_grant_is_needed_and_the_missing_one_is_named(self, verdict: Verdict) -> None:
        approval = Approval(id="security", grants=("security.lead", "release.manager"))

        with pytest.raises(ForbiddenError, match=r"release\.manager") as caught:
            said(OPEN, verdict, a_caller("bob", "operator", "security.lead"), approval=approval)

        assert caught.value.code == "grant_required"

    def test_who_carries_them_all_decides(self) -> None:
        approval = Approval(id="security", grants=("a", "b"))

        assert said(
            OPEN, APPROVED, a_caller("bob", "operator", "a", "b"), approval=approval
        ).resumed

    def test_an_operator_may_approve_packs_without_the_grant(self) -> None:
        approval = Approval(id="security", grants=("packs.approve",))

        assert said(OPEN, APPROVED, approval=approval).resumed

    def test_an_admin_needs_the_grants_too(self) -> None:
        approval = Approval(id="security", grants=("security.lead",))

        with pytest.raises(ForbiddenError):
            said(OPEN, APPROVED, a_caller("root", "admin"), approval=approval)

    @pytest.mark.parametrize("verdict", [APPROVED, REJECTED])
    def test_who_created_the_run_may_be_kept_from_deciding(self, verdict: Verdict) -> None:
        approval = Approval(id="security", distinct_from_requester=True)

        with pytest.raises(ForbiddenError, match="who created the run") as caught:
            said(OPEN, verdict, "ana", approval=approval)

        assert caught.value.code == "forbidden"
        assert said(OPEN, verdict, "bob", approval=approval).changed

    def test_who_created_the_run_may_decide_when_nothing_forbids_it(self) -> None:
        assert said(OPEN, APPROVED, "ana").resumed

    @pytest.mark.parametrize("scope", ["viewer", "operator"])
    def test_only_an_admin_expires(self, scope: str) -> None:
        with pytest.raises(ForbiddenError, match="only an admin"):
            said(OPEN, EXPIRED, a_caller("bob", scope))

    def test_an_admin_expires_without_grants(self) -> None:
        approval = Approval(id="security", grants=("x",), distinct_from_requester=True)

        assert said(OPEN, EXPIRED, a_caller("ana", "admin"), approval=approval).changed

    def test_who_may_not_decide_is_not_told_whether_it_is_decided(self) -> None:
        approval = Approval(id="security", grants=("x",))

        with pytest.raises(ForbiddenError):
            said(expire(OPEN, AT), APPROVED, approval=approval)


class TestExpire:
    def test_the_clock_decides_what_nobody_did(self) -> None:
        expired = expire(OPEN, AT)

        assert expired.verdict is EXPIRED
        assert expired.decisions == (Decision(verdict=EXPIRED, approver="clock", decided_at=AT),)

    @pytest.mark.parametrize("verdict", [APPROVED, REJECTED])
    def test_the_clock_changes_nothing_that_was_decided(self, verdict: Verdict) -> None:
        decided = said(OPEN, verdict).record

        assert expire(decided, AT) == decided

    def test_one_approval_of_two_expires(self) -> None:
        assert expire(said(OPEN, APPROVED, approval=TWO).record, AT).verdict is EXPIRED


_words = st.lists(
    st.tuples(st.sampled_from(["bob", "carol", "dave", "root"]), st.sampled_from(Verdict)),
    max_size=12,
)


def applied(
    words: Sequence[tuple[str, Verdict]], needed: int
) -> tuple[ApprovalRecord, list[DecisionResult]]:
    """The record after all of *words*, and the answers to those that were not refused."""
    approval = Approval(id="security", min_approvals=needed)
    record, answers = OPEN, []
    for subject, verdict in words:
        caller = a_caller(subject, "admin" if subject == "root" else "operator")
        try:
            answer = said(record, verdict, caller, approval=approval)
        except (ConflictError, ForbiddenError):
            continue
        record = answer.record
        answers.append(answer)
    return record, answers


@given(words=_words, needed=st.integers(1, 3))
def test_what_is_decided_stays_decided(words: list[tuple[str, Verdict]], needed: int) -> None:
    verdicts = [applied(words[:length], needed)[0].verdict for length in range(len(words) + 1)]
    decided = [one for one in verdicts if one is not None]

    assert len(set(decided)) <= 1
    assert verdicts[len(verdicts) - len(decided) :] == decided


@given(words=_words, needed=st.integers(1, 3))
def test_at_most_one_word_lets_the_run_go_on(words: list[tuple[str, Verdict]], needed: int) -> None:
    record, answers = applied(words, needed)
    resuming = [one for one in answers if one.resumed and one.changed]

    assert len(resuming) == (record.verdict is APPROVED)


@given(words=_words, needed=st.integers(1, 3))
def test_approved_is_approved_by_as_many_as_are_needed(
    words: list[tuple[str, Verdict]], needed: int
) -> None:
    record, _ = applied(words, needed)
    approvers = {one.approver for one in record.decisions if one.verdict is APPROVED}

    if record.verdict is APPROVED:
        assert len(approvers) == needed
    elif record.verdict is None:
        assert len(approvers) < needed
        assert {one.verdict for one in record.decisions} <= {APPROVED}


@given(words=_words, needed=st.integers(1, 3))
def test_saying_everything_again_changes_nothing(
    words: list[tuple[str, Verdict]], needed: int
) -> None:
    """A client that repeats what it said, once all is decided, learns what it learned before."""
    record, _ = applied(words, needed)

    if record.verdict is not None:
        answers = []
        for subject, verdict in words:
            caller = a_caller(subject, "admin" if subject == "root" else "operator")
            try:
                answers.append(said(record, verdict, caller))
            except (ConflictError, ForbiddenError):
                continue
        assert all(not one.changed for one in answers)
