"""Checks of runs that several parts of the demo make."""

from taskrunner_cli.api.documents import RunState
from taskrunner_cli.demo.context import Demo


def step_statuses(run: RunState) -> dict[str, str]:
    """Return the statuses of a run's steps, by step id."""
    return {step["stepId"]: step["status"] for step in run["steps"]}


def check_success(demo: Demo, run: RunState, step_ids: list[str]) -> None:
    """Check that a run succeeded, with exactly these steps."""
    demo.check("the run ended", "succeeded", run.get("status"))
    expected = dict.fromkeys(step_ids, "Succeeded")
    demo.check("every step succeeded", expected, step_statuses(run))
