"""Any rule, any callers, any order of decisions: compared with a second, simpler implementation.

The second implementation keeps no record. It looks at all earlier decisions each time.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.errors import ConflictError, ForbiddenError
from taskrunner.model.approval import (
    ApprovalGates,
    ApprovalRecord,
    Decision,
    DecisionResult,
    Verdict,
    decide,
)
from taskrunner.model.caller import Caller
from taskrunner.model.plan import Approval
from tests.sources import calls

AT = "2025-12-06T12:00:00.000Z"
GRANTS = ("packs.approve", "security.lead", "release.manager")
OPEN = ApprovalRecord(approval_id="security", was_opened=True)


@dataclass(frozen=True)
class Attempt:
    """One try to decide. A subject may come with several clients, tokens and actors."""

    caller: Caller
    verdict: Verdict
    actor: str | None


callers = st.builds(
    Caller,
    subject=st.sampled_from(["ana", "bob", "carol", "dave"]),
    scopes=st.sampled_from([frozenset({scope}) for scope in ("viewer", "operator", "admin")]),
    tenants=st.sampled_from([("acme",), ("globex",), ("acme", "globex"), ()]),
    grants=st.sets(st.sampled_from(GRANTS)).map(frozenset),
)
attempts = st.builds(
    Attempt,
    caller=callers,
    # Mostly approvals, because one decision of another kind ends the approval.
    verdict=st.sampled_from([Verdict.APPROVED] * 6 + [Verdict.REJECTED, Verdict.EXPIRED]),
    actor=st.sampled_from([None, "user:ana", "user:bob", "bob"]),
)
approvals = st.builds(
    Approval,
    id=st.just("security"),
    grants=st.lists(st.sampled_from(GRANTS), unique=True, max_size=2).map(tuple),
    min_approvals=st.integers(1, 3),
    distinct_from_requester=st.booleans(),
)


def may(approval: Approval, attempt: Attempt, requester: str) -> bool:
    scope = next(iter(attempt.caller.scopes))
    if attempt.verdict is Verdict.EXPIRED:
        return scope == "admin"
    implied = {"packs.approve"} if scope in ("operator", "admin") else set()
    is_requester = attempt.caller.subject == requester
    return set(approval.grants) <= attempt.caller.grants | implied and not (
        approval.distinct_from_requester and is_requester
    )


def expected_verdict(approval: Approval, counted: list[Attempt]) -> Verdict | None:
    """The result of the attempts that were allowed and came in time; an expiry is the gate's."""
    ending = [a.verdict for a in counted if a.verdict is not Verdict.APPROVED]
    if ending:
        return ending[0]
    approvers = {attempt.caller.subject for attempt in counted}
    return Verdict.APPROVED if len(approvers) >= approval.min_approvals else None


@settings(max_examples=500)
@given(
    approval=approvals,
    tries=st.lists(attempts, min_size=2, max_size=10),
    requester=st.sampled_from(["ana", "bob", "eve"]),
)
def test_every_decision_follows_the_rules(
    approval: Approval, tries: list[Attempt], requester: str
) -> None:
    record, counted, gates = OPEN, list[Attempt](), ApprovalGates(is_waiting=True)
    for attempt in tries:
        subject = attempt.caller.subject
        decision = Decision(
            verdict=attempt.verdict, approver=subject, decided_at=AT, actor=attempt.actor
        )
        is_expiry = attempt.verdict is Verdict.EXPIRED
        latest = next(
            (
                earlier
                for earlier in reversed(counted)
                if earlier.caller.subject == subject
                and (earlier.verdict is Verdict.EXPIRED) is is_expiry
            ),
            None,
        )
        is_repeated = latest is not None and latest.verdict is attempt.verdict
        result: DecisionResult | ForbiddenError | ConflictError
        try:
            result = decide(
                approval,
                record,
                decision,
                caller=attempt.caller,
                requester=requester,
                gates=gates,
            )
        except (ForbiddenError, ConflictError) as error:
            result = error
        assert isinstance(result, ForbiddenError) is not may(approval, attempt, requester)
        match result:
            case ForbiddenError(code="grant_required", message=message):
                assert any(grant in message for grant in approval.grants)
                assert not set(approval.grants) <= attempt.caller.grants
            case ConflictError(code=code):
                assert code == "approval_already_decided"
                assert expected_verdict(approval, counted) is not None
                assert not is_repeated
            case DecisionResult(changed=changed):
                assert changed is not is_repeated
                counted += [attempt] if changed else []
                record = result.record
                if is_expiry:
                    gates = ApprovalGates(
                        is_waiting=False, expired_by=frozenset({subject}), all_expired=True
                    )
        verdict = expected_verdict(approval, counted)
        assert record.verdict is (None if verdict is Verdict.EXPIRED else verdict)
        assert [d.approver for d in record.decisions] == [
            a.caller.subject for a in counted if a.verdict is not Verdict.EXPIRED
        ]


def test_only_the_model_makes_verdicts_and_only_the_adapter_reads_stored_ones() -> None:
    with_verdict = {
        path
        for name in ("replace", "ApprovalRecord")
        for path, nodes in calls(name).items()
        if any(
            keyword.arg in {"verdict", "decisions"} for node in nodes for keyword in node.keywords
        )
    }
    assert with_verdict == {"model/approval.py", "adapters/approval_items.py"}
    assert set(calls("Decision")) == {
        "model/approval.py",
        "adapters/approval_items.py",
        "usecases/decide_approval.py",
    }


def test_only_one_use_case_stores_decisions() -> None:
    """Its records come from `decide`, because nothing else makes a verdict."""
    storing = {
        path
        for path, nodes in calls("decide").items()
        if any(ast.unparse(node.func).endswith("approvals.decide") for node in nodes)
    }

    assert storing == {"usecases/decide_approval.py"}
