"""The difference of two plans, a line for each change."""

import json
from collections.abc import Iterator
from typing import Final

from rich.text import Text

from taskrunner_cli.api.documents import PlanChange, PlanComparison, PlanDiff
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.wording import counted

_MARKS_AND_STYLES: Final = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "changed": ("~", "yellow"),
    "moved": (">", "cyan"),
}
_NOUNS: Final = {
    "inputs": "input",
    "secrets": "secret",
    "approvals": "approval",
    "policies": "policy",
    "steps": "step",
    "outputs": "output",
    "failurePolicy": "failure policy",
}
_MOST_CHARACTERS: Final = 200


def comparison_lines(comparison: PlanComparison) -> Iterator[Text]:
    """Yield what a plan was compared with, and each change."""
    if comparison.get("reason") and "diff" not in comparison:
        yield text(f"nothing to compare with: {comparison.get('reason')}", "dim")
        return
    base = comparison.get("runId") or comparison.get("planHash") or comparison.get("compareTo", "")
    if comparison.get("identical"):
        yield text(f"the same plan as that of {base}", "green")
        return
    diff = comparison.get("diff") or PlanDiff(changes=[])
    total = diff.get("total", len(diff["changes"]))
    yield text(f"{counted(total, 'change')} since {base}", "bold")
    for change in diff["changes"]:
        yield _change_line(change)
    if (more := total - len(diff["changes"])) > 0:
        yield text(f"… and {counted(more, 'more change')}", "dim")


def _change_line(change: PlanChange) -> Text:
    mark, style = _MARKS_AND_STYLES.get(change["change"], ("?", "default"))
    words = [_NOUNS.get(change["part"], change["part"]), change.get("id"), change.get("field")]
    name = " ".join(word for word in words if word)
    if change["change"] not in {"changed", "added", "removed"}:
        return text(f"{mark} {name} {change['change']}", style)
    values = [_value(change.get("old")), _value(change.get("new"))]
    shown = " → ".join(value for value in values if value)
    return text(f"{mark} {name}{': ' if shown else ''}{shown}", style)


def _value(value: object) -> str:
    shown = "" if value is None else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _MOST_CHARACTERS else shown[: _MOST_CHARACTERS - 1] + "…"
