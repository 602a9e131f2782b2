"""TaskRunner in one process: moto's AWS, the real handlers, and the machines that were compiled.

Requests are API Gateway's events and come from outside; machines call the handlers as Lambda would,
with errors as Lambda reports them. Tables and routes are the template's.
"""

from __future__ import annotations

import importlib
import json
import re
import time
import uuid
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from taskrunner.bootstrap import AwsWorld
from tests.api_schema import assert_conforms
from tests.atomic import one_at_a_time
from tests.kms import signing_key
from tests.security.permissions.grants import missing, names_of
from tests.security.permissions.needs import Recorder
from tests.template import ROOT, folder, routes, template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REGION = "us-east-1"
PREFIX = "taskrunner"
SECRET_PREFIX, EXECUTOR_PREFIX = "taskrunner/", "taskrunner-executor-"
_DEADLINE_S = 30.0
_FUNCTIONS = {
    "RunStep": "run_step",
    "OpenGate": "open_gate",
    "DecideFlow": "decide_flow",
    "SettleRun": "settle_run",
}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, checked against the API's document."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


@dataclass
class Client:
    """A caller of the API."""

    engine: Engine
    subject: str = "ana"
    scopes: str = "operator"
    tenants: str = "tenant-prod"
    grants: str = ""

    def __call__(  # noqa: PLR0913 - a request has this many parts
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - any JSON
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        raw: str | None = None,
    ) -> Answer:
        full = path if path.startswith("/") else f"/v1/task-runner/{path}"
        event = api_event(method, full, self, headers or {}, query or {})
        if body is not None or raw is not None:
            event["body"] = json.dumps(body) if raw is None else raw
            event["headers"].setdefault("content-type", "application/json")
        handler = self.engine.handler_of(method, event["resource"])
        reply = handler(event, LambdaContext())
        answer = Answer(reply["statusCode"], reply["headers"], reply["body"])
        assert_conforms(method, full, answer.status, answer.headers, answer.body)
        return answer


class LambdaContext:
    """What Lambda tells a function about the invocation."""

    aws_request_id = "6f1c"
    function_name = "a-function"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def api_event(
    method: str, path: str, client: Client, headers: Mapping[str, str], query: Mapping[str, str]
) -> dict[str, Any]:
    """API Gateway's proxy event (REST, version 1.0) of a request."""
    resource, parameters = _matched(method, path)
    return {
        "httpMethod": method,
        "path": path,
        "resource": resource,
        "pathParameters": parameters or None,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": dict(query) or None,
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "authorizer": {
                "subject": client.subject,
                "scopes": client.scopes,
                "tenants": client.tenants,
                "grants": client.grants,
            },
        },
        "body": None,
        "isBase64Encoded": False,
    }


def _matched(method: str, path: str) -> tuple[str, dict[str, str]]:
    for route_method, resource in routes():
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(resource))
        if route_method == method and (match := re.fullmatch(pattern, path)):
            return resource, match.groupdict()
    message = f"no route for {method} {path}"
    raise LookupError(message)


