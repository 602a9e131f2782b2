"""Steps that call state machines, so that the functions for it do all of their work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.model.machine_call import Execution
from tests.machine.called_machines import FAIL, PASS, WAIT, CalledMachines
from tests.machine.runs import decide, ended
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.security.permissions.needs import Recorder

_LONG: Final = "0123456789" * 1000  # over 8 KiB, so that it is claimed from the bucket
# In a block that a failure can stop, so that each write requires that none has. The machine of
# `missing` does not exist, and `idle` has a condition that does not hold.
_MANIFEST: Final = pack(
    """
    - {id: count, run: {uses: builtin:noop, with: {text: "{{ inputs.long }}"}}}
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
              - id: load
                when: length(steps.count.outputs.text) > `1`
                run: {uses: states:passes, with: {text: "{{ steps.count.outputs.text }}"}}
              - {id: fails, continueOnError: true, run: {uses: states:fails}}
              - {id: missing, continueOnError: true, run: {uses: states:missing}}
              - {id: idle, when: "length(steps.count.outputs.text) < `1`",
                 run: {uses: states:passes}}
    """,
    spec="inputs: [{name: long, type: string}]",
    name="on-machines",
)

_BROKEN: Final = pack(
    """
    - id: both
      parallel:
        steps:
        - {id: waits, run: {uses: states:waits}}
        - {id: review, gate: {approval: {id: owner}}}
    """,
    spec="approvals: [{id: owner}]",
    name="broken-beside-a-machine",
)


def play_machine_calls(ana: Client, recorder: Recorder) -> dict[str, str]:
    """Return the statuses of the steps."""
    engine = ana.engine
    machines = CalledMachines(engine)
    machines.make("passes", PASS)
    machines.make("fails", FAIL)
    run_id = ana("POST", "runs", {"manifest": _MANIFEST, "inputs": {"long": _LONG}}).json["runId"]
    machines.report("passes", input=None, output=None)  # as if it were too large for an event
    machines.report("passes")
    machines.report("fails")
    state = ended(ana, run_id)
    execution = Execution("passes", machines.executions("passes")[0]["name"])
    with recorder.playing("call_machine"):
        # An end between two calls of the function, which no order of events brings about here.
        engine.worlds["call_machine"].called_machines.stop(execution)
    _end_after_its_run(ana, machines)
    statuses = {f"{step['stepId']} on machines": step["status"] for step in state["steps"]}
    return statuses | {"on-machines": state["status"]}


def _end_after_its_run(ana: Client, machines: CalledMachines) -> None:
    """Report the end of an execution beside a rejection, which has failed the run."""
    machines.make("waits", WAIT)
    run_id = ana("POST", "runs", {"manifest": _BROKEN}).json["runId"]
    machines.running("waits")
    decide(ana, run_id, "owner", "rejected")
    ended(ana, run_id)
    machines.stop("waits")
    machines.report("waits")
