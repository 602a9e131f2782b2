"""The view of one step: its state, its attempts and its outputs."""

import json

from rich.console import Group, RenderableType
from rich.text import Text

from taskrunner_cli.api.documents import StepAttempt, StepDetail
from taskrunner_cli.output.formatting import date_time, duration, parse_time, status, text
from taskrunner_cli.output.steps import status_of
from taskrunner_cli.output.tables import Facts, ResultTable
from taskrunner_cli.output.wording import retries_in_words
from taskrunner_cli.output.worker_steps import execution_of, ran_on, wait_message


def step_view(step: StepDetail) -> RenderableType:
    """Return a step with its error, a row for each attempt, and its outputs as JSON."""
    title = Text.assemble(text(step["stepId"], "bold"), "  ", status_of(step))
    facts = {
        "uses": step.get("uses", ""),
        "pool": step.get("pool", ""),
        "worker": step.get("worker", ""),
        "execution": execution_of(step),
        "reason": step.get("statusReason", ""),
        "waits": wait_message(step),
        "message": step.get("errorMessage") or step.get("gateMessage", ""),
        "retries": retries_in_words(step["retries"]) if "retries" in step else "",
        "started": date_time(step.get("startedAt")),
        "ended": date_time(step.get("endedAt")),
    }
    parts: list[RenderableType] = [
        title,
        Facts({name: fact for name, fact in facts.items() if fact}),
    ]
    parts += [text(loss.get("message", ""), "yellow") for loss in step.get("losses", [])]
    if attempts := step.get("attemptHistory", []):
        parts.append(_attempt_table(attempts))
    parts.append(_outputs(step))
    return Group(*parts)


def _attempt_table(attempts: list[StepAttempt]) -> ResultTable:
    table = ResultTable("attempt", "status", "started", "time", "detail")
    for attempt in attempts:
        started, ended = parse_time(attempt.get("startedAt")), parse_time(attempt.get("endedAt"))
        detail = (ran_on(attempt), attempt.get("reason"), attempt.get("message"))
        table.add_row(
            text(attempt["attempt"]),
            status(attempt["status"]),
            date_time(attempt.get("startedAt")),
            duration(ended - started if started and ended else None),
            text(": ".join(part for part in detail if part)),
        )
    return table


def _outputs(step: StepDetail) -> Text:
    if step.get("outputsOmitted"):
        return text("the outputs are too large to show; read those of the steps in it", "yellow")
    if step.get("outputs") is None:
        return text("no outputs", "dim")
    outputs = text(json.dumps(step["outputs"], ensure_ascii=False, indent=2))
    outputs.no_wrap, outputs.overflow = True, "ignore"  # JSON is to be copied
    return outputs