@dataclass
class Engine:
    """The whole of TaskRunner. *calls* has what each machine's task was invoked with.

    *functions* are the deployment's executor functions, by the names that packs have for them;
    *worlds* has the world of each handler that is to have its own.
    """

    world: AwsWorld
    states: Any
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    # A test may stand between the machine and a function: to fail like Lambda, or to look.
    before: dict[str, Callable[[dict[str, Any]], None]] = field(default_factory=dict)
    functions: dict[str, Callable[[dict[str, Any]], Any]] = field(default_factory=dict)
    worlds: dict[str, AwsWorld] = field(default_factory=dict)
    # What each function asks of AWS, wherever a test lets it work: its role must grant that.
    recorder: Recorder = field(default_factory=Recorder)
    # What stands around every call of a handler, by the handler's name.
    around: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()

    def client(self, **who: str) -> Client:
        return Client(self, **who)

    def handler_of(self, method: str, resource: str) -> Callable[..., Any]:
        return self._handler(folder(routes()[method, resource]))

    def _handler(self, name: str) -> Callable[..., Any]:
        module = importlib.import_module(f"functions.{name}.app")

        def call(event: dict[str, Any], context: object) -> Any:  # noqa: ANN401
            if name == "describe_api":
                return module.handler(event, context)
            with self.recorder.playing(name), self.around(name):
                return module.handler(event, context, world=self.worlds.get(name, self.world))

        return call

    def invoke(self, name: str, event: dict[str, Any]) -> Any:  # noqa: ANN401
        """Call a function as Lambda would."""
        self.calls.append((name, event))
        if name in self.before:
            self.before[name](event)
        return self._handler(name)(event, LambdaContext())

    def as_lambda(
        self,
        function_name: str,
        _qualifier: str | None,
        body: Any,  # noqa: ANN401
        _headers: Any,  # noqa: ANN401
        response_headers: dict[str, Any],
    ) -> bytes:
        """moto's Lambda, answered by the real handlers and by *functions*."""
        name = next((f for n, f in _FUNCTIONS.items() if function_name.endswith(n)), None)
        own = self.functions.get(function_name.removeprefix(EXECUTOR_PREFIX))
        if name is None and own is None:
            raise UnknownFunctionException(function_name)
        try:
            event = json.loads(body)
            result = own(event) if own is not None else self.invoke(str(name), event)
        except Exception as error:  # noqa: BLE001 - Lambda reports whatever a function raises
            response_headers["x-amz-function-error"] = "Unhandled"
            result = {"errorMessage": str(error), "errorType": type(error).__name__}
        return json.dumps(result).encode()

    def store_secret(self, tenant: str, name: str, value: str) -> None:
        """Store a secret where an operator would."""
        boto3.client("secretsmanager").create_secret(
            Name=f"{SECRET_PREFIX}{tenant}/{name}", SecretString=value
        )

    def wait(self, client: Client, run_id: str, *statuses: str) -> dict[str, Any]:
        """The run's state once its status is one of *statuses*."""
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            state: dict[str, Any] = client("GET", f"runs/{run_id}").json
            if state["status"] in statuses:
                return state
            if time.monotonic() > deadline:
                message = f"{run_id} is {state['status']}, not {statuses}: {state['steps']}"
                raise TimeoutError(message)
            time.sleep(0.02)

    def rest(self) -> None:
        """Wait until no machine is between a run's end, which others see, and its evidence.

        It would go on without AWS under it, and retry for minutes beside the tests that follow.
        Nobody tells of a stopped execution here, so a cancelled run stays as it is.
        """
        deadline = time.monotonic() + _DEADLINE_S
        while self._unsealed():
            assert time.monotonic() < deadline, "a run that has ended was not sealed"
            time.sleep(0.02)

    def _unsealed(self) -> list[str]:
        client = boto3.client("dynamodb")
        items = client.scan(TableName="runs", IndexName="unfinished-runs")["Items"]
        found = ((item["run_id"]["S"], item.get("outcome", {}).get("S")) for item in items)
        return [run_id for run_id, outcome in found if outcome in {"succeeded", "failed"}]

    def ended(self, client: Client, run_id: str) -> dict[str, Any]:
        return self.wait(client, run_id, "succeeded", "failed", "cancelled")


@contextmanager
def engine() -> Iterator[Engine]:
    """A fresh TaskRunner. At its end, nothing that its functions did may lack a permission."""
    configuration: Any = {
        "stepfunctions": {"execute_state_machine": True},
        "lambda": {"use_docker": False},
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        with one_at_a_time(configuration):
            deployed = _deployed()
            made = Engine(AwsWorld(deployed), boto3.client("stepfunctions"))
            made.recorder.attach()
            backend: Any = get_backend(DEFAULT_ACCOUNT_ID, REGION)
            backend.invoke = made.as_lambda
            yield made
            made.rest()
            lacking = missing(made.recorder.by_logical_id(), names_of(deployed))
            assert not lacking, "\n".join(lacking)


def _deployed() -> dict[str, str]:
    resources = template()["Resources"]
    table = resources["RunTable"]["Properties"]
    boto3.client("dynamodb").create_table(
        TableName="runs",
        **{
            name: table[name]
            for name in (
                "AttributeDefinitions",
                "KeySchema",
                "GlobalSecondaryIndexes",
                "BillingMode",
            )
        },
    )
    boto3.client("s3").create_bucket(Bucket="runs")
    role = boto3.client("iam").create_role(RoleName="machines", AssumeRolePolicyDocument="{}")
    prototype = boto3.client("stepfunctions").create_state_machine(
        name=f"{PREFIX}_prototype",
        definition=deployed_frame(),
        roleArn=role["Role"]["Arn"],
    )
    return {
        "TABLE_NAME": "runs",
        "BUCKET_NAME": "runs",
        "PACK_RUN_MACHINE_ARN": prototype["stateMachineArn"],
        "MACHINE_PREFIX": PREFIX,
        "SECRET_PREFIX": SECRET_PREFIX,
        "EXECUTOR_PREFIX": EXECUTOR_PREFIX,
        "EVIDENCE_KEY_ARN": signing_key(boto3.client("kms")),
        "APPROVAL_TOPIC_ARN": boto3.client("sns").create_topic(Name="approvals")["TopicArn"],
    }


def published() -> list[str]:
    """All that was published to the deployment's topic: subjects, bodies and attributes."""
    topics = sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics.values()
    return [
        f"{subject}\n{body}\n{attributes}"
        for topic in topics
        for _, body, subject, attributes, _ in topic.sent_notifications
    ]


def deployed_frame() -> str:
    """The frame with the functions' ARNs in it, as CloudFormation deploys it."""
    import yaml  # noqa: PLC0415

    text = (ROOT / "statemachine/pack_run.asl.yaml").read_text(encoding="utf-8")
    for name in _FUNCTIONS:
        arn = f"arn:aws:lambda:{REGION}:{DEFAULT_ACCOUNT_ID}:function:{name}"
        text = text.replace(f"${{{name}FunctionArn}}", arn)
    return json.dumps(yaml.safe_load(text))
