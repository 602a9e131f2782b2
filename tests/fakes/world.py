"""The world in memory: every port of the use cases, held to the adapters' contract.

    world = MemoryWorld()
    create_run(request, world)

Calls are atomic, as the adapters' writes are, so that threads may share a world.
"""

from __future__ import annotations

import copy
import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from operator import itemgetter
from threading import RLock
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from taskrunner.errors import (
    InvalidRequestError,
    NotFoundError,
    SecretError,
    TaskRunnerError,
    TooManyRunsError,
)
from taskrunner.executors.work import ExecutorFailure
from taskrunner.model.approval import ApprovalRecord, GateRecord, Verdict
from taskrunner.model.ceilings import Ceilings
from taskrunner.model.journal import Entry, Placed, Position
from taskrunner.model.json_types import unusable
from taskrunner.model.redaction import usable
from taskrunner.ports import Head, Page, Signed
from taskrunner.runtime.regular_file import opened
from tests.fakes.executor_world import (
    MemoryBundles,
    MemoryEnvironments,
    MemoryImages,
    NoNetwork,
)
from tests.fakes.sandbox import ThreadSandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from taskrunner.executors.work import Bundle, Revision
    from taskrunner.model.approval import GateOpening
    from taskrunner.model.artifact import Artifact
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.notification import Notification
    from taskrunner.model.plan import Sandbox
    from taskrunner.model.run import Run, RunStatus, StepOutcome

NOON = datetime(2025, 12, 6, 12, tzinfo=UTC)
_CHUNK_ENTRIES = 8
_P = ParamSpec("_P")
_T = TypeVar("_T")
_one_at_a_time = RLock()


