from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore import handlers, xform_name
from botocore.config import Config

from taskrunner.adapters import botocore_session

if TYPE_CHECKING:
    from collections.abc import Iterator

# The services that the bootstrap makes clients of; a test of the layers compares this list.
CLIENTS = (
    "dynamodb", "ecr", "events", "kms", "lambda", "s3", "secretsmanager", "sns", "stepfunctions",
)  # fmt: skip
UNUSED = ("botocore.docs.service", "html.parser", "importlib.metadata", "zipfile")
SOURCE = """
import sys
from taskrunner.adapters import botocore_session
botocore_session.leave_out_unused_modules()
session = botocore_session.make()
for service in sys.argv[1:]:
    client = session.create_client(service, region_name="eu-west-1")
print(*sys.modules)
"""


@pytest.fixture(name="modules", scope="module")
def _modules() -> frozenset[str]:
    """The modules of an interpreter that has made every client, because they last in a process."""
    done = subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-c", SOURCE, *CLIENTS],
        env={"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"},
        check=True,
        capture_output=True,
        text=True,
    )
    return frozenset(done.stdout.split())


@pytest.mark.parametrize("module", UNUSED)
def test_making_clients_does_not_import_an_unused_module(
    modules: frozenset[str], module: str
) -> None:
    assert module not in modules


def test_making_clients_imports_what_the_left_out_packages_hold(modules: frozenset[str]) -> None:
    assert {"botocore.docs.utils", "urllib3.http2.probe"} <= modules


def test_a_session_keeps_every_handler_of_the_services_that_are_called() -> None:
    session = botocore.session.get_session()
    names = {"*", *CLIENTS}
    for client in CLIENTS:
        model = session.get_service_model(client)
        names |= {model.service_id.hyphenize(), model.endpoint_prefix, model.signing_name}

    for event, *_ in handlers.BUILTIN_HANDLERS:
        kind, *parts = event.split(".")
        is_called = kind != "docs" and (not parts or parts[0] in names)
        assert botocore_session.is_needed(event) == is_called, event


def test_a_session_has_the_handlers_in_botocores_order() -> None:
    calls: list[tuple[str, list[object]]] = []
    for session in (botocore_session.make(), botocore.session.get_session()):
        emitter = session.get_component("event_emitter")
        for service in ("dynamodb.GetItem", "s3.PutObject", "s3.GetObject", "sfn.StartExecution"):
            for kind in ("before-parameter-build", "before-call", "choose-signer", "before-parse"):
                event = f"{kind}.{service}"
                calls.append((event, list(emitter._emitter._handlers.prefix_search(event))))

    half = len(calls) // 2
    assert calls[:half] == calls[half:]


def test_services_are_those_of_the_clients() -> None:
    session = botocore.session.get_session()
    ids = {session.get_service_model(client).service_id.hyphenize() for client in CLIENTS}

    assert ids == botocore_session.SERVICES


@pytest.mark.parametrize("service", CLIENTS)
def test_only_clients_whose_addresses_need_rules_have_them(service: str) -> None:
    client = botocore_session.make().create_client(service, region_name="eu-west-1")

    assert (client._ruleset_resolver is not None) == (service == "s3")


class _SentError(Exception):
    """A request would have been sent."""


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "dynamodb": ("GetItem", {"TableName": "t", "Key": {"pk": {"S": "a"}}}),
    "ecr": ("DescribeImageScanFindings", {"repositoryName": "r", "imageId": {"imageTag": "t"}}),
    "events": ("PutEvents", {"Entries": []}),
    "kms": ("Sign", {"KeyId": "k", "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}),
    "lambda": ("Invoke", {"FunctionName": "f"}),
    "s3": ("GetObject", {"Bucket": "bucket", "Key": "k"}),
    "secretsmanager": ("GetSecretValue", {"SecretId": "s"}),
    "sns": ("Publish", {"Message": "m", "TopicArn": "arn:aws:sns:us-east-1:123456789012:t"}),
    "stepfunctions": ("StopExecution", {"executionArn": "e"}),
}


def regions() -> Iterator[str]:
    """Every Region, and one in each of three partitions that botocore has not heard of."""
    data = Path(botocore.__file__).parent / "data" / "endpoints.json"
    for partition in json.loads(data.read_text(encoding="utf-8"))["partitions"]:
        yield from partition["regions"]
    yield from ("eu-west-9", "cn-west-9", "us-gov-west-9")


def addresses(session: Any, config: Config) -> dict[str, list[str]]:  # noqa: ANN401 - untyped
    """Return to which address each service's request would go, and for what it is signed."""
    session.set_credentials("key", "secret")
    found: dict[str, list[str]] = {}

    def keep(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore has no static types
        scope = request.headers["Authorization"].decode().split("/", 2)[2].partition(",")[0]
        found[name] = [request.url, scope]
        raise _SentError

    for region in regions():
        for service, (operation, request) in REQUESTS.items():
            name = f"{service} {region}"
            client = session.create_client(service, region_name=region, config=config)
            client.meta.events.register_first("before-send", keep)
            with pytest.raises(_SentError):
                getattr(client, xform_name(operation))(**request)
    return found


@pytest.mark.parametrize("variable", [None, "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_requests_go_where_botocore_would_send_them(
    variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is not None:
        monkeypatch.setenv(variable, "true")
        monkeypatch.setattr(f"{__name__}.regions", lambda: iter(["us-east-1", "us-gov-west-1"]))
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})

    ours = addresses(botocore_session.make(), config)

    assert ours == addresses(botocore.session.get_session(), config)
    assert set(REQUESTS) == set(CLIENTS)
