"""Sends events to their real handlers, over moto's AWS and with machines that really run.

Each function has its own world, whose environment has the variables that the template sets for it
and no others.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3

from taskrunner.bootstrap import AwsWorld
from tests.architecture.issuer import Issuer, issuing
from tests.architecture.ports import variables
from tests.machine.client import LambdaContext
from tests.machine.engine import Engine, engine
from tests.moto_aws import session

if TYPE_CHECKING:
    from tests.architecture.events import EventRow

WORLDLESS = frozenset({"console", "describe_api", "digest_settings"})
CLIENT = "event-client"
SET_BY_LAMBDA = frozenset({"AWS_LAMBDA_RUNTIME_API"})


class Environment(Mapping[str, str]):
    """A function's variables. *missed* has the names that it asked for and the template lacks."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.missed: set[str] = set()

    def __getitem__(self, name: str) -> str:
        if name not in self._values:
            self.missed.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass
class Stage:
    """A deployment, and a client of it with tokens of the issuer."""

    engine: Engine
    issuer: Issuer
    deployed: Mapping[str, str]
    worlds: dict[str, AwsWorld] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)

    def invoke(self, row: EventRow) -> Any:  # noqa: ANN401 - what a function returned: any JSON
        """Return the function's result or error, after its run has come to rest."""
        handler = importlib.import_module(f"functions.{row.folder}.app").handler
        event = row.event(token=self.issuer.token(CLIENT))
        try:
            result = handler(event, LambdaContext(), **self._world(row))
        except Exception as error:  # noqa: BLE001 - Lambda reports every exception
            return error
        self._wait_for_run(row.folder, event, result)
        return result

    def _world(self, row: EventRow) -> dict[str, Any]:
        function = row.folder
        if function in WORLDLESS:
            return {}
        if function not in self.worlds:
            names = variables(row.function) | SET_BY_LAMBDA
            values = {name: self.deployed.get(name, "") for name in names}
            self.environments[function] = Environment(values)
            self.worlds[function] = AwsWorld(self.environments[function], session())
        world = self.worlds[function]
        return {"authority": world.authority} if function == "authorize" else {"world": world}

    def _wait_for_run(self, function: str, event: dict[str, Any], result: Any) -> None:  # noqa: ANN401
        """Wait until a new or resumed run rests, as a person does between two commands."""
        ended = ("succeeded", "failed", "cancelled")
        match function, result:
            case "create_run", {"statusCode": 201, "body": str(body)} if _has_jobs(body):
                run_id = json.loads(body)["runId"]
                self.engine.until(partial(self._offers_a_job, run_id), f"{run_id} offers no job")
            case "create_run", {"statusCode": 201, "body": str(body)}:
                run_id = json.loads(body)["runId"]
                self.engine.wait(self.engine.client(), run_id, "waiting", *ended)
            case "decide_approval", {"statusCode": 200}:
                run_id = event["pathParameters"]["runId"]
                self.engine.wait(self.engine.client(), run_id, *ended)

    def _offers_a_job(self, run_id: str) -> bool:
        steps = self.engine.client()("GET", f"runs/{run_id}").json["steps"]
        return any(step.get("statusReason") == "waiting-for-worker" for step in steps)


def _has_jobs(state: str) -> bool:
    return any(step.get("uses", "").startswith("worker:") for step in json.loads(state)["steps"])


@contextmanager
def stage() -> Iterator[Stage]:
    """A fresh deployment, without any run."""
    with engine() as made, issuing() as issuer:
        deployed = {**made.world.environment, **issuer.environment, "RETENTION_DAYS": "30"}
        boto3.client("dynamodb").put_item(
            TableName=deployed["TABLE_NAME"],
            Item={
                "pk": {"S": f"C#{CLIENT}"},
                "sk": {"S": "C"},
                "tenants": {"L": [{"S": "tenant-prod"}]},
            },
        )
        yield Stage(made, issuer, deployed)
