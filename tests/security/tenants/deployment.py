"""Many tenants in one deployment: the real handlers over moto, which record every call to AWS.

No machine runs. A test makes the calls of a machine itself, so that it reaches each state at once
and sees the work of a request call by call.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import boto3
import pytest

from taskrunner.adapters.table_layout import MACHINE_COUNT
from taskrunner.adapters.table_requests import encoded_key
from taskrunner.bootstrap import AwsWorld
from taskrunner.model import timestamp
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.run import StepOutcome, StepReference, StepStatus
from taskrunner.usecases.enter_gate import enter_gate
from taskrunner.usecases.expire_gate import expire_gate
from taskrunner.usecases.offer_job import offer_job
from tests.api_schema import assert_conforms
from tests.fakes.clock import StoppedClock
from tests.machine.client import LambdaContext, route_of
from tests.machine.deployment import deploy
from tests.moto_aws import REGION, moto_aws, session
from tests.packs import pack
from tests.security.permissions.grants import missing, names_of
from tests.security.permissions.needs import Recorder
from tests.template import folder, routes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TRACE = "6f1c-trace"
_MACHINE_COUNT = encoded_key(MACHINE_COUNT)


@dataclass(frozen=True)
class Answer:
    """The answer to a request, and the calls to AWS that the request made."""

    status: int
    headers: Mapping[str, str]
    body: str
    calls: list[tuple[str, dict[str, Any]]]

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)

    def without(self, *names: str) -> tuple[int, str, str, str]:
        """Return the whole answer and its calls with each of *names* replaced everywhere."""
        texts = [json.dumps(dict(self.headers)), self.body, json.dumps(self.calls, default=str)]
        for name in names:
            texts = [text.replace(name, "<it>") for text in texts]
        return self.status, *texts  # type: ignore[return-value]


@dataclass(repr=False)  # a test that fails would show all of its tables
class Deployment:
    """One deployment.

    *calls* holds every call to AWS with its parameters, *strange* those that touch another tenant.
    *plan_hashes* are those that were read, by tenant and run; a run's never changes.
    """

    world: AwsWorld
    clock: StoppedClock
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    executions: dict[str, tuple[str, str]] = field(default_factory=dict)
    recorder: Recorder = field(default_factory=Recorder)
    plan_hashes: dict[tuple[str, str], str] = field(default_factory=dict)
    tenant: str = ""

    def request(  # noqa: PLR0913 - a request has this many parts
        self,
        tenant: str,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - any JSON
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        subject: str = "ana",
        scopes: str = "operator",
        pools: str = "",
    ) -> Answer:
        """Send a request as *subject*, whose token names only *tenant*."""
        full = f"/v1/task-runner/{path}"
        resource, parameters = route_of(method, full)
        given = {"content-type": "application/json", **(headers or {})}
        event = {
            "httpMethod": method,
            "path": full,
            "resource": resource,
            "pathParameters": {name: unquote(text) for name, text in parameters.items()},
            "headers": given,
            "multiValueHeaders": {name: [value] for name, value in given.items()},
            "queryStringParameters": dict(query or {}),
            "requestContext": {
                "requestId": TRACE,
                "authorizer": {
                    "subject": subject,
                    "scopes": scopes,
                    "tenants": tenant,
                    "grants": "",
                    "pools": pools,
                },
            },
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        name = folder(routes()[method, resource])
        with self.working_for(tenant) as calls, self.recorder.playing(name):
            handler = importlib.import_module(f"functions.{name}.app").handler
            reply = handler(event, LambdaContext(), world=self.world)
        assert_conforms(method, full, reply["statusCode"], reply["headers"], reply["body"])
        return Answer(reply["statusCode"], reply["headers"], reply["body"], calls)

    @contextmanager
    def working_for(self, tenant: str) -> Iterator[list[tuple[str, dict[str, Any]]]]:
        """Collect the calls made meanwhile, and note those that touch anything but *tenant*'s."""
        first, self.tenant = len(self.calls), tenant
        calls: list[tuple[str, dict[str, Any]]] = []
        yield calls
        calls += self.calls[first:]
        self.tenant = ""

    def record(self, params: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401
        """Record a call. A hook of botocore: a return value would replace the parameters."""
        service = model.service_model.service_name
        kept = {key: value for key, value in params.items() if not hasattr(value, "read")}
        call = (f"{service}:{model.name}", copy.deepcopy(kept))
        self.calls.append(call)
        if not self.tenant:
            return
        # S3's own hooks later add to the parameters of a URL, but no keys.
        self.strange += [
            f"{call[0]} for {self.tenant}: {foreign}" for foreign in self._strange(*call)
        ]

    def _strange(self, name: str, params: dict[str, Any]) -> list[str]:
        """Return what a call touches outside the tenant."""
        tenant = self.tenant
        if name.startswith("s3:"):
            return [] if params["Key"].startswith(f"{tenant}/") else [params["Key"]]
        if name == "stepfunctions:StartExecution":
            run = json.loads(params["input"])["place"]["run"]
            owner = self.executions.setdefault(params["name"], (run["tenant"], run["id"]))
            return [] if owner == (run["tenant"], run["id"]) and owner[0] == tenant else [str(run)]
        if name == "sns:Publish":
            attribute = params["MessageAttributes"]["tenant"]["StringValue"]
            named = (attribute, json.loads(params["Message"])["tenant"])
            return [name for name in named if name != tenant]
        if name == "dynamodb:GetItem" and params["Key"] == _MACHINE_COUNT:
            return []  # the account's, whose count says nothing of a tenant
        if name.startswith("dynamodb:"):
            partitions = [*_partitions(params)]
            assert partitions, params
            return [partition for partition in partitions if not _belongs(partition, tenant)]
        return []

    # ------------------------------------------------------------- the calls of a machine

    def offer(self, tenant: str, run_id: str, step: str) -> None:
        with self.working_for(tenant), self.recorder.playing("offer_job"):
            offer_job(StepReference(tenant, run_id, step, ""), f"token-{run_id}", self.world)

    def gate(self, tenant: str, run_id: str, step: str = "review") -> None:
        with self.working_for(tenant), self.recorder.playing("open_gate"):
            enter_gate(StepReference(tenant, run_id, step, ""), f"token-{run_id}", self.world)

    def gate_expires(self, tenant: str, run_id: str, step: str = "review") -> None:
        with self.working_for(tenant), self.recorder.playing("open_gate"):
            expire_gate(StepReference(tenant, run_id, step, ""), self.world)

    def capture(self, tenant: str, run_id: str, name: str, content: str) -> None:
        with self.working_for(tenant), tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / name
            file.write_text(content, encoding="utf-8")
            wanted = Artifact(
                name=name,
                type=ArtifactType.FILE,
                status=ArtifactStatus.CAPTURED,
                source_path=f"/output/{name}",
                captured_at=timestamp.to_text(self.clock.now()),
                media_type="text/plain",
            )
            snapshot = self.world.runs.snapshot(tenant, run_id)
            stored = self.world.artifacts.store(snapshot.run, wanted, file)
            # Large, so that it is claimed from the bucket.
            outputs = {"text": content * 20_000}
            build = self.world.plans.get(tenant, snapshot.run.plan_hash).steps[0].id
            outcome = StepOutcome(
                path=build, attempt=1, status=StepStatus.SUCCEEDED, outputs=outputs
            )
            self.world.runs.record_step(snapshot, outcome, [], [stored])


def _belongs(partition: str, tenant: str) -> bool:
    """Return whether the value of a partition key, of the table or an index, is the tenant's."""
    return partition.startswith((f"T#{tenant}#", f"{tenant}#")) or partition == tenant


def _partitions(params: dict[str, Any]) -> Iterator[str]:
    """Yield every value of a partition key of the table or an index in a call, at any depth."""
    for name, value in params.items():
        match value:
            case {"S": str(text)} if name in _KEYS:
                yield text
            case dict():
                yield from _partitions(value)
            case list():
                for item in value:
                    yield from _partitions(item) if isinstance(item, dict) else ()


_KEYS = frozenset(
    {
        "pk",
        ":pk",
        "tenant_runs",
        "tenant_open_approvals",
        "unfinished",
        "run_list",
        ":tenant",
        ":queue",
        ":list",
    }
)


@contextmanager
def deployment() -> Iterator[Deployment]:
    """Yield a new deployment without runs and with a stopped clock."""
    with pytest.MonkeyPatch.context() as patch, moto_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        deployed = deploy()
        world, clock = AwsWorld(deployed, session()), StoppedClock()
        world.__dict__["clock"] = clock
        made = Deployment(world, clock)
        made.recorder.attach()
        topic = world.notifications
        for client in (
            world._table._client,
            world._bucket._client,
            world._step_functions,
            topic._client,
        ):
            client.meta.events.register("provide-client-params", made.record)
        yield made
        lacking = missing(made.recorder.by_logical_id(), names_of(deployed))
        assert not lacking, "\n".join(lacking)


def a_pack(tenant: str = "any") -> str:
    """Return a pack with a step and a gate; each tenant's approval has another name."""
    return pack(
        f"""
        - {{id: build-of-{tenant}, run: {{uses: builtin:noop}}}}
        - {{id: review, gate: {{approval: {{id: review-of-{tenant}}}}}}}
        """,
        spec=f"approvals: [{{id: review-of-{tenant}}}]\nslo: {{maxQueueDepth: 100, "
        "runP95Seconds: 600, approvalP95Seconds: 900}",
    )


def content_of(url: str) -> bytes:
    """Return the object of a presigned URL, read by its bucket and key."""
    path = unquote(url.split("?", 1)[0].split("/", 3)[3])
    bucket, key = path.split("/", 1)
    content: bytes = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
