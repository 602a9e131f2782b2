"""A deployment with AWS_IAM authorization: calls are signed, and IAM is enforced.

It is a second stack in the emulator, beside the one of the other tests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from taskrunner_cli.local import deployment, emulator
from tests.api_schema import assert_conforms
from tests.packs import pack
from tests.stack.api import until
from tests.stack.own_stack import own_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.stack.api import Api

    Aws = Callable[[str], Any]

RUNS = "/v1/task-runner/runs"
GATED = pack(
    "- {id: gate, gate: {approval: {id: review}}}",
    spec="approvals: [{id: review, minApprovals: 2, distinctFromRequester: true}]",
)


@dataclass(frozen=True)
class Signed:
    """The API of that deployment as one caller sees it. Without credentials, it does not sign."""

    http: httpx.Client
    api_url: str
    table_name: str
    region: str
    credentials: Credentials | None = None

    def as_(self, access_key_id: str, secret_key: str, token: str | None = None) -> Signed:
        return Signed(
            self.http,
            self.api_url,
            self.table_name,
            self.region,
            Credentials(access_key_id, secret_key, token),
        )

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - any JSON
        **headers: str,
    ) -> httpx.Response:
        answer = self.send(method, path, body, **headers)
        assert_conforms(method, path, answer.status_code, answer.headers, answer.content)
        return answer

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - any JSON
        **headers: str,
    ) -> httpx.Response:
        """Send a request, and return its answer unchecked."""
        content = "" if body is None else json.dumps(body)
        request = AWSRequest(
            method,
            self.api_url + path,
            data=content,
            headers={"Content-Type": "application/json", **headers},
        )
        if self.credentials is not None:
            SigV4Auth(self.credentials, "execute-api", self.region).add_auth(request)
        return self.http.request(
            method, request.url, content=content, headers=dict(request.headers)
        )


@pytest.fixture(name="api", scope="module")
def _api(operator: Api) -> Signed:
    here = own_workspace()
    process = emulator.running(here)
    assert process is not None
    with here.locked():
        outputs = deployment.deploy(here, process, "signed", Authorization="AWS_IAM")
    api_url = f"{process.endpoint_url}/_aws/execute-api/{outputs['ApiId']}/{deployment.STAGE}"
    return Signed(operator.http, api_url, outputs["TableName"], operator.stack.region)


def register(
    aws: Aws, api: Signed, arn: str, *scopes: str, tenants: tuple[str, ...] = ("tenant-prod",)
) -> None:
    lists = {"scopes": scopes, "tenants": tenants, "grants": ()}
    item = {name: {"L": [{"S": word} for word in words]} for name, words in lists.items()}
    key = {"pk": {"S": f"I#{arn}"}, "sk": {"S": "I"}}
    aws("dynamodb").put_item(TableName=api.table_name, Item={**key, **item})


def allow(api: Signed) -> str:
    """A policy that allows calling *api* and nothing else."""
    api_id = api.api_url.split("/")[-2]
    arn = f"arn:aws:execute-api:{api.region}:000000000000:{api_id}/*"
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(name="user")
def _user(aws: Aws, api: Signed) -> Iterator[tuple[Signed, str]]:
    """A user whom IAM allows to call the API and who is not registered, and the user's ARN."""
    iam, name = aws("iam"), {"UserName": f"caller-{uuid4()}"}
    arn = iam.create_user(**name, Path="/people/")["User"]["Arn"]
    iam.put_user_policy(**name, PolicyName="call", PolicyDocument=allow(api))
    key = iam.create_access_key(**name)["AccessKey"]
    yield api.as_(key["AccessKeyId"], key["SecretAccessKey"]), arn
    iam.delete_access_key(**name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(**name, PolicyName="call")
    iam.delete_user(**name)


@pytest.fixture(name="sessions", scope="module")
def _sessions(aws: Aws, api: Signed) -> tuple[Callable[[str], Signed], str]:
    """A function that begins sessions of a role whom IAM allows to call the API, and its ARN."""
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam, name = aws("iam"), {"RoleName": f"approving-{uuid4()}"}
    role = iam.create_role(**name, Path="/a/", AssumeRolePolicyDocument=document)
    iam.put_role_policy(**name, PolicyName="call", PolicyDocument=allow(api))

    def session(name: str) -> Signed:
        assumed = aws("sts").assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName=name)
        keys = assumed["Credentials"]
        return api.as_(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    return session, f"arn:aws:iam::000000000000:role/{name['RoleName']}"


@pytest.mark.parametrize("headers", [{}, {"X-StellaOps-Tenant": "tenant-prod"}], ids=str)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", RUNS), ("POST", RUNS), ("GET", f"{RUNS}/run-7")]
)
def test_rejects_a_request_that_is_not_signed(
    api: Signed, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = api(method, path, **headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "AWS4-HMAC-SHA256"


def test_answers_unknown_paths_and_methods_without_a_signature(api: Signed) -> None:
    assert api("GET", "/nowhere").status_code == 404
    assert api("DELETE", RUNS).status_code == 405
    assert api("GET", "/.well-known/openapi").status_code == 200


def test_rejects_a_wrong_signature(user: tuple[Signed, str]) -> None:
    signed, _ = user
    assert signed.credentials is not None

    answer = signed.as_(signed.credentials.access_key, "another secret")("GET", RUNS)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_rejects_a_caller_who_is_not_registered(user: tuple[Signed, str]) -> None:
    signed, arn = user

    answer = signed("GET", RUNS)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert arn in answer.json()["error"]["message"]


def test_rejects_a_registered_caller_whom_iam_does_not_allow(
    aws: Aws, user: tuple[Signed, str]
) -> None:
    signed, arn = user
    register(aws, signed, arn, "operator")
    name = arn.rpartition("/")[2]
    nothing = allow(signed).replace("execute-api:Invoke", "execute-api:InvalidateCache")
    aws("iam").put_user_policy(UserName=name, PolicyName="call", PolicyDocument=nothing)

    # The emulator refuses the call before its API Gateway does, in a form of its own.
    assert signed.send("GET", RUNS).status_code == 403


def test_a_registered_user_has_its_scopes_and_tenants(aws: Aws, user: tuple[Signed, str]) -> None:
    signed, arn = user
    register(aws, signed, arn, "viewer")

    read = signed("GET", RUNS)
    created = signed("POST", RUNS, {"manifest": GATED})
    elsewhere = signed("GET", RUNS, **{"X-StellaOps-Tenant": "tenant-dev"})

    assert read.status_code == 200
    assert [answer.status_code for answer in (created, elsewhere)] == [403, 403]
    assert "taskrunner.operator" in created.json()["error"]["message"]


def test_all_sessions_of_a_role_are_one_approver(
    aws: Aws, user: tuple[Signed, str], sessions: tuple[Callable[[str], Signed], str]
) -> None:
    requester, arn = user
    session, role = sessions
    register(aws, requester, arn, "operator")
    register(aws, requester, role, "operator")
    created = requester("POST", RUNS, {"manifest": GATED})
    run = f"{RUNS}/{created.json()['runId']}"
    until(lambda: requester("GET", run).json()["status"] == "waiting", f"{run} waits")
    decision = {"decision": "approved", "planHash": created.json()["planHash"]}

    own = requester("POST", f"{run}/approvals/review", decision)
    by_role = [
        session(name)("POST", f"{run}/approvals/review", decision) for name in ("ana", "ben")
    ]

    assert own.status_code == 403
    assert [(answer.status_code, answer.json().get("resumed")) for answer in by_role] == [
        (200, False)
    ] * 2
    assert requester("GET", run).json()["status"] == "waiting"
    assert requester("POST", f"{run}/cancel").status_code == 202
