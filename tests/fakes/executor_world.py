"""In-memory services for executors, and the mistakes in their parameters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from taskrunner.executors.parameters import Given
from taskrunner.executors.work import Bundle, EgressDenied, ExecutorFailure, Revision, Work

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from taskrunner.executors.parameters import ExecutorParameters
    from taskrunner.executors.work import Network
    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import Json, JsonMapping, JsonObject

CREATED_AT = "2025-12-06T12:00:00.000Z"


@dataclass
class MemoryBundles:
    """A tenant's bundles by reference, and in *built* those of one run, the latest last."""

    contents: dict[str, bytes] = field(default_factory=dict)
    built: list[Bundle] = field(default_factory=list)

    def put(self, file: Path) -> Bundle:
        content = file.read_bytes()
        digits = hashlib.sha256(content).hexdigest()
        bundle = Bundle(f"bundles/sha256-{digits}.zip", f"sha256:{digits}", len(content))
        self.contents[bundle.reference] = content
        self.built.append(bundle)
        return bundle

    def find(self, reference: str) -> Bundle | None:
        digits = reference.removesuffix(".zip")[-64:]
        content = self.contents.get(f"bundles/sha256-{digits}.zip")
        if content is None:
            return None
        return Bundle(f"bundles/sha256-{digits}.zip", f"sha256:{digits}", len(content))

    def last_of_run(self) -> Bundle | None:
        return self.built[-1] if self.built else None


@dataclass
class MemoryArtifacts:
    """The run's artifacts by their distinct names, which begin with the names they share."""

    contents: dict[str, bytes] = field(default_factory=dict)

    def matching(self, name: str) -> list[str]:
        return [other for other in self.contents if other == name or other.startswith(f"{name}.")]

    def fetch(self, name: str, into: Path) -> bool:
        if name not in self.contents:
            return False
        into.write_bytes(self.contents[name])
        return True


@dataclass
class MemoryEnvironments:
    """One step's view of the environments; *history* by environment, the latest last."""

    history: dict[str, list[Revision]] = field(default_factory=dict)
    done: dict[tuple[str, str], Revision] = field(default_factory=dict)

    def promote(self, environment: str, bundle: Bundle) -> Revision:
        earlier = self.done.get((environment, bundle.digest))
        if earlier is not None:
            return earlier
        revisions = self.history.setdefault(environment, [])
        previous = revisions[-1].digest if revisions else None
        revision = Revision(len(revisions) + 1, bundle.digest, previous)
        revisions.append(revision)
        self.done[environment, bundle.digest] = revision
        return revision


class NoNetwork:
    """The network of a sealed sandbox."""

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:  # noqa: ARG002
        raise EgressDenied(f"no connection to {host}:{port}: the sandbox allows none")


@dataclass
class MemoryFunctions:
    """The answers of executor functions by name; *calls* lists what they were given."""

    answers: dict[str, Json] = field(default_factory=dict)
    calls: list[tuple[str, JsonObject]] = field(default_factory=list)

    def invoke(self, name: str, payload: JsonObject) -> Json:
        self.calls.append((name, payload))
        if name not in self.answers:
            raise ExecutorFailure(f"there is no executor function '{name}'")
        return self.answers[name]


@dataclass
class MemoryImages:
    """Scans by `registry/repository@reference`, None for an image that was not scanned."""

    recorded: dict[str, JsonObject | None] = field(default_factory=dict)
    allowlist: list[str] = field(default_factory=list)

    def findings(self, registry: str, repository: str, reference: str) -> JsonObject | None:
        if registry not in self.allowlist:
            raise EgressDenied(f"the sandbox does not allow the registry {registry}")
        image = f"{registry}/{repository}@{reference}"
        if image not in self.recorded:
            raise ExecutorFailure(f"{image}: the registry has no such image")
        return self.recorded[image]


def a_work(  # noqa: PLR0913 - a test may replace each of them
    output: Path,
    *,
    attempt: int = 1,
    plan_document: JsonMapping | None = None,
    uses: str = "builtin:noop",
    time_s: float = 60,
    bundles: MemoryBundles | None = None,
    artifacts: MemoryArtifacts | None = None,
    environments: MemoryEnvironments | None = None,
    network: Network | None = None,
    functions: MemoryFunctions | None = None,
    images: MemoryImages | None = None,
) -> Work:
    """Return the first attempt of the step `ship` of the run `run-7`, with empty services."""
    return Work(
        run_id="run-7",
        run_created_at=CREATED_AT,
        tenant="acme",
        step_path="ship",
        uses=uses,
        attempt=attempt,
        time_s=time_s,
        plan_document={"planVersion": 1, "inputs": {}} if plan_document is None else plan_document,
        output=_made(output),
        scratch=_made(output.parent / "scratch"),
        bundles=bundles or MemoryBundles(),
        artifacts=artifacts or MemoryArtifacts(),
        environments=environments or MemoryEnvironments(),
        network=network or NoNetwork(),
        functions=functions or MemoryFunctions(),
        images=images or MemoryImages(),
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def mistakes(parameters: type[ExecutorParameters], given: JsonObject) -> list[tuple[JsonPath, str]]:
    """Return the path and message of each problem that *parameters* find in *given*."""
    found: list[tuple[JsonPath, str]] = []
    try:
        parameters.model_validate(given)
    except ValidationError as error:
        for detail in error.errors():
            path = detail["loc"]
            found.append((path[:-1] if path[-1:] == ("[key]",) else path, detail["msg"]))
    return [*found, *parameters.contradictions(Given(given))]
