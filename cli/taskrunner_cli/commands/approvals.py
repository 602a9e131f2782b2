"""`approvals`, `approve` and `reject`: what waits for somebody, and what they say."""

from typing import Annotated, Final

import typer

from taskrunner_cli.api.documents import Decision
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.runs import approval_list, approval_question
from taskrunner_cli.session import CursorOption, LimitOption, RunArgument, Session, in_session

ApprovalArgument = Annotated[
    str, typer.Argument(metavar="APPROVAL", help="Id of the approval, as the pack names it.")
]
SummaryOption = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept with the decision.")]
ActorOption = Annotated[
    str, typer.Option(metavar="WHO", help="Recorded beside the caller of the token, not instead.")
]
PlanHashOption = Annotated[
    str,
    typer.Option(
        metavar="HASH", help="The plan you decide about; when absent, the run's is read and shown."
    ),
]
_EFFECT: Final = {
    ("approved", True): "the run goes on",
    ("approved", False): "the run still waits, for another approver or another gate",
    ("rejected", True): "the run fails at the gate",
    ("rejected", False): "the run fails at the gate",
}


@in_session
def approvals(session: Session, *, limit: LimitOption = 100, cursor: CursorOption = None) -> None:
    """List the tenant's open approvals."""
    page = session.client.approvals(limit, cursor)
    session.answer(page, approval_list(page["approvals"]))
    session.mention_more(page.get("nextCursor"))


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
    """Let a waiting gate pass."""
    plan_hash = plan_hash or _shown_plan(session, run, approval)
    _decide(session, run, approval, "approved", plan_hash=plan_hash, summary=summary, actor=actor)


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
    """Let a waiting gate, and with it the run, fail."""
    plan_hash = plan_hash or _shown_plan(session, run, approval)
    _decide(session, run, approval, "rejected", plan_hash=plan_hash, summary=summary, actor=actor)


def _shown_plan(session: Session, run: str, approval: str) -> str:
    """Show what is being decided and return the hash of exactly that plan."""
    state = session.client.run(run)
    session.screen.say(approval_question(state, approval))
    return state["planHash"]


def _decide(  # noqa: PLR0913 -- the fields of the contract's request, all by name
    session: Session,
    run: str,
    approval: str,
    decision: Decision,
    *,
    plan_hash: str,
    summary: str,
    actor: str,
) -> None:
    answer = session.client.decide(
        run, approval, decision, plan_hash=plan_hash, summary=summary, actor=actor
    )
    effect = _EFFECT.get((answer["status"], answer["resumed"]), "")
    session.answer(answer, text(f"{approval} of run {run}: {answer['status']}; {effect}", "bold"))
