"""The interface of an executor to the world: its services, its folders and its failures.

An executor runs in a process of its own, without credentials, environment or network
(`taskrunner.sandbox`). It asks for everything else through these protocols, and the parent process
checks the request and answers. Large content passes through files of the step's own folders, so
that it need not fit into memory or a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from taskrunner.values import dataclass

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path

    from taskrunner.model.json_types import Json, JsonMapping, JsonObject


# The file that a build leaves in /output: a copy of the bundle it has stored.
BUNDLE_FILE: Final = "bundle.zip"


class ExecutorFailure(Exception):  # noqa: N818 - the step's work failed, not this program
    """The step's work failed; the message is for the pack's author and goes into the journal."""


class AnswerLost(ExecutorFailure):
    """A function was called, and the connection was lost before its answer came."""


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
        """Store a file of the step's folders; the same content gives the same bundle."""
        ...

    def find(self, reference: str) -> Bundle | None:
        """Return the bundle with that reference or digest, or None."""
        ...

    def last_of_run(self) -> Bundle | None:
        """Return the bundle of the last `builtin:build` step before this one, or None.

        Steps that run beside this one do not count, and the last is that of the plan.
        """
        ...


class Artifacts(Protocol):
    """The artifacts of the steps that have certainly ended before this one."""

    def matching(self, name: str) -> Sequence[str]:
        """Return the distinct names of all artifacts with that name, in the order of the plan.

        Several steps or iterations may have written one name.
        """
        ...

    def fetch(self, name: str, into: Path) -> bool:
        """Write the artifact of that distinct name to the file *into*; return False if none is."""
        ...


class Environments(Protocol):
    """The environments that bundles are deployed to."""

    def promote(self, environment: str, bundle: Bundle) -> Revision:
        """Make *bundle* the current one of *environment*, atomically.

        When the same step promotes the same bundle again, that is the same revision.

        Raises:
            ExecutorFailure: the run has ended meanwhile.
        """
        ...


class Network(Protocol):
    """As much of the network as the pack's sandbox allows."""

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """Return a TCP connection to *host*, at an address that was checked.

        Raises:
            EgressDenied: the sandbox does not allow that host, port or address.
            ExecutorFailure: it is allowed, but cannot be reached.
        """
        ...


class Functions(Protocol):
    """The executor functions that this deployment lets packs invoke."""

    def invoke(self, name: str, payload: JsonObject) -> Json:
        """Invoke the function that packs call `lambda:<name>`, at most once; return its answer.

        Raises:
            ExecutorFailure: there is no such function, it failed, it took too long, or its answer
                is not JSON.
            AnswerLost: it was invoked, and the connection was lost before its answer came.
            TryAgainError: it was not invoked, because AWS was too busy.
        """
        ...


class Images(Protocol):
    """The scans of container images that registries have on record."""

    def findings(self, registry: str, repository: str, reference: str) -> JsonObject | None:
        """Return the scan that ECR recorded of an image, or None when there is none.

        *reference* is `sha256:<hex digits>` or a tag. The scan is `{counts, findings}`. *counts*
        has the number of all findings by severity: critical, high, medium, low. *findings* are the
        worst of them, each `{id, severity, package, version, fixedIn, description, uri}`, where a
        text may be empty.

        Raises:
            EgressDenied: the sandbox does not allow that registry.
            ExecutorFailure: the registry has no such image, or does not let us read its scan.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services that the parent process offers to an executor."""

    bundles: Bundles
    artifacts: Artifacts
    environments: Environments
    network: Network
    functions: Functions
    images: Images


@dataclass(frozen=True, slots=True, kw_only=True)
class Work(Services):
    """One attempt of one step, with the services and folders that it may use.

    *uses* is the executor's reference in the pack. Files in *output*, the step's `/output`, become
    artifacts of the run; *scratch* is a folder for other files. *time_s* is how long the attempt
    may take, in seconds from its start, before it is killed.
    """

    run_id: str
    run_created_at: str
    tenant: str
    step_path: str
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
