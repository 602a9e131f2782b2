"""`approvals`, `approve` and `reject`: lists the open approvals, and decides about one."""

from typing import Annotated, Final

import typer

from taskrunner_cli.api.requests import Decision
from taskrunner_cli.commands.completion import complete_approval, complete_waiting_run
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import CursorOption, LimitOption
from taskrunner_cli.output.approvals import approval_list, approval_question
from taskrunner_cli.output.formatting import text
from taskrunner_cli.session import Session

WaitingRunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of a run.", autocompletion=complete_waiting_run)
]
ApprovalArgument = Annotated[
    str,
    typer.Argument(
        metavar="APPROVAL",
        help="Id of the approval, from the pack.",
        autocompletion=complete_approval,
    ),
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
_EFFECTS: Final[dict[tuple[str, bool | None], str]] = {
    ("approved", True): "the run continues",
    ("approved", False): "the run still waits, for another approver or another gate",
    ("rejected", True): "the run fails at the gate",
    ("rejected", False): "the run fails at the gate",
}


@in_session
def approvals(session: Session, *, limit: LimitOption = 100, cursor: CursorOption = None) -> None:
    """List the tenant's open approvals."""
    page = session.client.approvals(limit, cursor)
    session.print_result(page.document, approval_list(page.view["approvals"]))
    session.print_next_cursor(page.view.get("nextCursor"))


@in_session
def approve(  # noqa: PLR0913 -- one parameter per option
    session: Session,
    run: WaitingRunArgument,
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
    run: WaitingRunArgument,
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
    state = session.client.run(run).view
    session.screen.print_text(approval_question(state, approval))
    return state["planHash"]


def _decide(session: Session, run: str, approval: str, decision: Decision) -> None:
    answer = session.client.decide(run, approval, decision)
    status, resumed = answer.view["status"], answer.view.get("resumed")
    effect = _EFFECTS.get((status, resumed))
    message = f"{approval} of run {run}: {status}{f'; {effect}' if effect else ''}"
    session.print_result(answer.document, text(message, "bold"))
