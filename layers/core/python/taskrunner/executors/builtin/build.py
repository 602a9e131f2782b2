"""`builtin:build` packs files into a bundle that is stored by its content.

The same content gives the same bytes and so the same digest, on any machine, in any attempt: what
was approved by its digest can be built again and compared. model/archive.py says how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from taskrunner.executors.work import ClosedParameters, ExecutorFailure
from taskrunner.model import archive
from taskrunner.model.canonical_json import canonical_bytes

if TYPE_CHECKING:
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

FILE_NAME: Final = "bundle.zip"
ARTIFACTS_FOLDER: Final = "artifacts/"

_Some = TypeVar("_Some", dict[str, str], list[str])


def _not_empty(given: _Some) -> _Some:
    """Whoever names files and gets none should hear of it, and not find the plan in their place."""
    if not given:
        raise PydanticCustomError("empty", "it is empty; name something or leave it out")
    return given


def _encodable(text: str) -> str:
    """JSON can spell half a surrogate pair, and UTF-8 cannot."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise PydanticCustomError("no_text", "it has half a surrogate pair in it: that is no text")
    return text


def _with_usable_paths(files: dict[str, str]) -> dict[str, str]:
    """Tell each bad path at its own place, so that an author mends all of them in one round."""
    problems: list[InitErrorDetails] = [
        {
            "type": PydanticCustomError("bundle_path", "{problem}", {"problem": problem}),
            "loc": (path,),
            "input": path,
        }
        for path, problem in archive.path_problems(files).items()
    ]
    if problems:
        raise ValidationError.from_exception_data("files", problems)
    return files


FileText = Annotated[str, AfterValidator(_encodable)]
Files = Annotated[
    dict[str, FileText], AfterValidator(_not_empty), AfterValidator(_with_usable_paths)
]
ArtifactName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Artifacts = Annotated[
    list[ArtifactName], Field(max_length=archive.MAX_FILES), AfterValidator(_not_empty)
]


class Parameters(ClosedParameters):
    """Texts by their path in the bundle, and names of the run's artifacts; or neither."""

    files: Files = Field(default={})
    artifacts: Artifacts = Field(default=[])


def execute(parameters: Parameters, work: Work) -> JsonObject:
    """Return `{bundle, digest, sizeBytes, files}`, *files* being the paths inside, sorted.

    Raises:
        ExecutorFailure: an artifact is missing, a path is no good, or it is all too large.
    """
    file = work.output / FILE_NAME
    try:
        files = _files(parameters, work)
        with file.open("wb") as sink:
            paths = archive.pack(files, sink)
    except archive.ArchiveError as error:
        file.unlink(missing_ok=True)  # what is left in the folder is captured
        raise ExecutorFailure(f"the bundle cannot be built: {error}") from None
    stored = work.bundles.put(file)
    return {
        "bundle": stored.reference,
        "digest": stored.digest,
        "sizeBytes": stored.size_bytes,
        "files": list(paths),
    }


def _files(parameters: Parameters, work: Work) -> dict[str, archive.Content]:
    if not parameters.files and not parameters.artifacts:
        # Canonical, so that the SHA-256 of plan.json is the run's planHash.
        return {
            "plan.json": canonical_bytes(dict(work.plan_document)),
            "inputs.json": canonical_bytes(work.inputs),
        }
    texts: dict[str, archive.Content] = {
        path: text.encode() for path, text in parameters.files.items()
    }
    found = _artifacts(parameters.artifacts, work)
    if both := sorted(texts.keys() & found.keys()):
        raise ExecutorFailure(f"'{both[0]}' is among the files and an artifact; rename the file")
    return texts | found


def _artifacts(names: list[str], work: Work) -> dict[str, archive.Content]:
    found: dict[str, archive.Content] = {}
    missing: list[str] = []
    for name in names:
        file = work.scratch / name
        if not work.artifacts.fetch(name, file):
            missing.append(f"'{name}'")
            continue
        found[ARTIFACTS_FOLDER + name] = file
        # After each one: the next might be what the disk cannot hold.
        archive.check_size(found)
    if missing:
        raise ExecutorFailure(
            f"the run has no artifact {', '.join(missing)} yet; an artifact is an output of "
            "type file, and there once the step that writes it has ended"
        )
    return found
