"""Views of artifacts: the list."""

from collections.abc import Sequence
from typing import Final

from rich import filesize
from rich.console import RenderableType
from rich.text import Text

from taskrunner_cli.api.documents import Artifact
from taskrunner_cli.output.formatting import clock_time, status, text
from taskrunner_cli.output.tables import ResultTable

_MOST_CHARACTERS: Final = 60


def artifact_list(artifacts: Sequence[Artifact]) -> RenderableType:
    """Return the list of artifacts, a row for each."""
    if not artifacts:
        return Text("no artifacts", style="dim")
    table = ResultTable("artifact", "type", "status", "size", "captured", "from")
    for artifact in artifacts:
        source = artifact.get("sourcePath") or _beginning(artifact.get("expressionJson", ""))
        size = artifact.get("sizeBytes")
        table.add_row(
            text(artifact["name"], "bold"),
            text(artifact.get("type", "")),
            status(artifact.get("status", "")),
            filesize.decimal(size) if size is not None else "",
            clock_time(artifact.get("capturedAt")),
            text(": ".join(part for part in (artifact.get("notes"), source) if part)),
        )
    return table


def _beginning(expression: str) -> str:
    """Return the first characters of an object's JSON, which may have many thousands."""
    is_long = len(expression) > _MOST_CHARACTERS
    return f"{expression[: _MOST_CHARACTERS - 1]}…" if is_long else expression
