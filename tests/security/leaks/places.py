"""Everything that is kept of a run, where a secret must not be found: stores, logs and answers."""

from __future__ import annotations

import io
import json
import logging
import urllib.parse
import zipfile
from typing import TYPE_CHECKING, Any

import boto3

from tests.machine.deployment import BUCKET, TABLE, published

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.machine.client import Client
    from tests.machine.engine import Engine


class Watch(logging.Handler):
    """Keeps every log line, by any logger and at any level."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def kept(engine: Engine) -> Iterator[tuple[str, bytes]]:
    """The content of table, bucket, topic, machines and executions, each with its place."""
    table, bucket = boto3.client("dynamodb"), boto3.client("s3")
    for page in table.get_paginator("scan").paginate(TableName=TABLE):
        for item in page["Items"]:
            yield f"table {item['pk']} {item['sk']}", _unfolded(item)
    for page in bucket.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for listed in page.get("Contents", []):
            key = listed["Key"]
            answer = bucket.get_object(Bucket=BUCKET, Key=key)
            content = answer.pop("Body").read()
            yield f"bucket {key}", content + _unfolded(answer) + key.encode()
            if content.startswith(b"PK"):
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    for entry in archive.namelist():
                        yield f"in {key}", entry.encode() + archive.read(entry)
    yield from _executions(engine)
    for number, notification in enumerate(published()):
        yield f"notification {number}", notification.encode("utf-8", "surrogatepass")
    for name, event in engine.calls:
        yield f"event of {name}", _unfolded(event)


def _executions(engine: Engine) -> Iterator[tuple[str, bytes]]:
    states = engine.states
    for machine in states.list_state_machines()["stateMachines"]:
        arn = machine["stateMachineArn"]
        yield f"machine {arn}", _unfolded(states.describe_state_machine(stateMachineArn=arn))
        for listed in states.list_executions(stateMachineArn=arn)["executions"]:
            execution = {"executionArn": listed["executionArn"]}
            yield "execution", _unfolded(states.describe_execution(**execution))
            yield "history", _unfolded(states.get_execution_history(**execution)["events"])


def answers(client: Client, run_id: str) -> Iterator[tuple[str, bytes]]:
    """Everything that the API says about a run."""
    for path in ("", "/logs", "/artifacts", "/plan"):
        answer = client("GET", f"runs/{run_id}{path}")
        yield f"GET run{path}", answer.body.encode() + json.dumps(dict(answer.headers)).encode()
        if path != "/logs":
            yield f"GET run{path}", _unfolded(answer.json)
    for artifact in client("GET", f"runs/{run_id}/artifacts").json:
        name = urllib.parse.quote(artifact["name"], safe="")
        answer = client("GET", f"runs/{run_id}/artifacts/{name}")
        yield f"artifact {artifact['name']}", answer.body.encode()
    yield "list", client("GET", "runs").body.encode()


def _unfolded(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Every text in a JSON value without escapes, and the value as JSON."""
    parts: list[bytes] = [json.dumps(value, ensure_ascii=False, default=str).encode()]

    def walk(node: Any) -> None:  # noqa: ANN401
        if isinstance(node, dict):
            for key, child in node.items():
                walk(key)
                walk(child)
        elif isinstance(node, list | tuple):
            for child in node:
                walk(child)
        elif isinstance(node, str):
            parts.append(node.encode())
            if node[:1] in "[{":
                try:
                    walk(json.loads(node))
                except ValueError:
                    return
        elif isinstance(node, bytes):
            parts.append(node)

    walk(value)
    return b"\n".join(parts)
