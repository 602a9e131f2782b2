"""Runs that meet a deployment: the frame of the next release arrives before its functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.bootstrap import AwsWorld
from taskrunner.usecases.start_run import start_run
from tests.machine.runs import TENANT, ended, start, state_of
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine

STEP = pack("- {id: one, run: {uses: builtin:noop}}")


def test_a_run_that_is_created_during_a_deployment_starts_after_it(
    engine: Engine, ana: Client
) -> None:
    prototype = engine.world.environment["PACK_RUN_MACHINE_ARN"]
    ours = engine.states.describe_state_machine(stateMachineArn=prototype)["definition"]
    next_frame = ours.replace("Settle run", "Settle this run")
    engine.states.update_state_machine(stateMachineArn=prototype, definition=next_frame)

    run_id = start(ana, STEP)
    before = state_of(ana, run_id)["status"]
    # The functions that belong to the frame are there, and the reconciler is one of them.
    engine.states.update_state_machine(stateMachineArn=prototype, definition=ours)
    assert start_run(TENANT, run_id, AwsWorld(engine.world.environment))

    assert before == "queued"
    assert ended(ana, run_id)["status"] == "succeeded"
