"""What an executor is given to work with, and what it says when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

    from taskrunner.model.json_types import JsonMapping, JsonObject


class ClosedParameters(BaseModel):
    """The base of an executor's parameters: no coercion, and an unknown one is refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)


class ExecutorFailure(Exception):  # noqa: N818 - a failure of the work, not an error of ours
    """The step's work failed; the message is for the pack's author and goes into the journal."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle in the tenant's store, addressed by its content."""

    reference: str  # bundles/sha256-<64 hex digits>.zip
    digest: str  # sha256:<64 hex digits>
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Revision:
    """One deployment to an environment; *number* counts from 1 and never repeats."""

    number: int
    digest: str
    previous_digest: str | None


class Bundles(Protocol):
    """The tenant's bundles."""

    def put(self, content: bytes) -> Bundle:
        """Store *content* under its digest; the same content twice is one bundle."""
        ...

    def find(self, reference: str) -> Bundle | None:
        """The bundle of that reference, by its reference or its digest."""
        ...

    def last_of_run(self) -> Bundle | None:
        """The bundle that this run built last."""
        ...


class Artifacts(Protocol):
    """What the run's steps have captured so far."""

    def read(self, name: str) -> bytes | None:
        """The content of an artifact of this run, or None."""
        ...


class Environments(Protocol):
    """Where bundles are deployed to."""

    def promote(self, environment: str, bundle: Bundle) -> Revision:
        """Make *bundle* current in *environment*, atomically; the same step twice is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One attempt of one step, and what it may touch.

    *output* is the step's `/output`: files written there become artifacts of the run. *stopped* is
    set when the step's time is over; whoever waits, waits on it.
    """

    run_id: str
    tenant: str
    step_id: str
    attempt: int
    plan_document: JsonMapping
    output: Path
    stopped: Event
    bundles: Bundles
    artifacts: Artifacts
    environments: Environments

    @property
    def inputs(self) -> JsonObject:
        """The run's resolved inputs."""
        return dict(self.plan_document["inputs"])
