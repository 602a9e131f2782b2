"""Gates end to end over both worlds: opened, decided and opened again, wherever the journal is."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import ConflictError
from taskrunner.model.approval import Verdict
from taskrunner.model.caller import Caller
from taskrunner.model.run import StepReference
from taskrunner.usecases.create_run import CreateRun, create_run
from taskrunner.usecases.decide_approval import decide_approval
from taskrunner.usecases.open_gate import open_gate
from tests.contract.ports import an_entry
from tests.fakes.world import MemoryWorld
from tests.packs import pack

if TYPE_CHECKING:
    from concurrent.futures import Future

    from taskrunner import ports
    from taskrunner.executors.work import Functions
    from taskrunner.model.ceilings import Ceilings
    from taskrunner.model.json_types import JsonObject
    from tests.contract.ports import Ports


MANIFEST = pack(
    """
    - {id: review, gate: {approval: {id: security}}}
    - {id: again, gate: {approval: {id: security}}}
    """,
    spec="approvals: [{id: security, minApprovals: 2}]",
)


@dataclass(frozen=True)
class Whole:
    """The ports of a world, and beside them in memory what gates do not touch."""

    world: Ports
    ids: ports.Ids
    machines: ports.Machines
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
    artifacts: ports.Artifacts
    evidence: ports.Evidence
    releases: ports.Releases
    notifications: ports.Notifications

    def gate(self, step_id: str, token: str) -> JsonObject:
        return open_gate(StepReference("acme", "run-1", step_id), token, self)

    def decide(self, by: str, verdict: Verdict) -> JsonObject:
        return decide_approval(
            "acme",
            "run-1",
            "security",
            verdict,
            plan_hash=self.runs.head("acme", "run-1").run.plan_hash,
            caller=Caller(subject=by, scopes=frozenset({"operator"}), tenants=("acme",)),
            actor=None,
            summary=None,
            world=self,
        )

    def fill(self, name: str) -> None:
        """Let the journal move on by more than a chunk."""
        for number in range(9):
            entry = an_entry(f"{name}.{number}")
            self.runs.append(self.runs.head("acme", "run-1"), [entry])

    def log(self) -> list[str]:
        """The ids of the gates' entries: the others have a dot."""
        journal = self.runs.journal("acme", "run-1")
        return [one.entry.id for one in journal if "." not in one.entry.id]


def whole_world(world: Ports) -> Whole:
    """*world* with nothing in it, as use cases see one."""
    world.forget()
    memory = MemoryWorld()
    return Whole(
        world=world,
        ids=memory.ids,
        machines=memory.machines,
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
        artifacts=world.artifacts,
        evidence=world.evidence,
        releases=world.releases,
        notifications=world.notifications,
    )


@pytest.fixture(name="whole")
def _whole(world: Ports) -> Whole:
    whole = whole_world(world)
    world.woken.clear()
    request = CreateRun(tenant="acme", caller="ana", manifest=MANIFEST, inputs={})
    assert create_run(request, whole)["runId"] == "run-1"
    return whole


def test_opening_and_deciding_are_logged_once_however_the_journal_moves_on(whole: Whole) -> None:
    whole.gate("review", "token-1")
    whole.fill("a")
    whole.gate("review", "token-2")
    whole.fill("b")
    first = [whole.decide("bob", Verdict.APPROVED) for _ in range(2)]
    whole.fill("c")
    second = [whole.decide("carol", Verdict.APPROVED) for _ in range(2)]
    whole.fill("d")
    whole.gate("again", "token-3")
    whole.fill("e")
    whole.gate("again", "token-4")

    assert first == [{"status": "approved", "resumed": False}] * 2
    assert second == [{"status": "approved", "resumed": True}] * 2
    assert whole.log() == [
        "review#awaiting",
        "review#approval#bob",
        "review#decided",
        "again#awaiting",
        "again#decided",
    ]
    assert set(whole.world.woken) == {"token-2", "token-3", "token-4"}
    told_of = [json.loads(one.body)["stepId"] for one in whole.world.topic.received()]
    assert told_of == ["review"]


def test_of_contrary_decisions_at_once_one_is_final_and_the_other_learns_it(whole: Whole) -> None:
    whole.gate("review", "token-1")
    whole.decide("bob", Verdict.APPROVED)

    with ThreadPoolExecutor(4) as pool:
        told: list[Future[JsonObject]] = [
            pool.submit(whole.decide, by, verdict)
            for by, verdict in [
                ("carol", Verdict.APPROVED),
                ("dave", Verdict.REJECTED),
                ("erin", Verdict.APPROVED),
                ("frank", Verdict.REJECTED),
            ]
        ]

    answers = [one.result() for one in told if one.exception() is None]
    refused = [one.exception() for one in told if one.exception() is not None]
    assert len(answers) == 1
    assert {error.code for error in refused if isinstance(error, ConflictError)} == {
        "approval_already_decided"
    }
    assert len(refused) == 3
    assert whole.world.woken == {"token-1": Verdict(answers[0]["status"])}
    assert whole.log().count("review#decided") == 1
