"""What the two sides of a sandbox tell each other about an attempt: what to do, how it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.json_types import Json, JsonMapping
    from taskrunner.model.run import Reason

OUTPUT_FOLDER: Final = "output"
SCRATCH_FOLDER: Final = "scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an attempt may use: MiB of memory, seconds of CPU time and of time."""

    memory_mib: int
    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt of one step; *folder* is its own, and has the folders `output` and `scratch`."""

    uses: str
    parameters: Json
    run_id: str
    run_created_at: str
    tenant: str
    step_id: str
    attempt: int
    plan_document: JsonMapping
    folder: Path
    limits: Limits

    @property
    def output(self) -> Path:
        """The step's `/output`."""
        return self.folder / OUTPUT_FOLDER

    @property
    def scratch(self) -> Path:
        """Where the step may put anything else."""
        return self.folder / SCRATCH_FOLDER


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an attempt used: seconds, seconds of CPU time, and MiB of memory at its peak."""

    wall_s: float = 0
    cpu_s: float = 0
    memory_mib: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an attempt ended: with outputs, or with a reason and a message for the author."""

    outputs: Json = None
    reason: Reason | None = None
    message: str = ""
    usage: Usage = Usage()
