"""A stack that is deployed again while machines of before exist, and a machine that is removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from moto.awslambda.utils import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID

from taskrunner.adapters.clock import SystemClock
from taskrunner.bootstrap import AwsWorld
from taskrunner.usecases.remove_machines import remove_unused_machines
from tests.machine.deployment import MACHINE_FUNCTIONS, MACHINE_PREFIX, deployed_frame
from tests.machine.packs import GATED
from tests.machine.runs import decide, ended, run, start
from tests.moto_aws import REGION, session
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine

NOOP = pack("- {id: ship, run: {uses: builtin:noop}}")


def called_functions(engine: Engine) -> list[str]:
    """Return the list that the names of the functions that machines call are added to."""
    called: list[str] = []
    backend: Any = get_backend(DEFAULT_ACCOUNT_ID, REGION)

    def invoke(name: str, *given: Any, **named: Any) -> bytes:  # noqa: ANN401 - moto's own
        called.append(name)
        return engine.as_lambda(name.replace(":again-", ":"), *given, **named)

    backend.invoke = invoke
    return called


def machines(engine: Engine) -> set[str]:
    listed = engine.states.list_state_machines()["stateMachines"]
    return {machine["name"] for machine in listed}


def deploy_again(engine: Engine) -> None:
    """Delete the stack's frame and role, and deploy others under the same stack name."""
    engine.recorder.needs.clear()  # the roles of the new stack do not grant the role of the old one
    prototype = engine.world.environment["PACK_RUN_MACHINE_ARN"]
    engine.states.delete_state_machine(stateMachineArn=prototype)
    iam = boto3.client("iam")
    iam.delete_role(RoleName="machines")
    role = iam.create_role(RoleName="machines-2", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    definition = deployed_frame()
    for name in MACHINE_FUNCTIONS:
        definition = definition.replace(f":function:{name}", f":function:again-{name}")
    frame = engine.states.create_state_machine(
        name=f"{MACHINE_PREFIX}_prototype", definition=definition, roleArn=role
    )
    assert frame["stateMachineArn"] == prototype
    # A new stack's functions have new environments.
    engine.world = AwsWorld(engine.world.environment, session())


def test_a_stack_that_is_deployed_again_never_uses_a_machine_of_the_deleted_one(
    engine: Engine, ana: Client
) -> None:
    assert run(ana, NOOP)["status"] == "succeeded"
    engine.rest()
    before = machines(engine)
    deploy_again(engine)
    called = called_functions(engine)

    state = run(ana, NOOP)

    assert state["status"] == "succeeded"
    engine.rest()
    assert called
    assert {name for name in called if ":again-" not in name} == set()
    assert len(machines(engine) - before) == 1
    (new,) = machines(engine) - before
    arn = engine.world.environment["PACK_RUN_MACHINE_ARN"].rpartition(":")[0] + f":{new}"
    machine = engine.states.describe_state_machine(stateMachineArn=arn)
    assert machine["roleArn"].endswith("role/machines-2")


class NextYear(SystemClock):
    """A clock that is a year ahead."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=365)


def test_a_pack_runs_again_after_its_machine_was_removed(engine: Engine, ana: Client) -> None:
    run(ana, NOOP)
    engine.rest()
    engine.all_executed()  # a machine is in use until its execution has ended
    before = machines(engine)
    world = AwsWorld(engine.world.environment, session())
    vars(world)["clock"] = NextYear()

    removal = remove_unused_machines(world, 60)
    left = machines(engine)
    state = run(ana, NOOP)

    assert (removal.of_stack, removal.deleted, removal.failures) == (1, 1, [])
    assert left == {f"{MACHINE_PREFIX}_prototype"}
    assert state["status"] == "succeeded"
    assert machines(engine) == before


def test_a_machine_is_kept_while_a_run_waits_on_it(engine: Engine, ana: Client) -> None:
    run_id = start(ana, GATED)
    engine.wait(ana, run_id, "waiting")
    world = AwsWorld(engine.world.environment, session())
    vars(world)["clock"] = NextYear()

    assert remove_unused_machines(world, 60).deleted == 0

    decide(engine.client(subject="bob", grants="packs.approve"), run_id, "security")
    assert ended(ana, run_id)["status"] == "succeeded"
