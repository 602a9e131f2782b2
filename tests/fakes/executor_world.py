"""What an executor is given, in memory, and the mistakes that an author is told."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from taskrunner.executors.work import Bundle, Revision, Work

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.json_types import Json, JsonMapping


@dataclass
class MemoryBundles:
    """A tenant's store as seen by one run; *contents* by reference, *built* what this run put."""

    contents: dict[str, bytes] = field(default_factory=dict)
    built: list[Bundle] = field(default_factory=list)

    def put(self, content: bytes) -> Bundle:
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
    """What the run has captured so far, by name."""

    contents: dict[str, bytes] = field(default_factory=dict)

    def read(self, name: str) -> bytes | None:
        return self.contents.get(name)


@dataclass
class MemoryEnvironments:
    """Where one step deploys to; *history* by environment, the latest last."""

    history: dict[str, list[Revision]] = field(default_factory=dict)
    done: dict[tuple[str, str], Revision] = field(default_factory=dict)

    def promote(self, environment: str, bundle: Bundle) -> Revision:
        again = self.done.get((environment, bundle.digest))
        if again is not None:
            return again
        before = self.history.setdefault(environment, [])
        previous = before[-1].digest if before else None
        revision = Revision(len(before) + 1, bundle.digest, previous)
        before.append(revision)
        self.done[environment, bundle.digest] = revision
        return revision


def a_work(  # noqa: PLR0913 - one for each thing that a test wants otherwise
    output: Path,
    *,
    attempt: int = 1,
    plan_document: JsonMapping | None = None,
    stopped: Event | None = None,
    bundles: MemoryBundles | None = None,
    artifacts: MemoryArtifacts | None = None,
    environments: MemoryEnvironments | None = None,
) -> Work:
    """The first attempt of the step `ship` of the run `run-7`, in a world with nothing in it."""
    return Work(
        run_id="run-7",
        tenant="acme",
        step_id="ship",
        attempt=attempt,
        plan_document={"planVersion": 1, "inputs": {}} if plan_document is None else plan_document,
        output=output,
        stopped=stopped or Event(),
        bundles=bundles or MemoryBundles(),
        artifacts=artifacts or MemoryArtifacts(),
        environments=environments or MemoryEnvironments(),
    )


def mistakes(parameters: type[BaseModel], given: Json) -> list[tuple[tuple[str | int, ...], str]]:
    """Where and how *given* misses what the executor wants; nothing when it fits."""
    try:
        parameters.model_validate(given)
    except ValidationError as error:
        return [(detail["loc"], detail["msg"]) for detail in error.errors()]
    return []
