"""State machines in memory, which execute nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskrunner.model import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run


@dataclass
class MemoryMachines:
    """Definitions by machine, inputs by execution, and the executions that were stopped.

    *release* names the deployment that new machines are bound to. *statuses* has the statuses of
    executions that are neither running nor stopped. With *refusal*, nothing is started; with
    *name_refusal*, no machine is named.
    """

    definitions: dict[str, JsonObject] = field(default_factory=dict)
    started: dict[str, JsonObject] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    statuses: dict[str, str] = field(default_factory=dict)
    refusal: Exception | None = None
    name_refusal: Exception | None = None
    release: str = "first"

    def name(self, pack_name: str, _pack_version: str, definition: JsonObject) -> str:
        if self.name_refusal is not None:
            raise self.name_refusal
        digits = canonical_json.digest({"definition": definition, "release": self.release})
        return f"memory-{pack_name[:40]}-{digits.removeprefix('sha256:')[:32]}"

    def start(
        self, run: Run, definition: JsonObject, execution_input: Mapping[str, object]
    ) -> bool:
        if self.refusal is not None:
            raise self.refusal
        is_new = run.machine not in self.definitions
        self.definitions.setdefault(run.machine, definition)
        self.started.setdefault(run.execution, dict(execution_input))
        return is_new

    def status(self, run: Run) -> str | None:
        if run.execution not in self.started:
            return None
        is_stopped = run.execution in self.stopped
        return self.statuses.get(run.execution, "ABORTED" if is_stopped else "RUNNING")

    def stop(self, run: Run) -> None:
        if run.execution in self.started:
            self.stopped.add(run.execution)
