"""Any rule, any callers, any order of their words: held to the rules said a second time.

The second saying has no record and no cleverness: it looks at all that was said before, each time.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.errors import ConflictError, ForbiddenError
from taskrunner.model.approval import (
    Answer,
    ApprovalRecord,
    Decision,
    Verdict,
    decide,
    expire,
)
from taskrunner.model.caller import Caller
from taskrunner.model.plan import Approval
from tests.template import ROOT

AT = "2025-12-06T12:00:00.000Z"
PACKAGE = ROOT / "layers/core/python/taskrunner"
GRANTS = ("packs.approve", "security.lead", "release.manager")
OPEN = ApprovalRecord(approval_id="security", was_opened=True)


@dataclass(frozen=True)
class Word:
    """What one caller says: the same subject may come with other clients, tokens and actors."""

    caller: Caller
    verdict: Verdict
    actor: str | None


callers = st.builds(
    Caller,
    subject=st.sampled_from(["ana", "bob", "carol", "clock"]),
    scopes=st.sampled_from([frozenset({one}) for one in ("viewer", "operator", "admin")]),
    tenants=st.sampled_from([("acme",), ("globex",), ("acme", "globex"), ()]),
    grants=st.sets(st.sampled_from(GRANTS)).map(frozenset),
)
words = st.builds(
    Word,
    caller=callers,
    # Mostly approvals: one word of another kind ends it all.
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


def may(approval: Approval, word: Word, requester: str) -> bool:
    scope = next(iter(word.caller.scopes))
    if word.verdict is Verdict.EXPIRED:
        return scope == "admin"
    carried = word.caller.grants | ({"packs.approve"} if scope in ("operator", "admin") else set())
    is_requester = word.caller.subject == requester
    return set(approval.grants) <= carried and not (
        approval.distinct_from_requester and is_requester
    )


def outcome(approval: Approval, heard: list[Word]) -> Verdict | None:
    """What the words come to that were allowed and came in time."""
    ending = [one.verdict for one in heard if one.verdict is not Verdict.APPROVED]
    if ending:
        return ending[0]
    approvers = {one.caller.subject for one in heard}
    return Verdict.APPROVED if len(approvers) >= approval.min_approvals else None


@settings(max_examples=500)
@given(
    approval=approvals,
    said=st.lists(words, min_size=2, max_size=10),
    requester=st.sampled_from(["ana", "bob", "eve"]),
)
def test_every_word_is_heard_by_the_rules(
    approval: Approval, said: list[Word], requester: str
) -> None:
    record, heard = OPEN, list[Word]()
    for word in said:
        decision = Decision(verdict=word.verdict, by=word.caller.subject, at=AT, actor=word.actor)
        last = next((o for o in reversed(heard) if o.caller.subject == decision.by), None)
        repeats = last is not None and last.verdict is word.verdict
        answer: Answer | ForbiddenError | ConflictError
        try:
            answer = decide(
                approval,
                record,
                decision,
                caller=word.caller,
                requester=requester,
                run_ended=False,
            )
        except (ForbiddenError, ConflictError) as refused:
            answer = refused
        assert isinstance(answer, ForbiddenError) is not may(approval, word, requester)
        match answer:
            case ForbiddenError(code="grant_required", message=message):
                assert any(grant in message for grant in approval.grants)
                assert not set(approval.grants) <= word.caller.grants
            case ConflictError(code=code):
                assert code == "approval_already_decided"
                assert outcome(approval, heard) is not None
                assert not repeats
            case Answer(changed=changed):
                assert changed is not repeats
                heard += [word] if changed else []
                record = answer.record
        assert record.verdict is outcome(approval, heard)
        assert [one.by for one in record.decisions] == [one.caller.subject for one in heard]


@given(approval=approvals, said=st.lists(words, max_size=6))
def test_the_clock_ends_what_is_open_and_nothing_else(approval: Approval, said: list[Word]) -> None:
    record = OPEN
    for word in said:
        decision = Decision(verdict=word.verdict, by=word.caller.subject, at=AT)
        try:
            record = decide(
                approval, record, decision, caller=word.caller, requester="eve", run_ended=False
            ).record
        except (ConflictError, ForbiddenError):
            continue

    after = expire(record, AT)

    assert after.verdict is (record.verdict or Verdict.EXPIRED)
    assert (after == record) is (record.verdict is not None)


def calls(name: str) -> dict[str, list[ast.Call]]:
    """Every call of *name* in the package, plain or as a method, by the file's path in it."""
    found: dict[str, list[ast.Call]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == name:
                found.setdefault(str(path.relative_to(PACKAGE)), []).append(node)
    return found


def test_nothing_else_gives_a_record_its_verdict() -> None:
    """Decisions are made in the model and stored as they come; the adapter reads what is stored."""
    with_verdict = {
        path
        for name in ("replace", "ApprovalRecord")
        for path, nodes in calls(name).items()
        if any(keyword.arg in {"verdict", "decisions"} for one in nodes for keyword in one.keywords)
    }
    assert with_verdict == {"model/approval.py", "adapters/approvals.py"}
    assert set(calls("Decision")) == {
        "model/approval.py",
        "adapters/approvals.py",
        "usecases/decide_approval.py",
    }


def test_a_decision_is_stored_only_behind_the_function_that_makes_it() -> None:
    stored = {
        path: ast.unparse(node.args[1])
        for path, nodes in calls("decide").items()
        for node in nodes
        if ast.unparse(node.func).endswith("approvals.decide")
    }

    assert stored == {
        "usecases/decide_approval.py": "answer.record",  # what decide answered
        "usecases/expire_gate.py": "expired",  # what expire answered
    }
