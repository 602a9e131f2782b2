"""The request to execute one attempt of one step in the sandbox, and its result."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from taskrunner.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.json_types import Json, JsonMapping
    from taskrunner.model.run import Reason

OUTPUT_FOLDER: Final = "output"
SCRATCH_FOLDER: Final = "scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of an attempt: memory in MiB, CPU time and wall time in seconds."""

    memory_mib: int
    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRequest:
    """One attempt of one step.

    *uses* is the executor's reference, *parameters* its `with`, filled in. *folder* belongs to the
    attempt alone and contains the folders `output` and `scratch`.
    """

    uses: str
    parameters: Json
    run_id: str
    run_created_at: str
    tenant: str
    step_path: str
    attempt: int
    plan_document: JsonMapping
    folder: Path
    limits: Limits

    @property
    def output(self) -> Path:
        """The folder that packs know as `/output`."""
        return self.folder / OUTPUT_FOLDER

    def has_files(self) -> bool:
        """Return whether there is anything in the folders, or a folder cannot be looked at."""
        # Not with pathlib, which took a fifth of a millisecond for each attempt.
        folders = [f"{self.folder}/{name}" for name in (OUTPUT_FOLDER, SCRATCH_FOLDER)]
        try:
            return any(os.listdir(folder) for folder in folders)  # noqa: PTH208
        except OSError:  # the executor has removed it, or put something else in its place
            return True

    @property
    def scratch(self) -> Path:
        """The folder for files that are not captured."""
        return self.folder / SCRATCH_FOLDER


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The usage of an attempt: wall time and CPU time in seconds, peak resident memory in MiB."""

    wall_s: float = 0
    cpu_s: float = 0
    memory_mib: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """The result of an attempt.

    When *reason* is None, it succeeded with *outputs*. Otherwise it failed for *reason*, and
    *message* explains the failure to the pack's author. *may_have_files* is false if its folders
    were empty when it answered. Its process may end later then, so they are not looked at again.
    """

    outputs: Json = None
    reason: Reason | None = None
    message: str = ""
    usage: Usage = Usage()
    may_have_files: bool = True
