"""Views of artifacts: the list."""

from collections.abc import Sequence

from rich import filesize
from rich.console import RenderableType
from rich.text import Text

from taskrunner_cli.api.documents import Artifact
from taskrunner_cli.output.formatting import clock_time, status, text
from taskrunner_cli.output.tables import ResultTable


def artifact_list(artifacts: Sequence[Artifact]) -> RenderableType:
    """Return the list of artifacts, a row for each.

    The end of the run, and no step, writes the evidence and the values of expressions.
    """
    if not artifacts:
        return Text("no artifacts", style="dim")
    table = ResultTable("artifact", "type", "status", "size", "captured", "from")
    for artifact in artifacts:
        source = artifact.get("notes"), artifact.get("stepId"), artifact.get("sourcePath")
        size = artifact.get("sizeBytes")
        table.add_row(
            text(artifact["name"], "bold"),
            text(artifact.get("type", "")),
            status(artifact.get("status", "")),
            filesize.decimal(size) if size is not None else "",
            clock_time(artifact.get("capturedAt")),
            text(": ".join(part for part in source if part)),
        )
    return table
