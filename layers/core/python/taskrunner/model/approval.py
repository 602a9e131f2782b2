"""Approvals: who may decide one, and the verdict that its decisions make.

A caller's decision passes `decide`, whichever gate waits for it. `_record_decision` is the only
function that gives a record its verdict.

An approval is approved or rejected once, for all of its gates. It never expires: a gate does, by
itself. The clock expires a gate that has waited its full time, and an admin expires those that wait
at the moment. A gate that opens later waits its own time.

With the scope `gate` an approval has a record of its own for each gate, in each iteration. All of
this then holds for each of them, and none knows the others.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from taskrunner.model.access import DECIDE_APPROVAL, SCOPES
from taskrunner.model.caller import ADMIN
from taskrunner.model.refusal import Refusal, RefusalCode
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from taskrunner.model.caller import Caller
    from taskrunner.model.plan import Approval

# The approver of a decision that nobody made in time.
CLOCK: Final = "clock"


class Verdict(StrEnum):
    """The possible results of an approval."""

    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision about an approval.

    *approver* is the subject of the caller's token, or CLOCK. *approver_name* is what the registry
    calls it, and *actor* is the person or system that the caller says it acts for; no rule reads
    these two. *decided_at* is RFC 3339 text. *names_gate* is false if it was sent without the gate
    that it is about, because only one waited.
    """

    verdict: Verdict
    approver: str
    decided_at: str
    actor: str | None = None
    summary: str | None = None
    names_gate: bool = True
    approver_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOpening:
    """A gate that starts to wait; times are RFC 3339 text. The store keeps its task token.

    *message* is what its template gives approvers to read; None for a message that is not one.
    """

    step_path: str
    opened_at: str
    expires_at: str
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecord:
    """The recorded state of a gate; a gate without a record has the defaults.

    *recorded_decisions* counts the decisions of its approval, from the first on, that the journal
    has entries of for this gate. *expired_by* is who let the gate expire: CLOCK, or an admin.
    """

    step_path: str
    recorded_decisions: int = 0
    is_notified: bool = False
    expired_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRecord:
    """An approval of one run. Its gates are separate records, because their number is unlimited.

    *gate_path* is the one gate that the record is about if the approval's scope is `gate`, else
    None.

    *verdict* is approved or rejected, and None before. *was_opened* is true once a gate waited for
    it. *version* grows with each stored decision, so that a writer notices a decision that it has
    not read.
    """

    approval_id: str
    verdict: Verdict | None = None
    decisions: tuple[Decision, ...] = ()
    was_opened: bool = False
    version: int = 0
    gate_path: str | None = None

    @property
    def name(self) -> str:
        """The record's name in its run."""
        return record_name(self.approval_id, self.gate_path)

    @property
    def subject(self) -> str:
        """The thing that the record is about, in the words of messages."""
        approval = f"the approval {self.approval_id}"
        return approval if self.gate_path is None else f"{approval} of the gate {self.gate_path}"

    def latest_decision(self, approver: str) -> Decision | None:
        """Return the latest decision of *approver*."""
        return next((d for d in reversed(self.decisions) if d.approver == approver), None)


def record_name(approval_id: str, gate_path: str | None) -> str:
    """Return the name of an approval's record in its run; no approval's id has a `#`."""
    return approval_id if gate_path is None else f"{approval_id}#{gate_path}"


def record_of(name: str) -> tuple[str, str | None]:
    """Return the approval's id and the gate of a name that `record_name` gave."""
    approval_id, _, gate_path = name.partition("#")
    return approval_id, gate_path or None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionResult:
    """The effect of a caller's decision: if *changed*, store *record*, or expire the gates.

    *resumed* is true if this decision made the approval approved.
    """

    record: ApprovalRecord
    verdict: Verdict
    resumed: bool
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGates:
    """The gates of an approval, as its decisions read them.

    *is_waiting* is whether one waits. *expired_by* has who let gates expire. It is complete when
    none waits, and *all_expired* is then whether every gate has expired.
    """

    is_waiting: bool
    expired_by: frozenset[str] = frozenset()
    all_expired: bool = False


def decide(  # noqa: PLR0913 - the rules read six independent values
    approval: Approval,
    record: ApprovalRecord,
    decision: Decision,
    *,
    gates: ApprovalGates,
    caller: Caller,
    requester: str,
) -> DecisionResult:
    """Apply *decision* of *caller* to *record*, by the rules of *approval*.

    A repeated decision of the same caller gets the result that it got the first time.

    Raises:
        ForbiddenError: the caller may not decide this approval (`grant_required` names the grant).
        ConflictError: `approval_already_decided` if the approval has a verdict, or its gates have
            expired, and this caller did not decide the same; else `approval_not_open` if no gate
            waits.
    """
    refusal = refusal_of(
        approval, record, decision.verdict, gates=gates, caller=caller, requester=requester
    )
    if refusal is not None:
        raise refusal.error
    if decision.verdict is Verdict.EXPIRED:
        return _expire(record, gates, caller)
    if _is_repeated(record, decision.verdict, caller):
        resumed = (
            record.verdict is Verdict.APPROVED and record.decisions[-1].approver == caller.subject
        )
        return DecisionResult(
            record=record, verdict=decision.verdict, resumed=resumed, changed=False
        )
    updated = _record_decision(record, decision, approval.min_approvals)
    return DecisionResult(
        record=updated,
        verdict=decision.verdict,
        resumed=updated.verdict is Verdict.APPROVED,
        changed=True,
    )


