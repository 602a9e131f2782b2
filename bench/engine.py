"""Measure what the engine costs: a pack of 20 steps, over a machine that calls a function 20 times.

    .venv/bin/python bench/engine.py [ROUNDS]

Both run on the local stack, in turn, so that whatever else the machine does slows both. The bare
machine has 20 Task states in a row. They call, through the same emulator, a function that has no
layer. It works for 0.1 s, or for no time, and so do the pack's steps: `builtin:sleep`. The time is
that of the execution, from its start to its end. The emulator records both, so this looks for the
end rarely: each look takes time from the steps.

Both machines are warm: the first run of each is not counted.
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import time
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from taskrunner_cli import local  # noqa: E402 - needs the path above
from taskrunner_cli.local import packaging, workspace  # noqa: E402 - the same
from tests.stack.api import Api  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 20
ROUNDS = 9
POLL_S = 0.25
TENANT = "tenant-prod"
WORK_S = 0.1
FUNCTION = """
import time

def handler(event, context):
    time.sleep(event["seconds"])
    return {}
"""


def manifest(steps: int, work_s: float = 0) -> str:
    """Return a pack of *steps* steps, one after the other, each of which takes *work_s*."""
    head = ["apiVersion: stellaops.io/pack.v1", "kind: TaskPack"]
    head += ["metadata: {name: engine, version: 1.0.0}", "spec:", "  steps:"]
    body = [
        f"    - {{id: s{n}, run: {{uses: builtin:sleep, with: {{seconds: {work_s}}}}}}}"
        for n in range(steps)
    ]
    return "\n".join([*head, *body]) + "\n"


def clients(stack: local.Stack) -> Callable[[str], Any]:
    """Return what makes clients of the local stack's AWS, with the administrator's rights."""
    return lambda service: boto3.client(
        service,
        endpoint_url=stack.endpoint_url,
        region_name=stack.region,
        aws_access_key_id=stack.access_key_id,
        aws_secret_access_key=stack.secret_access_key,
    )


def bare_machine(
    aws: Callable[[str], Any], steps: int, work_s: float
) -> tuple[str, Callable[[], None]]:
    """Make a machine that calls a function *steps* times; return its ARN and its removal."""
    functions, states = aws("lambda"), aws("stepfunctions")
    # The roles must exist, and are not used: the function calls nothing.
    role = functions.list_functions()["Functions"][0]["Role"]
    name = f"bench-{uuid.uuid4().hex[:8]}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("app.py", FUNCTION)
        bootstrap = packaging.bootstrap(workspace.find(), [])
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        content.writestr(entry, bootstrap)
    functions.create_function(
        FunctionName=name,
        Runtime=packaging.CUSTOM_RUNTIME,
        Handler="app.handler",
        Role=role,
        Code={"ZipFile": archive.getvalue()},
    )
    call = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "ResultPath": None}
    call["Parameters"] = {"FunctionName": name, "Payload": {"seconds": work_s}}
    following: list[dict[str, Any]] = [{"Next": f"s{n + 1}"} for n in range(steps - 1)]
    tasks = {f"s{n}": call | way for n, way in enumerate([*following, {"End": True}])}
    machine = states.create_state_machine(
        name=name, roleArn=role, definition=json.dumps({"StartAt": "s0", "States": tasks})
    )["stateMachineArn"]

    def remove() -> None:
        states.delete_state_machine(stateMachineArn=machine)
        functions.delete_function(FunctionName=name)

    return machine, remove


def execution_s(states: Any, execution: str) -> float:  # noqa: ANN401 - boto3 has no static types
    """Wait for the end of an execution, and return how long it took by the emulator's own times."""
    while True:
        found = states.describe_execution(executionArn=execution)
        if found["status"] != "RUNNING":
            break
        time.sleep(POLL_S)
    if found["status"] != "SUCCEEDED":
        raise SystemExit(f"the execution did not succeed: {found}")
    return float((found["stopDate"] - found["startDate"]).total_seconds())


def execution_of(stack: local.Stack, aws: Callable[[str], Any], run_id: str) -> str:
    """Return the ARN of the execution of a run."""
    key = {"pk": {"S": f"T#{TENANT}#R#{run_id}"}, "sk": {"S": "R"}}
    run = aws("dynamodb").get_item(TableName=stack.table_name, Key=key)["Item"]
    machine = stack.pack_run_machine_arn.rpartition(":")[0].replace("stateMachine", "execution")
    return f"{machine}:{run['machine']['S']}:{run['execution']['S']}"


def overhead(api: Api, aws: Callable[[str], Any], rounds: int, work_s: float) -> dict[str, float]:
    """Return the medians of both in seconds, that of their ratios, and the ratio of the fastest.

    Neighbours of the machine only ever slow a round, so the fastest one says most about the code.
    """
    states = aws("stepfunctions")
    machine, remove = bare_machine(aws, STEPS, work_s)

    def bare() -> float:
        return execution_s(states, states.start_execution(stateMachineArn=machine)["executionArn"])

    def pack() -> float:
        run_id = api.run(manifest(STEPS, work_s))
        return execution_s(states, execution_of(api.stack, aws, run_id))

    try:
        bare(), pack()
        pairs = [(bare(), pack()) for _ in range(rounds)]
    finally:
        remove()
    return {
        "bare_s": statistics.median(pair[0] for pair in pairs),
        "pack_s": statistics.median(pair[1] for pair in pairs),
        "ratio": statistics.median(pair[1] / pair[0] for pair in pairs),
        "fastest": min(pair[1] for pair in pairs) / min(pair[0] for pair in pairs),
    }


def main(rounds: int) -> None:
    """Measure, and print the result."""
    stack = local.up()
    with httpx.Client(timeout=30.0) as http:
        for work_s in (WORK_S, 0):
            found = overhead(Api(stack, http, "operator"), clients(stack), rounds, work_s)
            print(
                f"a pack of {STEPS} steps that work for {work_s} s takes {found['ratio']:.2f} "
                f"times the bare machine ({found['pack_s']:.2f} s and {found['bare_s']:.2f} s, "
                f"medians of {rounds}); the fastest of both: {found['fastest']:.2f}"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
