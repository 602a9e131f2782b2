"""The files of recorded machines: a folder for each release, a file for each pack of packs/.

A file has the machine as the release deployed it, with the ARNs of functions in it, and the input
that the release started an execution with. Both go on as they are while a run waits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.machine import frame
from taskrunner.compiler.machine.execution_input import execution_input
from tests.machine.deployment import deployed_frame
from tests.machine.runs import TENANT

MACHINES: Final = Path(__file__).parent / "machines"
NEVER_STARTS: Final = "a-run-never-starts"  # this pack has no machine


@dataclass(frozen=True)
class RecordedMachine:
    """A machine and the input of its execution; *plan_hash* names the plan that it follows."""

    plan_hash: str
    definition: dict[str, Any]
    execution_input: dict[str, Any]

    def input_of(self, run_id: str) -> dict[str, Any]:
        """Return the input for the run of that id."""
        run = {"run": {"tenant": TENANT, "id": run_id}}
        if "run" in self.execution_input:  # of release 0.1
            return self.execution_input | run
        return self.execution_input | {"place": self.execution_input["place"] | run}


def recorded(release: str) -> list[Path]:
    """Return the files of the machines that *release* deployed."""
    return sorted((MACHINES / release).glob("*.json"))


def releases() -> list[str]:
    """Return every release that has recorded machines."""
    return sorted(path.name for path in MACHINES.iterdir())


def read(path: Path) -> RecordedMachine:
    """Read what `to_text` wrote."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return RecordedMachine(document["planHash"], document["definition"], document["input"])


def to_text(machine: RecordedMachine) -> str:
    """Write a machine as its file has it."""
    document = {
        "planHash": machine.plan_hash,
        "input": machine.execution_input,
        "definition": machine.definition,
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def of_this_release(pack: Path) -> RecordedMachine:
    """Compile a pack and bind its machine as a deployment of this code does."""
    compiled = compile_pack(pack.read_text(encoding="utf-8"), {})
    bindings = frame.bindings(json.loads(deployed_frame()))
    return RecordedMachine(
        compiled.plan_hash,
        frame.bind(compiled.definition, bindings),
        execution_input(compiled.plan, TENANT, "RUN"),
    )
