"""The rules of approvals (TASKPACK section 7), as examples and as properties."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import ConflictError, ForbiddenError
from taskrunner.model.approval import (
    CLOCK,
    ApprovalGates,
    ApprovalRecord,
    Decision,
    DecisionResult,
    Verdict,
    decide,
    expiry,
)
from taskrunner.model.caller import Caller
from taskrunner.model.plan import Approval

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = "2025-12-06T12:00:00.000Z"
OPEN = ApprovalRecord(approval_id="security", was_opened=True)
NEEDS_ONE = Approval(id="security")
NEEDS_TWO = Approval(id="security", min_approvals=2)
APPROVED, REJECTED, EXPIRED = Verdict.APPROVED, Verdict.REJECTED, Verdict.EXPIRED
WAITING = ApprovalGates(is_waiting=True)
NONE_WAITING = ApprovalGates(is_waiting=False)
ALL_EXPIRED = ApprovalGates(
    is_waiting=False, expired_by=frozenset({CLOCK, "root"}), all_expired=True
)


def a_caller(subject: str = "bob", scope: str = "operator", *grants: str) -> Caller:
    return Caller(
        subject=subject,
        scopes=frozenset({scope}),
        tenants=("acme",),
        grants=frozenset(grants),
    )


def apply(  # noqa: PLR0913 - tests vary each of these
    record: ApprovalRecord,
    verdict: Verdict,
    caller: Caller | str = "bob",
    *,
    approval: Approval = NEEDS_ONE,
    gates: ApprovalGates = WAITING,
    actor: str | None = None,
) -> DecisionResult:
    decider = a_caller(caller) if isinstance(caller, str) else caller
    return decide(
        approval,
        record,
        Decision(verdict=verdict, approver=decider.subject, decided_at=AT, actor=actor),
        caller=decider,
        gates=gates,
        requester="ana",
    )


def conflict_code(
    record: ApprovalRecord,
    verdict: Verdict,
    caller: Caller | str = "bob",
    gates: ApprovalGates = WAITING,
) -> str:
    with pytest.raises(ConflictError) as caught:
        apply(record, verdict, caller, gates=gates)
    return caught.value.code


class TestOneApproval:
    @pytest.mark.parametrize(("verdict", "resumed"), [(APPROVED, True), (REJECTED, False)])
    def test_the_first_decision_gives_the_verdict(self, verdict: Verdict, *, resumed: bool) -> None:
        result = apply(OPEN, verdict)

        assert (result.verdict, result.resumed, result.changed) == (verdict, resumed, True)
        assert result.record.verdict is verdict

    @pytest.mark.parametrize("verdict", [APPROVED, REJECTED])
    def test_a_repeated_decision_gets_the_same_result(self, verdict: Verdict) -> None:
        first = apply(OPEN, verdict)

        again = apply(first.record, verdict)

        assert again == replace(first, changed=False)

    @pytest.mark.parametrize("gates", [WAITING, NONE_WAITING])
    def test_a_repeated_decision_gets_the_same_result_after_the_end(
        self, gates: ApprovalGates
    ) -> None:
        first = apply(OPEN, APPROVED)

        assert apply(first.record, APPROVED, gates=gates) == replace(first, changed=False)

    @pytest.mark.parametrize("approver", ["bob", "carol"])
    @pytest.mark.parametrize(("first", "second"), [(APPROVED, REJECTED), (REJECTED, APPROVED)])
    def test_a_contrary_decision_is_refused(
        self, first: Verdict, second: Verdict, approver: str
    ) -> None:
        decided = apply(OPEN, first).record

        assert conflict_code(decided, second, approver) == "approval_already_decided"

    def test_the_same_decision_of_another_approver_is_refused(self) -> None:
        decided = apply(OPEN, APPROVED).record

        assert conflict_code(decided, APPROVED, "carol") == "approval_already_decided"

    @pytest.mark.parametrize("verdict", [APPROVED, REJECTED])
    def test_an_approval_whose_gates_have_expired_is_already_decided(
        self, verdict: Verdict
    ) -> None:
        assert conflict_code(OPEN, verdict, gates=ALL_EXPIRED) == "approval_already_decided"

    @pytest.mark.parametrize("record", [OPEN, ApprovalRecord(approval_id="security")])
    @pytest.mark.parametrize("verdict", list(Verdict))
    def test_an_approval_that_no_gate_waits_for_is_not_open(
        self, record: ApprovalRecord, verdict: Verdict
    ) -> None:
        caller = a_caller("bob", "admin")

        assert conflict_code(record, verdict, caller, NONE_WAITING) == "approval_not_open"

    def test_an_approval_can_be_decided_at_a_gate_that_opened_after_another_expired(self) -> None:
        gates = replace(WAITING, expired_by=frozenset({CLOCK}))

        assert apply(OPEN, APPROVED, gates=gates).record.verdict is APPROVED

    def test_records_the_actor_beside_the_approver(self) -> None:
        (decision,) = apply(OPEN, APPROVED, actor="user:zoe").record.decisions

        assert (decision.approver, decision.actor) == ("bob", "user:zoe")


class TestSeveralApprovals:
    def test_the_last_needed_approval_resumes_the_run(self) -> None:
        first = apply(OPEN, APPROVED, "bob", approval=NEEDS_TWO)
        second = apply(first.record, APPROVED, "carol", approval=NEEDS_TWO)

        assert (first.resumed, first.record.verdict) == (False, None)
        assert (second.resumed, second.record.verdict) == (True, APPROVED)

    def test_one_approver_counts_once(self) -> None:
        record = apply(OPEN, APPROVED, "bob", approval=NEEDS_TWO).record

        again = apply(record, APPROVED, "bob", approval=NEEDS_TWO)

        assert (again.changed, again.resumed, again.record.verdict) == (False, False, None)

    def test_repeated_approvals_get_the_same_results(self) -> None:
        first = apply(OPEN, APPROVED, "bob", approval=NEEDS_TWO)
        second = apply(first.record, APPROVED, "carol", approval=NEEDS_TWO)

        assert apply(second.record, APPROVED, "bob", approval=NEEDS_TWO).resumed is False
        assert apply(second.record, APPROVED, "carol", approval=NEEDS_TWO).resumed is True

    @pytest.mark.parametrize("approver", ["bob", "carol"])
    def test_one_rejection_rejects(self, approver: str) -> None:
        record = apply(OPEN, APPROVED, "bob", approval=NEEDS_TWO).record

        result = apply(record, REJECTED, approver, approval=NEEDS_TWO)

        assert (result.record.verdict, result.resumed) == (REJECTED, False)


class TestWhoMayDecide:
    @pytest.mark.parametrize("verdict", [APPROVED, REJECTED])
    def test_names_a_missing_grant(self, verdict: Verdict) -> None:
        approval = Approval(id="security", grants=("security.lead", "release.manager"))

        with pytest.raises(ForbiddenError, match=r"release\.manager") as caught:
            apply(OPEN, verdict, a_caller("bob", "operator", "security.lead"), approval=approval)

        assert caught.value.code == "grant_required"

    def test_a_caller_with_all_grants_may_decide(self) -> None:
        approval = Approval(id="security", grants=("a", "b"))

        assert apply(
            OPEN, APPROVED, a_caller("bob", "operator", "a", "b"), approval=approval
        ).resumed

    def test_an_operator_may_approve_packs_without_the_grant(self) -> None:
        approval = Approval(id="security", grants=("packs.approve",))

        assert apply(OPEN, APPROVED, approval=approval).resumed

    def test_an_admin_needs_the_grants_too(self) -> None:
        approval = Approval(id="security", grants=("security.lead",))

        with pytest.raises(ForbiddenError):
            apply(OPEN, APPROVED, a_caller("root", "admin"), approval=approval)

    @pytest.mark.parametrize("verdict", [APPROVED, REJECTED])
    def test_a_pack_may_forbid_the_requester_to_decide(self, verdict: Verdict) -> None:
        approval = Approval(id="security", distinct_from_requester=True)

        with pytest.raises(ForbiddenError, match="who created the run") as caught:
            apply(OPEN, verdict, "ana", approval=approval)

        assert caught.value.code == "forbidden"
        assert apply(OPEN, verdict, "bob", approval=approval).changed

    def test_the_requester_may_decide_otherwise(self) -> None:
        assert apply(OPEN, APPROVED, "ana").resumed

    @pytest.mark.parametrize("scope", ["viewer", "operator"])
    def test_only_an_admin_may_expire(self, scope: str) -> None:
        with pytest.raises(ForbiddenError, match="only an admin"):
            apply(OPEN, EXPIRED, a_caller("bob", scope))

    def test_an_admin_may_expire_without_grants(self) -> None:
        approval = Approval(id="security", grants=("x",), distinct_from_requester=True)

        assert apply(OPEN, EXPIRED, a_caller("ana", "admin"), approval=approval).changed

    def test_a_caller_without_the_grants_does_not_learn_of_a_verdict(self) -> None:
        approval = Approval(id="security", grants=("x",))

        with pytest.raises(ForbiddenError):
            apply(OPEN, APPROVED, approval=approval, gates=ALL_EXPIRED)


class TestExpire:
    """An expiry ends the gates that wait. The approval stays undecided for gates to come."""

    def test_an_admin_expires_the_gates_that_wait(self) -> None:
        result = apply(OPEN, EXPIRED, a_caller("root", "admin"))

        assert (result.verdict, result.changed, result.resumed) == (EXPIRED, True, False)
        assert result.record == OPEN

    def test_a_repeated_expiry_gets_the_same_result(self) -> None:
        root = a_caller("root", "admin")

        result = apply(OPEN, EXPIRED, root, gates=ALL_EXPIRED)

        assert (result.verdict, result.changed, result.record) == (EXPIRED, False, OPEN)

    def test_an_admin_expires_a_later_gate_too(self) -> None:
        gates = replace(WAITING, expired_by=frozenset({"root"}))

        assert apply(OPEN, EXPIRED, a_caller("root", "admin"), gates=gates).changed

    def test_the_expiry_of_another_admin_is_refused_after_the_first(self) -> None:
        code = conflict_code(OPEN, EXPIRED, a_caller("eve", "admin"), ALL_EXPIRED)

        assert code == "approval_already_decided"

    @pytest.mark.parametrize("verdict", [APPROVED, REJECTED])
    def test_an_admin_cannot_expire_a_decided_approval(self, verdict: Verdict) -> None:
        decided = apply(OPEN, verdict).record

        code = conflict_code(decided, EXPIRED, a_caller("root", "admin"), NONE_WAITING)

        assert code == "approval_already_decided"

    def test_the_clock_expires_as_itself(self) -> None:
        assert expiry(AT) == Decision(verdict=EXPIRED, approver=CLOCK, decided_at=AT)


_decisions = st.lists(
    st.tuples(st.sampled_from(["bob", "carol", "dave", "root"]), st.sampled_from(Verdict)),
    max_size=12,
)


def applied(
    decisions: Sequence[tuple[str, Verdict]], needed: int
) -> tuple[ApprovalRecord, list[DecisionResult]]:
    """The record after *decisions*, and the results of those that were not refused."""
    approval = Approval(id="security", min_approvals=needed)
    record, results, gates = OPEN, [], WAITING
    for subject, verdict in decisions:
        caller = a_caller(subject, "admin" if subject == "root" else "operator")
        try:
            result = apply(record, verdict, caller, approval=approval, gates=gates)
        except (ConflictError, ForbiddenError):
            continue
        record = result.record
        if result.verdict is EXPIRED:
            gates = ALL_EXPIRED
        results.append(result)
    return record, results


@given(decisions=_decisions, needed=st.integers(1, 3))
def test_a_verdict_never_changes(decisions: list[tuple[str, Verdict]], needed: int) -> None:
    lengths = range(len(decisions) + 1)
    verdicts = [applied(decisions[:length], needed)[0].verdict for length in lengths]
    decided = [verdict for verdict in verdicts if verdict is not None]

    assert len(set(decided)) <= 1
    assert verdicts[len(verdicts) - len(decided) :] == decided


@given(decisions=_decisions, needed=st.integers(1, 3))
def test_at_most_one_decision_resumes_the_run(
    decisions: list[tuple[str, Verdict]], needed: int
) -> None:
    record, results = applied(decisions, needed)
    resuming = [result for result in results if result.resumed and result.changed]

    assert len(resuming) == (record.verdict is APPROVED)


@given(decisions=_decisions, needed=st.integers(1, 3))
def test_is_approved_by_exactly_the_needed_number_of_approvers(
    decisions: list[tuple[str, Verdict]], needed: int
) -> None:
    record, _ = applied(decisions, needed)
    approvers = {d.approver for d in record.decisions if d.verdict is APPROVED}

    if record.verdict is APPROVED:
        assert len(approvers) == needed
    elif record.verdict is None:
        assert len(approvers) < needed
        assert {decision.verdict for decision in record.decisions} <= {APPROVED}


@given(decisions=_decisions, needed=st.integers(1, 3))
def test_repeating_every_decision_changes_nothing(
    decisions: list[tuple[str, Verdict]], needed: int
) -> None:
    """A client that repeats its decision after the verdict gets the same result."""
    record, _ = applied(decisions, needed)

    if record.verdict is not None:
        results = []
        for subject, verdict in decisions:
            caller = a_caller(subject, "admin" if subject == "root" else "operator")
            try:
                results.append(apply(record, verdict, caller))
            except (ConflictError, ForbiddenError):
                continue
        assert not any(result.changed for result in results)
