"""A run with something of each kind that evidence covers: where tests of evidence begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.approval import Verdict
from taskrunner.model.flow import Question
from taskrunner.model.run import StepReference
from taskrunner.usecases.decide_approval import decide_approval
from taskrunner.usecases.decide_flow import decide_flow
from taskrunner.usecases.settle_run import settle_run
from tests.packs import pack
from tests.unit.usecases.scenarios import BOB, CAROL, TENANT, a_world, gate, plan_hash, step

if TYPE_CHECKING:
    from taskrunner.model.caller import Caller
    from tests.fakes.world import MemoryWorld

PROVEN = pack(
    """
    - id: build
      run: {uses: builtin:build, with: {files: {a.txt: "hello"}}}
    - id: small
      gate: {policy: {policy: size, with: {ok: true}}}
    - id: review
      gate: {approval: {id: security}}
    - {id: never, when: inputs.stage == 'prod', run: {uses: builtin:noop}}
    """,
    spec="""
    inputs: [{name: stage, type: string, default: dev}]
    policies: [{id: size, version: "2", rules: [{id: r, require: with.ok}]}]
    approvals: [{id: security, minApprovals: 2}]
    outputs:
      - {name: how, type: object, expression: "{{ steps.review.status }}"}
      - {name: missing, type: file, path: /output/missing.txt}
      - {name: zip, type: file, path: /output/bundle.zip}
    """,
    name="proven",
)


def decide(world: MemoryWorld, caller: Caller, summary: str | None = None) -> None:
    decide_approval(
        TENANT,
        "run-7",
        "security",
        Verdict.APPROVED,
        plan_hash=plan_hash(world),
        caller=caller,
        actor=f"user:{caller.subject}",
        summary=summary,
        world=world,
    )


def ready() -> MemoryWorld:
    """Ana's run of PROVEN, a minute a step, which only has to be settled."""
    world = a_world(PROVEN)
    world.clock.advance(60)
    step(world, "build")
    world.clock.advance(60)
    decide_flow(StepReference(TENANT, "run-7", "small"), Question.POLICY, world)
    world.clock.advance(60)
    gate(world)
    world.clock.advance(60)
    decide(world, BOB)
    world.clock.advance(60)
    decide(world, CAROL, "looks good")
    world.clock.advance(60)
    return world


def proven() -> MemoryWorld:
    """The same run, which has ended and is sealed."""
    world = ready()
    settle_run(TENANT, "run-7", None, world)
    return world