def _atomic(call: Callable[_P, _T]) -> Callable[_P, _T]:
    @wraps(call)
    def locked(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with _one_at_a_time:
            return call(*args, **kwargs)

    return locked


@dataclass
class StoppedClock:
    """Stands at noon until somebody moves it."""

    time: datetime = NOON

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class CountingIds:
    """run-1, run-2, ..."""

    given: int = 0

    def run_id(self, now: datetime) -> str:  # noqa: ARG002 - the port's form
        self.given += 1
        return f"run-{self.given}"


@dataclass
class MemoryPlans:
    """Plans by tenant and hash, as text, so that nobody changes what is stored."""

    texts: dict[tuple[str, str], str] = field(default_factory=dict)

    def put(
        self,
        tenant: str,
        plan_hash: str,
        document: JsonObject,
        longest_s: int,  # noqa: ARG002 - nothing is forgotten here
    ) -> None:
        self.texts[tenant, plan_hash] = json.dumps(document)

    def get(self, tenant: str, plan_hash: str) -> JsonObject:
        if (tenant, plan_hash) not in self.texts:
            raise NotFoundError(f"the plan {plan_hash}")
        document: JsonObject = json.loads(self.texts[tenant, plan_hash])
        return document


@dataclass
class StoredRun:
    """All that is kept of one run."""

    run: Run
    ended_at: str | None = None
    journal: list[Entry] = field(default_factory=list)
    outcomes: dict[str, StepOutcome] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    used_s: float = 0
    writers: dict[str, str | None] = field(default_factory=dict)

    def append(self, entries: Iterable[Entry]) -> None:
        """Add what does not stand in the last chunk, which is as far as the table looks back."""
        last = len(self.journal) % _CHUNK_ENTRIES or _CHUNK_ENTRIES
        known = {entry.id for entry in self.journal[-last:]}
        self.journal += [entry for entry in entries if entry.id not in known]

    def placed(self) -> list[Placed]:
        return [
            Placed(Position(*divmod(number, _CHUNK_ENTRIES)), entry)
            for number, entry in enumerate(self.journal)
        ]

    def capture(self, artifacts: Iterable[Artifact], step: str | None = None) -> None:
        """Add what the attempt of *step* or the end of the run has; an earlier attempt's goes."""
        stale = [name for name, writer in self.writers.items() if step and writer == step]
        for name in stale:
            del self.artifacts[name], self.writers[name]
        for one in artifacts:
            self.artifacts[one.name], self.writers[one.name] = one, step


@dataclass
class MemoryRuns:
    """Runs by tenant and id."""

    stored: dict[tuple[str, str], StoredRun] = field(default_factory=dict)

    @_atomic
    def create(self, run: Run, entries: Sequence[Entry]) -> bool:
        if (run.tenant, run.run_id) in self.stored:
            return False
        if run.queue_depth is not None:
            limited = [
                one.run
                for one in self.stored.values()
                if (one.run.tenant, one.run.pack_name) == (run.tenant, run.pack_name)
                and one.run.outcome is None
                and one.run.queue_depth is not None
            ]
            if len(limited) >= run.queue_depth:
                raise TooManyRunsError(run.pack_name, run.queue_depth)
        self.stored[run.tenant, run.run_id] = StoredRun(run)
        self.stored[run.tenant, run.run_id].append(entries)
        return True

    def of(self, tenant: str, run_id: str) -> StoredRun:
        if (tenant, run_id) not in self.stored:
            raise NotFoundError(f"run {run_id}")
        return self.stored[tenant, run_id]

    @_atomic
    def head(self, tenant: str, run_id: str) -> Head:
        stored = self.of(tenant, run_id)
        placed = stored.placed()
        last = placed[-1].position.chunk if placed else 0
        return Head(
            stored.run, [one for one in placed if one.position.chunk == last], stored.used_s
        )

    @_atomic
    def journal(
        self, tenant: str, run_id: str, *, after: Position | None = None, limit: int | None = None
    ) -> Sequence[Placed]:
        stored = self.stored.get((tenant, run_id))
        placed = [] if stored is None else stored.placed()
        return [one for one in placed if after is None or one.position > after][:limit]

    @_atomic
    def append(self, head: Head, entries: Sequence[Entry]) -> None:
        self.of(head.run.tenant, head.run.run_id).append(entries)

    @_atomic
    def outcomes(self, tenant: str, run_id: str, paths: Collection[str]) -> dict[str, StepOutcome]:
        known = self.of(tenant, run_id).outcomes
        return {path: copy.deepcopy(known[path]) for path in paths if path in known}

    def outcomes_below(self, tenant: str, run_id: str, beginning: str) -> dict[str, StepOutcome]:
        known = self.of(tenant, run_id).outcomes
        return self.outcomes(tenant, run_id, [path for path in known if path.startswith(beginning)])

    @_atomic
    def record_step(
        self,
        head: Head,
        outcome: StepOutcome,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
        used_s: float = 0,
    ) -> StepOutcome:
        stored = self.of(head.run.tenant, head.run.run_id)
        first = stored.outcomes.get(outcome.path)
        if first is not None and first.attempt >= outcome.attempt:
            return first
        if stored.run.outcome is None:
            stored.journal += entries
            stored.outcomes[outcome.path] = outcome
            stored.capture(artifacts, outcome.path)
            stored.used_s += used_s
        else:
            stored.append(entries)
        return outcome

    @_atomic
    def end(
        self,
        head: Head,
        outcome: RunStatus,
        entries: Sequence[Entry],
        artifacts: Sequence[Artifact] = (),
    ) -> RunStatus:
        stored = self.of(head.run.tenant, head.run.run_id)
        if stored.run.outcome is not None:
            return stored.run.outcome
        stored.run = replace(stored.run, outcome=outcome)
        stored.ended_at = entries[-1].at
        stored.journal += entries
        stored.capture(artifacts)
        return outcome

    @_atomic
    def seal(self, run: Run, bundle: Artifact) -> bool:
        stored = self.of(run.tenant, run.run_id)
        if stored.run.outcome is None or stored.run.sealed:
            return False
        stored.run = replace(stored.run, sealed=True)
        stored.capture([bundle])
        return True

    @_atomic
    def list(self, tenant: str, limit: int, cursor: str | None) -> Page:
        rows = {
            f"{stored.run.created_at}#{run_id}": _run_summary(stored)
            for (owner, run_id), stored in self.stored.items()
            if owner == tenant
        }
        return _page(rows, sorted(rows, reverse=True), limit, cursor)

    @_atomic
    def count_unfinished(self, tenant: str, pack_name: str, at_most: int) -> int:
        runs = [stored.run for (owner, _), stored in self.stored.items() if owner == tenant]
        unfinished = [run for run in runs if run.pack_name == pack_name and run.outcome is None]
        return min(len(unfinished), at_most)


def _run_summary(stored: StoredRun) -> JsonObject:
    run = stored.run
    summary: JsonObject = {
        "runId": run.run_id,
        "pack": {"name": run.pack_name, "version": run.pack_version},
        "planHash": run.plan_hash,
        "createdAt": run.created_at,
        "createdBy": run.created_by,
    }
    if run.outcome is not None:
        summary |= {"outcome": run.outcome.value, "endedAt": stored.ended_at}
    return summary


def _page(
    rows: Mapping[str, JsonObject], keys: Sequence[str], limit: int, cursor: str | None
) -> Page:
    """The rows behind the one that *cursor* names."""
    if cursor is not None and cursor not in keys:
        raise InvalidRequestError("invalid_request", "cursor is none of this list's")
    start = 0 if cursor is None else keys.index(cursor) + 1
    chosen = keys[start : start + limit]
    more = start + limit < len(keys)
    return Page([rows[key] for key in chosen], chosen[-1] if more else None)


@dataclass
class StoredApproval:
    """An approval, and what lists it as open."""

    record: ApprovalRecord
    opened: str = ""
    summary: JsonObject = field(default_factory=dict)


@dataclass
class StoredGate:
    """A gate, with its task token while it waits."""

    approval_id: str
    heard: int
    token: str | None = None


@dataclass
class MemoryApprovals:
    """Approvals by tenant, run and id, and gates by tenant, run and path.

    *woken* has what each token was answered, the first time, and *sent* every answer. *notified*
    has the gates that approvers have been told of.
    """

    runs: MemoryRuns
    stored: dict[tuple[str, str, str], StoredApproval] = field(default_factory=dict)
    gates: dict[tuple[str, str, str], StoredGate] = field(default_factory=dict)
    notified: set[tuple[str, str, str]] = field(default_factory=set)
    woken: dict[str, Verdict] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)

    @_atomic
    def get(self, tenant: str, run_id: str, approval_id: str) -> ApprovalRecord:
        stored = self.stored.get((tenant, run_id, approval_id))
        return ApprovalRecord(approval_id=approval_id) if stored is None else stored.record

    @_atomic
    def gate(self, run: Run, path: str) -> GateRecord | None:
        key = (run.tenant, run.run_id, path)
        if key not in self.gates:
            return None
        return GateRecord(
            step_path=path,
            recorded_decisions=self.gates[key].heard,
            is_notified=key in self.notified,
        )

    @_atomic
    def waiting(self, run: Run, approval_id: str) -> Iterator[GateRecord]:
        found = [self.gate(run, path) for path, _ in self._that_wait(run, approval_id)]
        return iter([one for one in found if one is not None])

    def _that_wait(self, run: Run, approval_id: str) -> list[tuple[str, StoredGate]]:
        return [
            (path, gate)
            for (tenant, run_id, path), gate in sorted(self.gates.items(), key=itemgetter(0))
            if (tenant, run_id, gate.approval_id) == (run.tenant, run.run_id, approval_id)
            and gate.token is not None
        ]

    @_atomic
    def open(  # noqa: PLR0913 - as in the port
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
        run, path, decided = head.run, waiting.step_path, record.verdict is not None
        known = self.gate(run, path)
        if (known and known.recorded_decisions) != (
            gate and gate.recorded_decisions
        ) or self._moved_on(head, record):
            return False
        self.gates[run.tenant, run.run_id, path] = StoredGate(
            record.approval_id, len(record.decisions), None if decided else token
        )
        if not decided:
            self.stored[run.tenant, run.run_id, record.approval_id] = StoredApproval(
                replace(record, was_opened=True),
                f"{waiting.opened_at}#{run.run_id}#{record.approval_id}",
                summary,
            )
        # This write happens once: whoever repeats it must not repeat them.
        self.runs.of(run.tenant, run.run_id).journal += entries
        return True

    @_atomic
    def record_notified(self, run: Run, path: str) -> None:
        self.notified.add((run.tenant, run.run_id, path))

    @_atomic
    def decide(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        if self._moved_on(head, record) or not self._heard(head, record, gates, entries):
            return False
        key = (head.run.tenant, head.run.run_id, record.approval_id)
        stored = self.stored.setdefault(key, StoredApproval(record))
        stored.record = replace(record, version=record.version + 1, was_opened=True)
        return True

    @_atomic
    def hear(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        return self._heard(head, record, gates, entries)

    def _heard(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        run = self.runs.of(head.run.tenant, head.run.run_id)
        known = [self.gate(head.run, one.step_path) or one for one in gates]
        if run.run.outcome is not None or any(
            mine.recorded_decisions != theirs.recorded_decisions
            for mine, theirs in zip(known, gates, strict=True)
        ):
            return False
        for one in gates:
            key = (head.run.tenant, head.run.run_id, one.step_path)
            self.gates.setdefault(key, StoredGate(record.approval_id, 0))
            self.gates[key].heard = len(record.decisions)
        run.journal += entries
        return True

    def _moved_on(self, head: Head, record: ApprovalRecord) -> bool:
        run = head.run
        stored = self.get(run.tenant, run.run_id, record.approval_id)
        ended = self.runs.of(run.tenant, run.run_id).run.outcome is not None
        return ended or stored.version != record.version

    @_atomic
    def resume(self, run: Run, record: ApprovalRecord) -> None:
        if record.verdict is None:
            return
        for _, gate in self._that_wait(run, record.approval_id):
            self.wake(str(gate.token), record.verdict)
            gate.token = None

    @_atomic
    def wake(self, token: str, verdict: Verdict) -> None:
        self.sent.append(token)
        self.woken.setdefault(token, verdict)

    @_atomic
    def list_open(self, tenant: str, limit: int, cursor: str | None) -> Page:
        rows = {
            stored.opened: stored.summary
            for (owner, run_id, _), stored in self.stored.items()
            if owner == tenant
            and stored.record.verdict is None
            and self.runs.of(tenant, run_id).run.outcome is None
        }
        return _page(rows, sorted(rows), limit, cursor)


@dataclass
class MemoryFiles:
    """`executors.work.Artifacts`: the files of one run, by name."""

    contents: Mapping[str, bytes]

    def fetch(self, name: str, into: Path) -> bool:
        if name not in self.contents:
            return False
        into.write_bytes(self.contents[name])
        return True


@dataclass
class MemoryArtifacts:
    """The files by tenant and path; the list is the runs'."""

    runs: MemoryRuns
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)

    @_atomic
    def list(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        stored = self.runs.stored.get((tenant, run_id))
        known = {} if stored is None else stored.artifacts
        return [known[name] for name in sorted(known)]

    def store(self, run: Run, artifact: Artifact, file: Path) -> Artifact:
        with opened(file) as body:
            content = body.read()
        sha256 = hashlib.sha256(content).hexdigest()
        stored_path = f"runs/{run.run_id}/artifacts/{sha256}/{artifact.name}"
        self.files[run.tenant, stored_path] = content
        return replace(
            artifact,
            stored_path=stored_path,
            media_type=artifact.media_type or "application/octet-stream",
            size_bytes=len(content),
            sha256=sha256,
        )

    def download_url(self, tenant: str, artifact: Artifact) -> str:
        return f"memory:///{tenant}/{artifact.stored_path}"

    def contents(self, tenant: str, run_id: str) -> MemoryFiles:
        return MemoryFiles(
            {
                one.name: self.files[tenant, one.stored_path]
                for one in self.list(tenant, run_id)
                if one.stored_path is not None
            }
        )


@dataclass
class MemoryEvidence:
    """Signs with a key of its own, a different signature each time; the files are the artifacts'.

    *signed* has the statements, in their order.
    """

    artifacts: MemoryArtifacts
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )
    signed: list[bytes] = field(default_factory=list)

    @property
    def public_key(self) -> bytes:
        """The public key in PEM."""
        encoding, form = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(encoding, form)

    def sign(self, statement: bytes) -> Signed:
        self.signed.append(statement)
        key_id = hashlib.sha256(
            self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest()
        payload_type = b"application/vnd.in-toto+json"
        encoded = b"DSSEv1 %d %b %d %b" % (
            len(payload_type),
            payload_type,
            len(statement),
            statement,
        )
        signature = self.key.sign(encoded, ec.ECDSA(hashes.SHA256()))
        envelope = {
            "payload": b64encode(statement).decode(),
            "payloadType": payload_type.decode(),
            "signatures": [{"keyid": key_id, "sig": b64encode(signature).decode()}],
        }
        bundle = json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode()
        return Signed(bundle, key_id)

    @_atomic
    def store(self, run: Run, bundle: bytes) -> str:
        digest = hashlib.sha256(bundle).hexdigest()
        stored_path = f"runs/{run.run_id}/evidence/{digest}/{run.run_id}.evidence.json"
        self.artifacts.files[run.tenant, stored_path] = bundle
        return stored_path


@dataclass
class SharedEnvironments(MemoryEnvironments):
    """Several steps at once may deploy, each until its run has ended."""

    has_ended: Callable[[], bool] = lambda: False

    @_atomic
    def promote(self, environment: str, bundle: Bundle) -> Revision:
        if (environment, bundle.digest) not in self.done and self.has_ended():
            raise ExecutorFailure("the run has ended, so that nothing of it is deployed")
        return super().promote(environment, bundle)


@dataclass
class MemoryWorkshop:
    """A store of bundles and a history of environments for each tenant."""

    known: MemoryRuns
    contents: dict[str, dict[str, bytes]] = field(default_factory=dict)
    runs: dict[tuple[str, str], MemoryBundles] = field(default_factory=dict)
    steps: dict[tuple[str, str, str, str], MemoryEnvironments] = field(default_factory=dict)
    tenants: dict[str, MemoryEnvironments] = field(default_factory=dict)

    def bundles(self, run: Run) -> MemoryBundles:
        shared = self.contents.setdefault(run.tenant, {})
        return self.runs.setdefault((run.tenant, run.run_id), MemoryBundles(contents=shared))

    def environments(self, run: Run, path: str) -> MemoryEnvironments:
        shared = self.tenants.setdefault(run.tenant, MemoryEnvironments())

        def has_ended() -> bool:
            stored = self.known.stored.get((run.tenant, run.run_id))
            return stored is not None and stored.run.outcome is not None

        return self.steps.setdefault(
            (run.tenant, run.run_id, run.created_at, path),
            SharedEnvironments(history=shared.history, has_ended=has_ended),
        )


@dataclass
class MemorySecrets:
    """Secrets by tenant and name; *asked* has what was looked up."""

    stored: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def values(self, tenant: str, names: Collection[str]) -> dict[str, str]:
        self.asked += [(tenant, name) for name in names]
        for name in names:
            if (tenant, name) not in self.stored:
                raise SecretError(f"there is no secret '{name}'")
        return {name: usable(name, self.stored[tenant, name]) for name in names}


@dataclass
class MemoryNotifications:
    """A topic that keeps what is published, in its order; with *is_down* it takes nothing."""

    published: list[Notification] = field(default_factory=list)
    is_down: bool = False

    def publish(self, notification: Notification) -> bool:
        if not self.is_down:
            self.published.append(notification)
        return not self.is_down


@dataclass
class ScriptedFunctions:
    """Executor functions by name; *calls* has what each was given."""

    functions: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    calls: list[tuple[str, JsonObject]] = field(default_factory=list)

    def invoke(self, name: str, payload: JsonObject) -> Any:  # noqa: ANN401 - any JSON
        self.calls.append((name, json.loads(json.dumps(payload))))
        if name not in self.functions:
            raise ExecutorFailure(f"there is no executor function '{name}' in this deployment")
        try:
            answer = self.functions[name](payload)
        except TaskRunnerError:
            raise
        except Exception as error:  # noqa: BLE001 - Lambda reports whatever a function raises
            told = f"the function '{name}' failed: {type(error).__name__}: {error}"
            raise ExecutorFailure(told) from None
        for _, problem in unusable(answer):
            raise ExecutorFailure(f"the function '{name}' answered what is no JSON: {problem}")
        return answer


@dataclass
class MemoryMachines:
    """Machines by name, the input of each execution by its name, and those that were stopped."""

    definitions: dict[str, JsonObject] = field(default_factory=dict)
    started: dict[str, JsonObject] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)

    def name(self, pack_name: str, definition_hash: str) -> str:
        return f"memory-{pack_name[:40]}-{definition_hash.removeprefix('sha256:')[:32]}"

    def start(
        self, run: Run, definition: JsonObject, execution_input: Mapping[str, object]
    ) -> None:
        self.definitions.setdefault(run.machine, definition)
        self.started.setdefault(run.execution, dict(execution_input))

    def stop(self, run: Run) -> None:
        if run.execution in self.started:
            self.stopped.add(run.execution)


@dataclass
class MemoryNetworks:
    """No way out at all; *asked* has the rules that somebody wanted out under."""

    asked: list[Sandbox] = field(default_factory=list)

    def within(self, sandbox: Sandbox) -> NoNetwork:
        self.asked.append(sandbox)
        return NoNetwork()


@dataclass
class MemoryRegistries:
    """The same images for everybody."""

    images: MemoryImages = field(default_factory=MemoryImages)

    def within(self, sandbox: Sandbox) -> MemoryImages:  # noqa: ARG002 - the port's form
        return self.images


class MemoryWorld:
    """`usecases.world.World`, with nothing in it yet."""

    def __init__(self) -> None:
        self.ceilings = Ceilings()
        self.clock = StoppedClock()
        self.ids = CountingIds()
        self.plans = MemoryPlans()
        self.runs = MemoryRuns()
        self.approvals = MemoryApprovals(self.runs)
        self.artifacts = MemoryArtifacts(self.runs)
        self.evidence = MemoryEvidence(self.artifacts)
        self.workshop = MemoryWorkshop(self.runs)
        self.secrets = MemorySecrets()
        self.notifications = MemoryNotifications()
        self.functions = ScriptedFunctions()
        self.machines = MemoryMachines()
        self.sandbox = ThreadSandbox()
        self.networks = MemoryNetworks()
        self.registries = MemoryRegistries()
