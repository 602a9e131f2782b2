"""The emulator publishes versions with a snapshot, and runs the hooks of our functions for it.

The local stack's own functions have a custom runtime, which has no snapshots. So these tests create
a function of a managed runtime from the same code.
"""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner_cli.local.workspace import python_version
from tests.stack.api import until
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner_cli.local import Stack

# The packages that the layer brings on AWS, before the function's own module is imported.
LAYER = [
    str(ROOT / "layers/core/python"),
    str(ROOT / f".local/venvs/layer/lib/python{python_version()}/site-packages"),
]
MODULE = f"import sys\nsys.path[:0] = {LAYER!r}\nfrom app import handler\n"


@pytest.fixture(name="name")
def _name(aws: Callable[[str], Any]) -> Iterator[str]:
    name = f"snapshots-{uuid.uuid4().hex[:8]}"
    yield name
    aws("lambda").delete_function(FunctionName=name)


def published(stack: Stack, aws: Callable[[str], Any], name: str, **variables: str) -> str:
    """Create read_run with snapshots, and return the version that was published."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.write(ROOT / "functions/read_run/app.py", "app.py")
        archive.writestr("with_layer.py", MODULE)
    # Other tests deploy stacks with such roles, which may not read this stack's table.
    of_read_run = f"{stack.machine_prefix}-ReadRunFunctionRole"
    roles = [
        role for page in aws("iam").get_paginator("list_roles").paginate() for role in page["Roles"]
    ]
    created = aws("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="with_layer.handler",
        Role=next(role["Arn"] for role in roles if role["RoleName"].startswith(of_read_run)),
        Code={"ZipFile": sink.getvalue()},
        Publish=True,
        Timeout=29,
        SnapStart={"ApplyOn": "PublishedVersions"},
        Environment={
            "Variables": {
                "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",  # which Lambda sets itself
                "AWS_ENDPOINT_URL": stack.endpoint_url,
                "BUCKET_NAME": stack.bucket_name,
                "CALLED_MACHINE_PREFIX_ARN": "arn:aws:states:us-east-1:0:stateMachine:a_",
                "PACK_RUN_MACHINE_ARN": stack.pack_run_machine_arn,
                **variables,
            }
        },
    )
    version: str = created["Version"]
    return version


def configuration(aws: Callable[[str], Any], name: str, version: str) -> dict[str, Any]:
    found: dict[str, Any] = aws("lambda").get_function_configuration(
        FunctionName=name, Qualifier=version
    )
    return found


def test_a_version_with_a_snapshot_answers(
    stack: Stack, aws: Callable[[str], Any], name: str
) -> None:
    version = published(stack, aws, name, TABLE_NAME=stack.table_name)
    until(lambda: configuration(aws, name, version)["State"] == "Active", "the version is active")
    event = (ROOT / "events/read_run/unknown_run.json").read_bytes()

    answer = aws("lambda").invoke(FunctionName=name, Qualifier=version, Payload=event)

    snapshot = configuration(aws, name, version)["SnapStart"]
    assert snapshot == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    response = json.loads(answer["Payload"].read())
    assert (response["statusCode"], "FunctionError" in answer) == (404, False)


def test_a_function_that_cannot_make_its_ports_is_not_published(
    stack: Stack, aws: Callable[[str], Any], name: str
) -> None:
    """It fails before the alias would move to it: here it lacks the table's name."""
    version = published(stack, aws, name)

    until(lambda: configuration(aws, name, version)["State"] == "Failed", "the version has failed")
    assert "TABLE_NAME" in configuration(aws, name, version)["StateReason"]