def expiry(expired_at: str) -> Decision:
    """Return the clock's decision about one gate, which has waited its full time."""
    return Decision(verdict=Verdict.EXPIRED, approver=CLOCK, decided_at=expired_at)


def _expire(record: ApprovalRecord, gates: ApprovalGates, caller: Caller) -> DecisionResult:
    """Expire the gates that wait. The record stays as it is, because an expiry is a gate's own."""
    return DecisionResult(
        record=record,
        verdict=Verdict.EXPIRED,
        resumed=False,
        changed=not _is_repeated_expiry(gates, caller),
    )


def refusal_of(  # noqa: PLR0913 - the rules read six independent values
    approval: Approval,
    record: ApprovalRecord,
    verdict: Verdict,
    *,
    gates: ApprovalGates,
    caller: Caller,
    requester: str,
) -> Refusal | None:
    """Return why *caller* may not decide *verdict*; None if it may, or decided the same before."""
    refusal = refusal_of_caller(approval, verdict, caller=caller, requester=requester)
    if refusal is not None:
        return refusal
    if verdict is Verdict.EXPIRED:
        is_repeated = _is_repeated_expiry(gates, caller)
    else:
        is_repeated = _is_repeated(record, verdict, caller)
    return None if is_repeated else refusal_of_closed(record, gates)


def refusal_of_caller(
    approval: Approval, verdict: Verdict, *, caller: Caller, requester: str
) -> Refusal | None:
    """Return why *caller* may not decide *verdict* at any gate of *approval*; None if it may."""
    if verdict is not Verdict.EXPIRED:
        return _of_approver(approval, caller, requester)
    if caller.may(ADMIN):
        return None
    return Refusal(RefusalCode.SCOPE_REQUIRED, "only an admin may expire an approval")


def refusal_to_approve(
    approval: Approval, record: ApprovalRecord, *, caller: Caller, requester: str
) -> Refusal | None:
    """Return why *caller* cannot approve at a gate that waits, by the rules of `decide`.

    A second approval of the same caller is accepted and changes nothing, so it is refused here.
    """
    scope = SCOPES[DECIDE_APPROVAL]
    if not caller.may(scope):
        message = f"deciding {approval.id} needs the scope taskrunner.{scope}"
        return Refusal(RefusalCode.SCOPE_REQUIRED, message)
    gates = ApprovalGates(is_waiting=True)
    approved = Verdict.APPROVED
    refusal = refusal_of(
        approval, record, approved, gates=gates, caller=caller, requester=requester
    )
    if refusal is None and _is_repeated(record, approved, caller):
        message = f"the caller has approved {approval.id} already, and it needs other approvers"
        return Refusal(RefusalCode.ALREADY_APPROVED, message)
    return refusal


def _of_approver(approval: Approval, caller: Caller, requester: str) -> Refusal | None:
    missing = next((grant for grant in approval.grants if not caller.has_grant(grant)), None)
    if missing is not None:
        message = (
            f"deciding {approval.id} needs the grant {missing}, which the token does not carry"
        )
        return Refusal(RefusalCode.GRANT_REQUIRED, message)
    if approval.distinct_from_requester and caller.subject == requester:
        message = f"the caller who created the run may not decide {approval.id}"
        return Refusal(RefusalCode.SELF_APPROVAL, message)
    return None


def refusal_of_closed(record: ApprovalRecord, gates: ApprovalGates) -> Refusal | None:
    """Return the refusal of a decision that was made before, or that no gate waits for."""
    if record.verdict is not None:
        message = f"{record.subject} was already {record.verdict}"
        return Refusal(RefusalCode.ALREADY_DECIDED, message)
    if gates.is_waiting:
        return None
    if gates.all_expired:
        message = f"nobody decided {record.subject} in time: its gate has expired"
        return Refusal(RefusalCode.ALREADY_DECIDED, message)
    no_gate = "no gate waits" if record.gate_path is None else f"{record.gate_path} does not wait"
    message = f"{no_gate} for the approval {record.approval_id}"
    return Refusal(RefusalCode.NOT_OPEN, message)


def _is_repeated(record: ApprovalRecord, verdict: Verdict, caller: Caller) -> bool:
    latest = record.latest_decision(caller.subject)
    return latest is not None and latest.verdict is verdict


def _is_repeated_expiry(gates: ApprovalGates, caller: Caller) -> bool:
    return not gates.is_waiting and caller.subject in gates.expired_by


def _record_decision(
    record: ApprovalRecord, decision: Decision, min_approvals: int = 1
) -> ApprovalRecord:
    """Add *decision* to *record*, with the verdict that follows.

    An approver counts once, however often they approve. One rejection ends the approval.
    """
    updated = replace(record, decisions=(*record.decisions, decision))
    approvers = {d.approver for d in updated.decisions if d.verdict is Verdict.APPROVED}
    stays_open = decision.verdict is Verdict.APPROVED and len(approvers) < min_approvals
    return updated if stays_open else replace(updated, verdict=decision.verdict)
