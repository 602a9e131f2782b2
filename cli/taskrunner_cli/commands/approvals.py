"""`approvals`, `approve` and `reject`: lists the open approvals, and decides about one."""

from dataclasses import dataclass, replace
from typing import Annotated, Final, NamedTuple

import typer

from taskrunner_cli.api.documents import OpenApproval, PlanComparison, RunState, Verdict
from taskrunner_cli.api.requests import Decision
from taskrunner_cli.commands.completion import complete_approval, complete_waiting_run
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import CursorOption, LimitOption
from taskrunner_cli.errors import CommandError, RefusedError, UnreachableError, UsageError
from taskrunner_cli.output.approvals import approval_list, approval_question, numbered_steps
from taskrunner_cli.output.decision_effects import effect_at_gates, gates_gone_on
from taskrunner_cli.output.formatting import text
from taskrunner_cli.session import Session

WaitingRunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="Id of a run; on a terminal, omit it to choose from the open approvals.",
        autocompletion=complete_waiting_run,
    ),
]
ApprovalArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[APPROVAL]",
        help="Id of the approval, from the pack.",
        autocompletion=complete_approval,
    ),
]
_LAST_APPROVED: Final = "last-approved"
_MOST_CHOICES: Final = 1000
_EFFECTS: Final[dict[tuple[str, bool | None], str]] = {
    ("approved", True): "the run continues",
    ("approved", False): "the run still waits, for another approver or another gate",
    ("rejected", True): "the gate fails",
    ("rejected", False): "the gate fails",
}


@in_session
def approvals(session: Session, *, limit: LimitOption = 100, cursor: CursorOption = None) -> None:
    """List the tenant's open approvals."""
    page = session.client.approvals(limit, cursor)
    session.print_result(page.document, approval_list(page.view["approvals"]))
    session.print_next_cursor(page.view.get("nextCursor"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionOptions:
    """The options of a decision: what is recorded with it, and whether to ask first."""

    summary: Annotated[
        str, typer.Option(metavar="TEXT", help="The reason; recorded with the decision.")
    ] = ""
    plan_hash: Annotated[
        str,
        typer.Option(
            metavar="HASH", help="Decide about this plan (default: read and show the run's plan)."
        ),
    ] = ""
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP",
            help="Id of the gate, if each gate needs its own decision; may be repeated.",
        ),
    ] = None
    actor: Annotated[
        str, typer.Option(metavar="WHO", help="A name to record beside the token's caller.")
    ] = ""
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask; needed without a terminal.")
    ] = False

    def decision(self, verdict: Verdict) -> Decision:
        """Return the decision *verdict*."""
        return Decision(
            verdict=verdict,
            plan_hash=self.plan_hash,
            summary=self.summary,
            actor=self.actor,
            step_ids=tuple(self.step or ()),
        )


@in_session
def approve(
    session: Session,
    run: WaitingRunArgument = None,
    approval: ApprovalArgument = None,
    *,
    options: DecisionOptions,
) -> None:
    """Approve a gate, and let the run continue."""
    gate = _Gate(run, approval)
    _decide(session, gate, options.decision("approved"), is_confirmed=options.yes)


@in_session
def reject(
    session: Session,
    run: WaitingRunArgument = None,
    approval: ApprovalArgument = None,
    *,
    options: DecisionOptions,
) -> None:
    """Reject a gate. It fails, and so does the run unless the gate has continueOnError."""
    gate = _Gate(run, approval)
    _decide(session, gate, options.decision("rejected"), is_confirmed=options.yes)


class _Gate(NamedTuple):
    """The words of the command line that name an approval."""

    run: str | None
    approval: str | None


class _Chosen(NamedTuple):
    """An approval of a run, and its entry in the list of open approvals if that was read."""

    run: str
    approval: str
    entry: OpenApproval | None = None


