"""Near AWS's quota of state machines: the daily pass counts them, and the API warns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.bootstrap import AwsWorld
from tests.machine.counted import counted
from tests.machine.runs import ended
from tests.moto_aws import session
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Answer, Client
    from tests.machine.engine import Engine

FIRST, SECOND = (
    pack("- {id: ship, run: {uses: builtin:noop}}", name=name) for name in ("first", "second")
)
# The machines of moto are the prototype of the deployment alone at first.
PROTOTYPE = 1
READ = "dynamodb:GetItem"


def count_machines(engine: Engine, warn_from: int) -> None:
    """Let a day's pass count, in a deployment that warns from that number of machines on."""
    environment = {**engine.world.environment, "MACHINE_WARNING_COUNT": str(warn_from)}
    engine.worlds["remove_machines"] = AwsWorld(environment, session())
    assert engine.invoke("remove_machines", {"source": "aws.events"})["left"] == 0


def create(client: Client, manifest: str, **body: Any) -> Answer:  # noqa: ANN401
    """Create a run, and wait until it has ended."""
    return _ended(client, client("POST", "runs", {"manifest": manifest, **body}))


def rerun(client: Client, run_id: str) -> Answer:
    return _ended(client, client("POST", f"runs/{run_id}/rerun"))


def _ended(client: Client, answer: Answer) -> Answer:
    assert answer.status == 201, answer.body
    ended(client, answer.json["runId"])
    return answer


def codes(answer: Answer) -> list[str]:
    return [warning["code"] for warning in answer.json.get("warnings", [])]


def test_warns_of_each_new_version_once_a_pass_has_counted(engine: Engine, ana: Client) -> None:
    assert codes(create(ana, FIRST)) == []
    count_machines(engine, warn_from=PROTOTYPE + 1)

    known = create(ana, FIRST)
    new = create(ana, SECOND)
    later = create(ana, SECOND)

    assert codes(known) == []
    assert codes(new) == ["machine_quota_near"]
    assert f"it had {PROTOTYPE + 1} at " in new.json["warnings"][0]["message"]
    assert codes(later) == []
    assert "warnings" not in ana("GET", f"runs/{new.json['runId']}").json


def test_says_nothing_below_the_number(engine: Engine, ana: Client) -> None:
    count_machines(engine, warn_from=PROTOTYPE + 1)

    assert codes(create(ana, FIRST)) == []


def test_warns_of_a_rerun_that_needs_a_new_machine(engine: Engine, ana: Client) -> None:
    run_id = create(ana, FIRST).json["runId"]
    engine.rest()
    engine.all_executed()
    for machine in engine.states.list_state_machines()["stateMachines"]:
        if "_first-" in machine["name"]:
            engine.states.delete_state_machine(stateMachineArn=machine["stateMachineArn"])
    count_machines(engine, warn_from=PROTOTYPE)

    again, and_again = rerun(ana, run_id), rerun(ana, run_id)

    assert codes(again) == ["machine_quota_near"]
    assert codes(and_again) == []


@pytest.mark.parametrize("warn_from", [PROTOTYPE, 90_000])
def test_only_a_run_that_needs_a_machine_reads_the_count(
    engine: Engine, ana: Client, warn_from: int
) -> None:
    with counted(engine) as counts:
        count_machines(engine, warn_from)
        stored = counts.calls.copy()
        asked = []
        for _ in range(3):
            counts.calls.clear()
            answer = ana("POST", "runs", {"manifest": FIRST})
            asked.append(counts.calls.copy())
            ended(ana, answer.json["runId"])
            engine.rest()
            engine.all_executed()

    assert stored["dynamodb:TransactWriteItems"] == 1
    made, *known = asked
    assert [calls[READ] for calls in known] == [made[READ] - 1] * 2
    assert made["stepfunctions:CreateStateMachine"] == 1
