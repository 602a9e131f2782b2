"""`approvals`, `approve` and `reject`: lists the open approvals, and decides about one."""

from typing import Annotated, Final

import typer

from taskrunner_cli.api.requests import Decision
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import CursorOption, LimitOption, RunArgument
from taskrunner_cli.output.approvals import approval_list, approval_question
from taskrunner_cli.output.formatting import text
from taskrunner_cli.session import Session

ApprovalArgument = Annotated[
    str, typer.Argument(metavar="APPROVAL", help="Id of the approval, from the pack.")
]
SummaryOption = Annotated[
    str, typer.Option(metavar="TEXT", help="The reason; recorded with the decision.")
]
ActorOption = Annotated[
    str, typer.Option(metavar="WHO", help="A name to record beside the token's caller.")
]
PlanHashOption = Annotated[
    str,
    typer.Option(
        metavar="HASH", help="Decide about this plan (default: read and show the run's plan)."
    ),
]
_EFFECTS: Final = {
    ("approved", True): "the run continues",
    ("approved", False): "the run still waits, for another approver or another gate",
    ("rejected", True): "the run fails at the gate",
    ("rejected", False): "the run fails at the gate",
}


@in_session
def approvals(session: Session, *, limit: LimitOption = 100, cursor: CursorOption = None) -> None:
    """List the tenant's open approvals."""
    page = session.client.approvals(limit, cursor)
    session.print_result(page, approval_list(page["approvals"]))
    session.print_next_cursor(page.get("nextCursor"))


@in_session
def approve(  # noqa: PLR0913 -- one parameter per option
    session: Session,
    run: RunArgument,
    approval: ApprovalArgument,
    *,
    summary: SummaryOption = "",
    plan_hash: PlanHashOption = "",
    actor: ActorOption = "",
) -> None:
    """Approve a gate, and let the run continue."""
    plan_hash = plan_hash or _show_plan(session, run, approval)
    decision = Decision(verdict="approved", plan_hash=plan_hash, summary=summary, actor=actor)
    _decide(session, run, approval, decision)


@in_session
def reject(  # noqa: PLR0913 -- one parameter per option
    session: Session,
    run: RunArgument,
    approval: ApprovalArgument,
    *,
    summary: SummaryOption = "",
    plan_hash: PlanHashOption = "",
    actor: ActorOption = "",
) -> None:
    """Reject a gate, and let the run fail at it."""
    plan_hash = plan_hash or _show_plan(session, run, approval)
    decision = Decision(verdict="rejected", plan_hash=plan_hash, summary=summary, actor=actor)
    _decide(session, run, approval, decision)


def _show_plan(session: Session, run: str, approval: str) -> str:
    """Show what the decision is about, and return the plan hash of exactly that."""
    state = session.client.run(run)
    session.screen.print_text(approval_question(state, approval))
    return state["planHash"]


def _decide(session: Session, run: str, approval: str, decision: Decision) -> None:
    answer = session.client.decide(run, approval, decision)
    effect = _EFFECTS.get((answer["status"], answer["resumed"]), "")
    message = f"{approval} of run {run}: {answer['status']}; {effect}"
    session.print_result(answer, text(message, "bold"))
