"""Runs whose gates wait, opened and decided by the use cases over any world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskrunner.model.approval import Verdict
from taskrunner.model.caller import Caller
from taskrunner.model.run import StepReference
from taskrunner.usecases.create_run import CreateRun, create_run
from taskrunner.usecases.decide_approval import decide_approval
from taskrunner.usecases.enter_gate import enter_gate
from tests.fakes.world import MemoryWorld
from tests.packs import pack

if TYPE_CHECKING:
    from taskrunner import ports
    from taskrunner.executors.work import Functions
    from taskrunner.model.ceilings import Ceilings
    from taskrunner.model.json_types import JsonObject
    from tests.contract.ports import Ports

TENANT, RUN_ID = "acme", "run-1"
TWO_GATES = pack(
    """
    - {id: review, gate: {approval: {id: security}}}
    - {id: again, gate: {approval: {id: security}}}
    """,
    spec="approvals: [{id: security, minApprovals: 2}]",
)
# A gate in each of 400 iterations, all for one approval.
LOOP_OF_GATES = pack(
    """
    - id: each
      loop:
        items: {range: {end: 400}}
        body:
          - {id: review, gate: {approval: {id: security}}}
    """,
    spec="approvals: [{id: security, minApprovals: 2}]",
)
# The longest actor and summary that the API accepts.
LONGEST_TEXT = "\N{SNOWMAN}" * 2000


@dataclass(frozen=True)
class GateWorld:
    """The ports of a world, completed by ports in memory that gates do not use."""

    world: Ports
    ids: ports.Ids
    machines: ports.Machines
    called_machines: ports.CalledMachines
    inventory: ports.MachineInventory
    machine_counts: ports.MachineCounts
    links: ports.ExecutionLinks
    ceilings: Ceilings
    principals: ports.Principals | None
    sandbox: ports.Sandbox
    functions: Functions
    networks: ports.Networks
    registries: ports.Registries
    secrets: ports.Secrets

    clock: ports.Clock
    plans: ports.Plans
    runs: ports.Runs
    approvals: ports.Approvals
    jobs: ports.Jobs
    pools: ports.Pools
    artifacts: ports.Artifacts
    evidence: ports.Evidence
    releases: ports.Releases
    notifications: ports.Notifications
    logs: ports.Logs
    metrics: ports.Metrics
    events: ports.Events
    due_work: ports.DueWork
    overrides: ports.Overrides
    settlements: ports.Settlements

    def open(self, step_id: str, token: str, iteration: str = "") -> JsonObject:
        return enter_gate(StepReference(TENANT, RUN_ID, step_id, iteration), token, self)

    def open_in_loop(self, number: int, token: str = "") -> JsonObject:
        """Open the gate of one iteration of LOOP_OF_GATES."""
        return self.open("review", token or f"token-{number}", f"each[{number}]::")

    def decide(self, approver: str, verdict: Verdict = Verdict.APPROVED) -> JsonObject:
        return decide_approval(
            TENANT,
            RUN_ID,
            "security",
            verdict,
            plan_hash=self.runs.snapshot(TENANT, RUN_ID).run.plan_hash,
            caller=Caller(subject=approver, scopes=frozenset({"operator"}), tenants=(TENANT,)),
            actor=LONGEST_TEXT,
            summary=LONGEST_TEXT,
            world=self,
        )

    def entry_ids(self) -> list[str]:
        return [placed.entry.id for placed in self.runs.journal(TENANT, RUN_ID)]

    def entry_ids_ending(self, suffix: str) -> list[str]:
        return sorted(entry_id for entry_id in self.entry_ids() if entry_id.endswith(suffix))


def gate_world(world: Ports, manifest: str) -> GateWorld:
    """Empty *world* and create the run run-1 of *manifest* in it."""
    world.forget()
    world.woken.clear()
    world.sent.clear()
    memory = MemoryWorld()
    whole = GateWorld(
        world=world,
        ids=memory.ids,
        machines=memory.machines,
        called_machines=memory.called_machines,
        inventory=memory.inventory,
        machine_counts=memory.machine_counts,
        links=memory.links,
        ceilings=memory.ceilings,
        principals=memory.principals,
        sandbox=memory.sandbox,
        functions=memory.functions,
        networks=memory.networks,
        registries=memory.registries,
        secrets=memory.secrets,
        clock=world.clock,
        plans=world.plans,
        runs=world.runs,
        approvals=world.approvals,
        jobs=world.jobs,
        pools=world.pools,
        artifacts=world.artifacts,
        evidence=world.evidence,
        releases=world.releases,
        notifications=world.notifications,
        logs=memory.logs,
        metrics=memory.metrics,
        events=memory.events,
        due_work=world.due_work,
        overrides=memory.overrides,
        settlements=memory.settlements,
    )
    request = CreateRun(tenant=TENANT, caller="ana", manifest=manifest, inputs={})
    assert create_run(request, whole)["runId"] == RUN_ID
    return whole
