"""What an executor is given to work with, and what it says when it fails.

An executor runs in a process of its own that has no credentials, no environment and no network
(taskrunner.sandbox). What it needs of the world it asks for by these protocols, and the parent
process answers, after it has looked at what is asked. Files pass through the step's own folders,
so that nothing large has to fit into memory or a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from taskrunner.model.json_types import Json, JsonMapping, JsonObject


class ClosedParameters(BaseModel):
    """The base of an executor's parameters: no coercion, and an unknown one is refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)


class ExecutorFailure(Exception):  # noqa: N818 - a failure of the work, not an error of ours
    """The step's work failed; the message is for the pack's author and goes into the journal."""


class EgressDenied(ExecutorFailure):
    """The step asked for a connection that its sandbox does not allow; the message says which."""


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

    def put(self, file: Path) -> Bundle:
        """Store a file of the step's folders under its digest; the same content is one bundle."""
        ...

    def find(self, reference: str) -> Bundle | None:
        """The bundle of that reference, by its reference or its digest."""
        ...

    def last_of_run(self) -> Bundle | None:
        """The bundle that this run built last."""
        ...


class Artifacts(Protocol):
    """What the run's steps have captured so far."""

    def fetch(self, name: str, into: Path) -> bool:
        """Write an artifact of this run to the file *into*; False when there is none."""
        ...


class Environments(Protocol):
    """Where bundles are deployed to."""

    def promote(self, environment: str, bundle: Bundle) -> Revision:
        """Make *bundle* current in *environment*, atomically; the same step twice is one.

        Raises:
            ExecutorFailure: the run has ended meanwhile.
        """
        ...


class Network(Protocol):
    """The way out, as narrow as the pack's sandbox says."""

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """A TCP connection to *host*, made by who checked the address that it is made to.

        Raises:
            EgressDenied: the sandbox does not allow that host, port or address.
            ExecutorFailure: it is allowed, and cannot be reached.
        """
        ...


class Functions(Protocol):
    """The executor functions that this deployment lets packs call."""

    def invoke(self, name: str, payload: JsonObject) -> Json:
        """The answer of the function that packs call `lambda:<name>`.

        It is called once at most.

        Raises:
            ExecutorFailure: there is none of that name, it failed, or its answer is lost or none.
            TryAgainError: it was not called, because there were too many calls.
        """
        ...


class Images(Protocol):
    """What registries have on record about images."""

    def findings(self, registry: str, repository: str, reference: str) -> JsonObject | None:
        """What ECR recorded when it scanned an image, or None when it did not.

        *reference* is `sha256:<hex digits>` or a tag. `{counts, findings}`: *counts* by severity
        (critical, high, medium, low) over all of them; *findings* the worst of them, each
        `{id, severity, package, version, fixedIn, description, uri}` of texts, maybe empty.

        Raises:
            EgressDenied: the sandbox does not allow that registry.
            ExecutorFailure: the registry has no such image, or does not say.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the parent process does for an executor."""

    bundles: Bundles
    artifacts: Artifacts
    environments: Environments
    network: Network
    functions: Functions
    images: Images


@dataclass(frozen=True, slots=True, kw_only=True)
class Work(Services):
    """One attempt of one step, and what it may touch.

    *uses* is the reference by which the pack names the executor. *output* is the step's `/output`:
    files written there become artifacts of the run. *scratch* is a folder for anything else.
    *time_s* is how long the attempt may take, in seconds from its start; it is killed when that is
    over.
    """

    run_id: str
    run_created_at: str
    tenant: str
    step_id: str
    uses: str
    attempt: int
    time_s: float
    plan_document: JsonMapping
    output: Path
    scratch: Path

    @property
    def inputs(self) -> JsonObject:
        """The run's resolved inputs."""
        return dict(self.plan_document["inputs"])
