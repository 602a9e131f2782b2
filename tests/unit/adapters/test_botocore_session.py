from __future__ import annotations

import subprocess
import sys

import botocore.session
import pytest
from botocore import handlers

from taskrunner.adapters import botocore_session

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
