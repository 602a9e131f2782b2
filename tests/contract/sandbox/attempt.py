"""Attempts of the executors in tests/fakes/hostile_executors.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner.executors.work import Services
from taskrunner.sandbox.attempt import AttemptRequest, AttemptResult, Limits
from tests.fakes.executor_world import (
    MemoryArtifacts,
    MemoryBundles,
    MemoryEnvironments,
    MemoryFunctions,
    MemoryImages,
    NoNetwork,
)

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.sandbox.launcher import ForkedSandbox

HOSTILE_EXECUTORS = "tests.fakes.hostile_executors"
AMPLE = Limits(memory_mib=128, cpu_s=60, wall_s=240)
SERVICES = Services(
    bundles=MemoryBundles(),
    artifacts=MemoryArtifacts({"report": b"all is well"}),
    environments=MemoryEnvironments(),
    network=NoNetwork(),
    functions=MemoryFunctions({"change-window": {"open": True}}),
    images=MemoryImages(),
)


class Attempt:
    """Calls one hostile executor at a time, by its name, in a folder."""

    def __init__(self, sandbox: ForkedSandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        for name in ("output", "scratch"):
            (folder / name).mkdir()

    def __call__(
        self,
        name: str,
        limits: Limits = AMPLE,
        services: Services = SERVICES,
        **parameters: Any,  # noqa: ANN401 - any parameter of the executor
    ) -> AttemptResult:
        return self.sandbox.execute(self.request(name, limits, **parameters), services)

    def request(
        self,
        name: str,
        limits: Limits = AMPLE,
        **parameters: Any,  # noqa: ANN401 - any parameter of the executor
    ) -> AttemptRequest:
        return AttemptRequest(
            uses=f"hostile:{name}",
            parameters=parameters,
            run_id="run-7",
            run_created_at="2025-12-06T12:00:00.000Z",
            tenant="acme",
            step_path="ship",
            attempt=1,
            plan_document={"inputs": {}},
            folder=self.folder,
            limits=limits,
        )


def works(attempt: Attempt) -> bool:
    """Return whether a harmless attempt succeeds."""
    outputs: object = attempt("echo", text="hello").outputs
    return outputs == {"text": "hello"}
