"""Approvals: who may decide, and what a decision comes to.

Every decision of a caller passes `decide`, whichever gate waits for it, and the clock's own passes
`expire`; both come together in `_with`, which alone gives a record its verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from taskrunner.errors import ConflictError, ForbiddenError
from taskrunner.model.caller import ADMIN

if TYPE_CHECKING:
    from taskrunner.model.caller import Caller
    from taskrunner.model.plan import Approval


class Verdict(StrEnum):
    """What can be decided."""

    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One approver's word. *actor* is whom the caller says it speaks for, beside who it is."""

    verdict: Verdict
    by: str
    at: str
    actor: str | None = None
    summary: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A gate that begins to wait, by its step's path; the task token stays with the store."""

    path: str
    opened_at: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedGate:
    """A gate that has been opened, whatever came of it.

    *recorded_decisions* is how many of its approval's decisions the journal has for this gate, from
    the first.
    """

    path: str
    recorded_decisions: int = 0
    is_notified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRecord:
    """An approval of one run, whose gates are kept apart: nothing limits how many they are.

    Once a gate has opened it, *was_opened*, some wait until there is a *verdict*. *version* guards
    its decisions.
    """

    approval_id: str
    verdict: Verdict | None = None
    decisions: tuple[Decision, ...] = ()
    was_opened: bool = False
    version: int = 0

    def by(self, subject: str) -> Decision | None:
        """The last word of *subject*."""
        return next((d for d in reversed(self.decisions) if d.by == subject), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a decision came to. *record* is to be stored when *changed*."""

    record: ApprovalRecord
    verdict: Verdict
    resumed: bool
    changed: bool


def decide(  # noqa: PLR0913 - a rule over six things that are not one thing
    approval: Approval,
    record: ApprovalRecord,
    decision: Decision,
    *,
    caller: Caller,
    requester: str,
    run_ended: bool,
) -> Answer:
    """Apply *decision* of *caller* to *record*, by the rules of *approval*.

    The same word by the same caller again is answered as it was the first time.

    Raises:
        ForbiddenError: the caller may not decide this one (`grant_required` names the grant).
        ConflictError: `approval_not_open` when no gate waits, `approval_already_decided` when it
            was decided otherwise or by others.
    """
    _check_may_decide(approval, decision, caller, requester)
    if _repeats(record, decision, caller):
        settled = record.verdict is Verdict.APPROVED and record.decisions[-1].by == caller.subject
        return Answer(record=record, verdict=decision.verdict, resumed=settled, changed=False)
    if record.verdict is not None:
        message = f"the approval {record.approval_id} was {record.verdict} already"
        raise ConflictError("approval_already_decided", message)
    if run_ended or not record.was_opened:
        message = f"no gate waits for the approval {record.approval_id}"
        raise ConflictError("approval_not_open", message)
    decided = _with(record, decision, approval.min_approvals)
    return Answer(
        record=decided,
        verdict=decision.verdict,
        resumed=decided.verdict is Verdict.APPROVED,
        changed=True,
    )


def expire(record: ApprovalRecord, at: str) -> ApprovalRecord:
    """*record* after the clock's own decision, which changes nothing that was decided before."""
    if record.verdict is not None:
        return record
    return _with(record, Decision(verdict=Verdict.EXPIRED, by="clock", at=at))


def _check_may_decide(
    approval: Approval, decision: Decision, caller: Caller, requester: str
) -> None:
    if decision.verdict is Verdict.EXPIRED:
        if not caller.may(ADMIN):
            raise ForbiddenError("forbidden", "only an admin may expire an approval")
        return
    missing = next((grant for grant in approval.grants if not caller.has_grant(grant)), None)
    if missing is not None:
        message = (
            f"deciding {approval.id} needs the grant {missing}, which the token does not carry"
        )
        raise ForbiddenError("grant_required", message)
    if approval.distinct_from_requester and caller.subject == requester:
        message = f"who created the run may not decide {approval.id}"
        raise ForbiddenError("forbidden", message)


def _repeats(record: ApprovalRecord, decision: Decision, caller: Caller) -> bool:
    last = record.by(caller.subject)
    return last is not None and last.verdict is decision.verdict


def _with(record: ApprovalRecord, word: Decision, needed: int = 1) -> ApprovalRecord:
    """*record* with one word more: approvals count once per approver, anything else ends it."""
    decided = replace(record, decisions=(*record.decisions, word))
    approvers = {d.by for d in decided.decisions if d.verdict is Verdict.APPROVED}
    is_open = word.verdict is Verdict.APPROVED and len(approvers) < needed
    return decided if is_open else replace(decided, verdict=word.verdict)
