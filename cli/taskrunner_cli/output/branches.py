"""The branches of parallels in a tree of steps: a line above the steps of each."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from taskrunner_cli.api.documents import SimulatedStep
from taskrunner_cli.output.formatting import text

if TYPE_CHECKING:
    from taskrunner_cli.output.steps import StepRow


class BranchLine(NamedTuple):
    """The line of a branch, by its name or number, at its depth in the tree."""

    depth: int
    name: str

    @property
    def label(self) -> Text:
        """The text in the column of steps."""
        return text(f"branch {self.name}", "dim")


def with_branches(rows: Iterable["StepRow"]) -> Iterator["StepRow | BranchLine"]:
    """Yield *rows*, and before the first of each branch its line."""
    around: list[tuple[int, str, str]] = []  # the branches that the row before is in
    for row in rows:
        depth = row.depth - 1
        branch = (depth, row.step.get("parentId", ""), row.step.get("branch", ""))
        is_in_branch = "branch" in row.step
        around = [found for found in around if found[0] < depth or found == branch]
        if is_in_branch and branch not in around:
            around.append(branch)
            yield BranchLine(depth, branch[2])
        yield row


def by_branch(steps: Iterable[SimulatedStep]) -> Iterator[tuple[str | None, list[SimulatedStep]]]:
    """Yield the branches of *steps*, each with its steps; None stands for no branch."""
    for branch, lane in groupby(steps, key=lambda step: step.get("branch")):
        yield branch, list(lane)