def _decide(session: Session, gate: _Gate, decision: Decision, *, is_confirmed: bool) -> None:
    """Decide about a gate once somebody has seen what it is about and confirmed it.

    A given plan hash names the thing to decide about, so it counts as the confirmation.
    """
    is_confirmed = is_confirmed or bool(decision.plan_hash)
    if not (is_confirmed or session.screen.can_ask):
        raise UsageError(
            "without a terminal nobody can confirm the decision",
            cure="add --yes, or --plan-hash with the hash of the plan that was reviewed",
        )
    chosen = _choose(session, gate)
    if not decision.plan_hash:
        plan_hash, entry = _show_question(session, chosen, decision.step_ids)
        decision = replace(decision, plan_hash=plan_hash)
        if not decision.step_ids:
            decision = replace(decision, step_ids=_steps_to_decide(session, chosen, entry))
        if not is_confirmed and decision.verdict == "approved":
            _check_that_caller_may_decide(session, entry)
    if not is_confirmed:
        _confirm(session, chosen, decision)
    try:
        answer = session.client.decide(chosen.run, chosen.approval, decision)
    except RefusedError as error:
        if error.code == "approval_ambiguous":
            error.cure = "name the gate that you mean: --step STEP"
        raise
    status, resumed = answer.view["status"], answer.view.get("resumed")
    effect = _EFFECTS.get((status, resumed))
    if (status, resumed) == ("approved", True) and not session.screen.is_json:
        effect = _effect_at_gates(session, chosen, decision) or effect
    what = _what(chosen, decision)
    message = f"{what} of run {chosen.run}: {status}{f'; {effect}' if effect else ''}"
    session.print_result(answer.document, text(message, "bold"))


def _effect_at_gates(session: Session, chosen: _Chosen, decision: Decision) -> str:
    """Return which of the named gates go on and how many others wait; empty if none does."""
    if not decision.step_ids:
        return ""
    try:
        entry = session.client.approval(chosen.run, chosen.approval).view
    except (RefusedError, UnreachableError):
        return gates_gone_on(len(decision.step_ids))
    return effect_at_gates(entry, decision.step_ids)


def _what(chosen: _Chosen, decision: Decision) -> str:
    at = f" at {', '.join(decision.step_ids)}" if decision.step_ids else ""
    return f"{chosen.approval}{at}"


def _steps_to_decide(
    session: Session, chosen: _Chosen, entry: OpenApproval | None
) -> tuple[str, ...]:
    """Return the gate that is meant if each needs its own decision: the chosen or the only one.

    Raises:
        UsageError: several gates wait, and nobody can be asked which one is meant.

    """
    if chosen.entry is not None:
        is_by_gate, waiting = chosen.entry.get("scope") == "gate", [chosen.entry.get("stepId", "")]
    elif entry is not None:
        is_by_gate = entry.get("scope") == "gate"
        waiting = [gate["stepId"] for gate in entry.get("gates", [])]
    else:
        return ()
    if not is_by_gate or not waiting:
        return ()
    if len(waiting) == 1:
        return (waiting[0],)
    if not session.screen.can_ask:
        raise UsageError(
            f"several gates wait, and each needs its own decision: {', '.join(waiting)}",
            cure="name the one that you mean: --step STEP",
        )
    session.screen.print_text(numbered_steps(waiting))
    return (waiting[_ask_number(session, len(waiting)) - 1],)


def _choose(session: Session, gate: _Gate) -> _Chosen:
    """Return the approval that the command line names, or that somebody chooses from a list."""
    if gate.run and gate.approval:
        return _Chosen(gate.run, gate.approval)
    if not session.screen.can_ask:
        raise UsageError("RUN and APPROVAL are missing", cure="list them: taskrunner approvals")
    listed = session.client.approvals(_MOST_CHOICES).view["approvals"]
    listed = [entry for entry in listed if gate.run in {None, entry["runId"]}]
    if not listed:
        of_run = f" of run {gate.run}" if gate.run else ""
        raise CommandError(f"there are no open approvals{of_run}", code="not_found")
    entry = listed[0] if gate.run and len(listed) == 1 else _pick(session, listed)
    return _Chosen(entry["runId"], entry["approvalId"], entry)


