"""Views of artifacts: the list."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from taskrunner_cli.api.documents import Artifact
from taskrunner_cli.output.formatting import clock_time, status, text
from taskrunner_cli.output.tables import ResultTable


def artifact_list(artifacts: Sequence[Artifact]) -> RenderableType:
    """Return the list of artifacts, a row for each."""
    if not artifacts:
        return Text("no artifacts", style="dim")
    table = ResultTable("artifact", "type", "status", "captured", "from")
    for artifact in artifacts:
        source = artifact.get("sourcePath") or artifact.get("expressionJson") or ""
        table.add_row(
            text(artifact["name"], "bold"),
            text(artifact.get("type", "")),
            status(artifact.get("status", "")),
            clock_time(artifact.get("capturedAt")),
            text(": ".join(part for part in (artifact.get("notes"), source) if part)),
        )
    return table
