"""What the use cases need of the world, in their own words; adapters and fakes share the names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from taskrunner.executors.work import Artifacts as ArtifactContents
    from taskrunner.executors.work import Bundles, Environments, Images, Network, Services
    from taskrunner.model.approval import ApprovalRecord, GateOpening, GateRecord, Verdict
    from taskrunner.model.artifact import Artifact
    from taskrunner.model.journal import Entry, Placed, Position
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.notification import Notification
    from taskrunner.model.plan import Sandbox as SandboxRules
    from taskrunner.model.run import Run, RunStatus, StepOutcome
    from taskrunner.sandbox.job import Ended, Job


class Clock(Protocol):
    """The time, which the core never reads by itself."""

    def now(self) -> datetime:
        """The time as an aware datetime in UTC."""
        ...


class Ids(Protocol):
    """Names for what a caller did not name."""

    def run_id(self, now: datetime) -> str:
        """A new run id, which no one can guess or repeat."""
        ...


class Plans(Protocol):
    """Plan documents by tenant and content hash. Written once, read by every step."""

    def put(self, tenant: str, plan_hash: str, document: JsonObject, longest_s: int) -> None:
        """Store *document*; the same hash twice is the same document.

        It is kept for as long as a run of it, which takes *longest_s* seconds at most.
        """
        ...

    def get(self, tenant: str, plan_hash: str) -> JsonObject:
        """The document of that hash.

        Raises:
            NotFoundError: retention has taken it, and the run with it: what is left of that in the
                table is only waiting to be deleted.
        """
        ...


class Head(NamedTuple):
    """A run with the end of its journal: all that most calls need, in one read.

    *used_s* is how long the executors of all ended attempts have taken together, in seconds.
    """

    run: Run
    tail: Sequence[Placed]
    used_s: float = 0


class Page(NamedTuple):
    """Some of a list, and where the next page begins, if there is one."""

    items: Sequence[JsonObject]
    cursor: str | None


class Runs(Protocol):
    """Runs, their journals and the outcomes of their steps."""

    def create(self, run: Run, entries: Sequence[Entry]) -> bool:
        """Record a new run with its first entries, or return False when that id is taken.

        Raises:
            TooManyRunsError: as many runs that have a queue's depth are unfinished as it has.
        """
        ...

    def head(self, tenant: str, run_id: str) -> Head:
        """The run and the last entries of its journal.

        Raises:
            NotFoundError: the tenant has no such run.
        """
        ...

    def journal(
        self, tenant: str, run_id: str, *, after: Position | None = None, limit: int | None = None
    ) -> Sequence[Placed]:
        """The entries after a position, in order; all there are when no limit is given."""
        ...

    def append(self, head: Head, entries: Sequence[Entry]) -> None:
        """Add entries; what stands near the end of the journal already is not added again."""
        ...

    def outcomes(self, tenant: str, run_id: str, paths: Collection[str]) -> dict[str, StepOutcome]:
        """How those steps ended, by path; a step that has not ended is absent."""
        ...

    def outcomes_below(self, tenant: str, run_id: str, beginning: str) -> dict[str, StepOutcome]:
        """How all the steps ended whose paths begin with *beginning*, by path."""
        ...

    def record_step(
        self,
        head: Head,
        outcome: StepOutcome,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
        used_s: float = 0,
    ) -> StepOutcome:
        """Record how an attempt ended, with what it captured and used: all of it or nothing.

        What an earlier attempt of the step captured is replaced, also where this one has nothing.
        The answer is the outcome that counts: of two tries of one attempt the first to come here.
        What comes after the end of the run is logged, and changes nothing else.
        """
        ...

    def end(
        self,
        head: Head,
        outcome: RunStatus,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
    ) -> RunStatus:
        """End the run, once: the answer is how it ended, which may be how another ended it."""
        ...

    def seal(self, run: Run, bundle: Artifact) -> bool:
        """Record the evidence of a run that has ended, once; False when another has done it."""
        ...

    def list(self, tenant: str, limit: int, cursor: str | None) -> Page:
        """The tenant's runs, the newest first, as summaries."""
        ...

    def count_unfinished(self, tenant: str, pack_name: str, at_most: int) -> int:
        """How many runs of that pack have not ended; counting stops at *at_most*."""
        ...


