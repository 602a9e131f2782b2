"""`builtin:build` packs files into a bundle, which is stored under the digest of its content.

The same content gives the same bytes and so the same digest, on any machine and in any attempt:
what was approved by its digest can be built again and compared. `archive.py` says how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from taskrunner.executors import archive
from taskrunner.executors.parameters import ClosedParameters
from taskrunner.executors.work import BUNDLE_FILE, ExecutorFailure
from taskrunner.model.canonical_json import canonical_bytes
from taskrunner.model.json_types import has_lone_surrogate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.executors.parameters import Given
    from taskrunner.executors.work import Work
    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import JsonObject

ARTIFACTS_FOLDER: Final = "artifacts/"

_Collection = TypeVar("_Collection", dict[str, str], list[str])


def _not_empty(names: _Collection) -> _Collection:
    """Refuse an empty collection, which would bundle the plan instead of the author's files."""
    if not names:
        raise PydanticCustomError("empty", "it is empty; name at least one, or omit it")
    return names


def _encodable(text: str) -> str:
    """Refuse a lone surrogate, which JSON can spell and UTF-8 cannot."""
    if has_lone_surrogate(text):
        raise PydanticCustomError(
            "surrogate", "it contains half of a surrogate pair, which is not a character"
        )
    return text


FileText = Annotated[str, AfterValidator(_encodable)]
Files = Annotated[dict[str, FileText], AfterValidator(_not_empty)]
ArtifactName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$")]
Artifacts = Annotated[
    list[ArtifactName], Field(max_length=archive.MAX_FILES), AfterValidator(_not_empty)
]


class Parameters(ClosedParameters):
    """Texts by their path in the bundle, and names of the run's artifacts."""

    files: Files = Field(default={})
    artifacts: Artifacts = Field(default=[])

    @classmethod
    def contradictions(cls, given: Given) -> Iterator[tuple[JsonPath, str]]:
        """Yield the paths that are not usable, each at its own place."""
        files = given.values.get("files")
        if isinstance(files, dict):
            for path, problem in archive.path_problems(files).items():
                yield ("files", path), f"it {problem}"


def execute(parameters: Parameters, work: Work) -> JsonObject:
    """Return `{bundle, digest, sizeBytes, files}`; *files* are the paths in the bundle, sorted.

    Raises:
        ExecutorFailure: an artifact is missing, a path is not usable, or the content is too large.
    """
    file = work.output / BUNDLE_FILE
    try:
        files = _files(parameters, work)
        with file.open("wb") as target:
            paths = archive.pack(files, target)
    except archive.ArchiveError as error:
        file.unlink(missing_ok=True)  # a file that stays in the folder is captured
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
        # In canonical form, so that the SHA-256 of plan.json is the run's planHash.
        return {
            "plan.json": canonical_bytes(dict(work.plan_document)),
            "inputs.json": canonical_bytes(work.inputs),
        }
    texts: dict[str, archive.Content] = {
        path: text.encode() for path, text in parameters.files.items()
    }
    artifacts = _artifacts(parameters.artifacts, work)
    if duplicates := sorted(texts.keys() & artifacts.keys()):
        raise ExecutorFailure(f"'{duplicates[0]}' is both a file and an artifact; rename the file")
    return texts | artifacts


def _artifacts(names: list[str], work: Work) -> dict[str, archive.Content]:
    fetched: dict[str, archive.Content] = {}
    missing: list[str] = []
    for name in names:
        matching = work.artifacts.matching(name)
        for distinct in matching:
            file = work.scratch / f"artifact-{len(fetched)}"
            if not work.artifacts.fetch(distinct, file):
                missing.append(f"'{distinct}'")
                continue
            fetched[ARTIFACTS_FOLDER + distinct] = file
            # After each artifact, because the next one might not fit on the disk.
            archive.check_size(fetched)
        if not matching:
            missing.append(f"'{name}'")
    if missing:
        raise ExecutorFailure(
            f"the run has no artifact {', '.join(missing)} yet; an artifact is an output of "
            "type file, and exists once the step that writes it has ended"
        )
    return fetched