def _pick(session: Session, listed: list[OpenApproval]) -> OpenApproval:
    session.screen.print_text(approval_list(listed, numbered=True))
    return listed[_ask_number(session, len(listed)) - 1]


def _ask_number(session: Session, most: int) -> int:
    answer = session.screen.ask(f"which one, from 1 to {most}?")
    if not (answer.isascii() and answer.isdigit() and 1 <= int(answer) <= most):
        raise UsageError(f"{answer!r} is not a number from 1 to {most}")
    return int(answer)


def _show_question(
    session: Session, chosen: _Chosen, step_ids: tuple[str, ...]
) -> tuple[str, OpenApproval | None]:
    """Show what the decision is about; return the plan hash of exactly that, and the approval."""
    state = session.client.run(chosen.run).view
    if session.screen.is_json:
        return state["planHash"], None
    if not step_ids and chosen.entry is not None and chosen.entry.get("scope") == "gate":
        step_ids = (chosen.entry.get("stepId", ""),)
    entry = _describe(session, chosen, state, step_ids)
    comparison = _compare(session, chosen.run)
    session.screen.print_text(
        approval_question(state, chosen.approval, entry, comparison, step_ids)
    )
    return state["planHash"], entry


def _check_that_caller_may_decide(session: Session, entry: OpenApproval | None) -> None:
    """Ask nobody about a decision that the service will refuse.

    Raises:
        CommandError: the service says that the caller may not decide.

    """
    if entry is None or entry.get("canDecide") is not False:
        return
    reason = entry.get("cannotDecideReason")
    raise CommandError(
        (reason.get("message", "") if reason else "") or "you may not decide this",
        cure="another caller of the local stack: --as approver" if session.is_local_stack else "",
        code=reason["code"] if reason else "forbidden",
    )


def _describe(
    session: Session, chosen: _Chosen, run: RunState, step_ids: tuple[str, ...]
) -> OpenApproval | None:
    """Return the approval with its gates; from an older service, its entry in the list.

    The service shows only the first of many gates, or one that is named.

    Raises:
        RefusedError: the run has no such approval, so there is nothing to decide about.

    """
    try:
        step_id = step_ids[0] if len(step_ids) == 1 else None
        return session.client.approval(chosen.run, chosen.approval, step_id).view
    except RefusedError as error:
        entry = chosen.entry or _find_entry(session, chosen)
        has_gate = any(step.get("approvalId") == chosen.approval for step in run["steps"])
        may_exist = entry is not None or has_gate or run.get("stepsOmitted")
        if error.code == "not_found" and not may_exist:
            raise
        return entry


def _compare(session: Session, run: str) -> PlanComparison | None:
    """Return the run's plan compared with the last approved one; None from an older service."""
    try:
        return session.client.plan(run, _LAST_APPROVED).view.get("comparison")
    except RefusedError:
        return None


def _find_entry(session: Session, chosen: _Chosen) -> OpenApproval | None:
    """Return an approval's entry in the list; None if it is not there or cannot be read."""
    try:
        listed = session.client.approvals(_MOST_CHOICES).view["approvals"]
    except CommandError as error:
        session.screen.print_notice(f"the open approvals cannot be read: {error.message}")
        return None
    wanted = chosen.run, chosen.approval
    return next((e for e in listed if (e["runId"], e["approvalId"]) == wanted), None)


def _confirm(session: Session, chosen: _Chosen, decision: Decision) -> None:
    """Ask whether to decide.

    Raises:
        CommandError: the answer is not yes.

    """
    verb = "approve" if decision.verdict == "approved" else "reject"
    answer = session.screen.ask(f"{verb} {_what(chosen, decision)} of run {chosen.run}? [y/N]")
    if answer.lower() not in {"y", "yes"}:
        raise CommandError("nothing was decided", code="not_confirmed")