class Approvals(Protocol):
    """Approvals of runs, and the gates that wait for them.

    Task tokens are kept here and only here, each for as long as its gate waits.
    """

    def get(self, tenant: str, run_id: str, approval_id: str) -> ApprovalRecord:
        """The record, an empty one when no gate has opened it yet."""
        ...

    def gate(self, run: Run, path: str) -> GateRecord | None:
        """The run's gate at *path*, or None when it has not been opened."""
        ...

    def waiting(self, run: Run, approval_id: str) -> Iterator[GateRecord]:
        """The gates that wait for an approval and have not been woken, by their paths."""
        ...

    def open(  # noqa: PLR0913 - what is written together is given together
        self,
        head: Head,
        record: ApprovalRecord,
        waiting: GateOpening,
        token: str,
        entries: Sequence[Entry],
        *,
        gate: GateRecord | None,
        summary: JsonObject,
    ) -> bool:
        """Let a gate wait, which was *gate* before, or None; of a decided *record*, only note it.

        It has heard all of *record* then. False when the gate or the run has moved on since it was
        read, or another decision has been stored. Gates that open at once are in nobody's way.
        """
        ...

    def record_notified(self, run: Run, path: str) -> None:
        """Record that approvers have been told of the run's gate at *path*; twice is once."""
        ...

    def decide(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        """Store a decision, with *entries* for those of its gates that there is room for.

        False when the record, one of *gates* or the run has moved on since it was read.
        """
        ...

    def hear(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        """Append *entries*, by which *gates* have heard all of *record*; False as for `decide`."""
        ...

    def resume(self, run: Run, record: ApprovalRecord) -> None:
        """Wake every gate that waits for *record* with its verdict, each of them once."""
        ...

    def wake(self, token: str, verdict: Verdict) -> None:
        """Wake the one gate that waits with *token*; waking twice is waking once."""
        ...

    def list_open(self, tenant: str, limit: int, cursor: str | None) -> Page:
        """The summaries of the tenant's approvals that wait, the oldest first."""
        ...


class Artifacts(Protocol):
    """Artifacts of runs: the list, and the files."""

    def list(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        """All that count, by name: what a retry did not write again is not among them."""
        ...

    def store(self, run: Run, artifact: Artifact, file: Path) -> Artifact:
        """Store a plain file's content and return the artifact with where and what it is.

        Raises:
            OSError: it is no plain file, or cannot be read.
        """
        ...

    def download_url(self, tenant: str, artifact: Artifact) -> str:
        """A URL that anyone may use for five minutes."""
        ...

    def contents(self, tenant: str, run_id: str) -> ArtifactContents:
        """What executors may read of them."""
        ...


class Signed(NamedTuple):
    """A signed statement in the bytes it is kept in, and the id of the key that signed it."""

    bundle: bytes
    key_id: str


class Evidence(Protocol):
    """The key that signs statements about runs, and where what it signed is kept."""

    def sign(self, statement: bytes) -> Signed:
        """Sign a statement in its canonical bytes."""
        ...

    def store(self, run: Run, bundle: bytes) -> str:
        """Store a bundle under its own digest and return its path; it replaces no other."""
        ...


class Workshop(Protocol):
    """What executors may use beside the run: the tenant's bundles and environments."""

    def bundles(self, run: Run) -> Bundles:
        """The tenant's bundles, as this run sees them."""
        ...

    def environments(self, run: Run, path: str) -> Environments:
        """The tenant's environments, as this step of the run sees them."""
        ...


class Sandbox(Protocol):
    """Where executors run: a process of its own for each attempt, held to its limits."""

    def prepare(self) -> None:
        """Begin to make ready for an attempt that will come, without waiting for it."""
        ...

    def execute(self, job: Job, services: Services) -> Ended:
        """Execute *job*, answering what it asks for by *services*; never beyond its limits.

        Raises:
            TryAgainError: a service, or the sandbox itself, said "later"; nothing has ended.
        """
        ...


class Secrets(Protocol):
    """The tenants' secrets, of which packs have the names."""

    def values(self, tenant: str, names: Collection[str]) -> dict[str, str]:
        """The values of that tenant's secrets, by name.

        Raises:
            SecretError: one is missing, denied, binary, empty or too short to be redacted.
            TryAgainError: the store is too busy to say.
        """
        ...


class Notifications(Protocol):
    """Where approvers are told of gates; who reads there is the operator's to say."""

    def publish(self, notification: Notification) -> bool:
        """Publish it; False when it could not be, within seconds, which is logged and no more.

        Whoever publishes it twice may be heard twice, with one id.
        """
        ...


class Networks(Protocol):
    """Ways out of the deployment."""

    def within(self, sandbox: SandboxRules) -> Network:
        """As much of the network as a pack's sandbox allows."""
        ...


class Registries(Protocol):
    """Registries of container images."""

    def within(self, sandbox: SandboxRules) -> Images:
        """What those have on record that a pack's sandbox allows to ask."""
        ...


class Machines(Protocol):
    """State machines and their executions."""

    def name(self, pack_name: str, definition_hash: str) -> str:
        """The name of the machine for a definition, at most 80 characters."""
        ...

    def start(
        self, run: Run, definition: JsonObject, execution_input: Mapping[str, object]
    ) -> None:
        """Start the run's execution, making its machine if it is new; starting twice is once."""
        ...

    def stop(self, run: Run) -> None:
        """Stop the run's execution, if there is one that runs."""
        ...
