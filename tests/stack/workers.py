"""Workers as processes of their own, which take the jobs of one test from the local stack.

They have a pool of their own, because the stack's worker takes the jobs of the pool `local`. The
steps of a test have a label that only its own workers offer.
"""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import boto3

from taskrunner_cli.local import worker
from tests.packs import pack
from tests.worker_process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskrunner_cli.local import Stack

POOL: Final = "tests"
_PAST: Final = "2025-12-06T10:00:00.000Z"


@dataclass
class Workers:
    """Starts workers, each with a number as its name, and kills them at the end of a test."""

    stack: Stack
    folder: Path
    label: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    started: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        _admit(self.stack)

    def start(self, *options: str, api_url: str = "") -> WorkerProcess:
        """Start a worker that calls the stack, or *api_url* instead of its API."""
        client = self.stack.clients[worker.CALLER]
        name = f"worker-{len(self.started) + 1}"
        pool = ("--pool", POOL, "--name", name)
        process = WorkerProcess(
            self.folder / name,
            self.folder / f"{name}.log",
            [*pool, "--label", f"test={self.label}", "--idle-poll-seconds", "1", *options],
            {
                "TASKRUNNER_API_URL": api_url or self.stack.api_url,
                "TASKRUNNER_TOKEN_URL": self.stack.token_url,
                "TASKRUNNER_CLIENT_ID": client.client_id,
                "TASKRUNNER_CLIENT_SECRET": client.client_secret,
            },
        )
        self.started.append(process)
        return process

    def step(self, script: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        """Return what `run` has in a step for these workers."""
        parameters = {"script": script, "labels": {"test": self.label}, **more}
        return {"uses": f"worker:{POOL}", "with": parameters}

    def pack(self, script: str, *, spec: str = "", **more: Any) -> str:  # noqa: ANN401 - any JSON
        """Return a pack with the step `job`, which runs *script*."""
        return pack(f"- {{id: job, run: {_flow(self.step(script, **more))}}}", spec=spec)

    def kill(self) -> None:
        """Kill those that run."""
        for process in self.started:
            process.kill()


def _admit(stack: Stack) -> None:
    """Let the stack's client of workers take jobs of POOL too."""
    table = boto3.client(
        "dynamodb",
        endpoint_url=stack.endpoint_url,
        region_name=stack.region,
        aws_access_key_id=stack.access_key_id,
        aws_secret_access_key=stack.secret_access_key,
    )
    table.update_item(
        TableName=stack.table_name,
        Key={"pk": {"S": f"C#{stack.clients[worker.CALLER].client_id}"}, "sk": {"S": "C"}},
        UpdateExpression="SET pools = :pools",
        ExpressionAttributeValues={":pools": {"L": [{"S": worker.POOL}, {"S": POOL}]}},
    )


def lose_lease(stack: Stack, aws: Callable[[str], Any], run_id: str, worker_name: str) -> None:
    """Let the lease that a dead worker has of the step `job` have ended, and reconcile now.

    On a slow machine, its lease may have ended before that. Then the reconciler has offered the job
    again, and another worker may have it.
    """
    table = aws("dynamodb")
    with suppress(table.exceptions.ConditionalCheckFailedException):
        table.update_item(
            TableName=stack.table_name,
            Key={"pk": {"S": f"T#tenant-prod#R#{run_id}"}, "sk": {"S": "T#job"}},
            UpdateExpression="SET due_at = :past, lease.expires_at = :past",
            ConditionExpression="lease.worker = :worker",
            ExpressionAttributeValues={":past": {"S": _PAST}, ":worker": {"S": worker_name}},
        )
    aws("lambda").invoke(FunctionName=stack.reconcile_function)


def _flow(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return *value* as JSON, which is YAML too."""
    return json.dumps(value)
